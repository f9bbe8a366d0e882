package semver_test

import (
	"errors"
	"iter"
	"slices"
	"strconv"
	"testing"

	"github.com/redoubt-go/redoubt/semver"
)

func TestSuccessorsMakeSetsCanonical(t *testing.T) {
	checkEqual(t, semver.MustParseRange(">1.2.3"), semver.MustParseRange(">=1.2.4"))
	if plain(">1.2.3").Equal(plain(">=1.2.4")) {
		t.Error("in plain order, >1.2.3 has 1.2.4-0 but >=1.2.4 has not")
	}
	if got, _ := semver.MustParseRange(">1.2.3-rc").Least(); got.String() != "1.2.3-rc.0" {
		t.Errorf("least above 1.2.3-rc = %s, want 1.2.3-rc.0", got)
	}
	if got, _ := semver.All().Least(); got.String() != "0.0.0-0" {
		t.Errorf("least version = %s, want 0.0.0-0", got)
	}
	checkEqual(t, semver.MustParseRange("1.x||2.x"), semver.MustParseRange(">=1 <3"))
	checkEqual(t, semver.Between(semver.MustParse("1.2.3"), semver.MustParse("1.2.4-0")), semver.Exactly(semver.New(1, 2, 3)))
}

func TestCheckReasons(t *testing.T) {
	r := semver.MustParseRange("^1.2.3 || ^3")
	for text, want := range map[string]error{
		"1.2.3": nil, "1.2.2": semver.ErrBelow, "1.2.3-rc": semver.ErrBelow, "1.5.0-rc": semver.ErrPrerelease,
		"2.1.0": semver.ErrExcluded, "2.1.0-rc": semver.ErrExcluded, "4.0.0": semver.ErrAbove, "3.9.0-rc": semver.ErrPrerelease,
		"5.0.0-rc": semver.ErrAbove,
	} {
		err := r.Check(semver.MustParse(text))
		if !errors.Is(err, want) {
			t.Errorf("Check(%s) = %v, want %v", text, err, want)
		}
		if e, ok := errors.AsType[*semver.Violation](err); ok && (e.Version.String() != text || e.Rule != `in "^1.2.3 || ^3"`) {
			t.Errorf("Check(%s) = %#v", text, e)
		}
	}
}

func TestReasonBetweenReleasesThatAreNoMembers(t *testing.T) {
	for _, text := range []string{"<2.0.0 || >=3.0.0", "<2.0.0 || >2.0.0"} {
		checkIs(t, semver.MustParseRange(text).Check(semver.MustParse("2.0.0-rc.1")), semver.ErrExcluded)
	}
}

// TestContainsFindsEveryInterval searches among 1 to 40 intervals, beside a
// loop over all of them.
func TestContainsFindsEveryInterval(t *testing.T) {
	var r semver.Range
	var intervals []semver.Range
	for n := range uint64(40) {
		next := semver.Between(semver.New(n, 1, 2), semver.New(n, 3, 4))
		intervals = append(intervals, next)
		r = r.Union(next)
		for major := range n + 2 {
			for _, text := range []string{"0.9", "1.1", "1.2", "2.0", "3.3", "3.4", "9.9"} {
				for _, tail := range []string{"", "-a"} {
					v := semver.MustParse(strconv.FormatUint(major, 10) + "." + text + tail)
					want := slices.ContainsFunc(intervals, func(r semver.Range) bool { return r.Contains(v) })
					if got := r.Contains(v); got != want {
						t.Fatalf("%d intervals, %s: got %v", n+1, v, got)
					}
				}
			}
		}
	}
}

// TestSharedRange has goroutines read one Range, for the race detector.
func TestSharedRange(t *testing.T) {
	r := semver.MustParseRange("^1.2 || >=3.1 <4")
	done := make(chan bool)
	for range 4 {
		go func() { done <- r.Contains(semver.New(1, 3, 0)) && len(r.Canonical()) > 0 && !r.Complement().IsEmpty() }()
	}
	for range 4 {
		if !<-done {
			t.Error("a shared range answers wrongly")
		}
	}
}

func TestFilterStops(t *testing.T) {
	vs := slices.Values([]semver.Version{semver.New(1, 0, 0), semver.New(2, 0, 0), semver.New(1, 1, 0)})
	next, stop := iter.Pull(semver.MustParseRange("1").Filter(vs))
	defer stop()
	if v, ok := next(); !ok || v != semver.New(1, 0, 0) {
		t.Errorf("first = %s, %v", v, ok)
	}
	for iv := range semver.MustParseRange("1 || 3 || 5").Intervals() {
		_ = iv
		break
	}
}

func TestBuildMetadataStaysOutOfBounds(t *testing.T) {
	lo, hi := semver.MustParse("2.0.0+a"), semver.MustParse("2.4.0+incompatible")
	for _, r := range []semver.Range{
		semver.Between(lo, hi), semver.Closed(lo, hi), semver.AtLeast(lo), semver.Below(hi), semver.Above(lo), semver.AtMost(hi), semver.Exactly(lo),
		plain(">=2.0.0+a <2.4.0+b"), semver.MustParseRange("2.0.0+a - 2.4.0+b"),
	} {
		for iv := range r.Intervals() {
			if iv.Lo.Build()+iv.Hi.Build() != "" {
				t.Errorf("interval %v has build metadata", iv)
			}
		}
	}
	checkEqual(t, semver.Between(lo, hi), semver.Between(semver.New(2, 0, 0), semver.New(2, 4, 0)))
}

func TestReasonAboveIsNotPrerelease(t *testing.T) {
	for _, row := range []struct {
		text, version string
		want          error
	}{
		{"^1.2", "2.0.0-rc.1", semver.ErrAbove},
		{"~1.2.3", "1.3.0-0", semver.ErrAbove},
		{"1.2.3", "1.2.4-0", semver.ErrAbove},
	} {
		if err := plain(row.text).Check(semver.MustParse(row.version)); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.text, err, row.want)
		}
	}
}
