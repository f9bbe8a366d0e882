package house

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strings"
)

func twinRules() []Rule {
	return []Rule{{
		Name: "compiled twins", Todo: "copy the lines into an Example, or the lines of an Example into the text, so that the compiler reads them",
		Check: checkTwins,
	}, {
		Name: "examples", Todo: "write the Example with an // Output: comment",
		Check: checkExamples,
	}}
}

// checkTwins wants the code of comments and pages to occur in a file that is
// compiled. The twin of a package comment is in the same package, and the twin
// of a page below the same folder. Pages of the root and of docs can have their
// twins anywhere. A whole program needs no twin, because it is compiled itself.
func checkTwins(t *Tree) (bad []string) {
	for _, p := range t.importable() {
		name, comment := t.packageComment(p)
		for _, block := range codeBlocks(comment) {
			if !t.compiled(block, func(file string) bool { return path.Dir(file) == p.dir }) {
				bad = append(bad, fmt.Sprintf("%s: example code is not compiled in %s:\n%s", name, p.dir, block))
			}
		}
	}
	for _, name := range t.pages() {
		dir := path.Dir(name)
		near := func(file string) bool { return anywhere(dir) || strings.HasPrefix(file, dir+"/") }
		for _, code := range fence.FindAllStringSubmatch(t.text[name], -1) {
			if !(anywhere(dir) && isProgram(code[1])) && !t.compiled(bare(code[1]), near) {
				bad = append(bad, name+": example code is not compiled anywhere:\n"+code[1])
			}
		}
	}
	return bad
}

var fence = regexp.MustCompile("(?s)```go\n(.*?)```")

// pages returns the names of the pages that can contain code.
func (t *Tree) pages() []string { return append(t.files(".md"), "llms.txt") }

// anywhere reports whether the pages of a folder have their twins anywhere.
func anywhere(dir string) bool { return dir == "." || dir == "docs" }

var programClause = regexp.MustCompile(`(?m)^package main$`)

func isProgram(code string) bool { return programClause.MatchString(code) }

// A Program is a whole program in a page.
type Program struct{ Page, Text string }

// Programs returns the programs in the pages, to compile them.
func (t *Tree) Programs() (all []Program) {
	for _, name := range t.pages() {
		for _, code := range fence.FindAllStringSubmatch(t.text[name], -1) {
			if anywhere(path.Dir(name)) && isProgram(code[1]) {
				all = append(all, Program{name, code[1]})
			}
		}
	}
	return all
}

// codeBlocks returns the code of a comment, a text for each block, bare.
func codeBlocks(comment string) (blocks []string) {
	var block strings.Builder
	end := func() {
		if b := bare(block.String()); isGo(b) {
			blocks = append(blocks, b)
		}
		block.Reset()
	}
	for line := range strings.Lines(comment) {
		switch {
		case strings.HasPrefix(line, "\t"):
			block.WriteString(line)
		case strings.TrimSpace(line) != "":
			end()
		}
	}
	end()
	return blocks
}

// isGo reports whether a block is Go code, and not a format or a command.
func isGo(block string) bool {
	if block == "" {
		return false
	}
	for _, text := range []string{"package p\nfunc _() {\n" + block + "\n}", "package p\n" + block, block} {
		if _, err := parser.ParseFile(token.NewFileSet(), "", text, parser.SkipObjectResolution); err == nil {
			return true
		}
	}
	return false
}

// bare drops indentation and blank lines, so that only the code is compared.
func bare(code string) string {
	var b strings.Builder
	for line := range strings.Lines(code) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// compiled reports whether the bare lines occur together in an example or a
// test in a place.
func (t *Tree) compiled(block string, place func(file string) bool) bool {
	for name, text := range t.text {
		isExample := strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "examples/") && path.Ext(name) == ".go"
		if !isExample || !place(name) {
			continue
		}
		if t.bare[name] == "" {
			t.bare[name] = "\n" + bare(text)
		}
		if strings.Contains(t.bare[name], "\n"+block) {
			return true
		}
	}
	return false
}

// checkExamples wants a runnable example of each exported function and type. A
// type is also shown by a runnable example that names it or calls a function
// that returns it. Examples of contrib may need a server.
func checkExamples(t *Tree) (bad []string) {
	for _, p := range t.library() {
		if inContrib(p.dir) {
			continue
		}
		shown, used := map[string]bool{}, map[string]bool{}
		for _, e := range doc.Examples(p.tests...) {
			if e.Output == "" && !e.EmptyOutput {
				continue
			}
			symbol, _, _ := strings.Cut(e.Name, "_")
			shown[symbol] = true
			ast.Inspect(e.Code, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					used[sel.Sel.Name] = true
				}
				return true
			})
		}
		for _, d := range p.funcs() {
			if d.Recv == nil && d.Name.IsExported() && !shown[d.Name.Name] {
				bad = append(bad, fmt.Sprintf("%s: no runnable Example%s", p.dir, d.Name.Name))
			}
			if d.Type.Results != nil && used[d.Name.Name] {
				for _, r := range d.Type.Results.List {
					used[typeName(r.Type)] = true
				}
			}
		}
		for _, s := range p.types() {
			if s.Name.IsExported() && !shown[s.Name.Name] && !used[s.Name.Name] {
				bad = append(bad, fmt.Sprintf("%s: no runnable example uses %s", p.dir, s.Name.Name))
			}
		}
	}
	return bad
}
