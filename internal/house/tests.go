package house

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

func testRules() []Rule {
	return []Rule{{
		Name: "external tests", Todo: "test from outside, in package <name>_test; export_test.go gives access to the inside",
		Check: checkTestPackages,
	}, {
		Name: "test names", Todo: "name the test after the behaviour that it shows, as in TestExpiredIsAbsent",
		Check: checkTestNames,
	}, {
		Name: "test files", Todo: "split the file: one test file for each source file",
		Check: checkTestFiles,
	}, {
		Name: "banned words", Todo: "use another word; the list it refers to is not in this repository",
		Check: checkBanned,
	}}
}

func checkTestPackages(t *Tree) (bad []string) {
	for _, p := range t.pkgs {
		if !t.own(p) {
			continue
		}
		for _, f := range p.tests {
			name := t.name[f]
			if topDir(name) != "examples" && path.Base(name) != "export_test.go" && !strings.HasSuffix(f.Name.Name, "_test") {
				bad = append(bad, name+": package "+f.Name.Name)
			}
		}
	}
	return bad
}

// numbered are names after a number of a list: Trap24, P7, D3_.
var numbered = regexp.MustCompile(`^(Test|Fuzz|Benchmark|Example)_?(Trap|P|D|A|R)\d`)

func checkTestNames(t *Tree) (bad []string) {
	for _, p := range t.pkgs {
		for _, f := range p.tests {
			for _, decl := range f.Decls {
				if d, ok := decl.(*ast.FuncDecl); ok && d.Recv == nil && numbered.MatchString(d.Name.Name) {
					bad = append(bad, fmt.Sprintf("%s: %s", t.at(d), d.Name.Name))
				}
			}
		}
	}
	return bad
}

func checkTestFiles(t *Tree) (bad []string) {
	for _, p := range t.pkgs {
		for _, f := range p.tests {
			if n := strings.Count(t.text[t.name[f]], "\n"); n > 1000 {
				bad = append(bad, fmt.Sprintf("%s: %d lines, at most 1000", t.name[f], n))
			}
		}
	}
	return bad
}

func checkBanned(t *Tree) []string {
	return append(t.grep(banned, ".go"), t.grep(banned, ".md")...)
}

const banned = `(?i)\bhandbook|_handbook|\bseed program|\brecipe list|\btraps?\b|Trap\d`

// grep returns the lines of files with an extension that match a pattern. The
// files of this package are left out: they contain the patterns.
func (t *Tree) grep(pattern, ext string) (bad []string) {
	re := regexp.MustCompile(pattern)
	for _, name := range t.files(ext) {
		if within(name, "internal/house") || slices.Contains([]string{"CHANGELOG.md"}, name) {
			continue
		}
		for i, line := range strings.Split(t.text[name], "\n") {
			if found := re.FindString(line); found != "" {
				bad = append(bad, fmt.Sprintf("%s:%d: %s", name, i+1, strings.TrimSpace(found)))
			}
		}
		if re.MatchString(path.Base(name)) {
			bad = append(bad, name+": the name of the file")
		}
	}
	return bad
}
