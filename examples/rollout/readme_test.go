package main

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The README of the examples is a map, which must not rot: every example and
// declaration that it names is there, and each task has one.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\[([^]]+)\]\(([^)]+)\)`)
	heading := regexp.MustCompile(`^\| (\*\*|---|task |program )`)
	n := 0
	for line := range strings.Lines(string(text)) {
		links := link.FindAllStringSubmatch(line, -1)
		if strings.HasPrefix(line, "| ") && len(links) == 0 && !heading.MatchString(line) {
			t.Errorf("no example: %s", line)
		}
		for _, l := range links {
			n++
			if problem := follow(l[1], filepath.Join("..", filepath.FromSlash(l[2]))); problem != "" {
				t.Errorf("[%s](%s): %s", l[1], l[2], problem)
			}
		}
	}
	if n < 60 {
		t.Errorf("found %d links in the map, there were more than 60", n)
	}
}

// follow says what is wrong with a link: "pkg.ExampleX" must be a runnable
// example of the package pkg in that file, "program: name" a declaration.
func follow(text, name string) string {
	if filepath.Ext(name) == ".md" {
		if _, err := os.Stat(name); err != nil {
			return err.Error()
		}
		return ""
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
	if err != nil {
		return err.Error()
	}
	if pkg, example, ok := strings.Cut(text, ".Example"); ok {
		runnable := slices.ContainsFunc(doc.Examples(file), func(e *doc.Example) bool {
			return e.Name == example && e.Output != ""
		})
		folder := path.Base(filepath.ToSlash(filepath.Dir(name)))
		if folder == ".." {
			folder = "redoubt" // the root
		}
		if !runnable || folder != pkg {
			return "no such runnable example"
		}
		return ""
	}
	program, declared, ok := strings.Cut(text, ": ")
	if folder := filepath.Base(filepath.Dir(name)); folder != program {
		return "the file is of " + folder
	}
	if ok && !slices.ContainsFunc(file.Decls, func(d ast.Decl) bool { return declares(d, declared) }) {
		return "no such declaration"
	}
	return ""
}

func declares(d ast.Decl, name string) bool {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return d.Name.Name == name
	case *ast.GenDecl:
		return slices.ContainsFunc(d.Specs, func(s ast.Spec) bool {
			typ, ok := s.(*ast.TypeSpec)
			return ok && typ.Name.Name == name
		})
	}
	return false
}
