package semver

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sort"
	"strings"
	"testing"

	depsdev "deps.dev/util/semver"
	masterminds "github.com/Masterminds/semver/v3"
	apparentlymart "github.com/apparentlymart/go-versions/versions"
	blang "github.com/blang/semver/v4"
	coreos "github.com/coreos/go-semver/semver"
	hashicorp "github.com/hashicorp/go-version"
	xmod "golang.org/x/mod/semver"

	"github.com/redoubt-go/redoubt/semver"
)

// impl is one implementation of a benchmark's work, which returns a figure
// that all implementations must agree on.
type impl struct {
	name string
	work func() int
}

// compete runs each implementation after checking its figure.
func compete(b *testing.B, want int, impls ...impl) {
	for _, im := range impls {
		b.Run("impl="+im.name, func(b *testing.B) {
			if got := im.work(); got != want {
				b.Fatalf("got %d, want %d: not the same work", got, want)
			}
			b.ReportAllocs()
			for b.Loop() {
				im.work()
			}
		})
	}
}

func ok(err error) int {
	if err != nil {
		return 0
	}
	return 1
}

func yes(b bool) int {
	if b {
		return 1
	}
	return 0
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// parsers parses text with every implementation. x/mod only validates, and
// needs a "v", which is in its text beforehand.
func parsers(text string) []impl {
	withV := "v" + text
	return []impl{
		{"redoubt", func() int { _, err := semver.Parse(text); return ok(err) }},
		{"xmod", func() int { return yes(xmod.IsValid(withV)) }},
		{"blang", func() int { _, err := blang.Parse(text); return ok(err) }},
		{"masterminds-strict", func() int { _, err := masterminds.StrictNewVersion(text); return ok(err) }},
		{"masterminds", func() int { _, err := masterminds.NewVersion(text); return ok(err) }},
		{"hashicorp", func() int { _, err := hashicorp.NewVersion(text); return ok(err) }},
		{"depsdev", func() int { _, err := depsdev.NPM.Parse(text); return ok(err) }},
		{"apparentlymart", func() int { _, err := apparentlymart.ParseVersion(text); return ok(err) }},
		{"coreos", func() int { _, err := coreos.NewVersion(text); return ok(err) }},
	}
}

// BenchmarkParseSimple parses 1.2.3.
func BenchmarkParseSimple(b *testing.B) { compete(b, 1, parsers("1.2.3")...) }

// BenchmarkParsePre parses a common pre-release.
func BenchmarkParsePre(b *testing.B) { compete(b, 1, parsers("10.20.30-rc.1")...) }

// BenchmarkParseFull parses a version with all its parts.
func BenchmarkParseFull(b *testing.B) { compete(b, 1, parsers("1.2.3-beta.1+b.2")...) }

// BenchmarkParsePseudo parses a Go pseudo-version.
func BenchmarkParsePseudo(b *testing.B) {
	compete(b, 1, parsers("1.2.4-0.20191109021931-daa7c04131f5")...)
}

// BenchmarkParseInvalid parses a version with an empty identifier at its end,
// which hashicorp and coreos accept and so do not take part in. redoubt-valid
// asks for no reason.
func BenchmarkParseInvalid(b *testing.B) {
	const text = "1.2.3-beta..1"
	impls := []impl{{"redoubt-valid", func() int { return yes(semver.Valid(text)) }}}
	for _, im := range parsers(text) {
		if im.work() == 0 {
			impls = append(impls, im)
		}
	}
	compete(b, 0, impls...)
}

// comparers compares texts, parsed beforehand but by x/mod, which has no
// parsed form. coreos is left out where it compares wrongly.
func comparers(s, t string) []impl {
	r1, r2 := semver.MustParse(s), semver.MustParse(t)
	b1, b2 := blang.MustParse(s), blang.MustParse(t)
	m1, m2 := masterminds.MustParse(s), masterminds.MustParse(t)
	h1, h2 := must(hashicorp.NewVersion(s)), must(hashicorp.NewVersion(t))
	d1, d2 := must(depsdev.NPM.Parse(s)), must(depsdev.NPM.Parse(t))
	c1, c2 := coreos.New(s), coreos.New(t)
	a1, a2 := apparentlymart.MustParseVersion(s), apparentlymart.MustParseVersion(t)
	x1, x2 := "v"+s, "v"+t
	return []impl{
		{"redoubt", func() int { return r1.Compare(r2) }},
		{"redoubt-strings", func() int { return semver.CompareStrings(x1, x2) }},
		{"xmod", func() int { return xmod.Compare(x1, x2) }},
		{"blang", func() int { return b1.Compare(b2) }},
		{"masterminds", func() int { return m1.Compare(m2) }},
		{"hashicorp", func() int { return h1.Compare(h2) }},
		{"depsdev", func() int { return d1.Compare(d2) }},
		{"coreos", func() int { return c1.Compare(*c2) }},
		{"apparentlymart-less", func() int { return -yes(a1.LessThan(a2)) }},
	}
}

// BenchmarkCompareCore compares releases that differ in the patch.
func BenchmarkCompareCore(b *testing.B) { compete(b, -1, comparers("1.2.3", "1.2.4")...) }

// BenchmarkComparePre compares pre-releases that differ in a number.
func BenchmarkComparePre(b *testing.B) {
	compete(b, -1, comparers("1.2.3-beta.2", "1.2.3-beta.11")...)
}

// BenchmarkComparePreLast compares pre-releases that differ in the last of
// many bytes.
func BenchmarkComparePreLast(b *testing.B) {
	compete(b, -1, comparers("1.2.3-0.20191109021931-daa7c04131f5", "1.2.3-0.20191109021931-daa7c04131f6")...)
}

// texts returns n different versions, a third of them pre-releases.
func texts(n int) []string {
	g := rand.New(rand.NewPCG(3, 4))
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%d.%d.%d", g.IntN(20), g.IntN(50), g.IntN(100))
		if i%3 == 0 {
			out[i] += fmt.Sprintf("-%s.%d", []string{"alpha", "beta", "rc"}[g.IntN(3)], g.IntN(30))
		}
	}
	return out
}

