package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A Rule is a property of the tree.
type Rule struct {
	Name  string
	Todo  string // how to repair a problem
	Check func(*Tree) []string
}

// Rules returns all rules, in the order of the files of this package.
func Rules() []Rule {
	return slices.Concat(
		layoutRules(), moduleRules(), importRules(), commentRules(), twinRules(), apiRules(), nameRules(),
		configRules(), hookRules(), statsRules(), guardRules(), stateRules(), testRules(), sizeRules(), languageRules(), llmsRules(),
	)
}

// Options select the files that Run rewrites before it checks the rules.
type Options struct {
	API      bool // the listings in testdata/api, and llms.txt
	Ceilings bool // the ceilings that a figure is below of
}

// Run checks all rules on the tree in the folder dir, a subtest for each.
func Run(t *testing.T, dir string, o Options) {
	tree, err := Load(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	rewritten := map[string]string{}
	if o.API {
		tree.listAPI(rewritten)
		rewritten[llmsFile] = tree.llms()
	}
	if o.Ceilings {
		tree.lowerCeilings(rewritten)
	}
	for name, text := range rewritten {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		tree.text[name] = text
	}
	for _, r := range Rules() {
		t.Run(r.Name, func(t *testing.T) {
			for _, problem := range r.Check(tree) {
				t.Errorf("%s\n\tto do: %s", problem, r.Todo)
			}
		})
	}
}

// Load reads a tree.
func Load(fsys fs.FS) (*Tree, error) {
	t := newTree()
	if err := t.read(fsys); err != nil {
		return nil, err
	}
	return t, t.parse()
}
