package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

func stateRules() []Rule {
	return []Rule{{
		Name: "state", Todo: "keep state in a value that New returns: no init, no environment, no package variable that changes",
		Check: checkState,
	}, {
		Name: "exported variables", Todo: "export a constant or a function: every program that imports the package can assign a variable",
		Check: checkVariables,
	}, {
		Name: "markers", Todo: "finish it or leave it out; repair the finding instead of silencing it",
		Check: checkMarkers,
	}}
}

func checkState(t *Tree) (bad []string) {
	for _, p := range t.library() {
		globals := map[string]bool{}
		for _, v := range p.values(token.VAR) {
			globals[v.id.Name] = true
			if sel, ok := v.typ.(*ast.SelectorExpr); ok && slices.Contains([]string{"sync", "atomic"}, fmt.Sprint(sel.X)) {
				bad = append(bad, fmt.Sprintf("%s: package variable of type %s.%s", t.at(v.id), sel.X, sel.Sel))
			}
		}
		for _, d := range p.funcs() {
			bad = append(bad, t.stateOf(d, globals)...)
		}
	}
	return bad
}

// stateOf returns the changes of package variables, reads of the environment
// and init functions in d.
func (t *Tree) stateOf(d *ast.FuncDecl, globals map[string]bool) (bad []string) {
	say := func(n ast.Node, problem string) { bad = append(bad, t.at(n)+": "+problem) }
	local := map[string]bool{}
	if d.Name.Name == "init" && d.Recv == nil {
		say(d, "func init")
	}
	changed := func(e ast.Expr) {
		if id := root(e); id != nil && id.Name != "_" && globals[id.Name] && !local[id.Name] {
			say(e, "changes the package variable "+id.Name)
		}
	}
	ast.Inspect(d, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, name := range n.Names {
				local[name.Name] = true
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				local[name.Name] = true
			}
		case *ast.AssignStmt:
			for _, lhs := range n.Lhs {
				if id, ok := lhs.(*ast.Ident); ok && n.Tok == token.DEFINE {
					local[id.Name] = true
				} else {
					changed(lhs)
				}
			}
		case *ast.IncDecStmt:
			changed(n.X)
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok && id.Name == "os" && (n.Sel.Name == "Getenv" || n.Sel.Name == "LookupEnv") {
				say(n, "reads the environment")
			}
		}
		return true
	})
	return bad
}

// root returns the variable at the bottom of x.y[i].z.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// checkVariables allows exported variables that are errors.
func checkVariables(t *Tree) (bad []string) {
	for _, p := range t.library() {
		for _, v := range p.values(token.VAR) {
			if v.id.IsExported() && !strings.HasPrefix(v.id.Name, "Err") {
				bad = append(bad, fmt.Sprintf("%s: exported variable %s", t.at(v.id), v.id.Name))
			}
		}
	}
	return bad
}

// checkMarkers does not look for the function of package context.
func checkMarkers(t *Tree) (bad []string) {
	return t.grep(`//(nolint|lint:)\S*|(^|[^.\w])(TODO|FIXME|XXX)\b`, ".go")
}