func parsed[T any](texts []string, parse func(string) (T, error)) []T {
	out := make([]T, len(texts))
	for i, s := range texts {
		out[i] = must(parse(s))
	}
	return out
}

func parseHashicorp(s string) (*hashicorp.Version, error) { return hashicorp.NewVersion(s) }

// sorter sorts a fresh copy of vs and returns a figure of the result.
func sorter[T any](name string, vs []T, sort func([]T), text func(T) string) impl {
	scratch := make([]T, len(vs))
	return impl{name, func() int {
		copy(scratch, vs)
		sort(scratch)
		return len(text(scratch[0])) + len(text(scratch[len(vs)/2]))
	}}
}

// BenchmarkSort sorts 100,000 parsed versions, each with the method its
// package gives or else its Compare.
func BenchmarkSort(b *testing.B) {
	in := texts(100_000)
	redoubt := sorter("redoubt", parsed(in, semver.Parse),
		func(vs []semver.Version) { slices.SortFunc(vs, semver.Version.Compare) }, semver.Version.String)
	compete(b, redoubt.work(), redoubt,
		sorter("blang", parsed(in, blang.Parse), func(vs []blang.Version) { blang.Sort(vs) }, blang.Version.String),
		sorter("blang-sortfunc", parsed(in, blang.Parse),
			func(vs []blang.Version) { slices.SortFunc(vs, blang.Version.Compare) }, blang.Version.String),
		sorter("masterminds", parsed(in, masterminds.StrictNewVersion),
			func(vs []*masterminds.Version) { sort.Sort(masterminds.Collection(vs)) }, (*masterminds.Version).String),
		sorter("hashicorp", parsed(in, parseHashicorp),
			func(vs []*hashicorp.Version) { sort.Sort(hashicorp.Collection(vs)) }, (*hashicorp.Version).String),
		sorter("coreos", parsed(in, coreos.NewVersion),
			func(vs []*coreos.Version) { coreos.Sort(vs) }, func(v *coreos.Version) string { return v.String() }),
		sorter("apparentlymart", parsed(in, apparentlymart.ParseVersion),
			func(vs []apparentlymart.Version) { apparentlymart.List(vs).Sort() }, apparentlymart.Version.String),
	)
}

