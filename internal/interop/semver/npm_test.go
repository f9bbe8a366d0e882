package semver

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/semver"
)

var update = flag.Bool("update", false, "store the answers of the npm package in testdata/npm.json")

const (
	npmPackage = "semver@7.8.6"
	npmTable   = "testdata/npm.json"
)

// questions are put to the npm package.
type questions struct {
	Texts    []string `json:"texts"`    // perhaps versions
	Versions []string `json:"versions"` // versions
	Ranges   []string `json:"ranges"`   // perhaps ranges
}

// answers are what testdata/npm.js prints: the questions again, and for each
// text, pair of versions, or range and version one digit.
type answers struct {
	Package  string   `json:"package"`
	Texts    []string `json:"texts"`
	Valid    string   `json:"valid"` // a digit per text
	Versions []string `json:"versions"`
	Compare  []string `json:"compare"` // a row per version, 0, 1 or 2
	Ranges   []struct {
		Range   string  `json:"range"`
		Default *string `json:"default"` // null: the range is invalid
		All     *string `json:"all"`     // with includePrerelease
	} `json:"ranges"`
}

// TestNPM compares with the npm package semver, over generated ranges and
// versions and under both of its rules for pre-releases. The package is
// installed into a temporary directory; without node, npm or its registry
// the stored answers serve, which this test wrote with -update and otherwise
// checks.
func TestNPM(t *testing.T) {
	stored := loadAnswers(t)
	got, err := askNPM(t.TempDir(), ask())
	switch {
	case err != nil:
		t.Logf("using the stored answers: %v", err)
		got = stored
	case *update:
		storeAnswers(t, got)
	case !reflect.DeepEqual(stored, got):
		t.Errorf("%s is out of date, run with -update", npmTable)
	}
	checkTexts(t, got)
	checkCompare(t, got)
	n := checkRanges(t, got)
	t.Logf("%s: %d texts, %d comparisons, %d memberships", got.Package,
		len(got.Texts), len(got.Versions)*len(got.Versions), n)
}

