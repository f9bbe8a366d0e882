package semver

import (
	"bufio"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/semver"
)

// A grid is every operator before every form of a version.
type grid struct{ operators, forms []string }

var (
	numbers = []string{"0", "1", "1.0", "0.0", "0.1", "1.2", "0.0.0", "0.0.1", "0.1.0", "0.1.2", "1.0.0", "1.2.3", "2.0.0"}
	tails   = []string{"", "-0", "-a", "-a.1", "-rc.1", "+b", "-a+b"}

	npmGrid       = grid{[]string{"", "=", "<", "<=", ">", ">=", "~", "~>", "^", ">= ", "^ ", "~ ", "v", "=v", ">=v"}, append(tailed(numbers...), wild()...)}
	cargoGrid     = grid{[]string{"", "=", "<", "<=", ">", ">=", "~", "^", ">= ", "^ ", "~ ", "v", "!=", "=="}, append(tailed(numbers...), wild()...)}
	helmGrid      = grid{[]string{"", "=", "!=", "<", "<=", "=<", ">", ">=", "=>", "~", "~>", "^", ">= ", "v", ">=v"}, append(tailed(numbers...), wild()...)}
	terraformGrid = grid{[]string{"", "=", "!=", "<", "<=", ">", ">=", "~>", ">= ", "~> ", "v", ">= v", "^", "~", "=="}, append(tailed(numbers...), wild()...)}
)

// tailed returns each text with each pre-release and build metadata.
func tailed(texts ...string) (all []string) {
	for _, s := range texts {
		for _, tail := range tails {
			all = append(all, s+tail)
		}
	}
	return all
}

// wild returns versions with wildcards.
func wild() []string {
	return append(tailed("*", "1.x", "1.2.x"),
		"x", "X", "1.*", "1.X", "1.2.*", "0.x", "0.0.x", "0.1.*", "1.x.x", "1.*.*", "x.x", "*.*.*", "x.1", "x.1.2", "1.x.2")
}

func (g grid) questions() (all []question) {
	var versions []string
	for _, core := range []string{"0.0.0", "0.0.1", "0.0.2", "0.1.0", "0.1.1", "0.1.2", "0.2.0", "1.0.0", "1.0.1", "1.1.0", "1.2.0", "1.2.3", "1.2.4", "1.3.0", "2.0.0", "2.0.1", "3.0.0"} {
		for _, tail := range []string{"", "-0", "-a", "-a.0", "-a.1", "-rc.1", "-z"} {
			versions = append(versions, core+tail)
		}
	}
	for _, op := range g.operators {
		for _, form := range g.forms {
			all = append(all, question{op + form, versions})
		}
	}
	return all
}

