package semver_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/semver"
)

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

// member is one expected answer of Contains.
type member struct {
	dialect semver.Dialect
	text    string
	version string
	want    bool
}

func checkMembers(t *testing.T, rows ...member) {
	t.Helper()
	for _, row := range rows {
		r, err := row.dialect.ParseRange(row.text)
		if err != nil {
			t.Errorf("%#x.ParseRange(%q): %v", row.dialect, row.text, err)
			continue
		}
		if got := r.Contains(semver.MustParse(row.version)); got != row.want {
			t.Errorf("%#x: %q contains %s = %v, want %v", row.dialect, row.text, row.version, got, row.want)
		}
	}
}

// plain parses a range of which pre-releases count as in plain order.
func plain(text string) semver.Range {
	r, err := semver.NPM.With(semver.PreAll).ParseRange(text)
	if err != nil {
		panic(err)
	}
	return r
}

func checkEqual(t *testing.T, got, want semver.Range) {
	t.Helper()
	if !got.Equal(want) {
		t.Errorf("got %s (%s), want %s (%s)", got, got.Canonical(), want, want.Canonical())
	}
}

// checkParseError checks the class and the offset of a ParseError.
func checkParseError(t *testing.T, input string, err, class error, offset int) {
	t.Helper()
	e, ok := errors.AsType[*semver.ParseError](err)
	if !ok || !errors.Is(err, class) || e.Offset != offset {
		t.Errorf("%q: got %v, want %v at byte %d", input, err, class, offset)
	}
}

func TestTrap01_HyphenIsNoSign(t *testing.T) {
	checkOrder(t, semver.Version.Compare, "1.0.0-0", "1.0.0-5", "1.0.0--5", "1.0.0--6")
}

func TestTrap02_LongNumericIdentifiers(t *testing.T) {
	checkOrder(t, semver.Version.Compare,
		"1.0.0-18446744073709551615", "1.0.0-18446744073709551616",
		"1.0.0-99999999999999999999", "1.0.0-100000000000000000000", "1.0.0--a")
}

