package metrics_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/internal/metrics/metricstest"
)

// A statsMethod is a method Stats in the source code of the repository.
type statsMethod struct {
	dir      string // relative to the root
	receiver string
	result   string // a type of the package
}

// A source contains the types with a method Stats, and the fields of every
// struct, by "dir.Type".
type source struct {
	methods []statsMethod
	structs map[string]*ast.StructType
}

// parseAll reads the packages of the library, and of the modules in contrib.
func parseAll(t *testing.T, root string) source {
	t.Helper()
	src := source{structs: map[string]*ast.StructType{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		dir, _ := filepath.Rel(root, path)
		if err != nil || d.IsDir() {
			if base := d.Name(); d.IsDir() && (base == "testdata" || dir == "internal" || dir == "examples" || strings.HasPrefix(base, ".git")) {
				return fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		src.read(filepath.ToSlash(filepath.Dir(dir)), file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func (src *source) read(dir string, file *ast.File) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv != nil && d.Name.Name == "Stats" && d.Type.Params.NumFields() == 0 && d.Type.Results.NumFields() == 1 {
				src.methods = append(src.methods, statsMethod{dir, baseName(d.Recv.List[0].Type), baseName(d.Type.Results.List[0].Type)})
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if s, ok := spec.(*ast.TypeSpec); ok {
					if st, ok := s.Type.(*ast.StructType); ok {
						src.structs[dir+"."+s.Name.Name] = st
					}
				}
			}
		}
	}
}

// baseName returns the name of a type without * and type parameters.
func baseName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return baseName(e.X)
	case *ast.IndexExpr:
		return baseName(e.X)
	case *ast.IndexListExpr:
		return baseName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return fmt.Sprintf("%T", e)
}

// embedding returns the structs of a package that embed a type.
func (src *source) embedding(dir, name string) (all []string) {
	for typ, s := range src.structs {
		for _, f := range s.Fields.List {
			if strings.HasPrefix(typ, dir+".") && len(f.Names) == 0 && baseName(f.Type) == name {
				all = append(all, strings.TrimPrefix(typ, dir+"."))
			}
		}
	}
	return all
}

// fieldsOf returns the fields of a struct, as "Name type".
func (src *source) fieldsOf(typ string) (fields []string) {
	if s := src.structs[typ]; s != nil {
		for _, f := range s.Fields.List {
			for _, name := range f.Names {
				fields = append(fields, name.Name+" "+baseName(f.Type))
			}
		}
	}
	return fields
}

// lacking returns the types with statistics that things do not contain. Types
// of nested modules are represented by a function with the same statistics.
func lacking(src source, things map[string]any) (bad []string) {
	const module = "github.com/redoubt-go/redoubt/"
	have := map[string]bool{} // types, and types of statistics
	var stats [][]string      // fields of statistics
	for _, x := range things {
		typ := reflect.TypeOf(x)
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		name, _, _ := strings.Cut(typ.Name(), "[")
		have[strings.TrimPrefix(typ.PkgPath(), module)+"."+name] = true
		s := metricstest.StatsOf(x)
		have[strings.TrimPrefix(s.PkgPath(), module)+"."+s.Name()] = true
		var fields []string
		for i := range s.NumField() {
			fields = append(fields, s.Field(i).Name+" "+s.Field(i).Type.Name())
		}
		stats = append(stats, fields)
	}
	for _, m := range src.methods {
		receivers := []string{m.receiver}
		if !ast.IsExported(m.receiver) {
			receivers = src.embedding(m.dir, m.receiver)
		}
		for _, receiver := range receivers {
			ok := have[m.dir+"."+receiver]
			switch {
			case strings.HasPrefix(m.dir, "contrib/"):
				own := src.fieldsOf(m.dir + "." + m.result)
				ok = len(own) > 0 && slices.ContainsFunc(stats, func(s []string) bool { return slices.Equal(s, own) })
			case m.dir == "logscan/detect": // by a function, because a detector belongs to one goroutine
				ok = have[m.dir+"."+m.result]
			}
			if !ok {
				bad = append(bad, m.dir+"."+receiver)
			}
		}
	}
	slices.Sort(bad)
	return bad
}

// Every type with a method Stats has metrics: each is in metricstest.Things,
// which other tests export.
func TestEveryTypeWithStatsHasMetrics(t *testing.T) {
	src, things := parseAll(t, "../.."), metricstest.Things(t)
	if got := lacking(src, things); len(got) > 0 {
		t.Errorf("no metrics: %q; add a table, and a value to metricstest.Things", got)
	}
	for name, x := range things {
		sourceOf(t, x)
		delete(things, name)
		// Things with the same statistics stand for one another only if the
		// type is not of the root module.
		if got := lacking(src, things); len(got) == 0 {
			t.Errorf("no type in the repository has the statistics of %s", name)
		}
		things[name] = x
	}
}
