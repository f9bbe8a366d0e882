package semver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	masterminds "github.com/Masterminds/semver/v3"
	"github.com/apparentlymart/go-versions/versions"
	"github.com/apparentlymart/go-versions/versions/constraints"
	hashicorp "github.com/hashicorp/go-version"

	"github.com/redoubt-go/redoubt/semver"
)

var (
	update = flag.Bool("update", false, "store the answers of npm and cargo in testdata/answers")
	long   = flag.Bool("long", false, "compare a million random answers of each tool")
)

// npmPackage is the exact npm package. The Rust crate is in
// testdata/cargo/Cargo.toml.
const npmPackage = "semver@7.8.6"

// A question is a constraint and the versions that may be its members.
type question struct {
	text     string
	versions []string
}

// A tool answers questions as the tool does that a dialect describes.
type tool struct {
	name    string
	dialect semver.Dialect
	random  func(generator) string // makes a constraint
	grid    grid

	// ask returns an answer for each question: a digit 0 or 1 for each
	// version, or "-" if the tool refuses the constraint. It returns errAbsent
	// if the tool is not on this machine.
	ask func(*testing.T, []question) ([]string, error)

	// stored reports whether the answers are in testdata/answers, for
	// machines without the tool.
	stored bool

	// known returns the reason of a known deviation, "" if there is none. The
	// answer of the dialect is got. For the question whether the text is a
	// constraint the version is "".
	known func(text, version string, got bool) string
}

var errAbsent = errors.New("absent")

// tools returns the tools with their deviations. docs/semver.md lists the same
// deviations.
func tools() []tool {
	return []tool{
		{
			name: "npm", dialect: semver.NPM, random: generator.npmRange, grid: npmGrid,
			ask: npm("default"), stored: true, known: npmKnown,
		},
		{
			name: "npm+all", dialect: semver.NPM.With(semver.PreAll), random: generator.npmRange, grid: npmGrid,
			ask: npm("all"), stored: true, known: npmKnown,
		},
		{
			name: "cargo", dialect: semver.Cargo, random: generator.cargoRange, grid: cargoGrid,
			ask: cargo, stored: true, known: cargoKnown,
		},
		{
			name: "helm", dialect: semver.Helm, random: generator.helmRange, grid: helmGrid,
			ask: inProcess(askMasterminds), known: helmKnown,
		},
		{
			name: "terraform", dialect: semver.Terraform, random: generator.terraformRange, grid: terraformGrid,
			ask: inProcess(askHashicorp), known: terraformKnown,
		},
		{
			name: "terraform-provider", dialect: semver.TerraformProvider, random: generator.terraformRange, grid: terraformGrid,
			ask: inProcess(askProvider), known: providerKnown,
		},
	}
}

// inProcess asks a Go module. The parser of a tool returns a function that
// reports membership.
func inProcess(parse func(text string) (func(version string) bool, error)) func(*testing.T, []question) ([]string, error) {
	return func(_ *testing.T, all []question) ([]string, error) {
		rows := make([]string, len(all))
		for i, q := range all {
			has, err := parse(q.text)
			if err != nil {
				rows[i] = "-"
				continue
			}
			row := make([]byte, len(q.versions))
			for j, v := range q.versions {
				if row[j] = '0'; has(v) {
					row[j] = '1'
				}
			}
			rows[i] = string(row)
		}
		return rows, nil
	}
}

func askMasterminds(text string) (func(string) bool, error) {
	c, err := masterminds.NewConstraint(text)
	return func(s string) bool { return c.Check(masterminds.MustParse(s)) }, err
}

func askHashicorp(text string) (func(string) bool, error) {
	c, err := hashicorp.NewConstraint(text)
	return func(s string) bool { return c.Check(hashicorp.Must(hashicorp.NewVersion(s))) }, err
}

// askProvider asks as Terraform's installer of providers does. The parser
// panics at numbers over 2^64.
func askProvider(text string) (has func(string) bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	spec, err := constraints.ParseRubyStyleMulti(text)
	if err != nil {
		return nil, err
	}
	set := versions.MeetingConstraints(spec)
	return func(s string) bool { return set.Has(versions.MustParseVersion(s)) }, nil
}

// npmFolder installs the npm package once, and returns its folder and the
// reason why there is none.
var npmFolder = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "redoubt-npm")
	if err != nil {
		return "", err
	}
	toRemove = append(toRemove, dir)
	out, err := command(exec.Command("npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", npmPackage), nil)
	if err != nil {
		return "", fmt.Errorf("%w: npm install: %w: %s", errAbsent, err, out)
	}
	return filepath.Join(dir, "node_modules", "semver"), nil
})