// BenchmarkSortStrings sorts 20,000 texts.
func BenchmarkSortStrings(b *testing.B) {
	in := texts(20_000)
	for i := range in {
		in[i] = "v" + in[i]
	}
	text := func(s string) string { return s }
	redoubt := sorter("redoubt", in, semver.SortStrings, text)
	compete(b, redoubt.work(), redoubt, sorter("xmod", in, xmod.Sort, text))
}

// parseRanges parses a range that means the same to all.
func parseRanges(text string) []impl {
	return []impl{
		{"redoubt", func() int { _, err := semver.ParseRange(text); return ok(err) }},
		{"masterminds", func() int { _, err := masterminds.NewConstraint(text); return ok(err) }},
		{"blang", func() int { _, err := blang.ParseRange(text); return ok(err) }},
		{"depsdev", func() int { _, err := depsdev.NPM.ParseConstraint(text); return ok(err) }},
		{"apparentlymart", func() int { _, err := apparentlymart.MeetingConstraintsString(text); return ok(err) }},
	}
}

// BenchmarkParseRangeAnd parses a lower and an upper bound. hashicorp wants a
// comma between them.
func BenchmarkParseRangeAnd(b *testing.B) {
	compete(b, 1, append(parseRanges(">=1.2.3 <2.0.0"),
		impl{"hashicorp", func() int { _, err := hashicorp.NewConstraint(">=1.2.3, <2.0.0"); return ok(err) }})...)
}

// BenchmarkParseRangeCaret parses ^1.2.3, which blang does not know.
func BenchmarkParseRangeCaret(b *testing.B) {
	compete(b, 1, except("blang", parseRanges("^1.2.3"))...)
}

// or32 is 32 bounded intervals.
var or32 = func() string {
	var out []string
	for i := range 32 {
		out = append(out, fmt.Sprintf(">=%d.2.3 <%d.9.0", i, i))
	}
	return strings.Join(out, " || ")
}()

// BenchmarkParseRangeOr32 parses 32 alternatives, which to Masterminds are
// too many bytes.
func BenchmarkParseRangeOr32(b *testing.B) {
	compete(b, 1, except("masterminds", parseRanges(or32))...)
}

func except(name string, impls []impl) []impl {
	return slices.DeleteFunc(impls, func(im impl) bool { return im.name == name })
}

// matchers asks whether a range has a version, both parsed beforehand.
func matchers(text, version string) []impl {
	r, v := semver.MustParseRange(text), semver.MustParse(version)
	mr, mv := new(masterminds.Constraints), masterminds.MustParse(version)
	if len(text) <= 512 {
		mr = must(masterminds.NewConstraint(text))
	}
	br, bv := blang.MustParseRange(text), blang.MustParse(version)
	dr, dv := must(depsdev.NPM.ParseConstraint(text)), must(depsdev.NPM.Parse(version))
	ar, av := must(apparentlymart.MeetingConstraintsString(text)), apparentlymart.MustParseVersion(version)
	return []impl{
		{"redoubt", func() int { return yes(r.Contains(v)) }},
		{"masterminds", func() int { return yes(mr.Check(mv)) }},
		{"blang", func() int { return yes(br(bv)) }},
		{"depsdev", func() int { return yes(dr.MatchVersion(dv)) }},
		{"apparentlymart", func() int { return yes(ar.Has(av)) }},
	}
}

// BenchmarkContainsHit asks for a member of one interval.
func BenchmarkContainsHit(b *testing.B) { compete(b, 1, matchers(">=1.2.3 <2.0.0", "1.9.0")...) }

// BenchmarkContainsMiss asks for a version above one interval.
func BenchmarkContainsMiss(b *testing.B) { compete(b, 0, matchers(">=1.2.3 <2.0.0", "2.1.0")...) }

// BenchmarkContainsMissOr32 asks for a version in a gap between the last of 32
// intervals, which Masterminds does not parse.
func BenchmarkContainsMissOr32(b *testing.B) {
	compete(b, 0, except("masterminds", matchers(or32, "30.9.5"))...)
}

