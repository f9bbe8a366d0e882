package house

import (
	"regexp"
	"strings"
)

var listItem = regexp.MustCompile(`^\s*([-*•]|\d+[.)]) `)

// prose returns a comment without its code and headings. Each list item is a
// paragraph.
func prose(comment string) string {
	var b strings.Builder
	for line := range strings.Lines(comment) {
		switch {
		case strings.HasPrefix(line, "\t"):
			b.WriteString("\n")
		case strings.HasPrefix(line, "# "):
			b.WriteString("\n\n")
		case listItem.MatchString(line):
			b.WriteString("\n" + listItem.ReplaceAllString(line, ""))
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}

var (
	fenced     = regexp.MustCompile("(?ms)^\\s*```.*?^\\s*```\\s*$")
	inlineCode = regexp.MustCompile("`[^`\n]*`")
	mdLink     = regexp.MustCompile(`!?\[([^\]]*)\]\(([^)]*)\)`)
)

// markdownProse returns a page without its code, headings and addresses. Each
// list item and each cell of a table is a paragraph.
func markdownProse(text string) string {
	text = fenced.ReplaceAllString(text, "\n")
	text = inlineCode.ReplaceAllString(text, "code")
	text = mdLink.ReplaceAllString(text, "$1")
	var b strings.Builder
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "    ") || strings.HasPrefix(trimmed, "<"):
			b.WriteString("\n")
		case strings.HasPrefix(trimmed, "#"):
			b.WriteString("\n\n")
		case strings.HasPrefix(trimmed, "|"):
			b.WriteString("\n" + strings.ReplaceAll(trimmed, "|", "\n\n") + "\n")
		case listItem.MatchString(line):
			b.WriteString("\n" + listItem.ReplaceAllString(line, ""))
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}
