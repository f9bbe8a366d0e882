package house_test

import (
	"fmt"
	"go/build"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/internal/house"
)

// The counter must give a low figure for the packages whose language is the
// model. The rates are per 1000 words.
func TestLanguageOfTheStandardLibrary(t *testing.T) {
	bounds := map[string]float64{"what": 0.4, "one": 1.2, "that-of": 0.2, "people": 0.2, "long": 6}
	words, counts := 0, map[string]int{}
	for _, dir := range []string{"log/slog", "net/netip", "context", "sync"} {
		src := filepath.Join(build.Default.GOROOT, "src", filepath.FromSlash(dir))
		if _, err := os.Stat(src); err != nil {
			t.Skip(err)
		}
		tree, err := house.Load(os.DirFS(src))
		if err != nil {
			t.Fatal(err)
		}
		words += tree.Words(".")
		for kind, n := range tree.Count(".") {
			counts[kind] += n
		}
		if testing.Verbose() {
			for _, f := range tree.Language() {
				t.Log(dir, f)
			}
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(bounds)) {
		rate := 1000 * float64(counts[kind]) / float64(words)
		t.Logf("%-8s %4d, %.2f in 1000 words", kind, counts[kind], rate)
		if rate > bounds[kind] {
			t.Errorf("%s: %.2f in 1000 words of the standard library, at most %v", kind, rate, bounds[kind])
		}
	}
}

// With -v this test lists every place that counts in this repository.
func TestLanguage(t *testing.T) {
	if !testing.Verbose() {
		t.Skip("this test only lists places; use -v")
	}
	tree, err := house.Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range tree.Language() {
		fmt.Println(f)
	}
}

func TestFindings(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"Do returns the error of fn.", nil},
		{"What is left is lost.", []string{"what"}},
		{"It is somewhat slow, whatever happens.", nil},
		{"The rules of a Range and those of a Version, that of a Rule.", []string{"that-of", "that-of"}},
		{"It is known that, of all, this is the best.", nil},
		{"Nobody waits, and no one asks.", []string{"people", "people"}},
		// one as a pronoun
		{"The value replaces the old one.", []string{"one"}},
		{"This one, that one and each one.", []string{"one", "one", "one"}},
		{"Then another one delivers it.", []string{"one"}},
		{"Make one with New.", []string{"one"}},
		{"A key returns its lock if it has one.", []string{"one"}},
		{"It is one that no limit allows.", []string{"one"}},
		{"Every one of them fails.", []string{"one"}},
		{"Later ones are dropped.", []string{"one"}},
		{"The only one that tells.", []string{"one"}},
		{"One can wait.", []string{"one"}},
		{"The word \"what\" and the words “that of”.", nil},
		// one as a number
		{"At least one, at most one, more than one, exactly one.", nil},
		{"One of the keys, one or more, one at a time, one by one.", nil},
		{"A burst of one second; only one goroutine runs.", nil},
		{"The one bucket of the limiter.", nil},
		{"Only one of them wins, one in 64 is sampled.", nil},
		{"A one-line rule with zero or one arguments.", nil},
		{"All ones.", nil},
		// sentences
		{strings.Repeat("word ", 30) + "end. Next.", []string{"long"}},
		{strings.Repeat("word ", 29) + "end. Next.", nil},
		{strings.Repeat("word ", 20) + "\n\n" + strings.Repeat("word ", 20), nil},
	} {
		if diff := cmp.Diff(test.want, house.Findings(test.text)); diff != "" {
			t.Errorf("%q: %s", test.text, diff)
		}
	}
}

func TestSentences(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"A retry.Policy waits 1.5 s. Then\nit calls fn!", []string{"A retry.Policy waits 1.5 s.", "Then it calls fn!"}},
		{"Some, e.g. this (i.e. that), end. (So it is.) Done", []string{"Some, e.g. this (i.e. that), end.", "(So it is.)", "Done"}},
		{"A list:\n\nIts item", []string{"A list:", "Its item"}},
	} {
		if diff := cmp.Diff(test.want, house.Sentences(test.text)); diff != "" {
			t.Errorf("%q: %s", test.text, diff)
		}
	}
}

func TestProse(t *testing.T) {
	comment := "Package retry.\n\n\tcode()\n\n# Errors\n\nThese:\n  - one thing\n  - another\n    thing\n"
	want := []string{"Package retry.", "These:", "one thing", "another thing"}
	if diff := cmp.Diff(want, house.Sentences(house.Prose(comment))); diff != "" {
		t.Error(diff)
	}
	fence := "`" + "``"
	page := "# Title\n\nA `code.Do` and a [link](https://a.b/c. d).\n\n" + fence + "go\nwhat()\n" + fence +
		"\n\n| a cell | another. cell |\n| --- | --- |\n\n1. first\n2. second\n\n\tcode\n"
	want = []string{"A code and a link.", "a cell", "another.", "cell", "---", "---", "first", "second"}
	if diff := cmp.Diff(want, house.Sentences(house.Markdown(page))); diff != "" {
		t.Error(diff)
	}
}
