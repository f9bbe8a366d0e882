package house

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"path"
	"slices"
	"strings"
)

func apiRules() []Rule {
	return []Rule{{
		Name: "api listing", Todo: "look at the difference, then run: go test -run TestHouse . -update",
		Check: checkAPI,
	}}
}

func checkAPI(t *Tree) (bad []string) {
	for _, p := range t.importable() {
		file := apiFile(p.dir)
		old, now := strings.Split(strings.TrimSpace(t.text[file]), "\n"), t.listing(p)
		for _, line := range now {
			if !slices.Contains(old, line) {
				bad = append(bad, fmt.Sprintf("%s: lacks %q", file, line))
			}
		}
		for _, line := range old {
			if line != "" && !slices.Contains(now, line) {
				bad = append(bad, fmt.Sprintf("%s: contains %q, the code does not", file, line))
			}
		}
	}
	for _, name := range t.files(".txt") {
		gone := !slices.ContainsFunc(t.importable(), func(p *pkg) bool { return apiFile(p.dir) == name })
		if strings.HasPrefix(name, "testdata/api/") && gone {
			bad = append(bad, name+": there is no such package; remove the file")
		}
	}
	return bad
}

func apiFile(dir string) string {
	if dir == "." {
		dir = path.Base(module)
	}
	return "testdata/api/" + strings.ReplaceAll(dir, "/", "-") + ".txt"
}

// listAPI puts the listings of all packages into files.
func (t *Tree) listAPI(files map[string]string) {
	for _, p := range t.importable() {
		files[apiFile(p.dir)] = strings.Join(t.listing(p), "\n") + "\n"
	}
}

// listing returns the exported declarations of a package, one line for each,
// sorted.
func (t *Tree) listing(p *pkg) (lines []string) {
	for _, decl := range p.decls() {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
				lines = append(lines, t.line(&ast.FuncDecl{Recv: d.Recv, Name: d.Name, Type: d.Type}))
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				lines = append(lines, t.specLines(d.Tok, spec)...)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func (t *Tree) specLines(tok token.Token, spec ast.Spec) (lines []string) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() {
				lines = append(lines, tok.String()+" "+name.Name)
			}
		}
	case *ast.TypeSpec:
		if !s.Name.IsExported() {
			return nil
		}
		switch typ := s.Type.(type) {
		case *ast.StructType:
			return t.memberLines(s, "struct", typ.Fields)
		case *ast.InterfaceType:
			return t.memberLines(s, "interface", typ.Methods)
		}
		return []string{"type " + t.line(s)}
	}
	return lines
}

// memberLines lists a struct or an interface: a line for the type, and a line
// for each exported member.
func (t *Tree) memberLines(s *ast.TypeSpec, kind string, members *ast.FieldList) []string {
	head := &ast.TypeSpec{Name: s.Name, TypeParams: s.TypeParams, Type: &ast.Ident{Name: kind}}
	lines := []string{"type " + t.line(head)}
	for _, f := range members.List {
		if len(f.Names) == 0 {
			lines = append(lines, fmt.Sprintf("type %s, embeds %s", s.Name.Name, t.line(f.Type)))
		}
		for _, name := range f.Names {
			if name.IsExported() {
				lines = append(lines, fmt.Sprintf("type %s, member %s %s", s.Name.Name, name.Name, t.line(f.Type)))
			}
		}
	}
	return lines
}

// line prints a node on one line.
func (t *Tree) line(n ast.Node) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, t.fset, n); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
