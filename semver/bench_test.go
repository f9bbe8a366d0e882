package semver_test

import (
	"testing"

	"github.com/redoubt-go/redoubt/semver"
)

// The comparison with other packages is in internal/bench/semver; these are
// for work on this package.

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		_, _ = semver.Parse("1.2.3-beta.1+b.2")
	}
}

func BenchmarkCompare(b *testing.B) {
	v, w := semver.MustParse("1.2.3-beta.2"), semver.MustParse("1.2.3-beta.11")
	for b.Loop() {
		v.Compare(w)
	}
}

func BenchmarkParseRange(b *testing.B) {
	for b.Loop() {
		_, _ = semver.ParseRange(">=1.2.3 <2.0.0")
	}
}

func BenchmarkContains(b *testing.B) {
	r, v := semver.MustParseRange("^1.2 || >=3.1 <4"), semver.New(3, 5, 0)
	for b.Loop() {
		r.Contains(v)
	}
}
