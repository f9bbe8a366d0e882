package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

const module = "github.com/redoubt-go/redoubt"

// seven are the packages of the library. Each has subpackages, a page in docs,
// and the full package comment.
var seven = []string{"retry", "breaker", "ratelimit", "cache", "audit", "logscan", "semver"}

// above are the packages that may import any of the seven and their
// subpackages.
var above = []string{"servehttp"}

// A Tree is a checkout: the text of its files, and its Go packages.
type Tree struct {
	fset *token.FileSet
	text map[string]string // by slash-separated path, without .git
	mods []string          // the folders of the nested modules
	pkgs []*pkg            // of all modules, by folder
	name map[*ast.File]string
	bare map[string]string // see compiled
}

// A pkg is a folder with Go files.
type pkg struct {
	dir         string
	code, tests []*ast.File
}

func newTree() *Tree {
	return &Tree{fset: token.NewFileSet(), text: map[string]string{}, name: map[*ast.File]string{}, bare: map[string]string{}}
}

func (t *Tree) read(fsys fs.FS) error {
	return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".git" && d.IsDir():
			return fs.SkipDir
		case name == ".git" || d.IsDir():
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		t.text[name] = string(text)
		if path.Base(name) == "go.mod" && name != "go.mod" {
			t.mods = append(t.mods, path.Dir(name))
		}
		return err
	})
}

func (t *Tree) parse() error {
	byDir := map[string]*pkg{}
	for _, name := range t.files(".go") {
		if strings.Contains(name, "testdata/") {
			continue
		}
		file, err := parser.ParseFile(t.fset, name, t.text[name], parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		p := byDir[dir]
		if p == nil {
			p = &pkg{dir: dir}
			byDir[dir], t.pkgs = p, append(t.pkgs, p)
		}
		if t.name[file] = name; strings.HasSuffix(name, "_test.go") {
			p.tests = append(p.tests, file)
		} else {
			p.code = append(p.code, file)
		}
	}
	return nil
}

// files returns the names of the files with an extension, sorted.
func (t *Tree) files(ext string) []string {
	all := slices.Sorted(maps.Keys(t.text))
	return slices.DeleteFunc(all, func(name string) bool { return path.Ext(name) != ext })
}

// where returns the packages with code for which keep reports true.
func (t *Tree) where(keep func(p *pkg) bool) []*pkg {
	return slices.DeleteFunc(slices.Clone(t.pkgs), func(p *pkg) bool { return len(p.code) == 0 || !keep(p) })
}

// library returns the packages that users import, including contrib.
func (t *Tree) library() []*pkg {
	return t.where(func(p *pkg) bool {
		return (inSeven(p.dir) || inAbove(p.dir) || inContrib(p.dir)) && !strings.Contains(p.dir, "/cmd/") && !strings.Contains(p.dir, "/internal/")
	})
}

// importable returns the library and the root package.
func (t *Tree) importable() []*pkg {
	return append(t.library(), t.where(func(p *pkg) bool { return p.dir == "." })...)
}

// written returns the packages of the root module and of contrib. The other
// nested modules contain tests only.
func (t *Tree) written() []*pkg {
	return t.where(t.own)
}

// own reports whether a package belongs to the root module or to contrib.
func (t *Tree) own(p *pkg) bool {
	return inContrib(p.dir) || !slices.ContainsFunc(t.mods, func(dir string) bool { return within(p.dir, dir) })
}

func (t *Tree) pkg(dir string) *pkg {
	for _, p := range t.pkgs {
		if p.dir == dir {
			return p
		}
	}
	return nil
}

// within reports whether dir is the folder top or a folder in it.
func within(dir, top string) bool { return dir == top || strings.HasPrefix(dir, top+"/") }

func inSeven(dir string) bool   { return slices.Contains(seven, topDir(dir)) }
func inAbove(dir string) bool   { return slices.Contains(above, topDir(dir)) }
func inContrib(dir string) bool { return topDir(dir) == "contrib" }

func topDir(dir string) string {
	top, _, _ := strings.Cut(dir, "/")
	return top
}

// at returns the place of a node, with which a problem begins.
func (t *Tree) at(n ast.Node) string { return t.place(n.Pos()) }

func (t *Tree) place(p token.Pos) string {
	pos := t.fset.Position(p)
	return fmt.Sprintf("%s:%d", pos.Filename, pos.Line)
}

func (p *pkg) decls() (all []ast.Decl) {
	for _, f := range p.code {
		all = append(all, f.Decls...)
	}
	return all
}

// funcs returns the functions and methods of the package.
func (p *pkg) funcs() (all []*ast.FuncDecl) {
	for _, decl := range p.decls() {
		if d, ok := decl.(*ast.FuncDecl); ok {
			all = append(all, d)
		}
	}
	return all
}

// exported returns the exported function of a name, or nil.
func (p *pkg) exported(name string) *ast.FuncDecl {
	for _, d := range p.funcs() {
		if d.Recv == nil && d.Name.Name == name {
			return d
		}
	}
	return nil
}

// method returns the method of a type, or nil.
func (p *pkg) method(typ, name string) *ast.FuncDecl {
	for _, d := range p.funcs() {
		if d.Recv != nil && d.Name.Name == name && receiver(d) == typ {
			return d
		}
	}
	return nil
}

// types returns the declared types of the package.
func (p *pkg) types() (all []*ast.TypeSpec) {
	for _, decl := range p.decls() {
		if d, ok := decl.(*ast.GenDecl); ok {
			for _, spec := range d.Specs {
				if s, ok := spec.(*ast.TypeSpec); ok {
					all = append(all, s)
				}
			}
		}
	}
	return all
}

// structs returns the exported struct types of the package.
func (p *pkg) structs() (all []*ast.TypeSpec) {
	return slices.DeleteFunc(p.types(), func(s *ast.TypeSpec) bool {
		_, ok := s.Type.(*ast.StructType)
		return !ok || !s.Name.IsExported()
	})
}

// A field is a named field of a struct.
type field struct {
	name string
	*ast.Field
}

// fields returns the fields of a struct type in order. Embedded fields have the
// name of their type.
func fields(s *ast.TypeSpec) (all []field) {
	for _, f := range s.Type.(*ast.StructType).Fields.List {
		if len(f.Names) == 0 {
			all = append(all, field{typeName(f.Type), f})
		}
		for _, name := range f.Names {
			all = append(all, field{name.Name, f})
		}
	}
	return all
}

func fieldNamed(s *ast.TypeSpec, name string) (field, bool) {
	for _, f := range fields(s) {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// receiver returns the name of the type that a method belongs to.
func receiver(d *ast.FuncDecl) string { return typeName(d.Recv.List[0].Type) }

// typeName returns T for T, *T, T[A], and pkg.T.
func typeName(typ ast.Expr) string {
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.SelectorExpr:
			return x.Sel.Name
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// packageComment returns the package comment and the name of its file.
func (t *Tree) packageComment(p *pkg) (name, comment string) {
	for _, f := range p.code {
		if path.Base(t.name[f]) == "doc.go" {
			return t.name[f], f.Doc.Text()
		}
	}
	return p.dir + "/doc.go", ""
}
