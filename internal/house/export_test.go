package house

// For tests.
var (
	CodeLines = codeLines
	Sentences = sentences
	Prose     = prose
	Markdown  = markdownProse
)

// LowerCeilings calls lowerCeilings.
func (t *Tree) LowerCeilings(files map[string]string) { t.lowerCeilings(files) }

// Findings returns the kinds of the findings in a text.
func Findings(text string) (kinds []string) {
	for _, f := range findings(text) {
		kinds = append(kinds, f.kind)
	}
	return kinds
}
