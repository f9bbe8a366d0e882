package house

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

func commentRules() []Rule {
	return []Rule{{
		Name: "package comment", Todo: "write the package comment in doc.go, and nothing else there",
		Check: checkPackageComment,
	}, {
		Name: "skeleton", Todo: "package comment: one sentence, why, three to five tasks with code, " + strings.Join(headings, ", ") + ", the link to docs",
		Check: checkSkeleton,
	}, {
		Name: "field's own name", Todo: "use the word that readers search for in the first sentence of the package comment",
		Check: checkFirstSentence,
	}, {
		Name: "doc links", Todo: "write the identifier in brackets, as a link",
		Check: checkDocLinks,
	}, {
		Name: "documented", Todo: "write the comment: meaning, unit, range, errors",
		Check: checkDocumented,
	}, {
		Name: "defaults", Todo: "write: Zero means 10 seconds. Negative means no limit.",
		Check: checkDefaults,
	}, {
		Name: "comment width", Todo: "wrap the comment at 80 columns",
		Check: checkWidth,
	}}
}

func checkPackageComment(t *Tree) (bad []string) {
	for _, p := range t.importable() {
		seen := false
		for _, f := range p.code {
			name := t.name[f]
			isDoc := path.Base(name) == "doc.go"
			switch {
			case isDoc && len(f.Decls) > 0:
				bad = append(bad, name+": contains more than the package comment")
			case !isDoc && f.Doc != nil:
				bad = append(bad, name+": has a package comment, which belongs in doc.go")
			}
			seen = seen || isDoc && strings.HasPrefix(f.Doc.Text(), "Package "+f.Name.Name+" ")
		}
		if !seen {
			bad = append(bad, p.dir+"/doc.go: no comment that begins with \"Package "+path.Base(p.dir)+" \"")
		}
	}
	return bad
}

// headings end each package comment of the seven, in this order. The headings
// before them are tasks; a section without code may be among them.
var headings = []string{"Choosing values", "Errors", "Concurrency and cost"}

const maxWords = 600 // of a package comment, without code

func checkSkeleton(t *Tree) (bad []string) {
	for _, dir := range seven {
		p := t.pkg(dir)
		if p == nil {
			continue
		}
		name, comment := t.packageComment(p)
		say := func(format string, args ...any) { bad = append(bad, name+": "+fmt.Sprintf(format, args...)) }
		parts := strings.Split("\n"+comment, "\n# ")
		titles, bodies := []string{}, map[string]string{}
		for _, part := range parts[1:] {
			title, body, _ := strings.Cut(part, "\n")
			titles, bodies[title] = append(titles, title), body
		}
		first := max(0, len(titles)-len(headings))
		if !slices.Equal(titles[first:], headings) {
			say("the last headings are %q, want %q", titles[first:], headings)
		}
		tasks := 0
		for _, title := range titles[:first] {
			if strings.Contains(bodies[title], "\n\t") {
				tasks++
			}
		}
		if tasks < 3 || tasks > 5 || first > 6 {
			say("%d tasks with code of %d, want 3 to 5", tasks, first)
		}
		if body, ok := bodies["Choosing values"]; ok && !strings.Contains(body, "\n  - ") {
			say("\"Choosing values\" is no list")
		}
		lines := strings.Split(strings.TrimSpace(comment), "\n")
		if last := "Costs, formats and sources: docs/" + dir + ".md"; !strings.HasPrefix(lines[len(lines)-1], last) {
			say("the last line is not %q", last)
		}
		if n := len(strings.Fields(prose(comment))); n > maxWords {
			say("%d words without code, at most %d", n, maxWords)
		}
	}
	return bad
}

// fieldNames are the words by which readers search for a package.
var fieldNames = map[string]string{
	"retry":              "retr",
	"breaker":            "circuit breaker",
	"ratelimit":          "token bucket",
	"ratelimit/bulkhead": "concurrency limiter|semaphore",
	"cache":              "LRU",
	"audit":              "redact",
	"audit/ledger":       "Merkle tree",
	"logscan":            "log",
	"logscan/follow":     "tail -F",
	"semver":             "constraint",
}

func checkFirstSentence(t *Tree) (bad []string) {
	for _, p := range t.library() {
		words, ok := fieldNames[p.dir]
		if !ok {
			continue
		}
		name, comment := t.packageComment(p)
		first := sentences(prose(comment))
		if len(first) == 0 || !regexp.MustCompile("(?i)"+words).MatchString(first[0]) {
			bad = append(bad, fmt.Sprintf("%s: the first sentence does not contain %q", name, words))
		}
	}
	return bad
}

