package house

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ceilingsFile is the table of ceilings: a line for each package and page, a
// column for each figure.
const ceilingsFile = "internal/house/ceilings.txt"

// columns are the figures of the table.
var columns = []string{"code", "what", "one", "that-of", "people", "long"}

// A row contains the figures of a package, or of a page such as README.md.
type row struct {
	name    string
	figures map[string]int
}

// figures returns the present figures.
func (t *Tree) figures() (rows []row) {
	for _, p := range t.written() {
		c := t.countComments(p)
		c["code"] = t.codeLines(p)
		rows = append(rows, row{p.dir, c})
	}
	for _, name := range t.files(".md") {
		if name != "CHANGELOG.md" && !strings.Contains(name, "testdata/") {
			rows = append(rows, row{name, countProse(markdownProse(t.text[name]))})
		}
	}
	return rows
}

// ceilings parses the table.
func (t *Tree) ceilings() (map[string]map[string]int, []string) {
	table, bad := map[string]map[string]int{}, []string(nil)
	for i, line := range strings.Split(t.text[ceilingsFile], "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		figures := map[string]int{}
		for j, column := range columns {
			if len(f) != len(columns)+1 {
				bad = append(bad, fmt.Sprintf("%s:%d: %d figures, want %d", ceilingsFile, i+1, len(f)-1, len(columns)))
				break
			}
			n, err := strconv.Atoi(f[j+1])
			if err != nil {
				bad = append(bad, fmt.Sprintf("%s:%d: %v", ceilingsFile, i+1, err))
			}
			figures[column] = n
		}
		table[f[0]] = figures
	}
	return table, bad
}

// checkCeilings compares figures of some columns with their ceilings.
func (t *Tree) checkCeilings(which ...string) []string {
	table, bad := t.ceilings()
	for _, r := range t.figures() {
		ceiling, ok := table[r.name]
		if !ok {
			bad = append(bad, fmt.Sprintf("%s: no line in %s; add it with -ceilings", r.name, ceilingsFile))
			continue
		}
		for _, column := range which {
			if r.figures[column] > ceiling[column] {
				bad = append(bad, fmt.Sprintf("%s: %s is %d, at most %d", r.name, column, r.figures[column], ceiling[column]))
			}
		}
	}
	return bad
}

// lowerCeilings puts the table with lower ceilings into files: no ceiling
// rises. New packages get a line, and lines of removed packages go.
func (t *Tree) lowerCeilings(files map[string]string) {
	table, _ := t.ceilings()
	rows := t.figures()
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.name, b.name) })
	var b strings.Builder
	fmt.Fprintf(&b, "# Ceilings: they only go down (go test -run TestHouse . -ceilings). A higher\n"+
		"# ceiling is a line that a review accepts. code: lines of code. The others\n"+
		"# count comments: the words what, one and \"that of\" as pronouns, people, and\n"+
		"# sentences over %d words.\n", maxSentence)
	fmt.Fprintf(&b, "# %-34s", "package")
	for _, column := range columns {
		fmt.Fprintf(&b, " %7s", column)
	}
	b.WriteString("\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "%-36s", r.name)
		for _, column := range columns {
			n := r.figures[column]
			if ceiling, ok := table[r.name]; ok {
				n = min(n, ceiling[column])
			}
			fmt.Fprintf(&b, " %7d", n)
		}
		b.WriteString("\n")
	}
	files[ceilingsFile] = b.String()
}
