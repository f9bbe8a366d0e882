package house

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

func layoutRules() []Rule {
	return []Rule{{
		Name: "layout", Todo: "add the file; CONTRIBUTING.md describes the place of each",
		Check: checkLayout,
	}, {
		Name: "pages", Todo: "write docs/<package>.md, and link it from docs/README.md and from the last line of the package comment",
		Check: checkPages,
	}, {
		Name: "links", Todo: "correct the link, or remove it",
		Check: checkLinks,
	}}
}

func checkLayout(t *Tree) (bad []string) {
	want := []string{
		".ci/run", ".gitignore", "AGENTS.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "NOTICE", "README.md", "SECURITY.md",
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

// checkLinks follows the links of pages to files and folders of the tree.
func checkLinks(t *Tree) (bad []string) {
	names := slices.Collect(maps.Keys(t.text))
	for _, page := range t.files(".md") {
		for i, line := range strings.Split(t.text[page], "\n") {
			line = inlineCode.ReplaceAllString(line, "code")
			for _, m := range mdLink.FindAllStringSubmatch(line, -1) {
				target, _, _ := strings.Cut(m[2], "#")
				if target == "" || strings.Contains(target, ":") {
					continue
				}
				to := path.Join(path.Dir(page), target)
				if !slices.ContainsFunc(names, func(name string) bool { return within(name, to) }) {
					bad = append(bad, fmt.Sprintf("%s:%d: no file %s", page, i+1, to))
				}
			}
		}
	}
	return bad
}
