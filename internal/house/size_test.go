package house_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/internal/house"
)

func TestFunctionLength(t *testing.T) {
	bites(t, "function length", files{"retry/retry.go": "package retry\n\nfunc f() {\n" + strings.Repeat("\t_ = 1\n", 80) + "}\n"},
		"retry/retry.go:3: f has 82 lines")
}

func TestCodeLines(t *testing.T) {
	for _, test := range []struct {
		name, src string
		want      int
	}{
		{"nothing", "", 0},
		{"blank lines and comments", "// A.\npackage p\n\n/* B.\nC.\n*/\n\nvar x = 1 // D.\n", 2},
		{"a statement of several lines", "package p\n\nvar x = []int{\n\t1,\n\n\t// two\n\t2,\n}\n", 5},
		{"a raw string", "package p\n\nvar x = `a\n\nb`\n", 4},
	} {
		if got := house.CodeLines(test.src); got != test.want {
			t.Errorf("%s: %d lines, want %d", test.name, got, test.want)
		}
	}
}

const table = "internal/house/ceilings.txt"

func TestCeilings(t *testing.T) {
	tree := func(ceilings string) files {
		return files{"retry/doc.go": "// Package retry does what it does.\npackage retry\n\nvar x = 1\n", table: ceilings}
	}
	bites(t, "size ceilings", tree(""), "retry: no line in "+table)
	bites(t, "size ceilings", tree("retry 1 9 9 9 9 9\n"), "retry: code is 2, at most 1")
	bites(t, "size ceilings", tree("retry 2 1\n"), table+":1: 2 figures, want 6")
	bites(t, "size ceilings", tree("retry 2 1 x 0 0 0\n"), table+":1: ")
	accepts(t, "size ceilings", tree("# comment\nretry 2 0 0 0 0 0\n"))
	bites(t, "language ceilings", tree("retry 2 0 0 0 0 0\n"), "retry: what is 1, at most 0")
	accepts(t, "language ceilings", tree("retry 0 1 0 0 0 0\n"))
}

func TestCeilingsAreOnlyLowered(t *testing.T) {
	got := map[string]string{}
	load(t, files{
		"retry/doc.go": "// Package retry does what it does.\npackage retry\n\nvar x = 1\n",
		"cache/doc.go": "// Package cache does what it does.\npackage cache\n",
		table:          "retry 1 5 0 0 0 0\ngone 1 1 1 1 1 1\n",
	}).LowerCeilings(got)
	var rows []string
	for line := range strings.Lines(got[table]) {
		if !strings.HasPrefix(line, "#") {
			rows = append(rows, strings.Join(strings.Fields(line), " "))
		}
	}
	// The code of retry has grown and its ceiling stays, "what" goes down to
	// the figure, cache is new, and gone has no package.
	want := []string{"cache 1 1 0 0 0 0", "retry 1 1 0 0 0 0"}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
}
