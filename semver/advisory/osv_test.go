package advisory_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/advisory"
)

// checkEqual checks that two ranges have the same members.
func checkEqual(t *testing.T, got, want semver.Range) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("got %s, want %s", got, want)
	}
}

// checkParseError checks the class and the offset of a ParseError.
func checkParseError(t *testing.T, input string, err, class error, offset int) {
	t.Helper()
	e, ok := errors.AsType[*semver.ParseError](err)
	if !ok || !errors.Is(err, class) || e.Offset != offset {
		t.Errorf("%.60q: got %v, want %v at byte %d", input, err, class, offset)
	}
}

// checkProperty checks that a property holds in runs random cases, the same
// cases every time.
func checkProperty(t *testing.T, runs int, property gopter.Prop) {
	t.Helper()
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests = runs
	properties := gopter.NewProperties(parameters)
	properties.Property(t.Name(), property)
	properties.TestingRun(t)
}

// plain parses a range in which pre-releases count as in plain order.
func plain(text string) semver.Range {
	r, err := semver.NPM.With(semver.PreAll).ParseRange(text)
	if err != nil {
		panic(err)
	}
	return r
}

// genVersion makes versions that often meet, many of them neighbours.
var genVersion = gen.OneConstOf("0.0.0", "1.2.3", "1.2.4", "1.2.5", "1.3.0", "2.0.0", "18446744073709551616.0.0").
	FlatMap(func(core any) gopter.Gen {
		return gen.OneConstOf("", "", "-0", "-rc.1", "-rc.1.0", "-rc.2", "+b", "-rc.1+incompatible").
			Map(func(tail string) semver.Version { return semver.MustParse(core.(string) + tail) })
	}, reflect.TypeFor[semver.Version]())

// around returns the bounds of ranges and the versions next to them.
func around(rs ...semver.Range) (vs []semver.Version) {
	for _, r := range rs {
		for iv := range r.Intervals() {
			for _, v := range []semver.Version{iv.Lo, iv.Hi} {
				vs = append(vs, v, v.Core(), v.Next(), v.Core().Next())
			}
		}
	}
	return vs
}

// included is the evaluation algorithm of the OSV schema,
// https://ossf.github.io/osv-schema/#evaluation, as it stands there.
func included(v semver.Version, events []advisory.Event) bool {
	before := true
	for _, e := range events {
		before = before && e.Limit == ""
	}
	for _, e := range events {
		before = before || e.Limit == "*" || e.Limit != "" && v.Less(semver.MustParse(e.Limit))
	}
	rank := func(e advisory.Event) (semver.Version, int) {
		for i, s := range []string{e.Introduced, e.LastAffected, e.Fixed, e.Limit} {
			switch {
			case s == "0":
				return semver.MustParse("0.0.0-0"), i - 4
			case s == "*":
				return semver.Version{}, i
			case s != "":
				return semver.MustParse(s), i
			}
		}
		panic("no key")
	}
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b advisory.Event) int {
		v, i := rank(a)
		w, j := rank(b)
		if c := v.Compare(w); c != 0 {
			return c
		}
		return i - j
	})
	vulnerable := false
	for _, e := range events {
		switch at, _ := rank(e); {
		case e.Introduced != "" && !v.Less(at):
			vulnerable = true
		case e.Fixed != "" && !v.Less(at), e.LastAffected != "" && at.Less(v):
			vulnerable = false
		}
	}
	return before && vulnerable
}

func TestParseOSVEqualsTheAlgorithmOfTheSchema(t *testing.T) {
	genEvents := gopter.CombineGens(gen.Bool(), gen.SliceOfN(4, genVersion), gen.SliceOfN(4, gen.IntRange(0, 3))).Map(func(v []any) []advisory.Event {
		events := []advisory.Event{{Introduced: "0"}}
		for i, at := range v[1].([]semver.Version) {
			switch kind := v[2].([]int)[i]; {
			case kind == 0 && i == 0:
				events[0] = advisory.Event{Introduced: at.String()}
			case kind <= 1:
				events = append(events, advisory.Event{Introduced: at.String()})
			case kind == 2 && v[0].(bool):
				events = append(events, advisory.Event{Fixed: at.String()})
			case kind == 2:
				events = append(events, advisory.Event{LastAffected: at.String()})
			default:
				events = append(events, advisory.Event{Limit: at.String()})
			}
		}
		return events
	})
	checkProperty(t, 400, prop.ForAll(func(events []advisory.Event, v semver.Version) bool {
		r, err := advisory.ParseOSV(events...)
		if err != nil {
			return false
		}
		for _, v := range append(around(r), v) {
			if r.Contains(v) != included(v, events) {
				return false
			}
		}
		return true
	}, genEvents, genVersion))
}

// genSet makes sets in plain order of which many bounds are neighbours.
var genSet = gopter.CombineGens(gen.SliceOfN(4, genVersion), gen.SliceOfN(2, genVersion)).Map(func(v []any) semver.Range {
	single, bounds := v[0].([]semver.Version), v[1].([]semver.Version)
	return semver.Exactly(single...).Union(semver.Between(bounds[0], bounds[1]))
})

func TestParseVERSInvertsFormatVERS(t *testing.T) {
	checkProperty(t, 400, prop.ForAll(func(r semver.Range) bool {
		text, err := advisory.FormatVERS("npm", r)
		if err != nil {
			return false
		}
		scheme, back, err := advisory.ParseVERS(text)
		return err == nil && back.Equal(r) && (scheme == "npm" || r.IsEmpty())
	}, genSet))
}
