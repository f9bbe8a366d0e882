package house_test

import (
	"strings"
	"testing"
)

func TestPackageComments(t *testing.T) {
	bites(t, "package comment", files{"retry/doc.go": "// Package retry retries.\npackage retry\n\nvar X = 1\n"},
		"retry/doc.go: contains more than the package comment")
	bites(t, "package comment", files{"retry/retry.go": "// Package retry retries.\npackage retry\n"}, "which belongs in doc.go")
	bites(t, "package comment", files{"retry/doc.go": "package retry\n"}, "retry/doc.go: no comment that begins with \"Package retry \"")
}

// comment makes a doc.go of package retry.
func comment(lines ...string) files {
	return files{"retry/doc.go": "// " + strings.Join(lines, "\n// ") + "\npackage retry\n"}
}

func TestSkeleton(t *testing.T) {
	whole := []string{
		"Package retry repeats calls that fail.", "", "It exists.", "",
		"# Retry a call", "", "\tDo()", "", "# Retry a request", "", "\tDo()", "", "# Poll", "", "\tDo()", "",
		"# Choosing values", "", "  - Backoff: 100 ms.", "",
		"# Errors", "", "None.", "", "# Concurrency and cost", "", "None.", "",
		"Costs, formats and sources: docs/retry.md.",
	}
	without := func(part string) files {
		return comment(strings.Split(strings.Replace(strings.Join(whole, "\n"), part, "", 1), "\n")...)
	}
	accepts(t, "skeleton", comment(whole...))
	bites(t, "skeleton", without("# Errors"), "the last headings are")
	bites(t, "skeleton", without("# Poll"), "2 tasks with code of 2, want 3 to 5")
	bites(t, "skeleton", without("\tDo()"), "2 tasks with code of 3, want 3 to 5")
	bites(t, "skeleton", without("  - "), "\"Choosing values\" is no list")
	bites(t, "skeleton", without("docs/retry.md"), "the last line is not")
	bites(t, "skeleton", comment(append([]string{strings.Repeat("word ", 601)}, whole...)...), "words without code, at most 600")
}

func TestFirstSentences(t *testing.T) {
	bites(t, "field's own name", files{"breaker/doc.go": "// Package breaker protects. It is a circuit breaker.\npackage breaker\n"},
		"breaker/doc.go: the first sentence does not contain \"circuit breaker\"")
	accepts(t, "field's own name", files{"breaker/doc.go": "// Package breaker implements a circuit\n// breaker. It protects.\npackage breaker\n"})
}

func TestDocLinks(t *testing.T) {
	const code = "package retry\n\n// DoAll does.\nfunc DoAll() {}\n"
	with := func(text string) files {
		return files{"retry/doc.go": "// Package retry retries. " + text + "\npackage retry\n", "retry/retry.go": code}
	}
	bites(t, "doc links", with("DoAll does all."), "retry/doc.go: DoAll is no link")
	accepts(t, "doc links", with("[DoAll] does all, and [Policy.DoAll] too.\n//\n//\tDoAll()"))
}

func TestDocumented(t *testing.T) {
	bites(t, "documented", files{"retry/retry.go": "package retry\n\nfunc Do() {}\n"}, "retry/retry.go:3: Do has no comment")
	bites(t, "documented", files{"retry/retry.go": "package retry\n\n// P is.\ntype P struct {\n\tMax int\n}\n"}, "retry/retry.go:5: Max has no comment")
	accepts(t, "documented", files{"retry/retry.go": "package retry\n\n// P is.\ntype P struct {\n\tMax int // of attempts\n}\n"})
}

func TestDefaults(t *testing.T) {
	with := func(comment string) files {
		return files{"retry/retry.go": "package retry\n\ntype Policy struct {\n\tMax int // " + comment + "\n}\n"}
	}
	bites(t, "defaults", with("0 means 3"), "retry/retry.go:4: Policy.Max: \"0 means\"")
	bites(t, "defaults", with("attempts. Default 3"), "\"Default 3\"")
	bites(t, "defaults", with("Not positive means none"), "\"Not positive\"")
	accepts(t, "defaults", with("Zero means 3. Negative means no limit."))
}

func TestCommentWidth(t *testing.T) {
	with := func(code string) files { return files{"retry/retry_test.go": "package retry_test\n\n" + code} }
	long := strings.Repeat("x", 77)
	bites(t, "comment width", with("// "+long+"x\nfunc f() {}\n"), "retry/retry_test.go:3: a comment of 81 columns")
	bites(t, "comment width", with("func f() {\n\t// "+long+"\n}\n"), "retry/retry_test.go:4: a comment of 84 columns")
	bites(t, "comment width", with("/*\n"+long+"xxxx\n*/\nfunc f() {}\n"), "retry/retry_test.go:4: a comment of 81 columns")
	accepts(t, "comment width", with("// "+long+"\nfunc f() {}\n"))
	accepts(t, "comment width", with("// https://example.com/"+long+"\nfunc f() {}\n"))
	accepts(t, "comment width", with("func f() {\n\t// Output:\n\t// "+long+long+"\n}\n"))
	accepts(t, "comment width", with("var x = \""+long+"\" // "+long+"\n"))
}
