package house

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

func guardRules() []Rule {
	return []Rule{{
		Name: "composition", Todo: "offer the same set as every guard: Do(ctx, guard, fn), Wrap(guard, fn), WrapArg(guard, fn), guard.Do(ctx, fn)",
		Check: checkComposition,
	}, {
		Name: "changes", Todo: "the methods Set(Config) error and Config() Config of a guard change and return its configuration; use other names for other things",
		Check: checkChanges,
	}, {
		Name: "transports", Todo: "add func (t *T) CloseIdleConnections(), which calls that method of the base",
		Check: checkTransports,
	}}
}

// guards are the packages with guards. Others that export Wrap are guards too.
var guards = []string{"retry", "breaker", "ratelimit", "ratelimit/bulkhead", "audit"}

func checkComposition(t *Tree) (bad []string) {
	for _, p := range t.library() {
		if !slices.Contains(guards, p.dir) && p.exported("Wrap") == nil {
			continue
		}
		for _, name := range []string{"Do", "Wrap", "WrapArg"} {
			if p.exported(name) == nil {
				bad = append(bad, fmt.Sprintf("%s: no func %s", p.dir, name))
			}
		}
		method := slices.ContainsFunc(p.structs(), func(s *ast.TypeSpec) bool {
			m := p.method(s.Name.Name, "Do")
			return m != nil && strings.HasSuffix(t.line(m.Type), "error")
		})
		if !method {
			bad = append(bad, p.dir+": no method Do")
		}
	}
	return bad
}

var setter = regexp.MustCompile(`^func\((\w+ )?\w*(Config|Policy)(\[.*\])?\) error$`)

// checkChanges looks at the types with a method Do.
func checkChanges(t *Tree) (bad []string) {
	for _, p := range t.library() {
		for _, s := range p.types() {
			name := s.Name.Name
			if p.method(name, "Do") == nil {
				continue
			}
			if m := p.method(name, "Set"); m != nil && !setter.MatchString(t.line(m.Type)) {
				bad = append(bad, fmt.Sprintf("%s: %s.Set is no Set(Config) error", t.at(m), name))
			}
			if m := p.method(name, "Config"); m != nil && m.Type.Params.NumFields() > 0 {
				bad = append(bad, fmt.Sprintf("%s: %s.Config is no Config() Config", t.at(m), name))
			}
		}
	}
	return bad
}

func checkTransports(t *Tree) (bad []string) {
	for _, p := range t.library() {
		for _, s := range p.types() {
			name := s.Name.Name
			if s.Name.IsExported() && p.method(name, "RoundTrip") != nil && p.method(name, "CloseIdleConnections") == nil {
				bad = append(bad, fmt.Sprintf("%s: %s has no CloseIdleConnections", t.at(s), name))
			}
		}
	}
	return bad
}
