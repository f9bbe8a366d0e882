package semver

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	masterminds "github.com/Masterminds/semver/v3"
	blang "github.com/blang/semver/v4"
	hashicorp "github.com/hashicorp/go-version"
	"golang.org/x/mod/module"
	xmod "golang.org/x/mod/semver"

	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/gomod"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func parsed[T any](texts []string, parse func(string) (T, error)) []T {
	out := make([]T, len(texts))
	for i, s := range texts {
		out[i] = must(parse(s))
	}
	return out
}

func parseHashicorp(s string) (*hashicorp.Version, error) { return hashicorp.NewVersion(s) }

// generated returns n different results of f, the same ones every time.
func generated(n int, f func(generator) string) []string {
	g := generator{rand.New(rand.NewPCG(5, 6))}
	out := make([]string, n)
	for i := range out {
		out[i] = f(g)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// sameValid compares validity over generated texts, of which known says
// where the peer is known to deviate.
func sameValid(t *testing.T, peer func(string) bool, known func(string) bool) {
	t.Helper()
	n := 0
	for _, s := range generated(20_000, generator.text) {
		if known(s) {
			continue
		}
		n++
		if got, want := semver.Valid(s), peer(s); got != want {
			t.Errorf("Valid(%q) = %v, the peer says %v", s, got, want)
		}
	}
	t.Logf("%d texts", n)
}

// sameOrder compares the order of all pairs of generated versions.
func sameOrder[T any](t *testing.T, parse func(string) (T, error), compare func(a, b T) int, known func(a, b string) bool) {
	t.Helper()
	in, n := generated(300, generator.version), 0
	ours, theirs := parsed(in, semver.Parse), parsed(in, parse)
	for i := range in {
		for j := range in {
			if known(in[i], in[j]) {
				continue
			}
			n++
			if got, want := ours[i].Compare(ours[j]), compare(theirs[i], theirs[j]); got != want {
				t.Errorf("%s.Compare(%s) = %d, the peer says %d", in[i], in[j], got, want)
			}
		}
	}
	t.Logf("%d comparisons", n)
}

// sameMembers compares a dialect with a peer over generated ranges and
// versions.
func sameMembers(t *testing.T, d semver.Dialect, f func(generator) string, peer func(string) (func(version string) bool, error), known func(text, version string) bool) {
	t.Helper()
	versions, n := generated(60, generator.version), 0
	for _, text := range generated(600, f) {
		r, err := d.ParseRange(text)
		has, err2 := peer(text)
		if (err == nil) != (err2 == nil) {
			t.Errorf("%q: got error %v, the peer %v", text, err, err2)
		}
		if err != nil || err2 != nil {
			continue
		}
		for _, s := range versions {
			if known(text, s) {
				continue
			}
			n++
			if got, want := r.Contains(semver.MustParse(s)), has(s); got != want {
				t.Errorf("%q contains %s = %v, the peer says %v", text, s, got, want)
			}
		}
	}
	t.Logf("%d memberships", n)
}

// deviation is a known difference: what redoubt answers, the peer not.
type deviation struct {
	text, version string
	want          bool // of redoubt
	why           string
}

func checkDeviations(t *testing.T, d semver.Dialect, peer func(string) (func(version string) bool, error), rows ...deviation) {
	t.Helper()
	for _, row := range rows {
		r := must(d.ParseRange(row.text))
		if got := r.Contains(semver.MustParse(row.version)); got != row.want {
			t.Errorf("%q contains %s = %v, want %v: %s", row.text, row.version, got, row.want, row.why)
		}
		if has := must(peer(row.text)); has(row.version) == row.want {
			t.Errorf("%q, %s: no longer a deviation: %s", row.text, row.version, row.why)
		}
	}
}

func never(string) bool        { return false }
func nowhere(_, _ string) bool { return false }

// TestXMod compares with golang.org/x/mod. It deviates in one thing, on
// purpose: it reads v1 and v1.2 as v1.0.0 and v1.2.0.
func TestXMod(t *testing.T) {
	partial := func(s string) bool {
		core, _, _ := strings.Cut(s, "-")
		core, _, _ = strings.Cut(core, "+")
		return strings.Count(core, ".") < 2
	}
	sameValid(t, func(s string) bool { return xmod.IsValid("v" + s) }, partial)
	text := func(s string) (string, error) { return "v" + s, nil }
	sameOrder(t, text, xmod.Compare, nowhere)
	for _, s := range generated(2000, generator.text) {
		if got, want := semver.CompareStrings("v"+s, "v1.2.3-rc.2"), xmod.Compare("v"+s, "v1.2.3-rc.2"); got != want {
			t.Errorf("CompareStrings(%q) = %d, x/mod says %d", s, got, want)
		}
	}
	got := generated(500, func(g generator) string { return "v" + semver.MustParse(g.version()).WithoutBuild().String() })
	want := slices.Clone(got)
	semver.SortStrings(got)
	xmod.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("SortStrings: got %q, x/mod %q", got, want)
	}
}

// TestXModPseudo compares pseudo-versions. x/mod deviates in one thing: it
// takes texts such as v1.2.3-0.…, whose base would need a negative patch, for
// pseudo-versions, and fails only when asked for the base.
func TestXModPseudo(t *testing.T) {
	n := 0
	for _, s := range generated(20_000, func(g generator) string {
		s := "v" + g.number() + "." + g.number() + "." + g.number() + g.pick("-0.", "-", "-rc.1.0.", "-rc.0.", "-0.0.", "-rc.")
		s += g.pick("20191109021931", "20191309021931", "2019110902193", "20240229000000", "20230229000000") + "-"
		return s + g.pick("daa7c04131f5", "abc", "a.b", "0") + g.pick("", "", "+incompatible")
	}) {
		v := must(semver.AllowV.Parse(s))
		got, ok := gomod.ParsePseudo(v)
		base, err := module.PseudoVersionBase(s)
		stamp, err2 := module.PseudoVersionTime(s)
		rev, err3 := module.PseudoVersionRev(s)
		if want := err == nil && err2 == nil && err3 == nil; ok != want {
			t.Errorf("%s: got %v, x/mod says %v (%v, %v)", s, ok, want, err, err2)
		}
		if !ok {
			continue
		}
		n++
		if text := "v" + got.Base.String(); text != base && (base != "" || got.HasBase) || !got.Time.Equal(stamp) || got.Rev != rev {
			t.Errorf("%s: got %v, x/mod says %s, %v, %s", s, got, base, stamp, rev)
		}
	}
	t.Logf("%d pseudo-versions", n)
}

// TestMasterminds compares with github.com/Masterminds/semver/v3.
func TestMasterminds(t *testing.T) {
	sameValid(t, func(s string) bool { _, err := masterminds.StrictNewVersion(s); return err == nil }, never)
	sameOrder(t, masterminds.StrictNewVersion, (*masterminds.Version).Compare, nowhere)
}

// TestBlang compares with github.com/blang/semver/v4, whose ranges have no
// rule for pre-releases.
func TestBlang(t *testing.T) {
	sameValid(t, func(s string) bool { _, err := blang.Parse(s); return err == nil }, never)
	sameOrder(t, blang.Parse, blang.Version.Compare, nowhere)
	sameMembers(t, semver.NPM.With(semver.PreAll), func(g generator) string {
		var alternatives []string
		for range 1 + g.IntN(3) {
			var terms []string
			for range 1 + g.IntN(3) {
				terms = append(terms, g.pick("", "=", "<", "<=", ">", ">=", "!=")+g.version())
			}
			alternatives = append(alternatives, strings.Join(terms, " "))
		}
		return strings.Join(alternatives, " || ")
	}, blangRange, nowhere)
	checkDeviations(t, semver.NPM.With(semver.PreAll), blangRange,
		deviation{"!=1.0.x", "2.0.0", true, "blang/semver#80: the halves are joined by and"},
	)
}

func blangRange(text string) (func(string) bool, error) {
	r, err := blang.ParseRange(text)
	return func(s string) bool { return r(blang.MustParse(s)) }, err
}

// TestHashicorp compares with github.com/hashicorp/go-version, which
// Terraform uses. It takes -5 in 1.0.0--5 for a number.
func TestHashicorp(t *testing.T) {
	sameOrder(t, parseHashicorp, (*hashicorp.Version).Compare, func(a, b string) bool {
		return strings.Contains(a, "--5") != strings.Contains(b, "--5")
	})
}

// TestNPMTexts compares the validity of generated texts with npm.
func TestNPMTexts(t *testing.T) {
	var all []question
	for _, s := range generated(2000, generator.text) {
		if strings.TrimSpace(s) == s { // npm trims
			all = append(all, question{s, []string{""}})
		}
	}
	x := tool{name: "npm", ask: npm("texts"), stored: true}
	for i, row := range x.answers(t, "texts", all) {
		if got := semver.Valid(all[i].text); got != (row == "1") {
			t.Errorf("Valid(%q) = %v, npm says %s", all[i].text, got, row)
		}
	}
}

// TestNPMOrder compares the order of all pairs of generated versions with npm.
func TestNPMOrder(t *testing.T) {
	in := generated(150, generator.version)
	var all []question
	for _, s := range in {
		all = append(all, question{s, in})
	}
	x := tool{name: "npm", ask: npm("order"), stored: true}
	rows := x.answers(t, "order", all)
	for i := range in {
		for j := range in {
			want := int(rows[i][j]) - int(rows[j][i])
			if got := semver.MustParse(in[i]).Compare(semver.MustParse(in[j])); got != want {
				t.Errorf("%s.Compare(%s) = %d, npm says %d", in[i], in[j], got, want)
			}
		}
	}
}
