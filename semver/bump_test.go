package semver_test

import (
	"errors"
	"testing"

	"github.com/redoubt-go/redoubt/semver"
)

func TestBumpPreNeverDecreases(t *testing.T) {
	for _, row := range []struct{ from, id, want string }{
		{"1.2.3-rc.1", "rc", "1.2.3-rc.2"},
		{"1.2.3-rc.1", "", "1.2.3-rc.2"},
		{"1.2.3-alpha.1", "beta", "1.2.3-beta.0"},
		{"1.2.3-rc9", "", "1.2.3-rc9.0"},
		{"1.2.3-alpha.9", "", "1.2.3-alpha.10"},
		{"1.2.3-99999999999999999999", "", "1.2.3-100000000000000000000"},
		{"1.0.0-alpha.beta.5.4", "alpha.beta", "1.0.0-alpha.beta.5.5"},
		{"1.0.0-1.0", "1", "1.0.0-1.1"},
		{"1.2.3-rc", "rc", "1.2.3-rc.0"},
		{"1.2.3", "rc", "1.2.4-rc.0"},
		{"1.2.3", "", "1.2.4-0"},
		{"1.2.3-rc.1+b", "rc", "1.2.3-rc.2"},
	} {
		if got, err := semver.MustParse(row.from).BumpPre(row.id); err != nil || got.String() != row.want {
			t.Errorf("%s.BumpPre(%q) = %s, %v, want %s", row.from, row.id, got, err, row.want)
		}
	}
	for _, row := range []struct {
		from, id string
		class    error
	}{
		{"1.2.3-rc.1", "beta", semver.ErrOrder},
		{"1.2.3-dev.bar", "dev", semver.ErrOrder},
		{"1.2.3-rc9", "rc", semver.ErrOrder},
		{"1.2.3-rc.1", "é", semver.ErrEmptyIdent},
		{"1.2.3", "01", semver.ErrLeadingZero},
		{"1.2.3-rc.1", "rc+b", semver.ErrSyntax},
	} {
		if got, err := semver.MustParse(row.from).BumpPre(row.id); !errors.Is(err, row.class) {
			t.Errorf("%s.BumpPre(%q) = %s, %v, want %v", row.from, row.id, got, err, row.class)
		}
	}
}

func TestBump(t *testing.T) {
	for _, row := range []struct {
		from string
		part semver.Part
		want string
	}{
		{"1.2.3-rc.1", semver.Patch, "1.2.3"},
		{"1.2.0-1", semver.Minor, "1.2.0"},
		{"2.0.0-rc.1", semver.Major, "2.0.0"},
		{"1.2.3+b", semver.Patch, "1.2.4"},
		{"1.2.3", semver.Minor, "1.3.0"},
		{"1.2.3-rc.1", semver.Minor, "1.3.0"},
		{"1.2.0-rc.1", semver.Major, "2.0.0"},
		{"1.2.3", semver.Pre, "1.2.3"},
		{"18446744073709551614.0.0", semver.Major, "18446744073709551615.0.0"},
		{"1.2.18446744073709551615", semver.Patch, "1.2.18446744073709551616"},
		{"99999999999999999999.1.2-a", semver.Major, "100000000000000000000.0.0"},
		{"1.99999999999999999999.2", semver.Major, "2.0.0"},
	} {
		if got := semver.MustParse(row.from).Bump(row.part); got != semver.MustParse(row.want) {
			t.Errorf("%s.Bump(%s) = %s, want %s", row.from, row.part, got, row.want)
		}
	}
	if got, err := semver.MustParse("1.2.3-rc.1").StartPre(semver.Same, "alpha"); !errors.Is(err, semver.ErrOrder) {
		t.Errorf("StartPre(Same) = %s, %v, want ErrOrder", got, err)
	}
}

func TestBumpPreChecksItsID(t *testing.T) {
	v := semver.MustParse("1.2.3-rc.1")
	for id, class := range map[string]error{
		"rc.01": semver.ErrLeadingZero, "01": semver.ErrLeadingZero, "rc..1": semver.ErrEmptyIdent,
		"rc.1+b": semver.ErrSyntax, "7": semver.ErrOrder,
	} {
		if got, err := v.BumpPre(id); !errors.Is(err, class) {
			t.Errorf("BumpPre(%q) = %s, %v, want %v", id, got, err, class)
		}
	}
}

func TestDiff(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want semver.Part
	}{
		{"1.2.3", "1.2.3", semver.Same},
		{"1.2.3+a", "1.2.3", semver.Build},
		{"1.2.3-a", "1.2.3", semver.Pre},
		{"1.2.3-a", "1.2.4-a", semver.Patch},
		{"1.2.3", "1.3.3", semver.Minor},
		{"1.2.3", "2.2.3", semver.Major},
		{"99999999999999999999.0.0", "99999999999999999998.0.0", semver.Major},
		{"1.99999999999999999999.0", "1.99999999999999999998.0", semver.Minor},
		{"1.0.99999999999999999999-a", "1.0.99999999999999999999-b", semver.Pre},
	} {
		v, w := semver.MustParse(row.a), semver.MustParse(row.b)
		if v.Diff(w) != row.want || w.Diff(v) != row.want {
			t.Errorf("%s, %s: Diff = %s and %s, want %s", v, w, v.Diff(w), w.Diff(v), row.want)
		}
	}
	if got := semver.Part(99).String(); got != "Part(99)" {
		t.Errorf("Part(99) = %s", got)
	}
}

func TestUnknownPartsChangeNothing(t *testing.T) {
	v := semver.New(1, 2, 3)
	if got := v.Bump(semver.Part(9)); got != v {
		t.Errorf("Bump(Part(9)) = %s", got)
	}
	wide := semver.MustParse("1.2.99999999999999999999")
	if got := wide.Bump(semver.Part(9)); got != wide {
		t.Errorf("Bump(Part(9)) = %s", got)
	}
}

func TestBumpBeginsALineWithItsBase(t *testing.T) {
	for _, row := range []struct{ from, id, want string }{
		{"1.2.3", "rc.1", "1.2.4-rc.1"},
		{"1.2.4-rc.1", "rc.1", "1.2.4-rc.2"},
		{"1.2.4-rc.0", "rc.1", "1.2.4-rc.1"},
		{"1.2.4-alpha.7", "rc.1", "1.2.4-rc.1"},
		{"1.2.3", "1", "1.2.4-1"},
		{"1.2.3", "a.b.1", "1.2.4-a.b.1"},
	} {
		if got, err := semver.MustParse(row.from).BumpPre(row.id); err != nil || got.String() != row.want {
			t.Errorf("%s.BumpPre(%q) = %s, %v, want %s", row.from, row.id, got, err, row.want)
		}
	}
	if got, err := semver.New(1, 2, 3).StartPre(semver.Minor, "rc.1"); err != nil || got.String() != "1.3.0-rc.1" {
		t.Errorf("StartPre = %s, %v", got, err)
	}
	if got, err := semver.MustParse("1.2.99999999999999999999").StartPre(semver.Part(9), "rc"); !errors.Is(err, semver.ErrOrder) {
		t.Errorf("StartPre(Part(9)) = %s, %v, want ErrOrder", got, err)
	}
}
