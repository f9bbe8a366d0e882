package semver_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"github.com/redoubt-go/redoubt/semver"
)

var (
	genNumber = gen.Weighted([]gen.WeightedGen{
		{Weight: 12, Gen: gen.OneConstOf("0", "1", "2", "3")},
		{Weight: 1, Gen: gen.OneConstOf("10", "9007199254740992", "9223372036854775807", "18446744073709551614",
			"18446744073709551615", "18446744073709551616", "999999999999999999999999999998", "999999999999999999999999999999")},
	})
	genIdentifier = gen.OneConstOf("0", "1", "2", "10", "9", "100000000000000000000", "99999999999999999999",
		"-", "-5", "a", "a-", "b", "0a", "0x1", "1e3", "Z", "alpha", "rc", "rc2", "rc10", "beta")
	genBuildID = gen.OneConstOf("0", "00", "1", "01", "001", "2", "a", "-", "b1", "00000000000000000000000")

	genPrerelease = genList(genIdentifier, "-")
	genBuild      = genList(genBuildID, "+")

	// genVersion makes versions that often meet, with and without tails, and
	// with numbers around the limits of machine words.
	genVersion = gen.Struct(reflect.TypeFor[parts](), map[string]gopter.Gen{
		"Major": genNumber, "Minor": genNumber, "Patch": genNumber,
		"Pre": orEmpty(genPrerelease), "Build": orEmpty(genBuild),
	}).Map(func(p parts) semver.Version {
		return semver.MustParse(p.Major + "." + p.Minor + "." + p.Patch + p.Pre + p.Build)
	})

	genPartial = gen.Frequency(map[int]gopter.Gen{
		6: genVersion.Map(semver.Version.String),
		2: gopter.CombineGens(genNumber, genNumber).Map(func(v []any) string { return v[0].(string) + "." + v[1].(string) }),
		1: genNumber,
	})

	genOperator = gen.OneConstOf("", "=", "<", "<=", ">", ">=", "~", "^", "!=")

	genComparator = gopter.CombineGens(genOperator, genPartial).
			Map(func(v []any) string { return v[0].(string) + v[1].(string) })

	genDialect = gen.OneConstOf(semver.NPM, semver.NPM.With(semver.PreAll), semver.NPM.With(semver.PreGroup),
		semver.NPM.With(semver.PreExact), semver.NPM.With(semver.PreNone))

	// genRange makes ranges under every rule for pre-releases.
	genRange = gopter.CombineGens(genDialect, gen.SliceOfN(3, genComparator), gen.OneConstOf(" ", " || ", " || ")).
			Map(func(v []any) semver.Range {
			r, err := v[0].(semver.Dialect).ParseRange(strings.Join(v[1].([]string), v[2].(string)))
			if err != nil {
				panic(err)
			}
			return r
		})
)

type parts struct{ Major, Minor, Patch, Pre, Build string }

func genList(id gopter.Gen, mark string) gopter.Gen {
	return gopter.CombineGens(id, id, id, gen.IntRange(1, 3)).Map(func(v []any) string {
		ids := []string{v[0].(string), v[1].(string), v[2].(string)}
		return mark + strings.Join(ids[:v[3].(int)], ".")
	})
}

func orEmpty(g gopter.Gen) gopter.Gen {
	return gen.Weighted([]gen.WeightedGen{{Weight: 1, Gen: gen.Const("")}, {Weight: 1, Gen: g}})
}

// reference compares by section 11 with split texts and math/big.
func reference(v, w semver.Version) int {
	number := func(s string) *big.Int {
		n, ok := new(big.Int).SetString(s, 10)
		if !ok || strings.ContainsAny(s, "+-") {
			return nil
		}
		return n
	}
	a, b := strings.SplitN(core(v), ".", 3), strings.SplitN(core(w), ".", 3)
	for i := range a {
		if c := number(a[i]).Cmp(number(b[i])); c != 0 {
			return c
		}
	}
	x, y := slices.Collect(v.Identifiers()), slices.Collect(w.Identifiers())
	if len(x) == 0 || len(y) == 0 {
		return min(max(len(y)-len(x), -1), 1)
	}
	return slices.CompareFunc(x, y, func(s, t string) int {
		m, n := number(s), number(t)
		switch {
		case m != nil && n != nil:
			return m.Cmp(n)
		case m != nil:
			return -1
		case n != nil:
			return +1
		}
		return strings.Compare(s, t)
	})
}

