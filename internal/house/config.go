package house

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
)

func configRules() []Rule {
	return []Rule{{
		Name: "configurations", Todo: "a func, slice or map field keeps a struct from being compared; otherwise put `_ [0]func()` first",
		Check: checkComparable,
	}, {
		Name: "Validate", Todo: "add func (c T) Validate() error, which reports every problem",
		Check: checkValidate,
	}, {
		Name: "Name", Todo: "add the field Name string, so that events of several objects can be told apart",
		Check: checkName,
	}}
}

// configs are the structs that users write as literals.
var configs = regexp.MustCompile(`^(.*Config|Policy|Hedge|Guard|Scanner|Follower|Transport|.*Policy)$`)

func (p *pkg) configs() []*ast.TypeSpec {
	return slices.DeleteFunc(p.structs(), func(s *ast.TypeSpec) bool {
		return !configs.MatchString(s.Name.Name) || !hasExported(s)
	})
}

func hasExported(s *ast.TypeSpec) bool {
	return slices.ContainsFunc(fields(s), func(f field) bool { return ast.IsExported(f.name) })
}

func checkComparable(t *Tree) (bad []string) {
	for _, p := range t.library() {
		for _, s := range p.configs() {
			if !slices.ContainsFunc(fields(s), incomparable) {
				bad = append(bad, fmt.Sprintf("%s: %s is comparable", t.at(s), s.Name.Name))
			}
		}
	}
	return bad
}

func incomparable(f field) bool {
	switch x := f.Type.(type) {
	case *ast.FuncType, *ast.MapType:
		return true
	case *ast.ArrayType:
		_, ofFuncs := x.Elt.(*ast.FuncType)
		return x.Len == nil || ofFuncs
	}
	return false
}

// checkValidate asks for the method of each configuration. The fields of a
// Transport are valid in themselves unless they are configurations.
func checkValidate(t *Tree) (bad []string) {
	for _, p := range t.library() {
		for _, s := range p.configs() {
			name := s.Name.Name
			if name == "Transport" && !slices.ContainsFunc(fields(s), canBeWrong) {
				continue
			}
			m := p.method(name, "Validate")
			if m == nil || t.line(m.Type) != "func() error" {
				bad = append(bad, fmt.Sprintf("%s: %s has no Validate", t.at(s), name))
			}
		}
	}
	return bad
}

func canBeWrong(f field) bool {
	return ast.IsExported(f.name) && configs.MatchString(typeName(f.Type))
}

func checkName(t *Tree) (bad []string) {
	for _, p := range t.library() {
		for _, s := range p.configs() {
			if _, hooked := fieldNamed(s, "OnEvent"); !hooked {
				continue
			}
			if f, ok := fieldNamed(s, "Name"); !ok || typeName(f.Type) != "string" {
				bad = append(bad, fmt.Sprintf("%s: %s has OnEvent and no Name", t.at(s), s.Name.Name))
			}
		}
	}
	return bad
}
