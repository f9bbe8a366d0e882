package semver_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/semver"
)

func TestParseRejects(t *testing.T) {
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
		{semver.AllowPartial, "1.2-rc", "1.2.0-rc"},
		{semver.AllowPartial, "1+b", "1.0.0+b"},
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
			t.Errorf("%s.Parse(%q) = %s, %v, want %s", row.mode, row.text, got, err, row.want)
		}
	}
	_, err := semver.Tolerant.Parse("  v1.2.x")
	checkParseError(t, "  v1.2.x", err, semver.ErrSyntax, 7)
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

func TestLongNumbersNeverBecomeZero(t *testing.T) {
	nines := strings.Repeat("9", 256)
	if v, err := semver.Tolerant.Parse(nines); !errors.Is(err, semver.ErrTooLong) {
		t.Errorf("got %s, %v, want ErrTooLong", v, err)
	}
	for _, text := range []string{">=" + nines, ">" + nines[:252] + ".x", ">0.0." + nines[:252]} {
		for _, d := range []semver.Dialect{semver.NPM, semver.Cargo, semver.Helm, semver.Terraform} {
			if r, err := d.ParseRange(text); err == nil && r.Contains(semver.New(0, 0, 1)) {
				t.Errorf("%v: %.8s… contains 0.0.1", d, text)
			}
		}
	}
	v := semver.MustParse("0.0." + nines[:252])
	if !semver.Exactly(v).Contains(v) {
		t.Error("Exactly(v) does not contain v")
	}
	if got := v.Bump(semver.Patch); got.Compare(v) <= 0 {
		t.Errorf("Bump(Patch) = %s", got)
	}
}

func TestLongNumbersAreRefusedWhenStored(t *testing.T) {
	var v semver.Version
	for _, text := range []string{strings.Repeat("9", 256) + ".0.0", "1.2.3-" + strings.Repeat("9", 256), "1.2.3-a" + strings.Repeat("b", 1024)} {
		checkIs(t, v.UnmarshalText([]byte(text)), semver.ErrTooLong)
	}
	if v, err := semver.Tolerant.Parse("1-" + strings.Repeat("a", 254)); !errors.Is(err, semver.ErrTooLong) {
		t.Errorf("got %s, %v, want ErrTooLong", v, err)
	}
}
