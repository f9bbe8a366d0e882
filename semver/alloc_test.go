package semver_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/redoubt-go/redoubt/semver"
)

func TestSize(t *testing.T) {
	if got := unsafe.Sizeof(semver.Version{}); got != 48 && unsafe.Sizeof(uintptr(0)) == 8 {
		t.Errorf("sizeof(Version) = %d, want 48", got)
	}
}

func TestAllocations(t *testing.T) {
	const full, wide = "1.2.3-beta.1+b.2", "99999999999999999999.1.2-beta.1"
	v, w := semver.MustParse(full), semver.MustParse("1.2.3-beta.2")
	a, b := semver.MustParseRange("^1.2 || >=3.1 <4"), semver.MustParseRange("1.4.x || 3.x || 7.x")
	key, _ := v.MarshalBinary()
	text, buf := []byte(full), make([]byte, 0, 256)
	bare, long := []byte("1.2.3"), []byte(wide)
	gate := semver.Rules(semver.In(a), semver.Stable, semver.MaxStep(v, semver.Minor))
	versions := slices.Repeat([]semver.Version{semver.New(1, 3, 0), v, w}, 10)
	for _, row := range []struct {
		name string
		want float64
		f    func()
	}{
		{"Parse", 0, func() { _, _ = semver.Parse(full) }},
		{"Parse wide", 0, func() { _, _ = semver.Parse(wide) }},
		{"Parse invalid", 1, func() { _, _ = semver.Parse("1.2.3-") }},
		{"Valid invalid", 0, func() { semver.Valid("1.2.3-") }},
		{"Tolerant.Parse", 0, func() { _, _ = semver.Tolerant.Parse(" v01.2") }},
		{"Compare", 0, func() { v.Compare(w) }},
		{"CompareTotal", 0, func() { v.CompareTotal(w) }},
		{"CompareStrings", 0, func() { semver.CompareStrings(full, "v1.2") }},
		{"String", 1, func() { _ = v.String() }},
		{"AppendText", 0, func() { _, _ = v.AppendText(buf) }},
		{"AppendBinary", 0, func() { _, _ = v.AppendBinary(buf) }},
		{"UnmarshalText", 1, func() { _ = new(semver.Version).UnmarshalText(text) }},
		{"UnmarshalText bare", 0, func() { _ = new(semver.Version).UnmarshalText(bare) }},
		{"UnmarshalText wide", 1, func() { _ = new(semver.Version).UnmarshalText(long) }},
		{"UnmarshalBinary", 3, func() { _ = new(semver.Version).UnmarshalBinary(key) }},
		{"ParseRange", 1, func() { _, _ = semver.ParseRange(">=1.2.3 <2.0.0") }},
		{"ParseRange below", 1, func() { _, _ = semver.ParseRange(">=1.2.3-a <2.0.0-rc.1") }},
		{"ParseRange gated", 1, func() { _, _ = semver.ParseRange("^1.2.3-0") }},
		{"ParseRange exclusions", 6, func() { _, _ = semver.ParseRange(">=1 <2 !=1.2.3 !=1.2.4") }},
		{"ParseRange or", 2, func() { _, _ = semver.ParseRange("1 || 2.x || ^3.2 || 4 || 5 || 6") }},
		{"Contains", 0, func() { a.Contains(v) }},
		{"gate", 0, func() { _ = gate(semver.New(1, 4, 0)) }},
		{"Max", 0, func() { a.Max(slices.Values(versions)) }},
		{"Intersect", 1, func() { a.Intersect(b) }},
		{"Complement", 1, func() { a.Complement() }},
		{"Ceil", 0, func() { a.Ceil(semver.New(1, 0, 0)) }},
		{"SortFunc", 0, func() { slices.SortFunc(versions, semver.Version.Compare) }},
	} {
		if got := testing.AllocsPerRun(100, row.f); got > row.want {
			t.Errorf("%s: %v allocations, want at most %v", row.name, got, row.want)
		}
	}
}

func TestPlainVersionsKeepNoText(t *testing.T) {
	var kept []semver.Version
	var ranges []semver.Range
	for range 16 {
		doc := "v1.2.3" + strings.Repeat("x", 1<<20) + "-rc.1"
		v, _ := semver.AllowV.Parse(doc[:6])
		w, _ := semver.Tolerant.Parse(doc[:4])
		big := strings.Repeat("1.2.3-", 1<<18) + "1.2.3-rc.1"
		kept = append(kept, v, w, semver.MustParse(big[len(big)-len("1.2.3-rc.1"):]).Core())
		r, _ := semver.ParseRange("^" + doc[1:6])
		ranges = append(ranges, r.Union(semver.Exactly(v)))
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 12<<20 {
		t.Errorf("%d MiB in use", m.HeapAlloc>>20)
	}
	runtime.KeepAlive(kept)
	runtime.KeepAlive(ranges)
}

func TestCheckOfAMissAllocatesTwice(t *testing.T) {
	var many semver.Range
	for i := range uint64(1000) {
		many = many.Union(semver.Between(semver.New(i, 0, 0), semver.New(i, 5, 1)))
	}
	release, pre := semver.New(7, 7, 7), semver.MustParse("7.7.7-rc.1")
	for name, r := range map[string]semver.Range{
		"npm": many.Intersect(semver.Releases()), "plain": many,
		"plain, closed": semver.Closed(semver.New(1, 0, 0), semver.New(1, 4, 2)),
		"split":         semver.MustParseRange("^1.2").Union(semver.AtMost(semver.New(1, 4, 2))),
	} {
		if got := testing.AllocsPerRun(10, func() { _ = r.Check(release) }); got > 2 {
			t.Errorf("%s: %v allocations for a release", name, got)
		}
		if got := testing.AllocsPerRun(10, func() { _ = r.Check(pre) }); got > 2 {
			t.Errorf("%s: %v allocations for a pre-release", name, got)
		}
	}
}

// inside reports whether s points into doc.
func inside(s, doc string) bool {
	p, q := uintptr(unsafe.Pointer(unsafe.StringData(s))), uintptr(unsafe.Pointer(unsafe.StringData(doc)))
	return q <= p && p < q+uintptr(len(doc))
}

func TestRangesKeepNoText(t *testing.T) {
	doc := strings.Repeat("x", 1000) + ">=1.2.3-rc.1 <2.0.0-rc.2"
	parsed := semver.MustParseRange(doc[1000:])
	lo := semver.MustParse(doc[1002:1012])
	if !inside(parsed.String(), doc) || !inside(lo.Prerelease(), doc) {
		t.Error("the parsed values do not refer to the text")
	}
	for name, r := range map[string]semver.Range{
		"clone": parsed.Clone(), "union": parsed.Union(semver.Exactly(lo)), "intersection": parsed.Intersect(semver.AtLeast(lo)),
		"difference": parsed.Difference(semver.Exactly(semver.New(1, 2, 3))), "exactly": semver.Exactly(lo), "at least": semver.AtLeast(lo),
		"below": semver.Below(lo), "between": semver.Between(lo, semver.New(3, 0, 0)),
	} {
		if inside(r.String(), doc) {
			t.Errorf("%s: the text is kept", name)
		}
		for iv := range r.Intervals() {
			if inside(iv.Lo.Prerelease(), doc) || inside(iv.Hi.Prerelease(), doc) {
				t.Errorf("%s: %v refers to the text", name, iv)
			}
		}
	}
	checkEqual(t, parsed.Clone().String(), doc[1000:])
}
