package semver_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"

	"github.com/redoubt-go/redoubt/semver"
)

// identical compares versions by ==, which go-cmp cannot do by itself.
var identical = cmp.Comparer(func(v, w semver.Version) bool { return v == w })

// checkEqual checks that got and want are equal; ranges are equal if they
// have the same members.
func checkEqual[T any](t *testing.T, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, identical); diff != "" {
		t.Errorf("got %v, want %v\n%s", got, want, diff)
	}
}

// checkIs checks that err matches all targets.
func checkIs(t *testing.T, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("got error %v, want %v", err, target)
		}
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

// law checks a named property.
func law(t *testing.T, name string, property gopter.Prop) {
	t.Helper()
	t.Run(name, func(t *testing.T) { checkProperty(t, 400, property) })
}

// checkOrder checks that texts ascend strictly by compare.
func checkOrder(t *testing.T, compare func(v, w semver.Version) int, texts ...string) {
	t.Helper()
	for i, a := range texts {
		for j, b := range texts {
			want := min(max(i-j, -1), 1)
			if got := compare(semver.MustParse(a), semver.MustParse(b)); got != want {
				t.Errorf("compare(%s, %s) = %d, want %d", a, b, got, want)
			}
		}
	}
}

// A member is one expected answer of Contains.
type member struct {
	dialect semver.Dialect
	text    string
	version string
	want    bool
}

// checkMembers checks the answers of Contains.
func checkMembers(t *testing.T, rows ...member) {
	t.Helper()
	for _, row := range rows {
		r, err := row.dialect.ParseRange(row.text)
		if err != nil {
			t.Errorf("%s.ParseRange(%q): %v", row.dialect, row.text, err)
			continue
		}
		if got := r.Contains(semver.MustParse(row.version)); got != row.want {
			t.Errorf("%s: %q contains %s = %v, want %v", row.dialect, row.text, row.version, got, row.want)
		}
	}
}

// plain parses a range in which pre-releases count as in plain order.
func plain(text string) semver.Range {
	r, err := semver.NPM.With(semver.PreAll).ParseRange(text)
	if err != nil {
		panic(err)
	}
	return r
}

// checkParseError checks the class and the offset of a ParseError.
func checkParseError(t *testing.T, input string, err, class error, offset int) {
	t.Helper()
	e, ok := errors.AsType[*semver.ParseError](err)
	if !ok || !errors.Is(err, class) || e.Offset != offset {
		t.Errorf("%q: got %v, want %v at byte %d", input, err, class, offset)
	}
}
