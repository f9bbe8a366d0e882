package semver_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/semver"
)

func TestHyphenIsNoSign(t *testing.T) {
	checkOrder(t, semver.Version.Compare, "1.0.0-0", "1.0.0-5", "1.0.0--5", "1.0.0--6")
}

func TestLongNumericIdentifiers(t *testing.T) {
	checkOrder(t, semver.Version.Compare,
		"1.0.0-18446744073709551615", "1.0.0-18446744073709551616",
		"1.0.0-99999999999999999999", "1.0.0-100000000000000000000", "1.0.0--a")
}

func TestLongNumbers(t *testing.T) {
	checkOrder(t, semver.Version.Compare,
		"18446744073709551614.0.0", "18446744073709551615.0.0", "18446744073709551615.0.1",
		"18446744073709551616.0.0-a", "18446744073709551616.0.0",
		"99999999999999999999998.7.0", "99999999999999999999999.0.0",
		"99999999999999999999999.999999999999999999.99999999999999999")
	if got := semver.MustParse("99999999999999999999999.1.2").Major(); got != math.MaxUint64 {
		t.Errorf("Major() = %d, want it saturated", got)
	}
	const most = math.MaxUint64
	if got, want := semver.New(1, most, 0), semver.MustParse("1.18446744073709551615.0"); got != want {
		t.Errorf("New(1, MaxUint64, 0) = %#v, want %#v", got, want)
	}
}

func TestIdentifiersBeforeBytes(t *testing.T) {
	checkOrder(t, semver.Version.Compare, "1.0.0-a", "1.0.0-a.b", "1.0.0-a-", "1.0.0-a-.b", "1.0.0-aa")
}

func TestIdentifierOrder(t *testing.T) {
	checkOrder(t, semver.Version.Compare, "1.0.0-alpha", "1.0.0-alpha.0", "1.0.0-alpha.1", "1.0.0-alpha.beta",
		"1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-c10", "1.0.0-c2", "1.0.0-rc.1", "1.0.0-rc10", "1.0.0-rc2", "1.0.0")
	checkOrder(t, semver.Version.Compare, "1.0.0-1", "1.0.0-999", "1.0.0--0", "1.0.0--01", "1.0.0-0A", "1.0.0-0x1", "1.0.0-1e3", "1.0.0-Z", "1.0.0-a")
	for s, want := range map[string]bool{
		"1.0.0-01": false, "1.0.0-a.00": false, "1.0.0--0": true, "1.0.0--0a": true, "1.0.0+001": true,
		"1.2.3----RC-SNAPSHOT.12.9.1--.12+788": true,
	} {
		if got := semver.Valid(s); got != want {
			t.Errorf("Valid(%q) = %v, want %v", s, got, want)
		}
	}
}

func TestBuildMetadata(t *testing.T) {
	a, b := semver.MustParse("1.2.3+a"), semver.MustParse("1.2.3+b")
	if got := a.Compare(b); got != 0 {
		t.Errorf("Compare = %d, want 0", got)
	}
	if a == b || a.CompareTotal(b) == 0 {
		t.Error("versions with different build metadata are identical")
	}
	checkMembers(t, member{semver.NPM, "=1.2.3+a", "1.2.3+b", true}, member{semver.NPM, ">1.2.3+a", "1.2.3+b", false})
	checkOrder(t, semver.Version.CompareTotal, "1.0.0-a", "1.0.0-a+0", "1.0.0", "1.0.0+0", "1.0.0+00", "1.0.0+1",
		"1.0.0+01", "1.0.0+001", "1.0.0+2", "1.0.0+-", "1.0.0+a", "1.0.0+a.0", "1.0.0+b")
}

func TestNoEqualMethod(t *testing.T) {
	a, b := semver.MustParse("1.2.3+a"), semver.MustParse("1.2.3+b")
	opt := cmp.Comparer(func(v, w semver.Version) bool { return v == w })
	if cmp.Equal(a, b, opt) {
		t.Error("cmp.Equal hides a difference of build metadata")
	}
	if _, ok := any(a).(interface{ Equal(semver.Version) bool }); ok {
		t.Error("Version has an Equal method, which go-cmp would use")
	}
}

func TestCompareStrings(t *testing.T) {
	texts := []string{"v1.2.3-rc.1", "1.2.3", "v1.3", "v2"}
	for i, a := range texts {
		for j, b := range texts {
			if got, want := semver.CompareStrings(a, b), min(max(i-j, -1), 1); got != want {
				t.Errorf("CompareStrings(%s, %s) = %d, want %d", a, b, got, want)
			}
		}
		if semver.CompareStrings("bad", a) != -1 || semver.CompareStrings(a, "bad") != 1 {
			t.Errorf("an invalid text is not below %s", a)
		}
	}
	if got := semver.CompareStrings("bad", "worse"); got != 0 {
		t.Errorf("two invalid texts: got %d, want 0", got)
	}
	got := []string{"v1.10.0", "worse", "1.9.0", "v1.9.0", "1.9.0+b", "bad", "v1.9.0-rc.1"}
	semver.SortStrings(got)
	want := []string{"bad", "worse", "v1.9.0-rc.1", "1.9.0", "v1.9.0", "1.9.0+b", "v1.10.0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
