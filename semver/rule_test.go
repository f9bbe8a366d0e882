package semver_test

import (
	"errors"
	"testing"

	"github.com/redoubt-go/redoubt/semver"
)

func TestFailClosed(t *testing.T) {
	var zero semver.Range
	if zero.Contains(semver.Version{}) || !zero.IsEmpty() {
		t.Error("the zero Range is not empty")
	}
	if err := semver.In(zero)(semver.New(1, 0, 0)); !errors.Is(err, semver.ErrEmptyRange) {
		t.Errorf("In(zero): got %v, want ErrEmptyRange", err)
	}
	if err := semver.NotIn(zero)(semver.New(1, 0, 0)); !errors.Is(err, semver.ErrEmptyRange) {
		t.Errorf("NotIn(zero): got %v, want ErrEmptyRange", err)
	}
}

func TestRules(t *testing.T) {
	from := semver.New(1, 2, 3)
	for _, row := range []struct {
		name string
		rule semver.Rule
		text string
		want error
	}{
		{"stable", semver.Stable, "1.2.3", nil},
		{"stable", semver.Stable, "1.2.3-rc", semver.ErrPrerelease},
		{"no downgrade", semver.NoDowngrade(from), "1.2.3+b", nil},
		{"no downgrade", semver.NoDowngrade(from), "1.2.3-rc", semver.ErrBelow},
		{"step", semver.MaxStep(from, semver.Minor), "1.9.0", nil},
		{"step", semver.MaxStep(from, semver.Minor), "2.0.0", semver.ErrStep},
		{"step", semver.MaxStep(from, semver.Minor), "1.0.0", nil},
		{"step", semver.MaxStep(from, semver.Part(9)), "1.2.3", semver.ErrStep},
		{"step", semver.MaxStep(from, semver.Minor), "0.9.0", semver.ErrStep},
		{"not in", semver.NotIn(semver.Exactly(from)), "1.2.4", nil},
		{"not in", semver.NotIn(semver.Exactly(from)), "1.2.3", semver.ErrExcluded},
		{"no rules", semver.Rules(), "1.2.3", nil},
	} {
		err := row.rule(semver.MustParse(row.text))
		if !errors.Is(err, row.want) || (err == nil) != (row.want == nil) {
			t.Errorf("%s(%s) = %v, want %v", row.name, row.text, err, row.want)
		}
	}
	err := semver.Rules(semver.Stable, semver.NoDowngrade(from))(semver.MustParse("1.2.3-rc+b"))
	checkIs(t, err, semver.ErrPrerelease, semver.ErrBelow)
}

// firstPatch passes releases X.Y.0.
func firstPatch(v semver.Version) error {
	if v.IsPrerelease() || v.Patch() != 0 {
		return errors.New("not the first patch of its minor version")
	}
	return nil
}

func TestGateOnAllowList(t *testing.T) {
	gate := semver.Rules(semver.In(semver.Exactly(semver.New(1, 0, 0), semver.New(2, 1, 0))), firstPatch)
	for _, s := range []string{"1.0.0\n", "１.0.0", "01.0.0", "1_0.0.0", " 1.0.0", "+1.0.0", "1.0.0.0", "1.0"} {
		if semver.Valid(s) {
			t.Errorf("Valid(%q) = true", s)
		}
	}
	for s, want := range map[string]bool{"v1.0.0": true, "2.1.0": true, "2.2.0": false, "1.0.0-rc.0": false, "1.2.3+b.0": false} {
		v, err := semver.AllowV.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := gate(v); (err == nil) != want {
			t.Errorf("gate(%s) = %v, want it to pass: %v", s, err, want)
		}
	}
}

func TestNamedRules(t *testing.T) {
	v := semver.MustParse("1.2.3-rc.1")
	err := semver.Named("no candidates", semver.Stable)(v)
	violation, ok := errors.AsType[*semver.Violation](err)
	if want := (semver.Violation{Version: v, Rule: "no candidates", Err: semver.ErrPrerelease}); !ok || *violation != want {
		t.Errorf("got %v, want %v", err, want)
	}
	own := errors.New("not on a Friday")
	err = semver.Named("calendar", func(semver.Version) error { return own })(v)
	checkIs(t, err, own)
	checkEqual(t, err.Error(), "semver: 1.2.3-rc.1: not on a Friday (calendar)")
	checkIs(t, semver.Named("any", semver.Rules())(v), nil)
}
