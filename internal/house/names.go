package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func nameRules() []Rule {
	return []Rule{{
		Name: "sentinels", Todo: "begin the text of the error with the name of its package, as in \"retry: exhausted\"",
		Check: checkSentinels,
	}, {
		Name: "enumerations", Todo: "name reported values after their type, from 0, and print an unknown value as \"Kind(7)\"",
		Check: checkEnumerations,
	}, {
		Name: "conformance kits", Todo: "name the kit <package>test and export func Run(t *testing.T, ...) with subtests",
		Check: checkKits,
	}}
}

// A value is a package variable or constant.
type value struct {
	id  *ast.Ident
	typ ast.Expr
	val ast.Expr
}

func (p *pkg) values(tok token.Token) (all []value) {
	for _, decl := range p.decls() {
		d, ok := decl.(*ast.GenDecl)
		if !ok || d.Tok != tok {
			continue
		}
		var typ ast.Expr // of the spec above, if a constant repeats it
		for _, spec := range d.Specs {
			s := spec.(*ast.ValueSpec)
			if s.Type != nil || len(s.Values) > 0 {
				typ = s.Type
			}
			for i, id := range s.Names {
				v := value{id: id, typ: typ}
				if i < len(s.Values) {
					v.val = s.Values[i]
				}
				all = append(all, v)
			}
		}
	}
	return all
}

// checkSentinels reads the text of variables that are made by a call with one
// literal, such as errors.New.
func checkSentinels(t *Tree) (bad []string) {
	for _, p := range t.library() {
		for _, v := range p.values(token.VAR) {
			call, ok := v.val.(*ast.CallExpr)
			if !ok || !strings.HasPrefix(v.id.Name, "Err") || len(call.Args) == 0 {
				continue
			}
			text, ok := literal(call.Args[0])
			if ok && !strings.HasPrefix(text, path.Base(p.dir)+": ") {
				bad = append(bad, fmt.Sprintf("%s: %s is %q", t.at(v.id), v.id.Name, text))
			}
		}
	}
	return bad
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// reporters are the structs whose fields users read and do not set.
var reporters = regexp.MustCompile(`^(.*Event|.*Error|.*Stats|Decision|Report|Result)$`)

var integer = regexp.MustCompile(`^u?int(8|16|32|64)?$`)

// checkEnumerations looks at integer types with constants and a String method.
func checkEnumerations(t *Tree) (bad []string) {
	for _, p := range t.library() {
		reported := p.reportedTypes()
		for _, s := range p.types() {
			id, ok := s.Type.(*ast.Ident)
			name := s.Name.Name
			if !ok || !integer.MatchString(id.Name) || !s.Name.IsExported() {
				continue
			}
			consts := slices.DeleteFunc(p.values(token.CONST), func(v value) bool {
				return v.typ == nil || typeName(v.typ) != name || !v.id.IsExported()
			})
			if len(consts) < 2 {
				continue
			}
			str := p.method(name, "String")
			switch {
			case str == nil && reported[name]:
				bad = append(bad, fmt.Sprintf("%s: %s has no String method", t.at(s), name))
			case str != nil && !t.names(p, name):
				bad = append(bad, fmt.Sprintf("%s: String prints no %s(7) for an unknown value", t.at(str), name))
			}
			for _, c := range consts {
				if reported[name] && !strings.HasPrefix(c.id.Name, name) {
					bad = append(bad, fmt.Sprintf("%s: %s is a %s; name it %s%s", t.at(c.id), c.id.Name, name, name, c.id.Name))
				}
			}
			if reported[name] && consts[0].val != nil && !strings.Contains(t.line(consts[0].val), "iota") {
				continue // values that a format fixes
			}
			if reported[name] && consts[0].val != nil && t.line(consts[0].val) != "iota" {
				bad = append(bad, fmt.Sprintf("%s: %s does not start at 0", t.at(consts[0].id), name))
			}
		}
	}
	return bad
}

// names reports whether the code contains the name of a type as a text, as in
// Sprintf("Kind(%d)", k) or in a call of a function that adds the number.
func (t *Tree) names(p *pkg, typ string) bool {
	return slices.ContainsFunc(p.code, func(f *ast.File) bool {
		text := t.text[t.name[f]]
		return strings.Contains(text, `"`+typ+`("`) || strings.Contains(text, `"`+typ+`(%`) || strings.Contains(text, `"`+typ+`"`)
	})
}

// reportedTypes returns the types of the fields of events, errors and
// statistics.
func (p *pkg) reportedTypes() map[string]bool {
	all := map[string]bool{}
	for _, s := range p.structs() {
		if reporters.MatchString(s.Name.Name) {
			for _, f := range fields(s) {
				all[typeName(f.Type)] = true
			}
		}
	}
	return all
}

func checkKits(t *Tree) (bad []string) {
	for _, p := range t.library() {
		base, parent := path.Base(p.dir), path.Base(path.Dir(p.dir))
		if inContrib(p.dir) || !strings.HasSuffix(base, "test") || len(p.code) == 0 {
			continue
		}
		if base != parent+"test" {
			bad = append(bad, fmt.Sprintf("%s: want the name %stest", p.dir, parent))
		}
		run := p.exported("Run")
		if run == nil || len(run.Type.Params.List) == 0 || t.line(run.Type.Params.List[0].Type) != "*testing.T" {
			bad = append(bad, p.dir+": no func Run(t *testing.T, ...)")
			continue
		}
		if !strings.Contains(t.fileText(run), "t.Run(") && !strings.Contains(t.fileText(run), ".Run(") {
			bad = append(bad, p.dir+": Run has no subtests")
		}
	}
	return bad
}

// fileText returns the text of the file that a node is in.
func (t *Tree) fileText(n ast.Node) string { return t.text[t.fset.Position(n.Pos()).Filename] }