func core(v semver.Version) string { return v.Core().String() }

func key(v semver.Version) []byte {
	b, err := v.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return b
}

func TestVersionLaws(t *testing.T) {
	law(t, "Parse and String are inverse", prop.ForAll(func(v semver.Version) bool {
		w, err := semver.Parse(v.String())
		text, _ := v.AppendText([]byte("x"))
		return err == nil && w == v && string(text) == "x"+v.String()
	}, genVersion))
	law(t, "Tolerant.Parse agrees with Parse", prop.ForAll(func(v semver.Version) bool {
		w, err := semver.Tolerant.Parse(" v" + v.String() + "\n")
		return err == nil && w == v
	}, genVersion))
	law(t, "Compare equals the reference of split texts and math/big", prop.ForAll(func(v, w semver.Version) bool {
		return v.Compare(w) == reference(v, w) && w.Compare(v) == -v.Compare(w) && v.Less(w) == (reference(v, w) < 0)
	}, genVersion, genVersion))
	law(t, "CompareStrings equals Compare", prop.ForAll(func(v, w semver.Version) bool {
		return semver.CompareStrings("v"+v.String(), w.String()) == v.Compare(w)
	}, genVersion, genVersion))
	law(t, "CompareTotal is an order that refines Compare, 0 only for ==", prop.ForAll(func(u, v, w semver.Version) bool {
		vs := []semver.Version{u, v, w}
		slices.SortFunc(vs, semver.Version.CompareTotal)
		return vs[0].CompareTotal(vs[1]) <= 0 && vs[1].CompareTotal(vs[2]) <= 0 && vs[0].CompareTotal(vs[2]) <= 0 &&
			vs[0].Compare(vs[2]) <= 0 && (u.CompareTotal(v) == 0) == (u == v) && u.CompareTotal(v) == -v.CompareTotal(u)
	}, genVersion, genVersion, genVersion))
	law(t, "bytes.Compare of keys equals CompareTotal", prop.ForAll(func(v, w semver.Version) bool {
		return bytes.Compare(key(v), key(w)) == v.CompareTotal(w)
	}, genVersion, genVersion))
	law(t, "no key is a prefix, and decoding inverts encoding", prop.ForAll(func(v, w semver.Version) bool {
		var u semver.Version
		return u.UnmarshalBinary(key(v)) == nil && u == v && (v == w || !bytes.HasPrefix(key(v), key(w)))
	}, genVersion, genVersion))
	law(t, "JSON decoding inverts encoding", prop.ForAll(func(v semver.Version) bool {
		b, err := json.Marshal(v)
		var w semver.Version
		return err == nil && json.Unmarshal(b, &w) == nil && v == w && string(b) == strconv.Quote(v.String())
	}, genVersion))
	law(t, "With and Without put together what accessors take apart", prop.ForAll(func(v, w semver.Version) bool {
		a, err1 := v.WithPrerelease(w.Prerelease())
		b, err2 := a.WithBuild(w.Build())
		tail := strings.TrimPrefix(w.String(), core(w))
		return err1 == nil && err2 == nil && b.String() == core(v)+tail && v.WithoutBuild().Compare(v) == 0
	}, genVersion, genVersion))
	law(t, "Diff is the first part that differs", prop.ForAll(func(v, w semver.Version) bool {
		a, b := strings.Split(core(v), "."), strings.Split(core(w), ".")
		want := semver.Same
		switch {
		case a[0] != b[0]:
			want = semver.Major
		case a[1] != b[1]:
			want = semver.Minor
		case a[2] != b[2]:
			want = semver.Patch
		case v.Prerelease() != w.Prerelease():
			want = semver.Pre
		case v != w:
			want = semver.Build
		}
		return v.Diff(w) == want
	}, genVersion, genVersion))
}