// cargoBinary builds the Rust program once.
var cargoBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "redoubt-cargo")
	if err != nil {
		return "", err
	}
	toRemove = append(toRemove, dir)
	if err := os.CopyFS(dir, os.DirFS("testdata/cargo")); err != nil {
		return "", err
	}
	cargo := exec.Command("cargo", "build", "--quiet", "--release", "--manifest-path", filepath.Join(dir, "Cargo.toml"), "--target-dir", dir)
	cargo.Env = append(os.Environ(), "CARGO_NET_RETRY=0", "CARGO_HTTP_TIMEOUT=5")
	if out, err := command(cargo, nil); err != nil {
		return "", fmt.Errorf("%w: cargo build: %w: %.200s", errAbsent, err, out)
	}
	return filepath.Join(dir, "release", "oracle"), nil
})

var toRemove []string

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range toRemove {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// command runs a process for at most two minutes, and returns its output.
func command(c *exec.Cmd, stdin []byte) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	bound := exec.CommandContext(ctx, c.Path, c.Args[1:]...)
	bound.Err, bound.Env, bound.Stdin = c.Err, c.Env, bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	bound.Stdout, bound.Stderr = &out, &errs
	err := bound.Run()
	if err != nil {
		return errs.String(), err
	}
	return out.String(), nil
}

func npm(mode string) func(*testing.T, []question) ([]string, error) {
	return func(_ *testing.T, all []question) ([]string, error) {
		folder, err := npmFolder()
		if err != nil {
			return nil, err
		}
		return process(all, "node", "testdata/npm.js", folder, mode)
	}
}

func cargo(_ *testing.T, all []question) ([]string, error) {
	binary, err := cargoBinary()
	if err != nil {
		return nil, err
	}
	return process(all, binary)
}

// process writes the questions to a process and reads its answers.
func process(all []question, name string, args ...string) ([]string, error) {
	var in bytes.Buffer
	for _, q := range all {
		fmt.Fprintf(&in, "%s\t%s\n", q.text, strings.Join(q.versions, " "))
	}
	out, err := command(exec.Command(name, args...), in.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %.500s", name, err, out)
	}
	rows := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(rows) != len(all) {
		return nil, fmt.Errorf("%s: %d answers to %d questions", name, len(rows), len(all))
	}
	return rows, nil
}

// answers asks the tool. If it is absent, the stored answers serve. They are
// compared with the tool wherever it is present.
func (x tool) answers(t *testing.T, suite string, all []question) []string {
	t.Helper()
	got, err := x.ask(t, all)
	switch {
	case err == nil && !x.stored:
		return got
	case err != nil && !x.stored && errors.Is(err, errAbsent):
		t.Skipf("needs the tool: %v", err)
	case err != nil && !errors.Is(err, errAbsent):
		t.Fatal(err)
	}
	name := filepath.Join("testdata", "answers", x.name+"-"+suite+".txt")
	if *update && err == nil {
		storeAnswers(t, name, all, got)
	}
	stored := loadAnswers(t, name, all)
	if err != nil {
		t.Logf("with the stored answers: %v", err)
		return stored
	}
	if !slices.Equal(got, stored) {
		t.Errorf("%s is out of date, run with -update", name)
	}
	return got
}

