package house

import (
	"regexp"
	"strings"
)

func llmsRules() []Rule {
	return []Rule{{
		Name: "llms.txt", Todo: "change AGENTS.md or docs/README.md, then run: go test -run TestHouse . -update",
		Check: func(t *Tree) (bad []string) {
			if t.text[llmsFile] != t.llms() {
				bad = append(bad, llmsFile+": is not the text that AGENTS.md and docs/README.md give")
			}
			return bad
		},
	}}
}

// llmsFile is the page for programs that read the repository from outside. It
// consists of AGENTS.md and the table of docs/README.md.
const llmsFile = "llms.txt"

var pageRow = regexp.MustCompile(`(?m)^\| \[([^\]]+)\]\(([\w-]+\.md)\) \| (.*) \|$`)

// llms returns the text of llms.txt: a title, a summary as a quotation,
// sections, and lists of links.
func (t *Tree) llms() string {
	head, sections, _ := strings.Cut(t.text["AGENTS.md"], "\n## ")
	_, summary, _ := strings.Cut(head, "\n")
	var b strings.Builder
	b.WriteString("# redoubt\n\n> " + strings.Join(strings.Fields(summary), " ") + "\n")
	if sections != "" {
		b.WriteString("\n## " + strings.TrimSpace(sections) + "\n")
	}
	b.WriteString("\n## Pages\n\n")
	for _, m := range pageRow.FindAllStringSubmatch(t.text["docs/README.md"], -1) {
		b.WriteString("- [" + m[1] + "](docs/" + m[2] + "): " + m[3] + "\n")
	}
	return b.String()
}