func TestBumpLaws(t *testing.T) {
	law(t, "Bump is the least release of its kind above, by comparison with any other", prop.ForAll(func(v, w semver.Version) bool {
		for part, suffix := range map[semver.Part]string{semver.Patch: "", semver.Minor: ".0", semver.Major: ".0.0"} {
			next := v.Bump(part)
			kind := func(u semver.Version) bool { return !u.IsPrerelease() && strings.HasSuffix(u.String(), suffix) }
			if !kind(next) || !v.Less(next) || kind(w.WithoutBuild()) && v.Less(w) && w.Less(next) {
				return false
			}
		}
		return true
	}, genVersion, genVersion))
	law(t, "BumpPre and StartPre go up or fail", prop.ForAll(func(v, w semver.Version) bool {
		a, err1 := v.BumpPre(w.Prerelease())
		b, err2 := v.StartPre(semver.Minor, w.Prerelease())
		same, err3 := v.BumpPre("")
		return (err1 != nil || v.Less(a)) && err2 == nil && v.Less(b) && err3 == nil && v.Less(same)
	}, genVersion, genVersion))
}

// around returns the bounds of ranges and the versions next to them, where a
// mistake would show.
func around(rs ...semver.Range) (vs []semver.Version) {
	for _, r := range rs {
		for iv := range r.Intervals() {
			for _, v := range []semver.Version{iv.Lo, iv.Hi} {
				before, _ := v.Core().WithPrerelease("0")
				after, _ := v.Core().WithPrerelease(strings.TrimPrefix(v.Prerelease()+".0", "."))
				vs = append(vs, v, before, v.Core(), after, v.Bump(semver.Patch))
			}
		}
	}
	return vs
}

// holds reports whether op holds of membership in r, s and the result, at
// the bounds and at v.
func holds(v semver.Version, r, s, result semver.Range, op func(a, b bool) bool) bool {
	for _, v := range append(around(r, s, result), v) {
		if result.Contains(v) != op(r.Contains(v), s.Contains(v)) {
			return false
		}
	}
	return true
}

func TestAlgebraLaws(t *testing.T) {
	law(t, "membership of results, by the operators of bool", prop.ForAll(func(r, s semver.Range, v semver.Version) bool {
		return holds(v, r, s, r.Union(s), func(a, b bool) bool { return a || b }) &&
			holds(v, r, s, r.Intersect(s), func(a, b bool) bool { return a && b }) &&
			holds(v, r, s, r.Difference(s), func(a, b bool) bool { return a && !b }) &&
			holds(v, r, s, r.Complement(), func(a, _ bool) bool { return !a })
	}, genRange, genRange, genVersion))
	law(t, "De Morgan and the double complement, by Equal", prop.ForAll(func(r, s semver.Range) bool {
		return r.Union(s).Complement().Equal(r.Complement().Intersect(s.Complement())) &&
			r.Intersect(s).Complement().Equal(r.Complement().Union(s.Complement())) &&
			r.Complement().Complement().Equal(r)
	}, genRange, genRange))
	law(t, "commutation, distribution and absorption, by Equal", prop.ForAll(func(r, s, u semver.Range) bool {
		return r.Union(s).Equal(s.Union(r)) && r.Intersect(s).Equal(s.Intersect(r)) &&
			r.Intersect(s.Union(u)).Equal(r.Intersect(s).Union(r.Intersect(u))) &&
			r.Union(r.Intersect(s)).Equal(r) && r.Difference(s).Equal(r.Intersect(s.Complement()))
	}, genRange, genRange, genRange))
	law(t, "SubsetOf, Overlaps and IsEmpty agree with members", prop.ForAll(func(r, s semver.Range) bool {
		subset, overlaps, empty := true, false, true
		for _, v := range around(r, s, r.Difference(s), r.Intersect(s)) {
			subset = subset && (!r.Contains(v) || s.Contains(v))
			overlaps = overlaps || r.Contains(v) && s.Contains(v)
			empty = empty && !r.Contains(v)
		}
		return r.SubsetOf(s) == subset && r.Overlaps(s) == overlaps && r.IsEmpty() == empty
	}, genRange, genRange))
	law(t, "the union of the intervals is the range", prop.ForAll(func(r semver.Range) bool {
		var sum semver.Range
		for iv := range r.Intervals() {
			part := semver.AtLeast(iv.Lo)
			if !iv.Unbounded {
				part = semver.Between(iv.Lo, iv.Hi)
			}
			if !iv.Releases {
				part = part.Difference(semver.Releases())
			}
			if !iv.Prereleases {
				part = part.Intersect(semver.Releases())
			}
			least, _ := part.Least()
			if part.IsEmpty() || sum.Overlaps(part) || least != iv.Lo {
				return false
			}
			sum = sum.Union(part)
		}
		return sum.Equal(r)
	}, genRange))
}