func loadAnswers(t *testing.T) (a answers) {
	t.Helper()
	b, err := os.ReadFile(npmTable)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func storeAnswers(t *testing.T, a answers) {
	t.Helper()
	b, err := json.MarshalIndent(a, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(npmTable, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// askNPM installs the package into dir and has it answer.
func askNPM(dir string, q questions) (a answers, err error) {
	script, err := filepath.Abs("testdata/npm.js")
	if err != nil {
		return a, err
	}
	npm := exec.Command("npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", npmPackage)
	if out, err := npm.CombinedOutput(); err != nil {
		return a, fmt.Errorf("npm install: %w: %s", err, out)
	}
	in, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	node := exec.Command("node", script, filepath.Join(dir, "node_modules", "semver"))
	node.Stdin = bytes.NewReader(in)
	out, err := node.Output()
	if err != nil {
		return a, fmt.Errorf("node: %w", err)
	}
	return a, json.Unmarshal(out, &a)
}

func checkTexts(t *testing.T, a answers) {
	for i, s := range a.Texts {
		if got, want := semver.Valid(s), a.Valid[i] == '1'; got != want {
			t.Errorf("Valid(%q) = %v, npm says %v", s, got, want)
		}
	}
}

func checkCompare(t *testing.T, a answers) {
	for i, row := range a.Compare {
		v := semver.MustParse(a.Versions[i])
		for j := range row {
			w := semver.MustParse(a.Versions[j])
			if got, want := v.Compare(w), int(row[j])-'1'; got != want {
				t.Errorf("%v.Compare(%v) = %d, npm says %d", v, w, got, want)
			}
		}
	}
}

// checkRanges returns how many memberships it compared.
func checkRanges(t *testing.T, a answers) (n int) {
	for _, r := range a.Ranges {
		n += checkRange(t, a, semver.NPM, r.Range, r.Default)
		n += checkRange(t, a, semver.NPM.With(semver.PreAll), r.Range, r.All)
	}
	return n
}

func checkRange(t *testing.T, a answers, d semver.Dialect, text string, want *string) (n int) {
	r, err := d.ParseRange(text)
	if (err == nil) != (want != nil) {
		t.Errorf("%q: got error %v, npm says valid=%v", text, err, want != nil)
	}
	if err != nil || want == nil {
		return 0
	}
	for i, s := range a.Versions {
		if got, want := r.Contains(semver.MustParse(s)), (*want)[i] == '1'; got != want {
			t.Errorf("dialect %#x: %q contains %s = %v, npm says %v", d, text, s, got, want)
		}
	}
	return len(a.Versions)
}

// TestNPMDeviations lists what the NPM dialect does otherwise than npm, on
// purpose. None of it can occur in the generated questions.
func TestNPMDeviations(t *testing.T) {
	rejected := map[string]string{
		"1.2.3+b +c":     "npm removes build metadata before it splits a range",
		"1.2.3 - 2.3.4 ": "",
	}
	for s, why := range rejected {
		if _, err := semver.ParseRange(s); (err == nil) != (why == "") {
			t.Errorf("ParseRange(%q) = %v; want an error, where %s", s, err, why)
		}
	}
	admitted := map[string]string{
		">=1.2.3, <2":            "npm knows no comma",
		"^1 != 1.5.0":            "npm knows no !=",
		"^99999999999999999.0.0": "npm's numbers end at 2^53",
	}
	for s, why := range admitted {
		if _, err := semver.ParseRange(s); err != nil {
			t.Errorf("ParseRange(%q) = %v; want none, where %s", s, err, why)
		}
	}
}

// ask generates the questions, the same ones every time.
func ask() (q questions) {
	g := generator{rand.New(rand.NewPCG(1, 2))}
	for range 400 {
		q.Texts = append(q.Texts, g.text())
	}
	for len(q.Versions) < 90 {
		if v := g.version(); !slices.Contains(q.Versions, v) {
			q.Versions = append(q.Versions, v)
		}
	}
	for range 700 {
		q.Ranges = append(q.Ranges, g.rangeText())
	}
	return q
}

// generator makes small versions and ranges, so that they often meet.
type generator struct{ *rand.Rand }

func (g generator) pick(from ...string) string { return from[g.IntN(len(from))] }

func (g generator) number() string { return g.pick("0", "0", "1", "1", "2", "3", "10") }

func (g generator) prerelease() string {
	return g.pick("0", "1", "alpha", "alpha.0", "alpha.1", "alpha.beta", "beta", "rc.1", "rc.2", "rc.10", "rc2", "-5", "a-", "a.b", "0a", "Z")
}

func (g generator) version() string {
	s := g.number() + "." + g.number() + "." + g.number()
	if g.IntN(2) == 0 {
		s += "-" + g.prerelease()
	}
	if g.IntN(8) == 0 {
		s += "+" + g.pick("b", "b.0", "001")
	}
	return s
}

// text is a version, often broken.
func (g generator) text() string {
	b := []rune(g.version())
	for range g.IntN(3) {
		i := g.IntN(len(b))
		switch c := g.pick("0", "-", ".", "+", "a", "é", "_", "\x00", "９"); g.IntN(3) {
		case 0:
			b = slices.Replace(b, i, i+1, []rune(c)...)
		case 1:
			b = slices.Insert(b, i, []rune(c)...)
		default:
			b = slices.Delete(b, i, i+1)
		}
	}
	return string(b)
}

// partial is a version in which parts may be missing.
func (g generator) partial() string {
	switch g.IntN(8) {
	case 0:
		return g.pick("*", "x", "X", "1", "0", "2")
	case 1:
		return g.number() + "." + g.number()
	case 2:
		return g.number() + g.pick(".x", ".*", ".x.x", ".X.*")
	case 3:
		return g.number() + "." + g.number() + g.pick(".x", ".*")
	case 4:
		return "v" + g.version()
	}
	return g.version()
}

func (g generator) comparator() string {
	op := g.pick("", "", "=", "<", "<=", ">", ">=", "~", "^", "^", "~>", ">= ", "< ", "^ ", "~ ")
	s := op + g.partial()
	if g.IntN(60) == 0 { // and some that are invalid
		s = g.pick("x.1.2", "1.x.2", "1|2", "1.2.3.4", "1.2-", "^", "<", ">=1.2.3<2", "=>1.2.3", "a", "1.2.3-01", "01.2.3")
	}
	return s
}

func (g generator) alternative() string {
	switch g.IntN(10) {
	case 0:
		return g.partial() + g.pick(" - ", "  -  ") + g.partial()
	case 1:
		return g.pick("", " ", "*")
	}
	var terms []string
	for range 1 + g.IntN(3) {
		terms = append(terms, g.comparator())
	}
	return strings.Join(terms, g.pick(" ", "  "))
}

func (g generator) rangeText() string {
	var alternatives []string
	for range 1 + g.IntN(2)*g.IntN(3) {
		alternatives = append(alternatives, g.alternative())
	}
	return strings.Join(alternatives, g.pick("||", " || ", "|| "))
}
