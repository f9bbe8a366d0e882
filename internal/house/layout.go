package house

import (
	"path"
	"strings"
)

func layoutRules() []Rule {
	return []Rule{{
		Name: "layout", Todo: "add the file; CONTRIBUTING.md describes the place of each",
		Check: checkLayout,
	}, {
		Name: "pages", Todo: "write docs/<package>.md, and link it from docs/README.md and from the last line of the package comment",
		Check: checkPages,
	}}
}

func checkLayout(t *Tree) (bad []string) {
	want := []string{
		".ci/run", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md",
		"doc.go", "go.mod", "go.sum", "docs/README.md", "internal/tools/go.mod",
		"internal/bench/README.md", "internal/bench/go.mod", "internal/interop/README.md", "internal/interop/go.mod",
	}
	for _, dir := range seven {
		want = append(want, dir+"/doc.go", dir+"/"+dir+".go", dir+"/example_test.go", dir+"/"+dir+"_test.go")
	}
	for _, dir := range t.mods {
		if inContrib(dir) {
			want = append(want, dir+"/README.md", dir+"/doc.go", dir+"/example_test.go")
		}
	}
	for _, name := range want {
		if t.text[name] == "" {
			bad = append(bad, name+": missing")
		}
	}
	return bad
}

func checkPages(t *Tree) (bad []string) {
	for _, dir := range seven {
		page := "docs/" + dir + ".md"
		if t.text[page] == "" {
			bad = append(bad, page+": missing")
		}
		if p := t.pkg(dir); p != nil {
			if name, comment := t.packageComment(p); !strings.Contains(comment, page) {
				bad = append(bad, name+": does not mention "+page)
			}
		}
	}
	for _, name := range t.files(".md") {
		if path.Dir(name) == "docs" && name != "docs/README.md" && !strings.Contains(t.text["docs/README.md"], "("+path.Base(name)+")") {
			bad = append(bad, "docs/README.md: no link to "+name)
		}
	}
	return bad
}
