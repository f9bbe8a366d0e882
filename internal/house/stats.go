package house

import (
	"fmt"
	"go/ast"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

func statsRules() []Rule {
	return []Rule{{
		Name: "statistics", Todo: "Stats is one flat struct: Name string first, JSON tags in snake_case with the unit (open_for_ns), no LogValue",
		Check: checkStats,
	}}
}

var snake = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func checkStats(t *Tree) (bad []string) {
	for _, p := range t.library() {
		nested := map[string]bool{}
		for _, s := range p.types() {
			_, nested[s.Name.Name] = s.Type.(*ast.StructType)
		}
		for _, s := range p.structs() {
			name := s.Name.Name
			if !strings.HasSuffix(name, "Stats") {
				continue
			}
			if p.method(name, "LogValue") != nil {
				bad = append(bad, fmt.Sprintf("%s: %s has a LogValue", t.at(s), name))
			}
			for i, f := range fields(s) {
				if i == 0 && (f.name != "Name" || typeName(f.Type) != "string") {
					bad = append(bad, fmt.Sprintf("%s: the first field of %s is not Name string", t.at(s), name))
				}
				if problem := statsField(f, nested); problem != "" {
					bad = append(bad, fmt.Sprintf("%s: %s.%s %s", t.at(f), name, f.name, problem))
				}
			}
		}
	}
	return bad
}

func statsField(f field, nested map[string]bool) string {
	tag := ""
	if f.Tag != nil {
		text, _ := strconv.Unquote(f.Tag.Value)
		tag, _, _ = strings.Cut(reflect.StructTag(text).Get("json"), ",")
	}
	_, literal := f.Type.(*ast.StructType)
	typ := typeName(f.Type)
	switch {
	case !ast.IsExported(f.name):
		return "is not exported"
	case literal || nested[typ]:
		return "is a struct"
	case !snake.MatchString(tag):
		return fmt.Sprintf("has the JSON tag %q", tag)
	case typ == "Duration" && !strings.HasSuffix(tag, "_ns"):
		return fmt.Sprintf("has the JSON tag %q without its unit, _ns", tag)
	}
	return ""
}