// BenchmarkMax looks for the highest of 2,000 versions in a range; the others
// by a loop over their own check and comparison, as their users write it.
func BenchmarkMax(b *testing.B) {
	const text = ">=1.2.3 <15.0.0"
	in := texts(2000)
	r, vs := semver.MustParseRange(text), parsed(in, semver.Parse)
	mr, ms := must(masterminds.NewConstraint(text)), parsed(in, masterminds.StrictNewVersion)
	br, bs := blang.MustParseRange(text), parsed(in, blang.Parse)
	dr, ds := must(depsdev.NPM.ParseConstraint(text)), parsed(in, depsdev.NPM.Parse)
	best, _ := r.Max(slices.Values(vs))
	compete(b, int(best.Minor()),
		impl{"redoubt", func() int {
			best, _ := r.Max(slices.Values(vs))
			return int(best.Minor())
		}},
		impl{"masterminds", func() int {
			var best *masterminds.Version
			for _, v := range ms {
				if mr.Check(v) && (best == nil || best.LessThan(v)) {
					best = v
				}
			}
			return int(best.Minor())
		}},
		impl{"blang", func() int {
			var best blang.Version
			for _, v := range bs {
				if v.Pre == nil && br(v) && best.LT(v) { // it has no rule for pre-releases
					best = v
				}
			}
			return int(best.Minor)
		}},
		impl{"depsdev", func() int {
			var best *depsdev.Version
			for _, v := range ds {
				if dr.MatchVersion(v) && (best == nil || best.Compare(v) < 0) {
					best = v
				}
			}
			return int(must(semver.Parse(best.Canon(false))).Minor())
		}},
	)
}

// BenchmarkIntersect intersects two ranges of three intervals.
func BenchmarkIntersect(b *testing.B) {
	const s, t = "1.x || 3.x || 5.x", ">=1.5.0 <3.2.0 || 5.1.x || 7.x"
	r1, r2 := semver.MustParseRange(s), semver.MustParseRange(t)
	a1, a2 := must(apparentlymart.MeetingConstraintsString(s)), must(apparentlymart.MeetingConstraintsString(t))
	d1, d2 := must(depsdev.NPM.ParseConstraint(s)).Set(), must(depsdev.NPM.ParseConstraint(t)).Set()
	compete(b, 1,
		impl{"redoubt", func() int { return yes(!r1.Intersect(r2).IsEmpty()) }},
		impl{"depsdev", func() int {
			set := d1
			err := set.Intersect(d2)
			return ok(err) * yes(!set.Empty())
		}},
		impl{"apparentlymart-has", func() int { // lazy: the work is done when asked
			return yes(a1.Intersection(a2).Has(apparentlymart.MustParseVersion("1.6.0")))
		}},
	)
}

// decoder decodes a JSON array of versions.
func decoder[T any](doc []byte, name string) impl {
	return impl{name, func() int {
		var vs []T
		if err := json.Unmarshal(doc, &vs); err != nil {
			return 0
		}
		return len(vs)
	}}
}

// BenchmarkJSON decodes 1,000 versions.
func BenchmarkJSON(b *testing.B) {
	doc := must(json.Marshal(texts(1000)))
	compete(b, 1000,
		decoder[semver.Version](doc, "redoubt"),
		decoder[coreos.Version](doc, "coreos"),
		decoder[blang.Version](doc, "blang"),
		decoder[masterminds.Version](doc, "masterminds"),
		decoder[hashicorp.Version](doc, "hashicorp"),
		decoder[string](doc, "string-only"),
	)
}

// retained reports the bytes that a parsed version keeps, over 100,000, the
// texts apart.
func retained[T any](b *testing.B, name string, in []string, parse func(string) (T, error)) {
	b.Run("impl="+name, func(b *testing.B) {
		for b.Loop() {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			vs := parsed(in, parse)
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(vs)), "B/version")
			runtime.KeepAlive(vs)
		}
		runtime.KeepAlive(in)
	})
}

// BenchmarkMemory is about space, not time.
func BenchmarkMemory(b *testing.B) {
	in := texts(100_000)
	retained(b, "redoubt", in, semver.Parse)
	retained(b, "apparentlymart", in, apparentlymart.ParseVersion)
	retained(b, "coreos", in, coreos.NewVersion)
	retained(b, "masterminds", in, masterminds.StrictNewVersion)
	retained(b, "blang", in, blang.Parse)
	retained(b, "hashicorp", in, parseHashicorp)
	retained(b, "depsdev", in, depsdev.NPM.Parse)
}
