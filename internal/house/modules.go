package house

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

func moduleRules() []Rule {
	return []Rule{{
		Name: "go.mod", Todo: "the root requires x/sync, x/time, go-cmp and gopter only; move code that needs more into a nested module",
		Check: checkRootModule,
	}, {
		Name: "go.sum", Todo: "run go mod tidy; a program that requires the root must inherit eight lines, two for each module",
		Check: checkRootSums,
	}, {
		Name: "nested modules", Todo: "name the module after its folder, add go 1.26.0, and replace the root by its relative path",
		Check: checkNestedModules,
	}}
}

var allowedRequire = regexp.MustCompile(`^(require )?(golang\.org/x/(sync|time)|github\.com/(google/go-cmp|leanovate/gopter)) v\S+$`)

func checkRootModule(t *Tree) (bad []string) {
	verbs := []string{"require (", ")", "module " + module, "go 1.26.0"}
	for i, line := range strings.Split(t.text["go.mod"], "\n") {
		line = strings.TrimSpace(line)
		if line != "" && !slices.Contains(verbs, line) && !allowedRequire.MatchString(line) {
			bad = append(bad, fmt.Sprintf("go.mod:%d: %s", i+1, line))
		}
	}
	return bad
}

func checkRootSums(t *Tree) (bad []string) {
	if n := strings.Count(t.text["go.sum"], "\n"); n > 8 {
		bad = append(bad, fmt.Sprintf("go.sum: %d lines, at most 8", n))
	}
	return bad
}

func checkNestedModules(t *Tree) (bad []string) {
	for _, dir := range t.mods {
		text := t.text[dir+"/go.mod"]
		lines := strings.Split(text, "\n")
		want := []string{"module " + module + "/" + dir, "go 1.26.0"}
		if strings.Contains(text, module+" v") {
			want = append(want, "replace "+module+" => "+strings.Repeat("../", strings.Count(dir, "/"))+"..")
		}
		for _, line := range want {
			if !slices.Contains(lines, line) {
				bad = append(bad, fmt.Sprintf("%s/go.mod: no line %q", dir, line))
			}
		}
	}
	return bad
}