// realQuestions returns the constraints of testdata/real.tsv for a tool. The
// versions are those near the bounds.
func realQuestions(t *testing.T, x tool) (all []question) {
	t.Helper()
	f, err := os.Open("testdata/real.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	dialect, _, _ := strings.Cut(x.dialect.String(), "+")
	for s := bufio.NewScanner(f); s.Scan(); {
		if columns := strings.Split(s.Text(), "\t"); len(columns) == 4 && columns[0] == dialect {
			all = append(all, question{columns[1], near(columns[1])})
		}
	}
	return all
}

var bound = regexp.MustCompile(`\d+(\.\d+)?(\.\d+)?(-[0-9A-Za-z.-]+)?`)

// near returns versions at, directly above, directly below and far from each
// version in a text.
func near(text string) []string {
	all := []string{"0.0.0-0", "0.0.0", "0.0.1-alpha.1", "0.0.1", "1.0.0-rc.1", "1.0.0", "999.0.0-a", "999.0.0"}
	for _, s := range bound.FindAllString(text, -1) {
		v, err := semver.Tolerant.Parse(s)
		if err != nil {
			continue
		}
		core := v.Core()
		patch := semver.New(core.Major(), core.Minor(), core.Patch()+1)
		for _, w := range []semver.Version{
			v, core, patch, core.Bump(semver.Minor), core.Bump(semver.Major),
			semver.New(core.Major(), core.Minor(), max(core.Patch(), 1)-1),
			semver.New(core.Major(), max(core.Minor(), 1)-1, 99), semver.New(max(core.Major(), 1)-1, 99, 99),
		} {
			all = append(all, w.String(), w.Core().String()+"-0", w.Core().String()+"-beta.2")
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// randomQuestions returns n random constraints, the same ones every time, each
// with 30 random versions.
func randomQuestions(n int, f func(generator) string) []question {
	g := generator{rand.New(rand.NewPCG(1, uint64(n)))}
	all := make([]question, n)
	for i := range all {
		q := question{text: f(g)}
		for range 30 {
			q.versions = append(q.versions, semver.MustParse(g.version()).WithoutBuild().String())
		}
		all[i] = q
	}
	return all
}

// mutatedQuestions returns n random constraints with one to three edits.
func mutatedQuestions(n int, f func(generator) string) []question {
	return randomQuestions(n, func(g generator) string {
		s := f(g)
		for range 1 + g.IntN(3) {
			i := g.IntN(len(s) + 1)
			if i < len(s) && g.IntN(2) == 0 {
				s = s[:i] + s[i+1:]
				continue
			}
			s = s[:i] + g.pick("0", "1", ".", "x", "*", "v", "-", "+", "=", "<", ">", "~", "^", "!", "|", ",", " ", "a", "||", "  ", " - ") + s[i:]
		}
		return s
	})
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

// partial is a version in which numbers may be missing or wildcards, with a
// pre-release at any place.
func (g generator) partial() string {
	s := ""
	switch g.IntN(9) {
	case 0:
		s = g.pick("*", "x", "X", "1", "0", "2")
	case 1:
		s = g.number() + "." + g.number()
	case 2:
		s = g.number() + g.pick(".x", ".*", ".x.x", ".X.*")
	case 3:
		s = g.number() + "." + g.number() + g.pick(".x", ".*")
	case 4:
		return "v" + g.version()
	default:
		return g.version()
	}
	if g.IntN(6) == 0 {
		s += "-" + g.prerelease()
	}
	if g.IntN(10) == 0 {
		s += "+" + g.pick("b", "b.0", "001")
	}
	return s
}

// invalid is a text that most tools refuse.
func (g generator) invalid() string {
	return g.pick("x.1.2", "1.x.2", "1|2", "1.2.3.4", "1.2-", "^", "<", ">=1.2.3<2", "=>1.2.3", "a", "1.2.3-01", "01.2.3",
		"1.2.3-a..b", "==1.2.3", "!=1.2.3", "1,", ",1", "1 - ", "- 1", "1-2-", ">>1", "1.2.3+", "^^1", "vv1")
}

func (g generator) npmRange() string {
	comparator := func() string {
		if g.IntN(60) == 0 {
			return g.pick("x.1.2", "1.x.2", "1|2", "1.2.3.4", "1.2-", "^", "<", ">=1.2.3<2", "=>1.2.3", "a", "1.2.3-01", "01.2.3", "1.2.3-a..b", "==1.2.3", "- 1", ">>1", "^^1", "vv1", "=v1.2")
		}
		return g.pick("", "", "=", "<", "<=", ">", ">=", "~", "^", "^", "~>", ">= ", "< ", "^ ", "~ ") + g.partial()
	}
	alternative := func() string {
		switch g.IntN(10) {
		case 0:
			return g.partial() + g.pick(" - ", "  -  ") + g.partial()
		case 1:
			return g.pick("", " ", "*")
		}
		return g.joined(comparator, " ", "  ")
	}
	return g.joinedBy(1+g.IntN(2)*g.IntN(3), alternative, "||", " || ", "|| ")
}

// joined joins one to three results of f.
func (g generator) joined(f func() string, by ...string) string {
	return g.joinedBy(1+g.IntN(3), f, by...)
}

func (g generator) joinedBy(n int, f func() string, by ...string) string {
	s := f()
	for range n - 1 {
		s += g.pick(by...) + f()
	}
	return s
}

func (g generator) cargoRange() string {
	n := 1 + g.IntN(3)
	if g.IntN(50) == 0 {
		return g.joinedBy(31+g.IntN(3), func() string { return ">=" + g.number() }, ",") // 32 are the limit
	}
	return g.joinedBy(n, func() string {
		if g.IntN(40) == 0 {
			return g.invalid()
		}
		return g.pick("", "", "=", "<", "<=", ">", ">=", "~", "^", "^", ">= ", "< ", "^ ", "~ ") + strings.TrimPrefix(g.partial(), "v")
	}, ",", ", ", " , ")
}

func (g generator) helmRange() string {
	alternative := func() string {
		return g.joined(func() string {
			switch g.IntN(60) {
			case 0:
				return g.invalid()
			case 1, 2, 3:
				return g.partial() + g.pick(" - ", "  -  ") + g.partial()
			}
			return g.pick("", "=", "!=", "<", "<=", "=<", ">", ">=", "=>", "~", "~>", "^") + g.pick("", " ") + g.partial()
		}, " ", ", ", ",")
	}
	return g.joinedBy(1+g.IntN(2), alternative, " || ")
}

func (g generator) terraformRange() string {
	return g.joined(func() string {
		if g.IntN(40) == 0 {
			return g.invalid()
		}
		v := g.pick(g.number(), g.number()+"."+g.number(), g.version(), g.version(), g.version())
		if g.IntN(8) == 0 {
			v += "-" + g.prerelease()
		}
		return g.pick("", "=", "!=", "<", "<=", ">", ">=", "~>") + g.pick("", " ") + g.pick("", "", "", "v") + v
	}, ",", ", ", " , ")
}
