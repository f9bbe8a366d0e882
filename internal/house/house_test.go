package house_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/redoubt-go/redoubt/internal/house"
)

// files are the names and texts of a small tree.
type files map[string]string

func load(t *testing.T, tree files) *house.Tree {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range tree {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	loaded, err := house.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func rule(t *testing.T, name string) house.Rule {
	t.Helper()
	for _, r := range house.Rules() {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("there is no rule %q", name)
	return house.Rule{}
}

// bites checks that the tree breaks the rule, with a problem that contains
// want.
func bites(t *testing.T, name string, tree files, want string) {
	t.Helper()
	got := strings.Join(rule(t, name).Check(load(t, tree)), "\n")
	if !strings.Contains(got, want) {
		t.Errorf("%s: the rule accepts the tree:\n got %q\nwant %q", name, got, want)
	}
}

// accepts checks that the rule finds no problem in the tree.
func accepts(t *testing.T, name string, tree files) {
	t.Helper()
	if got := rule(t, name).Check(load(t, tree)); len(got) > 0 {
		t.Errorf("%s: %q", name, got)
	}
}

// Each rule is broken by a test of this package.
func TestEveryRuleBites(t *testing.T) {
	tests, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var broken []string
	for _, file := range tests {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\tbites\(t, "([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			broken = append(broken, m[1])
		}
	}
	seen := map[string]bool{}
	for _, r := range house.Rules() {
		if !slices.Contains(broken, r.Name) {
			t.Errorf("no test breaks the rule %q", r.Name)
		}
		if seen[r.Name] || r.Todo == "" {
			t.Errorf("the rule %q is there twice, or says nothing to do", r.Name)
		}
		seen[r.Name] = true
	}
}
