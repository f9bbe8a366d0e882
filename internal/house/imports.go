package house

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

func importRules() []Rule {
	return []Rule{{
		Name: "imports", Todo: "packages import the standard library, their parent and the ground floor only; another library belongs in contrib/",
		Check: checkImports,
	}, {
		Name: "core imports", Todo: "move the code that needs net/http, database/sql, expvar or log into a subpackage, such as retryhttp",
		Check: checkCoreImports,
	}, {
		Name: "ground floor", Todo: "keep an internal package that guards share small: no state, standard library only, tests, one purpose",
		Check: checkGroundFloor,
	}}
}

func std(imp string) bool { return !strings.Contains(topDir(imp), ".") }

// local returns the folder of an import of this repository.
func local(imp string) (dir string, ok bool) { return strings.CutPrefix(imp, module+"/") }

func importPath(spec *ast.ImportSpec) string { return strings.Trim(spec.Path.Value, `"`) }

func checkImports(t *Tree) (bad []string) {
	for _, p := range t.written() {
		for _, f := range p.code {
			for _, spec := range f.Imports {
				if imp := importPath(spec); !std(imp) && !t.mayImport(p.dir, imp) {
					bad = append(bad, fmt.Sprintf("%s: imports %s", t.at(spec), imp))
				}
			}
		}
	}
	return bad
}

// mayImport reports whether a package may import a path outside the standard
// library.
func (t *Tree) mayImport(dir, imp string) bool {
	other, inside := local(imp)
	switch {
	case inContrib(dir):
		return true
	case !inside:
		return false
	case topDir(dir) == "examples":
		return topDir(other) != "internal"
	case topDir(dir) == "internal":
		return !t.shared(dir) // the ground floor imports the standard library only
	case topDir(other) == "internal":
		return strings.Count(other, "/") == 1
	case inAbove(dir):
		return inSeven(other)
	}
	isCommand := strings.Contains(dir, "/cmd/") // its own binary, which no package inherits
	return dir != other && (other == topDir(dir) || within(dir, other) || isCommand && topDir(other) == topDir(dir))
}

// shared reports whether a package of the library imports dir.
func (t *Tree) shared(dir string) bool {
	return slices.ContainsFunc(t.library(), func(p *pkg) bool {
		return inSeven(p.dir) && slices.Contains(p.imports(), module+"/"+dir)
	})
}

func (p *pkg) imports() (all []string) {
	for _, f := range p.code {
		for _, spec := range f.Imports {
			all = append(all, importPath(spec))
		}
	}
	return all
}

// checkCoreImports follows imports through the internal packages.
func checkCoreImports(t *Tree) (bad []string) {
	for _, dir := range seven {
		seen := map[string]bool{}
		var visit func(dir string)
		visit = func(at string) {
			p := t.pkg(at)
			if p == nil || seen[at] {
				return
			}
			seen[at] = true
			for _, imp := range p.imports() {
				if slices.Contains([]string{"net/http", "database/sql", "expvar", "log"}, imp) {
					bad = append(bad, fmt.Sprintf("%s: imports %s in %s", dir, imp, at))
				}
				if other, ok := local(imp); ok && topDir(other) == "internal" {
					visit(other)
				}
			}
		}
		visit(dir)
	}
	return bad
}

func checkGroundFloor(t *Tree) (bad []string) {
	for _, p := range t.written() {
		if topDir(p.dir) != "internal" || !t.shared(p.dir) {
			continue
		}
		if n := t.codeLines(p); n >= 120 {
			bad = append(bad, fmt.Sprintf("%s: %d code lines, want less than 120", p.dir, n))
		}
		if len(p.tests) == 0 {
			bad = append(bad, p.dir+": has no tests")
		}
		for _, v := range p.variables() {
			bad = append(bad, fmt.Sprintf("%s: package variable %s", t.at(v), v.Name))
		}
	}
	return bad
}

// variables returns the package variables.
func (p *pkg) variables() (all []*ast.Ident) {
	for _, decl := range p.decls() {
		if d, ok := decl.(*ast.GenDecl); ok && d.Tok.String() == "var" {
			for _, spec := range d.Specs {
				all = append(all, spec.(*ast.ValueSpec).Names...)
			}
		}
	}
	return slices.DeleteFunc(all, func(id *ast.Ident) bool { return id.Name == "_" })
}