// storeAnswers writes a line for each question: the answer, a tab, and the
// quoted text.
func storeAnswers(t *testing.T, name string, all []question, rows []string) {
	t.Helper()
	var b bytes.Buffer
	for i, q := range all {
		fmt.Fprintf(&b, "%s\t%q\n", pack(rows[i]), q.text)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func loadAnswers(t *testing.T, name string, all []question) []string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	rows := make([]string, 0, len(all))
	for s := bufio.NewScanner(f); s.Scan(); {
		packed, text, _ := strings.Cut(s.Text(), "\t")
		if n := len(rows); n == len(all) || text != fmt.Sprintf("%q", all[n].text) {
			t.Fatalf("%s:%d: %s is not the question, run with -update", name, n+1, text)
		}
		rows = append(rows, unpack(packed, len(all[len(rows)].versions)))
	}
	if len(rows) != len(all) {
		t.Fatalf("%s: %d answers to %d questions, run with -update", name, len(rows), len(all))
	}
	return rows
}

// pack writes four digits as one hexadecimal digit.
func pack(row string) string {
	if row == "-" {
		return row
	}
	var b strings.Builder
	for i := 0; i < len(row); i += 4 {
		n := 0
		for _, c := range (row + "000")[i : i+4] {
			n = n<<1 | int(c-'0')
		}
		fmt.Fprintf(&b, "%x", n)
	}
	return b.String()
}

func unpack(s string, n int) string {
	if s == "-" {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		fmt.Fprintf(&b, "%04b", strings.IndexRune("0123456789abcdef", c))
	}
	return (b.String() + strings.Repeat("?", n))[:n]
}

func TestPackedAnswers(t *testing.T) {
	for _, row := range []string{"-", "", "1", "0", "10110", "1111", "00000001"} {
		if got := unpack(pack(row), len(row)); got != row {
			t.Errorf("%q becomes %q", row, got)
		}
	}
}

// outcome counts the answers of a comparison.
type outcome struct {
	answers, refused, wrong int
	known                   map[string]int // by reason
}

// compare compares a dialect with the answers of its tool.
func (x tool) compare(all []question, rows []string, report func(string, ...any)) outcome {
	o := outcome{known: map[string]int{}}
	differs := func(text, version string, got bool, format string, args ...any) {
		if reason := x.known(text, version, got); reason != "" {
			o.known[reason]++
			return
		}
		o.wrong++
		report(format, args...)
	}
	for i, q := range all {
		r, err := x.dialect.ParseRange(q.text)
		o.answers++
		if (err != nil) != (rows[i] == "-") {
			differs(q.text, "", err == nil, "%s: %q: got error %v, the tool answers %s", x.name, q.text, err, rows[i])
		}
		if err != nil || rows[i] == "-" {
			o.refused++
			continue
		}
		for j, s := range q.versions {
			o.answers++
			if got := r.Contains(semver.MustParse(s)); got != (rows[i][j] == '1') {
				differs(q.text, s, got, "%s: %q contains %s: got %v, the tool answers %v", x.name, q.text, s, got, !got)
			}
		}
	}
	return o
}

// TestMutated compares damaged constraints. Tools accept some of them by
// accident, for instance 1.2.3* in npm, and such a text may be refused here.
// But a text that the tool refuses is refused here too, and a text that both
// accept has the same members.
func TestMutated(t *testing.T) {
	for _, x := range tools() {
		t.Run(x.name, func(t *testing.T) {
			strict := x.known
			x.known = func(text, version string, got bool) string {
				if reason := strict(text, version, got); reason != "" || version != "" || got {
					return reason
				}
				return "a damaged text is refused"
			}
			n := 2000
			if *long {
				n = 100_000
			}
			x.stored = false
			x.check(t, "mutated", mutatedQuestions(n, x.random))
		})
	}
}

// check compares a dialect with its tool and logs the known deviations.
func (x tool) check(t *testing.T, suite string, all []question) outcome {
	t.Helper()
	reported := 0
	o := x.compare(all, x.answers(t, suite, all), func(format string, args ...any) {
		if reported++; reported <= 20 {
			t.Errorf(format, args...)
		}
	})
	t.Logf("%d constraints, %d refused, %d answers, %d wrong, known deviations: %v", len(all), o.refused, o.answers, o.wrong, o.known)
	return o
}

// TestComparisonBites shows that a wrong answer and a wrong refusal are
// reported.
func TestComparisonBites(t *testing.T) {
	x := tool{dialect: semver.NPM, known: func(string, string, bool) string { return "" }}
	all := []question{{"^1", []string{"1.0.0", "2.0.0"}}, {"1..2", []string{"1.0.0"}}}
	for _, row := range []struct {
		rows  []string
		wrong int
	}{{[]string{"10", "-"}, 0}, {[]string{"11", "-"}, 1}, {[]string{"-", "-"}, 1}, {[]string{"10", "1"}, 1}} {
		if o := x.compare(all, row.rows, func(string, ...any) {}); o.wrong != row.wrong {
			t.Errorf("%q: got %d wrong, want %d", row.rows, o.wrong, row.wrong)
		}
	}
}

// TestGrid compares every operator with every form of a version.
func TestGrid(t *testing.T) {
	for _, x := range tools() {
		t.Run(x.name, func(t *testing.T) { x.check(t, "grid", x.grid.questions()) })
	}
}

// TestReal compares constraints from public repositories.
func TestReal(t *testing.T) {
	for _, x := range tools() {
		t.Run(x.name, func(t *testing.T) {
			all := realQuestions(t, x)
			if len(all) < 200 {
				t.Errorf("%d constraints, want at least 200", len(all))
			}
			x.check(t, "real", all)
		})
	}
}

// TestRandom compares random constraints, more than 10,000 answers of each
// tool, and with -long more than 1,000,000.
func TestRandom(t *testing.T) {
	n, least := 700, 10_000
	if *long {
		n, least = 65_000, 1_000_000
	}
	for _, x := range tools() {
		t.Run(x.name, func(t *testing.T) {
			x.stored = x.stored && !*long
			if o := x.check(t, "random", randomQuestions(n, x.random)); o.answers < least {
				t.Errorf("%d answers, want %d", o.answers, least)
			}
		})
	}
}