// checkDocLinks looks for exported names of the package that cannot be English
// words: they contain a capital inside, such as MaxAttempts.
func checkDocLinks(t *Tree) (bad []string) {
	word := regexp.MustCompile(`\[[^\]]*\]|\b[A-Z]\w*\b`)
	inner := regexp.MustCompile(`[a-z][A-Z]`)
	for _, p := range t.library() {
		known := map[string]bool{}
		for _, s := range p.types() {
			known[s.Name.Name] = s.Name.IsExported()
		}
		for _, d := range p.funcs() {
			known[d.Name.Name] = known[d.Name.Name] || d.Recv == nil && d.Name.IsExported()
		}
		name, comment := t.packageComment(p)
		for _, w := range word.FindAllString(prose(comment), -1) {
			if known[w] && inner.MatchString(w) {
				bad = append(bad, fmt.Sprintf("%s: %s is no link", name, w))
			}
		}
	}
	return bad
}

func checkDocumented(t *Tree) (bad []string) {
	missing := func(n ast.Node, name string, docs ...*ast.CommentGroup) {
		if ast.IsExported(name) && !slices.ContainsFunc(docs, func(c *ast.CommentGroup) bool { return c.Text() != "" }) {
			bad = append(bad, fmt.Sprintf("%s: %s has no comment", t.at(n), name))
		}
	}
	for _, p := range t.library() {
		for _, decl := range p.decls() {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil || ast.IsExported(receiver(d)) {
					missing(d, d.Name.Name, d.Doc)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					undocumented(spec, d.Doc, missing)
				}
			}
		}
	}
	return bad
}

func undocumented(spec ast.Spec, group *ast.CommentGroup, missing func(ast.Node, string, ...*ast.CommentGroup)) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		missing(s, s.Name.Name, group, s.Doc, s.Comment)
		if st, ok := s.Type.(*ast.StructType); ok && s.Name.IsExported() {
			for _, f := range st.Fields.List {
				for _, name := range f.Names {
					missing(f, name.Name, f.Doc, f.Comment)
				}
			}
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			missing(s, name.Name, group, s.Doc, s.Comment)
		}
	}
}

// otherDefaults are other words for a default value.
var otherDefaults = regexp.MustCompile(`\b0 means|\b[Dd]efault \d|[Tt]he default is|[Nn]ot positive|negative: |[Zz]ero and less|0, the default|\bNil[:,]`)

func checkDefaults(t *Tree) (bad []string) {
	for _, p := range t.library() {
		for _, s := range p.structs() {
			for _, f := range fields(s) {
				text := strings.Join(strings.Fields(f.Doc.Text()+" "+f.Comment.Text()), " ")
				if m := otherDefaults.FindString(text); m != "" {
					bad = append(bad, fmt.Sprintf("%s: %s.%s: %q", t.at(f), s.Name.Name, f.name, m))
				}
			}
		}
	}
	return bad
}

const width = 80 // columns of a comment, a tab is four

// checkWidth measures comments on lines of their own. The expected output of
// examples and lines with an address cannot be wrapped.
func checkWidth(t *Tree) (bad []string) {
	for _, p := range t.pkgs {
		for _, f := range slices.Concat(p.code, p.tests) {
			lines := strings.Split(t.text[t.name[f]], "\n")
			for _, group := range f.Comments {
				for _, c := range group.List {
					if isOutput(c.Text) {
						break
					}
					first := t.fset.Position(c.Pos()).Line
					for i := range strings.Split(c.Text, "\n") {
						line := strings.ReplaceAll(lines[first+i-1], "\t", "    ")
						own := i > 0 || strings.HasPrefix(strings.TrimSpace(line), "/")
						if n := utf8.RuneCountInString(line); own && n > width && !unwrappable(line) {
							bad = append(bad, fmt.Sprintf("%s:%d: a comment of %d columns", t.name[f], first+i, n))
						}
					}
				}
			}
		}
	}
	return bad
}

func isOutput(comment string) bool {
	text := strings.ToLower(strings.TrimSpace(strings.TrimPrefix(comment, "//")))
	return strings.HasPrefix(text, "output:") || strings.HasPrefix(text, "unordered output:")
}

func unwrappable(line string) bool {
	return strings.Contains(line, "://") || strings.HasPrefix(line, "//go:")
}
