package semver_test

import (
	"testing"

	"github.com/redoubt-go/redoubt/semver"
)

func TestIntersectOpenLeft(t *testing.T) {
	got := semver.MustParseRange("<1.0.0 || >=2.0.0").Intersect(semver.MustParseRange("1.x"))
	if !got.IsEmpty() {
		t.Errorf("got %s, want the empty range", got)
	}
}

func TestSubsetsAndOverlaps(t *testing.T) {
	p := semver.MustParseRange
	if !p(">=17.2.0").SubsetOf(p("^17.2.0 || >17")) {
		t.Error("a subset across || is not found")
	}
	if a, b := p("1.x||2.x||3.x"), p(">=1 <4"); !a.SubsetOf(b) || !b.SubsetOf(a) {
		t.Error("a subset across several || is not found")
	}
	if !p("^1.2.3-alpha").Overlaps(p("=1.2.3-alpha")) {
		t.Error("an overlap in a pre-release is not found")
	}
	if p(">1.0.0 <2.0.0").Overlaps(p("^2.0.0-0")) {
		t.Error("an overlap without a common member is found")
	}
	if !plain(">1.0.0 <2.0.0").Overlaps(plain("^2.0.0-0")) {
		t.Error("the overlap in 2.0.0-0 is not found")
	}
	if got, _ := p(">4 <3 || 1.2.3").Least(); got != semver.New(1, 2, 3) {
		t.Errorf("least = %s, want 1.2.3", got)
	}
}

func TestUnionOfMany(t *testing.T) {
	var many []semver.Range
	var want semver.Range
	for i := range uint64(9) {
		r := semver.Between(semver.New(i, 0, 0), semver.New(i, 5, 0))
		many, want = append(many, r), want.Union(r)
		checkEqual(t, semver.Range{}.Union(many...), want)
	}
	checkEqual(t, want.Union(), want)
}