func TestTrap03_LongNumbers(t *testing.T) {
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

func TestTrap04_IdentifiersBeforeBytes(t *testing.T) {
	checkOrder(t, semver.Version.Compare, "1.0.0-a", "1.0.0-a.b", "1.0.0-a-", "1.0.0-a-.b", "1.0.0-aa")
}

func TestTrap05_Identifiers(t *testing.T) {
	checkOrder(t, semver.Version.Compare, "1.0.0-alpha", "1.0.0-alpha.0", "1.0.0-alpha.1", "1.0.0-alpha.beta",
		"1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0-rc10", "1.0.0-rc2", "1.0.0")
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

func TestTrap06_Rejects(t *testing.T) {
	for _, row := range []struct {
		text   string
		class  error
		offset int
	}{
		{"", semver.ErrSyntax, 0},
		{"1", semver.ErrSyntax, 1},
		{"1.2", semver.ErrSyntax, 3},
		{"1.2.", semver.ErrSyntax, 4},
		{"1.2.3.4", semver.ErrSyntax, 5},
		{"v1.2.3", semver.ErrSyntax, 0},
		{"+1.0.0", semver.ErrSyntax, 0},
		{"1.+2.3", semver.ErrSyntax, 2},
		{"1_0.0.0", semver.ErrSyntax, 1},
		{" 1.0.0", semver.ErrSyntax, 0},
		{"1.0.0\n", semver.ErrSyntax, 5},
		{"1.0.0\x00", semver.ErrSyntax, 5},
		{"１.２.３", semver.ErrSyntax, 0},
		{"1.0.0-é", semver.ErrEmptyIdent, 6},
		{"1.0.0-aé", semver.ErrSyntax, 7},
		{"1.0.0-", semver.ErrEmptyIdent, 6},
		{"1.0.0+", semver.ErrEmptyIdent, 6},
		{"1.0.0-a..b", semver.ErrEmptyIdent, 8},
		{"1.0.0-+b", semver.ErrEmptyIdent, 6},
		{"1.0.0+b+c", semver.ErrSyntax, 7},
		{"01.2.3", semver.ErrLeadingZero, 0},
		{"1.2.03", semver.ErrLeadingZero, 4},
		{"1.0.0-a.01", semver.ErrLeadingZero, 8},
		{"1.0.0-" + strings.Repeat("a", 251), semver.ErrTooLong, 256},
	} {
		_, err := semver.Parse(row.text)
		checkParseError(t, row.text, err, row.class, row.offset)
		if semver.Valid(row.text) {
			t.Errorf("Valid(%q) = true", row.text)
		}
	}
	var v semver.Version
	if err := json.Unmarshal([]byte(`""`), &v); !errors.Is(err, semver.ErrSyntax) {
		t.Errorf("JSON \"\": got %v, want ErrSyntax", err)
	}
	if s := "1.0.0-" + strings.Repeat("a", 250); !semver.Valid(s) {
		t.Errorf("Valid = false for %d bytes", len(s))
	}
}

func TestTrap07_BuildMetadata(t *testing.T) {
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

func TestTrap08_NoEqualMethod(t *testing.T) {
	a, b := semver.MustParse("1.2.3+a"), semver.MustParse("1.2.3+b")
	opt := cmp.Comparer(func(v, w semver.Version) bool { return v == w })
	if cmp.Equal(a, b, opt) {
		t.Error("cmp.Equal hides a difference of build metadata")
	}
	if _, ok := any(a).(interface{ Equal(semver.Version) bool }); ok {
		t.Error("Version has an Equal method, which go-cmp would use")
	}
}

func TestTrap09_IntersectOpenLeft(t *testing.T) {
	got := semver.MustParseRange("<1.0.0 || >=2.0.0").Intersect(semver.MustParseRange("1.x"))
	if !got.IsEmpty() {
		t.Errorf("got %s, want the empty range", got)
	}
}

func TestTrap10_Zeros(t *testing.T) {
	for text, want := range map[string]semver.Range{
		"~0.0.0": semver.MustParseRange(">=0.0.0 <0.1.0"),
		"^0.0.0": semver.Exactly(semver.Version{}),
		"^0.0":   semver.MustParseRange(">=0.0.0 <0.1.0"),
		"^0":     semver.MustParseRange(">=0.0.0 <1.0.0"),
		"^*":     semver.MustParseRange("*"),
		"^0.0.3": semver.Exactly(semver.New(0, 0, 3)),
		"^0.2.3": semver.MustParseRange(">=0.2.3 <0.3.0"),
	} {
		checkEqual(t, semver.MustParseRange(text), want)
	}
}

func TestTrap11_NotEqualAndShortTokens(t *testing.T) {
	checkEqual(t, semver.MustParseRange("!=1.2.x"), semver.MustParseRange("<1.2.0 || >=1.3.0"))
	checkEqual(t, semver.MustParseRange("1.0.0 - 2"), semver.MustParseRange(">=1.0.0 <3.0.0"))
	checkEqual(t, semver.MustParseRange("1 || 3"), semver.MustParseRange(">=1.0.0 <2.0.0 || >=3.0.0 <4.0.0"))
	checkEqual(t, semver.MustParseRange(">=1 !=1.5.0, !=1.6.x <2"),
		semver.MustParseRange(">=1.0.0 <1.5.0 || >=1.5.1 <1.6.0 || >=1.7.0 <2.0.0"))
}

func TestTrap12_MissingParts(t *testing.T) {
	for text, want := range map[string]string{
		"<=1": "<2.0.0", ">1": ">=2.0.0", ">1.2": ">=1.3.0", "<1.2": "<1.2.0", "1.0.0 - 2.0": ">=1.0.0 <2.1.0",
		">x": "<0.0.0-0", "<x": "<0.0.0-0", ">=x": "*", "<=x": "*", "* - 2": "<3.0.0", "2 - *": ">=2.0.0",
	} {
		checkEqual(t, semver.MustParseRange(text), semver.MustParseRange(want))
	}
	if r, err := semver.Terraform.ParseRange("<= 1"); err != nil || r.Contains(semver.New(1, 9, 9)) {
		t.Errorf("Terraform <= 1: got %v, %v, want missing parts to be 0", r, err)
	}
}

func TestTrap13_RangeSyntax(t *testing.T) {
	for _, row := range []struct {
		dialect semver.Dialect
		text    string
		class   error
		offset  int
	}{
		{semver.NPM, "x.1.2", semver.ErrSyntax, 0},
		{semver.NPM, "1.x.2", semver.ErrSyntax, 2},
		{semver.NPM, "1.x.x.x", semver.ErrSyntax, 0},
		{semver.NPM, "1|2", semver.ErrSyntax, 1},
		{semver.NPM, "1 | 2", semver.ErrSyntax, 2},
		{semver.NPM, "^1.2.3 - 2.0.0", semver.ErrSyntax, 7},
		{semver.NPM, "1.2.3 - ^2.0.0", semver.ErrSyntax, 8},
		{semver.NPM, "1.2.3 - 2.0.0 3", semver.ErrSyntax, 8},
		{semver.NPM, "1.2.3 -", semver.ErrSyntax, 6},
		{semver.NPM, "^1 1.3 - 1.4", semver.ErrSyntax, 7},
		{semver.NPM, ">1.x-rc.1", semver.ErrSyntax, 3},
		{semver.NPM, ">=1.2.3<2", semver.ErrSyntax, 7},
		{semver.NPM, "=>1", semver.ErrSyntax, 0},
		{semver.NPM, ">", semver.ErrSyntax, 1},
		{semver.NPM, "1,,2", semver.ErrSyntax, 2},
		{semver.NPM, "1,", semver.ErrSyntax, 2},
		{semver.NPM, "1.2.03", semver.ErrLeadingZero, 4},
		{semver.NPM, "1.2.3-a..b", semver.ErrEmptyIdent, 8},
		{semver.NPM, ">=1.2-rc.1", semver.ErrSyntax, 5},
		{semver.NPM, "1.2.3 || >=é", semver.ErrSyntax, 11},
		{semver.NPM, strings.Repeat(" ", 8193), semver.ErrTooLong, 8192},
		{semver.Cargo, "1 2", semver.ErrSyntax, 2},
		{semver.Dialect(99), "1", semver.ErrUnsupported, 0},
		{semver.NPM.With(9), "1", semver.ErrUnsupported, 0},
	} {
		_, err := row.dialect.ParseRange(row.text)
		checkParseError(t, row.text, err, row.class, row.offset)
	}
}

func TestTrap14_EmptyAlternatives(t *testing.T) {
	for _, text := range []string{"1.2.3 || ", "|| 1.2.3", "", "  ", "||"} {
		checkEqual(t, semver.MustParseRange(text), semver.Releases())
		for _, d := range []semver.Dialect{semver.Cargo, semver.Helm, semver.Terraform} {
			if r, err := d.ParseRange(text); !errors.Is(err, semver.ErrSyntax) {
				t.Errorf("%#x.ParseRange(%q) = %v, %v, want ErrSyntax", d, text, r, err)
			}
		}
	}
}

func TestTrap15_GateByDialect(t *testing.T) {
	order := semver.NPM.With(semver.PreAll)
	checkMembers(t,
		member{semver.NPM, ">=1.0.0-0", "2.0.0-alpha", false},
		member{semver.Cargo, ">=1.0.0-0", "2.0.0-alpha", false},
		member{semver.Helm, ">=1.0.0-0", "2.0.0-alpha", true},
		member{semver.Terraform, ">=1.0.0-0", "2.0.0-alpha", false},
		member{order, ">=1.0.0-0", "2.0.0-alpha", true},
		member{semver.NPM, "^1.2.3-alpha", "1.2.4-alpha", false},
		member{semver.Cargo, "^1.2.3-alpha", "1.2.4-alpha", false},
		member{semver.Helm, "^1.2.3-alpha", "1.2.4-alpha", true},
		member{semver.NPM, "^1.2.3-alpha", "1.2.3-beta", true},
		member{semver.NPM, "<2.0.0", "2.0.0-alpha", false},
		member{order, "<2.0.0", "2.0.0-alpha", true},
		member{semver.NPM, "<2.0.0", "1.5.0-alpha", false},
		member{order, "<2.0.0", "1.5.0-alpha", true},
		member{semver.NPM, "*", "1.0.0-a", false},
		member{semver.Cargo, "*", "1.0.0-a", false},
		member{order, "*", "1.0.0-a", true},
		member{semver.Terraform, "1.0.0-a", "1.0.0-a", true},
		member{semver.Terraform, "1.0.0-a", "1.0.0-b", false},
		member{semver.NPM.With(semver.PreNone), "1.0.0-a", "1.0.0-a", false},
		member{semver.Cargo, ">=1.0.0-a, 1.*", "1.0.0-b", true},
		member{semver.NPM, ">=1.0.0-a 1.*", "1.0.0-b", false},
		member{semver.Helm, "!=1.0.0-a", "2.0.0-b", true},
		member{semver.NPM, "!=1.0.0-a", "1.0.0-b", false},
	)
}

func TestTrap16_GatePerAlternative(t *testing.T) {
	const text = ">=1.2.3-a <1.2.3 || ^2"
	checkMembers(t,
		member{semver.NPM, text, "1.2.3-b", true},
		member{semver.NPM, text, "2.0.0-b", false},
		member{semver.NPM, text, "2.2.3-b", false},
		member{semver.NPM, text, "1.2.3", false},
		member{semver.Helm, text, "2.2.3-b", false},
	)
}

func TestTrap17_CaretNeverReachesNextMajor(t *testing.T) {
	for _, p := range []semver.Prereleases{semver.PreSameCore, semver.PreAll, semver.PreGroup, semver.PreExact, semver.PreNone} {
		d := semver.NPM.With(p)
		checkMembers(t, member{d, "^1.2.3", "2.0.0-alpha", false}, member{d, "^1.2.3-rc", "2.0.0-alpha", false})
	}
	checkMembers(t, member{semver.NPM.With(semver.PreAll), "<2.0.0", "2.0.0-alpha", true})
}

func TestTrap18_LowerBoundsOfPreAll(t *testing.T) {
	for text, want := range map[string]string{
		"~1.2": "1.2.0-0", "^1": "1.0.0-0", "1.x": "1.0.0-0", "1.2.3 - 2.3.4": "1.2.3-0", ">=1.2": "1.2.0-0", ">1": "2.0.0-0",
		"^1.2.3": "1.2.3", "~1.2.3": "1.2.3", ">=1.2.3": "1.2.3", "^0.2.3": "0.2.3", "1.2.3-b - 2": "1.2.3-b",
	} {
		if got, ok := plain(text).Least(); !ok || got.String() != want {
			t.Errorf("least of %s = %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{"1.2.3 - 2.3.4": "2.3.5-0", "<=1.2": "1.3.0-0", "<1.2": "1.2.0-0"} {
		intervals := slices.Collect(plain(text).Intervals())
		if got := intervals[len(intervals)-1].Hi.String(); got != want {
			t.Errorf("upper bound of %s = %s, want %s", text, got, want)
		}
	}
}

func TestTrap19_BoundsDoNotWrap(t *testing.T) {
	checkMembers(t,
		member{semver.NPM, "^18446744073709551615.0.0", "18446744073709551615.9.9", true},
		member{semver.NPM, "^18446744073709551615.0.0", "18446744073709551616.0.0", false},
		member{semver.NPM, "^18446744073709551615.0.0", "0.0.0", false},
		member{semver.NPM, "^18446744073709551614", "18446744073709551615.0.0", false},
		member{semver.Cargo, "~1.18446744073709551615.0", "1.18446744073709551615.7", true},
		member{semver.Cargo, "~1.18446744073709551615", "1.18446744073709551616.0", false},
		member{semver.NPM, "=1.0.18446744073709551615", "1.0.18446744073709551615", true},
		member{semver.NPM, "=1.0.18446744073709551615", "1.0.18446744073709551616", false},
		member{semver.NPM, "v99999999999999999999.x", "99999999999999999999.1.0", true},
	)
}

func TestTrap20_AdvisoriesInPlainOrder(t *testing.T) {
	gated := semver.MustParseRange("<2.0.0")
	osv, err := semver.ParseOSV(semver.Event{Introduced: "0"}, semver.Event{Fixed: "2.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	_, vers, err := semver.ParseVERS("vers:npm/<2.0.0")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"2.0.0-rc.1", "1.5.0-beta"} {
		v := semver.MustParse(s)
		if gated.Contains(v) || !osv.Contains(v) || !vers.Contains(v) {
			t.Errorf("%s: gated %v, OSV %v, vers %v, want false, true, true", s, gated.Contains(v), osv.Contains(v), vers.Contains(v))
		}
	}
	checkEqual(t, osv, semver.Below(semver.New(2, 0, 0)))
	checkEqual(t, vers, osv)
}

func TestTrap21_Pessimistic(t *testing.T) {
	terraform := func(text string) semver.Range {
		r, err := semver.Terraform.ParseRange(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	checkEqual(t, semver.MustParseRange("~> 1.2"), semver.MustParseRange(">=1.2.0 <1.3.0"))
	checkEqual(t, terraform("~> 1.2"), semver.MustParseRange(">=1.2.0 <2.0.0"))
	checkEqual(t, terraform("~> 1.2.3"), semver.MustParseRange(">=1.2.3 <1.3.0"))
	_, err := semver.Terraform.ParseRange("~> 2")
	checkParseError(t, "~> 2", err, semver.ErrSyntax, 3)
	if !strings.Contains(err.Error(), "two parts") {
		t.Errorf("got %v, want a hint", err)
	}
}

func TestTrap22_CargoIsNotNPM(t *testing.T) {
	cargo := func(text string) semver.Range {
		r, err := semver.Cargo.ParseRange(text)
		if err != nil {
			t.Error(err)
		}
		return r
	}
	checkEqual(t, cargo("1.2.3"), semver.MustParseRange("^1.2.3"))
	checkEqual(t, cargo("0.2"), semver.MustParseRange("^0.2"))
	checkEqual(t, cargo("=1.2"), semver.MustParseRange("1.2.x"))
	checkEqual(t, cargo("1.2.*"), semver.MustParseRange("1.2.x"))
	checkEqual(t, cargo(">=1.2, <1.5"), semver.MustParseRange(">=1.2 <1.5"))
	checkEqual(t, cargo(" * "), semver.Releases())
	checkEqual(t, semver.MustParseRange("1.2.3"), semver.Exactly(semver.New(1, 2, 3)))
	for _, text := range []string{">=1 <2", "1 || 2", "*, 1", "1, *", ">*", "1.2-rc", "v1.2.3", "!=1.2.3", "~>1.2", "1 - 2", "1,"} {
		if r, err := semver.Cargo.ParseRange(text); !errors.Is(err, semver.ErrSyntax) {
			t.Errorf("Cargo %q = %v, %v, want ErrSyntax", text, r, err)
		}
	}
	cargo(strings.Repeat("1,", 31) + "1")
	if _, err := semver.Cargo.ParseRange(strings.Repeat("1,", 32) + "1"); !errors.Is(err, semver.ErrTooLong) {
		t.Errorf("33 comparators: got %v, want ErrTooLong", err)
	}
}

func TestTrap23_SuccessorsMakeSetsCanonical(t *testing.T) {
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

func TestTrap24_Algebra(t *testing.T) {
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

func TestTrap25_VERS(t *testing.T) {
	for text, want := range map[string]semver.Range{
		"vers:npm/1.2.3|>=2.0.0|<5.0.0":         semver.Exactly(semver.New(1, 2, 3)).Union(semver.Between(semver.New(2, 0, 0), semver.New(5, 0, 0))),
		"vers:semver/<1.0.0|>=2.0.0|!=2.1.0":    semver.Below(semver.New(1, 0, 0)).Union(semver.AtLeast(semver.New(2, 0, 0))).Difference(semver.Exactly(semver.New(2, 1, 0))),
		"vers:cargo/!=0.1.0|>=1.0.0|<=1.0.1":    semver.Between(semver.New(1, 0, 0), semver.MustParse("1.0.2-0")),
		"vers:golang/!=0.1.0":                   semver.Exactly(semver.New(0, 1, 0)).Complement(),
		"vers:npm/<=1.0.0|1.1.0|!=1.2.0|>2.0.0": semver.Below(semver.MustParse("1.0.1-0")).Union(semver.Exactly(semver.New(1, 1, 0))).Union(semver.AtLeast(semver.MustParse("2.0.1-0"))),
		"vers:all/*":                            semver.All(),
		"vers:npm/*":                            semver.All(),
		"vers:none/*":                           {},
	} {
		typ, got, err := semver.ParseVERS(text)
		if err != nil || !strings.HasPrefix(text, "vers:"+typ+"/") {
			t.Errorf("ParseVERS(%q) = %q, %v", text, typ, err)
		}
		checkEqual(t, got, want)
	}
	for _, row := range []struct {
		text   string
		class  error
		offset int
	}{
		{"vers:npm/ 1.0.0", semver.ErrSyntax, 9},
		{"vers:npm/|1.0.0", semver.ErrSyntax, 9},
		{"vers:npm/1.0.0|", semver.ErrSyntax, 15},
		{"vers:npm/1.0.0||2.0.0", semver.ErrSyntax, 15},
		{"vers:npm/2.0.0|1.0.0", semver.ErrSyntax, 15},
		{"vers:npm/>=1.0.0|<1.0.0", semver.ErrSyntax, 17},
		{"vers:npm/1.0.0|1.0.0+b", semver.ErrSyntax, 15},
		{"vers:npm/*|1.0.0", semver.ErrSyntax, 9},
		{"vers:npm/1.0.0|<2.0.0", semver.ErrSyntax, 15},
		{"vers:npm/1.0.0|!=1.5.0|<2.0.0", semver.ErrSyntax, 23},
		{"vers:npm/>1.0.0|>2.0.0", semver.ErrSyntax, 16},
		{"vers:npm/<1.0.0|<2.0.0", semver.ErrSyntax, 16},
		{"vers:npm/=1.0.0", semver.ErrSyntax, 9},
		{"vers:npm/>=1.0.0%2Brc", semver.ErrSyntax, 16},
		{"vers:npm/>=1.0", semver.ErrSyntax, 14},
		{"vers:npm/", semver.ErrSyntax, 9},
		{"VERS:npm/1.0.0", semver.ErrSyntax, 0},
		{"vers:npm", semver.ErrSyntax, 0},
		{"vers:NPM/1.0.0", semver.ErrUnsupported, 5},
		{"vers:pypi/1.0.0", semver.ErrUnsupported, 5},
		{"vers:all/1.0.0", semver.ErrUnsupported, 5},
		{"vers:npm/" + strings.Repeat("9", 8192), semver.ErrTooLong, 8192},
	} {
		_, _, err := semver.ParseVERS(row.text)
		checkParseError(t, row.text, err, row.class, row.offset)
	}
	for text, want := range map[string]string{
		"1.0.0 || 1.0.1":        "vers:npm/1.0.0|1.0.1",
		"1.0.1 - 1.0.3":         "vers:npm/1.0.1|1.0.2|1.0.3",
		"1.0.0-rc || >=2 <1":    "vers:npm/1.0.0-rc",
		"1.2.3-rc - 1.2.4":      "vers:npm/>=1.2.3-rc|<1.2.4-0|1.2.4",
		">=1.0.0-0 <1.0.0 || 1": "",
	} {
		if got, err := semver.MustParseRange(text).VERS("npm"); got != want || (err == nil) != (want != "") {
			t.Errorf("VERS of %s = %q, %v, want %q", text, got, err, want)
		}
	}
	pres := semver.Between(semver.New(1, 0, 0), semver.New(1, 0, 2)).Difference(semver.Releases())
	if got, err := pres.VERS("npm"); got != "vers:npm/>=1.0.1-0|<1.0.1|>=1.0.2-0|<1.0.2" {
		t.Errorf("VERS of pre-releases = %q, %v", got, err)
	}
	if s, err := semver.MustParseRange("^1").VERS("npm"); !errors.Is(err, semver.ErrUnsupported) {
		t.Errorf("VERS of a gated range = %q, %v, want ErrUnsupported", s, err)
	}
	if s, err := semver.All().VERS("pypi"); !errors.Is(err, semver.ErrUnsupported) {
		t.Errorf("VERS(pypi) = %q, %v, want ErrUnsupported", s, err)
	}
}

func TestTrap26_OSV(t *testing.T) {
	ev := func(pairs ...string) (events []semver.Event) {
		for i := 0; i < len(pairs); i += 2 {
			e := semver.Event{}
			switch pairs[i] {
			case "introduced":
				e.Introduced = pairs[i+1]
			case "fixed":
				e.Fixed = pairs[i+1]
			case "last_affected":
				e.LastAffected = pairs[i+1]
			case "limit":
				e.Limit = pairs[i+1]
			}
			events = append(events, e)
		}
		return events
	}
	for name, row := range map[string]struct {
		events []semver.Event
		want   semver.Range
	}{
		"unordered":        {ev("fixed", "1.5.0", "introduced", "1.0.0"), plain(">=1.0.0 <1.5.0")},
		"zero":             {ev("introduced", "0", "fixed", "1.0.0"), semver.Below(semver.New(1, 0, 0))},
		"last affected":    {ev("introduced", "1.0.0", "last_affected", "1.5.0"), plain(">=1.0.0 <=1.5.0")},
		"open":             {ev("introduced", "1.0.0"), semver.AtLeast(semver.New(1, 0, 0))},
		"introduced twice": {ev("introduced", "1.0.0", "introduced", "1.1.0", "fixed", "1.5.0"), plain(">=1.0.0 <1.5.0")},
		"again":            {ev("introduced", "1.0.0", "fixed", "1.5.0", "introduced", "2.0.0"), plain(">=1.0.0 <1.5.0 || >=2.0.0")},
		"nothing between":  {ev("introduced", "1.0.0", "fixed", "1.0.0"), semver.Range{}},
		"same version":     {ev("last_affected", "1.0.0", "introduced", "1.0.0"), semver.Exactly(semver.New(1, 0, 0))},
		"highest limit":    {ev("introduced", "0", "limit", "2.0.0", "limit", "1.0.0"), semver.Below(semver.New(2, 0, 0))},
		"limit *":          {ev("introduced", "0", "limit", "*", "limit", "1.0.0"), semver.All()},
		"exact bound":      {ev("introduced", "1.2.0", "fixed", "1.3.0"), plain(">=1.2.0 <1.3.0")},
	} {
		got, err := semver.ParseOSV(row.events...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		checkEqual(t, got, row.want)
	}
	for name, events := range map[string][]semver.Event{
		"no key":            {{}},
		"two keys":          {{Introduced: "0", Fixed: "1.0.0"}},
		"none introduced":   ev("fixed", "1.0.0"),
		"mixed":             ev("introduced", "0", "fixed", "1.0.0", "last_affected", "0.9.0"),
		"malformed version": ev("introduced", "1.0"),
		"star":              ev("introduced", "*"),
		"zero fixed":        ev("introduced", "0", "fixed", "0"),
	} {
		if r, err := semver.ParseOSV(events...); !errors.Is(err, semver.ErrEvents) || !r.IsEmpty() {
			t.Errorf("%s: got %v, %v, want ErrEvents", name, r, err)
		}
	}
}

func TestTrap27_FailClosed(t *testing.T) {
	if r, err := semver.ParseOSV(); !errors.Is(err, semver.ErrEvents) {
		t.Errorf("no events: got %v, %v, want ErrEvents", r, err)
	}
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

func TestTrap28_BumpPreNeverDecreases(t *testing.T) {
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

func TestTrap29_Bump(t *testing.T) {
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

func TestTrap30_Decoding(t *testing.T) {
	v := semver.New(1, 2, 3)
	if err := json.Unmarshal([]byte("null"), &v); err != nil || v != semver.New(1, 2, 3) {
		t.Errorf("JSON null: got %s, %v, want no change", v, err)
	}
	if err := v.Scan(nil); !errors.Is(err, semver.ErrUnsupported) || v != semver.New(1, 2, 3) {
		t.Errorf("Scan(nil): got %s, %v, want ErrUnsupported", v, err)
	}
	if err := v.Scan("1.0"); !errors.Is(err, semver.ErrSyntax) || v != semver.New(1, 2, 3) {
		t.Errorf("Scan(1.0): got %s, %v, want ErrSyntax", v, err)
	}
	raw := []byte("1.2.3-rc.1")
	if err := v.Scan(raw); err != nil {
		t.Fatal(err)
	}
	copy(raw, "9.9.9-zz.9")
	if got := v.String(); got != "1.2.3-rc.1" {
		t.Errorf("after the bytes changed: got %s", got)
	}
	if got, err := v.Value(); err != nil || got != "1.2.3-rc.1" {
		t.Errorf("Value() = %v, %v", got, err)
	}
	for _, s := range []string{"01", "a..b", "é", "a+b"} {
		if got, err := v.WithPrerelease(s); err == nil {
			t.Errorf("WithPrerelease(%q) = %s, %v, want an error", s, got, err)
		}
	}
	if got, err := v.WithBuild("b+c"); err == nil {
		t.Errorf("WithBuild(b+c) = %s, want an error", got)
	}
}

func TestTrap31_SortKey(t *testing.T) {
	texts := []string{
		"1.0.0-0", "1.0.0-9", "1.0.0-123456789", "1.0.0-1234567890", "1.0.0-a", "1.0.0-a.b", "1.0.0-a-",
		"1.0.0-" + strings.Repeat("z", 100), "1.0.0", "1.0.0+0", "1.0.0+a", "1.0.1-0", "9.0.0", "10.0.0", "99999999999999999999999.0.0",
	}
	checkOrder(t, func(v, w semver.Version) int {
		a, _ := v.MarshalBinary()
		b, _ := w.MarshalBinary()
		return bytes.Compare(a, b)
	}, texts...)
	for _, key := range []string{
		"", "\x011", "\x011\x012\x013\xff", "\x011\x012\x013\xff\x00\x00", "\x0201\x012\x013\xff\x00",
		"\x011\x012\x013\x02\x011\x00", "\x011\x012\x013\x04a\x00\x01\x00", "\x011\x012\x013\x03a\x01\x00",
		"\x011\x012\x013\xff\x02\x0201\x00\x01", "\x011\x012\x013\x03-a\x00\x01", strings.Repeat("\x011", 1000),
		"\x011\x012\x013\xff\x02\x011\xff\x01", "\x051.1.1\x012\x013\xff\x00",
	} {
		var v semver.Version
		err := v.UnmarshalBinary([]byte(key))
		if e, ok := errors.AsType[*semver.ParseError](err); !ok || e.Kind != "key" {
			t.Errorf("UnmarshalBinary(%q) = %s, %v, want an error", key, v, err)
		}
	}
}

func TestTrap32_Pseudo(t *testing.T) {
	at := time.Date(2019, 11, 9, 2, 19, 31, 0, time.UTC)
	const tail = "20191109021931-daa7c04131f5"
	for text, base := range map[string]string{
		"v0.0.0-" + tail:                      "0.0.0",
		"v3.0.0-" + tail:                      "0.0.0",
		"v1.2.4-0." + tail:                    "1.2.3",
		"v1.2.3-pre.0." + tail:                "1.2.3-pre",
		"v1.2.3-pre.0.0." + tail:              "1.2.3-pre.0",
		"v2.0.4-0." + tail + "+incompatible":  "2.0.3+incompatible",
		"v1.2.10-0." + tail:                   "1.2.9",
		"v1.2.18446744073709551616-0." + tail: "1.2.18446744073709551615",
	} {
		v, err := semver.AllowV.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := v.Pseudo()
		want := semver.Pseudo{Base: semver.MustParse(base), Time: at, Rev: "daa7c04131f5"}
		if !ok || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"2.0.0+incompatible", "1.2.3", "1.2.3-rc.1", "1.2.3-rc-1", "1.0.0-0." + tail, "1.2.0-0." + tail, "1.2.3-" + tail,
		"0.0.0-20191309021931-daa7c04131f5", "0.0.0-2019110902193-daa7c04131f5", "1.2.4-1." + tail, "0.0.0-20191109021931-",
		"0.0.0-20191109021931-a.b", "2.0.0-" + tail + "+incompatible",
	} {
		v, err := semver.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := v.Pseudo(); ok {
			t.Errorf("%s: got %v, want no pseudo-version", text, got)
		}
	}
	checkOrder(t, semver.Version.Compare, "1.2.3", "1.2.4-0."+tail, "1.2.4-alpha", "1.2.4")
}

func TestTrap33_ParseAliases(t *testing.T) {
	inside := func(s, doc string) bool {
		p, q := uintptr(unsafe.Pointer(unsafe.StringData(s))), uintptr(unsafe.Pointer(unsafe.StringData(doc)))
		return q <= p && p < q+uintptr(len(doc))
	}
	doc := strings.Repeat("x", 1000) + "1.2.3-rc.1"
	v := semver.MustParse(doc[1000:])
	if !inside(v.Prerelease(), doc) {
		t.Error("a parsed version does not refer to its text")
	}
	if c := v.Clone(); c != v || inside(c.Prerelease(), doc) {
		t.Error("a clone refers to the text")
	}
}

func TestTrap34_ErrorsQuoteAndCut(t *testing.T) {
	hostile := "1.2.3\n\x1b[31mERROR all is lost" + strings.Repeat("A", 200)
	_, version := semver.Parse(hostile)
	_, ranges := semver.ParseRange(hostile)
	_, _, vers := semver.ParseVERS("vers:npm/" + hostile)
	_, scheme := semver.All().VERS(hostile)
	_, events := semver.ParseOSV(semver.Event{Introduced: hostile})
	var v semver.Version
	for _, err := range []error{version, ranges, vers, scheme, events, v.Scan(hostile), v.UnmarshalBinary([]byte(hostile))} {
		if s := err.Error(); strings.ContainsAny(s, "\n\x1b") || strings.Count(s, "A") > 64 {
			t.Errorf("error with hostile text: %q", s)
		}
	}
	long := semver.MustParse("1.2.3-" + strings.Repeat("A", 200))
	for _, rule := range []semver.Rule{semver.In(semver.Releases()), semver.Stable, semver.NoDowngrade(semver.New(9, 0, 0)), semver.NotIn(semver.Exactly(long))} {
		if s := rule(long).Error(); strings.Count(s, "A") > 128 {
			t.Errorf("error with a long version: %q", s)
		}
	}
}

func TestAccessors(t *testing.T) {
	v := semver.MustParse("1.2.3-rc.1+b.7")
	wide := semver.MustParse("1.99999999999999999999.3-rc.1+b.7")
	for _, v := range []semver.Version{v, wide} {
		if got := v.Prerelease() + " " + v.Build() + " " + strings.Join(slices.Collect(v.Identifiers()), ","); got != "rc.1 b.7 rc,1" {
			t.Errorf("%s: got %s", v, got)
		}
		if got, want := v.WithoutBuild().String()+"+b.7", v.String(); got != want {
			t.Errorf("WithoutBuild: got %s, want %s", got, want)
		}
		if got := v.Core(); got.IsPrerelease() || got.Build() != "" || got.Diff(v) != semver.Pre {
			t.Errorf("Core() = %s", got)
		}
		if got, err := v.WithBuild(""); err != nil || got != v.WithoutBuild() {
			t.Errorf("WithBuild(\"\") = %s, %v", got, err)
		}
		if got, err := v.WithPrerelease("x"); err != nil || got.Prerelease() != "x" || got.Build() != "b.7" {
			t.Errorf("WithPrerelease(x) = %s, %v", got, err)
		}
	}
	var zero semver.Version
	if !zero.IsZero() || v.IsZero() || zero.String() != "0.0.0" || zero != semver.MustParse("0.0.0") {
		t.Errorf("zero value: %s", zero)
	}
	if got := slices.Collect(zero.Identifiers()); got != nil {
		t.Errorf("identifiers of a release: %q", got)
	}
}

func TestModes(t *testing.T) {
	for _, row := range []struct {
		mode       semver.Mode
		text, want string // want "" for an error
	}{
		{semver.AllowV, "v1.2.3-rc.1", "1.2.3-rc.1"},
		{semver.AllowV, "V1.2.3", ""},
		{semver.AllowV, "vv1.2.3", ""},
		{semver.AllowV, "v1.2", ""},
		{semver.AllowPartial, "1", "1.0.0"},
		{semver.AllowPartial, "1.2", "1.2.0"},
		{semver.AllowPartial, "1.", ""},
		{semver.AllowPartial, "1.2-rc", ""},
		{semver.AllowPartial, "", ""},
		{semver.AllowPartial, "99999999999999999999.1", "99999999999999999999.1.0"},
		{semver.AllowZeros, "2025.04.02", "2025.4.2"},
		{semver.AllowZeros, "0.00.1-rc", "0.0.1-rc"},
		{semver.AllowZeros, "1.0.0-01", ""},
		{semver.AllowZeros, "1.2.00018446744073709551616-a+b", "1.2.18446744073709551616-a+b"},
		{semver.AllowZeros, "1.2.00000000000000000000003", "1.2.3"},
		{semver.AllowSpace, " \t1.2.3\r\n", "1.2.3"},
		{semver.AllowSpace, "1. 2.3", ""},
		{semver.Tolerant, " v01.2\n", "1.2.0"},
		{semver.Tolerant, "v", ""},
		{semver.Tolerant, "1.2.3.4", ""},
		{semver.Strict, "1.2.3", "1.2.3"},
	} {
		got, err := row.mode.Parse(row.text)
		if (err == nil) != (row.want != "") || err == nil && got != semver.MustParse(row.want) {
			t.Errorf("%#x.Parse(%q) = %s, %v, want %s", row.mode, row.text, got, err, row.want)
		}
	}
	_, err := semver.Tolerant.Parse("  v1.2.x")
	checkParseError(t, "  v1.2.x", err, semver.ErrSyntax, 7)
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
	if got := semver.Part(99).String(); got != "unknown" {
		t.Errorf("Part(99) = %s", got)
	}
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
		{"first patch", semver.FirstPatch, "1.2.0", nil},
		{"first patch", semver.FirstPatch, "1.2.3+b.0", semver.ErrPatch},
		{"first patch", semver.FirstPatch, "3.0.0-rc.0", semver.ErrPrerelease},
		{"no build", semver.NoBuild, "1.2.3-rc", nil},
		{"no build", semver.NoBuild, "1.2.3+b", semver.ErrBuild},
		{"no downgrade", semver.NoDowngrade(from), "1.2.3+b", nil},
		{"no downgrade", semver.NoDowngrade(from), "1.2.3-rc", semver.ErrBelow},
		{"step", semver.MaxStep(from, semver.Minor), "1.9.0", nil},
		{"step", semver.MaxStep(from, semver.Minor), "2.0.0", semver.ErrStep},
		{"not in", semver.NotIn(semver.Exactly(from)), "1.2.4", nil},
		{"not in", semver.NotIn(semver.Exactly(from)), "1.2.3", semver.ErrExcluded},
		{"no rules", semver.Rules(), "1.2.3", nil},
	} {
		err := row.rule(semver.MustParse(row.text))
		if !errors.Is(err, row.want) || (err == nil) != (row.want == nil) {
			t.Errorf("%s(%s) = %v, want %v", row.name, row.text, err, row.want)
		}
	}
	err := semver.Rules(semver.Stable, semver.FirstPatch, semver.NoBuild)(semver.MustParse("1.2.3-rc+b"))
	if !errors.Is(err, semver.ErrPrerelease) || !errors.Is(err, semver.ErrBuild) {
		t.Errorf("got %v, want every violation", err)
	}
}

// TestSeed checks what the handbook's program accepts and must not.
func TestSeed(t *testing.T) {
	gate := semver.Rules(semver.In(semver.Exactly(semver.New(1, 0, 0), semver.New(2, 1, 0))), semver.FirstPatch)
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

func TestRangeText(t *testing.T) {
	for text, want := range map[string]string{
		"^1.2.3":                  ">=1.2.3 <2.0.0",
		"1.2.3":                   "1.2.3",
		"1.2.3-rc.1":              "1.2.3-rc.1",
		"*":                       ">=0.0.0",
		"<2":                      ">=0.0.0 <2.0.0",
		"^1.2.3-rc.1":             ">=1.2.3 <2.0.0 || >=1.2.3-rc.1 <1.2.3",
		">4 <3":                   "<0.0.0-0",
		">=1.0.0 ; pre >=1.0.0-b": ">=1.0.0 ; pre >=1.0.0-b",
	} {
		var r semver.Range
		if err := r.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if got := r.String(); got != text {
			t.Errorf("String() = %q, want %q", got, text)
		}
		if got := r.Canonical(); got != want {
			t.Errorf("Canonical(%q) = %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"", "1 ; pre x.1", "x.1 ; pre 1", "1 ; pre ", " ; pre 1", "1 ; 2", "1.2.3.4", "1 ; pre " + strings.Repeat(" ", 8192)} {
		r := semver.Releases()
		if err := r.UnmarshalText([]byte(text)); err == nil || !r.Equal(semver.Releases()) {
			t.Errorf("UnmarshalText(%.20q) = %v, want an error and no change", text, err)
		}
	}
	osv, err := semver.ParseOSV(semver.Event{Introduced: "1.0.0"}, semver.Event{Fixed: "1.4.2"})
	if err != nil {
		t.Fatal(err)
	}
	for want, r := range map[string]semver.Range{
		">=1.0.0 <1.4.2 ; pre >=1.0.1-0 <1.4.2": osv,
		"<0.0.0-0 ; pre >=1.0.1-0":              semver.AtLeast(semver.New(1, 0, 0)).Difference(semver.Releases()),
		"<0.0.0-0":                              {},
		">=0.0.0 ; pre >=0.0.0-0":               semver.All(),
		"1.2.3-rc.1 || 2.0.0-0":                 semver.Exactly(semver.MustParse("2.0.0-0"), semver.MustParse("1.2.3-rc.1+b")),
	} {
		var back semver.Range
		if err := back.UnmarshalText([]byte(want)); err != nil || r.String() != want || !back.Equal(r) {
			t.Errorf("String() = %q, want %q; decoded %v, %v", r, want, back, err)
		}
	}
}

func TestLogValues(t *testing.T) {
	_, err := semver.Parse("1.2")
	parse, _ := errors.AsType[*semver.ParseError](err)
	violation, _ := errors.AsType[*semver.Violation](semver.Stable(semver.MustParse("1.0.0-rc")))
	for want, v := range map[string]slog.LogValuer{
		"1.2.3": semver.New(1, 2, 3),
		"[kind=version input=1.2 offset=3 err=syntax error]":         parse,
		"[version=1.0.0-rc rule=stable err=pre-release not allowed]": violation,
	} {
		if got := v.LogValue().String(); got != want {
			t.Errorf("LogValue() = %s, want %s", got, want)
		}
	}
}

func TestMustPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"MustParse":      func() { semver.MustParse("1.2") },
		"MustParseRange": func() { semver.MustParseRange("1.2.") },
	} {
		func() {
			defer func() {
				if err, ok := recover().(error); !ok || !errors.Is(err, semver.ErrSyntax) {
					t.Errorf("%s: panic %v, want ErrSyntax", name, err)
				}
			}()
			f()
			t.Errorf("%s does not panic", name)
		}()
	}
}

// TestLinearRanges parses the largest hostile ranges; with anything but
// near-linear work this would take minutes.
func TestLinearRanges(t *testing.T) {
	for name, text := range map[string]string{
		"alternatives": strings.Repeat("1||", 2730),
		"exclusions":   strings.Repeat("!=1.2.3 ", 1024),
		"named":        strings.Repeat(">1.2.3-a ", 910),
		"number":       strings.Repeat("9", semver.MaxRangeLength),
		"hyphens":      "1.0.0-" + strings.Repeat("-", semver.MaxRangeLength-6),
	} {
		for _, d := range []semver.Dialect{semver.NPM, semver.NPM.With(semver.PreAll), semver.Helm} {
			start := time.Now()
			_, _ = d.ParseRange(text)
			if d := time.Since(start); d > time.Second {
				t.Errorf("%s: %v", name, d)
			}
		}
	}
}

func TestSize(t *testing.T) {
	if got := unsafe.Sizeof(semver.Version{}); got != 48 && unsafe.Sizeof(uintptr(0)) == 8 {
		t.Errorf("sizeof(Version) = %d, want 48", got)
	}
}

func TestAllocs(t *testing.T) {
	const full, wide = "1.2.3-beta.1+b.2", "99999999999999999999.1.2-beta.1"
	v, w := semver.MustParse(full), semver.MustParse("1.2.3-beta.2")
	a, b := semver.MustParseRange("^1.2 || >=3.1 <4"), semver.MustParseRange("1.4.x || 3.x || 7.x")
	key, _ := v.MarshalBinary()
	text, buf := []byte(full), make([]byte, 0, 256)
	bare, long := []byte("1.2.3"), []byte(wide)
	gate := semver.Rules(semver.In(a), semver.Stable, semver.FirstPatch)
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
		{"ParseRange gated", 1, func() { _, _ = semver.ParseRange("^1.2.3-0") }},
		{"ParseRange or", 2, func() { _, _ = semver.ParseRange("1 || 2.x || ^3.2 || 4 || 5 || 6") }},
		{"Contains", 0, func() { a.Contains(v) }},
		{"gate", 0, func() { _ = gate(semver.New(1, 4, 0)) }},
		{"Max", 0, func() { a.Max(slices.Values(versions)) }},
		{"Intersect", 1, func() { a.Intersect(b) }},
		{"Ceil", 0, func() { a.Ceil(semver.New(1, 0, 0)) }},
		{"SortFunc", 0, func() { slices.SortFunc(versions, semver.Version.Compare) }},
	} {
		if got := testing.AllocsPerRun(100, row.f); got > row.want {
			t.Errorf("%s: %v allocations, want at most %v", row.name, got, row.want)
		}
	}
}

// TestShared has goroutines read one Range, for the race detector.
func TestShared(t *testing.T) {
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

// TestOfficialStrings checks the lists that semver.org publishes with its
// regular expression, https://regex101.com/r/vkijKf/1/.
func TestOfficialStrings(t *testing.T) {
	const valid = `0.0.4 1.2.3 10.20.30 1.1.2-prerelease+meta 1.1.2+meta 1.1.2+meta-valid 1.0.0-alpha 1.0.0-beta
		1.0.0-alpha.beta 1.0.0-alpha.beta.1 1.0.0-alpha.1 1.0.0-alpha0.valid 1.0.0-alpha.0valid
		1.0.0-alpha-a.b-c-somethinglong+build.1-aef.1-its-okay 1.0.0-rc.1+build.1 2.0.0-rc.1+build.123 1.2.3-beta
		10.2.3-DEV-SNAPSHOT 1.2.3-SNAPSHOT-123 1.0.0 2.0.0 1.1.7 2.0.0+build.1848 2.0.1-alpha.1227 1.0.0-alpha+beta
		1.2.3----RC-SNAPSHOT.12.9.1--.12+788 1.2.3----R-S.12.9.1--.12+meta 1.2.3----RC-SNAPSHOT.12.9.1--.12
		1.0.0+0.build.1-rc.10000aaa-kk-0.1 99999999999999999999999.999999999999999999.99999999999999999 1.0.0-0A.is.legal`
	const invalid = `1 1.2 1.2.3-0123 1.2.3-0123.0123 1.1.2+.123 +invalid -invalid -invalid+invalid -invalid.01 alpha
		alpha.beta alpha.beta.1 alpha.1 alpha+beta alpha_beta alpha. alpha.. beta 1.0.0-alpha_beta -alpha. 1.0.0-alpha..
		1.0.0-alpha..1 1.0.0-alpha...1 1.0.0-alpha....1 1.0.0-alpha.....1 1.0.0-alpha......1 1.0.0-alpha.......1
		01.1.1 1.01.1 1.1.01 1.2.3.DEV 1.2-SNAPSHOT 1.2.31.2.3----RC-SNAPSHOT.12.09.1--..12+788 1.2-RC-SNAPSHOT
		-1.0.3-gamma+b7718 +justmeta 9.8.7+meta+meta 9.8.7-whatever+meta+meta
		99999999999999999999999.999999999999999999.99999999999999999----RC-SNAPSHOT.12.09.1--------------------------------..12`
	good, bad := strings.Fields(valid), strings.Fields(invalid)
	if len(good) != 31 || len(bad) != 39 {
		t.Errorf("%d and %d strings, want 31 and 39", len(good), len(bad))
	}
	for i, s := range append(good, bad...) {
		if v, err := semver.Parse(s); (err == nil) != (i < 31) {
			t.Errorf("Parse(%q) = %s, %v", s, v, err)
		}
	}
}