func TestSearchLaws(t *testing.T) {
	law(t, "Ceil is the least member at or above, by the bounds", prop.ForAll(func(r semver.Range, v semver.Version) bool {
		got, ok := r.Ceil(v)
		if ok && (!r.Contains(got) || got.Less(v)) {
			return false
		}
		for _, w := range append(around(r), v) {
			if r.Contains(w) && !w.Less(v) && (!ok || w.Less(got)) {
				return false
			}
		}
		return true
	}, genRange, genVersion))
	law(t, "Least is a member with nothing below", prop.ForAll(func(r semver.Range, v semver.Version) bool {
		least, ok := r.Least()
		return ok == !r.IsEmpty() && (!ok || r.Contains(least) && !r.Overlaps(semver.Below(least))) &&
			(!r.Contains(v) || !v.Less(least))
	}, genRange, genVersion))
	law(t, "Max, Min and Filter equal a sorted copy", prop.ForAll(func(r semver.Range, vs []semver.Version) bool {
		var members []semver.Version
		for _, v := range vs {
			if r.Contains(v) {
				members = append(members, v)
			}
		}
		if !slices.Equal(members, slices.Collect(r.Filter(slices.Values(vs)))) {
			return false
		}
		highest, ok := r.Max(slices.Values(vs))
		lowest, _ := r.Min(slices.Values(vs))
		slices.SortFunc(members, semver.Version.CompareTotal)
		return ok == (len(members) > 0) && (!ok || highest == members[len(members)-1] && lowest == members[0])
	}, genRange, gen.SliceOfN(6, genVersion)))
	law(t, "Check is nil exactly for members", prop.ForAll(func(r semver.Range, v semver.Version) bool {
		return (r.Check(v) == nil) == r.Contains(v) && (semver.In(r)(v) == nil) == r.Contains(v) &&
			(semver.NotIn(r)(v) == nil) == (!r.Contains(v) && !r.IsEmpty())
	}, genRange, genVersion))
}

func TestTextLaws(t *testing.T) {
	law(t, "decoding inverts encoding, and equal ranges have equal canonical texts", prop.ForAll(func(r, s semver.Range) bool {
		var back semver.Range
		b, err := r.MarshalText()
		return err == nil && back.UnmarshalText(b) == nil && back.Equal(r) && back.Canonical() == string(b) &&
			r.Equal(s) == (r.Canonical() == s.Canonical())
	}, genRange, genRange))
}

// TestOraclesBite checks that the oracles notice what they are made for: an
// order by text, and an intersection in place of a union.
func TestOraclesBite(t *testing.T) {
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests = 400
	for name, broken := range map[string]gopter.Prop{
		"order": prop.ForAll(func(v, w semver.Version) bool {
			return strings.Compare(v.String(), w.String()) == reference(v, w)
		}, genVersion, genVersion),
		"algebra": prop.ForAll(func(r, s semver.Range, v semver.Version) bool {
			return holds(v, r, s, r.Intersect(s), func(a, b bool) bool { return a || b })
		}, genRange, genRange, genVersion),
	} {
		if result := broken.Check(parameters); result.Passed() {
			t.Errorf("%s: the oracle passes a broken implementation", name)
		}
	}
}
