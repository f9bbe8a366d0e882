package semver_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/semver"
)

func TestZeroBounds(t *testing.T) {
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

func TestNotEqualAndShortTokens(t *testing.T) {
	checkEqual(t, semver.MustParseRange("!=1.2.x"), semver.MustParseRange("<1.2.0 || >=1.3.0"))
	checkEqual(t, semver.MustParseRange("1.0.0 - 2"), semver.MustParseRange(">=1.0.0 <3.0.0"))
	checkEqual(t, semver.MustParseRange("1 || 3"), semver.MustParseRange(">=1.0.0 <2.0.0 || >=3.0.0 <4.0.0"))
	checkEqual(t, semver.MustParseRange(">=1 !=1.5.0, !=1.6.x <2"),
		semver.MustParseRange(">=1.0.0 <1.5.0 || >=1.5.1 <1.6.0 || >=1.7.0 <2.0.0"))
}

func TestMissingNumbers(t *testing.T) {
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

func TestRangeSyntaxErrors(t *testing.T) {
	for _, row := range []struct {
		dialect semver.Dialect
		text    string
		class   error
		offset  int
	}{
		{semver.NPM, "x.1.2", semver.ErrSyntax, 2},
		{semver.NPM, "1.x.2", semver.ErrSyntax, 4},
		{semver.NPM, "1.x.x.x", semver.ErrSyntax, 5},
		{semver.NPM, "1|2", semver.ErrSyntax, 1},
		{semver.NPM, "1 | 2", semver.ErrSyntax, 2},
		{semver.NPM, "^1.2.3 - 2.0.0", semver.ErrSyntax, 7},
		{semver.NPM, "1.2.3 - ^2.0.0", semver.ErrSyntax, 8},
		{semver.NPM, "1.2.3 - 2.0.0 3", semver.ErrSyntax, 8},
		{semver.NPM, "1.2.3 -", semver.ErrSyntax, 6},
		{semver.NPM, "^1 1.3 - 1.4", semver.ErrSyntax, 7},
		{semver.NPM, ">1.x-rc.1", semver.ErrSyntax, 4},
		{semver.NPM, ">=1.2.3<2", semver.ErrSyntax, 7},
		{semver.NPM, "=>1", semver.ErrSyntax, 1},
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

func TestEmptyAlternatives(t *testing.T) {
	for _, text := range []string{"1.2.3 || ", "|| 1.2.3", "", "  ", "||"} {
		checkEqual(t, semver.MustParseRange(text), semver.Releases())
		for _, d := range []semver.Dialect{semver.Cargo, semver.Helm, semver.Terraform} {
			if r, err := d.ParseRange(text); !errors.Is(err, semver.ErrSyntax) {
				t.Errorf("%#x.ParseRange(%q) = %v, %v, want ErrSyntax", d, text, r, err)
			}
		}
	}
}

func TestPrereleaseRulePerDialect(t *testing.T) {
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
		member{semver.Cargo, ">=1.0.0-a, 1.*", "1.0.0-b", false},
		member{semver.Cargo, ">=1.0.0-a, ^1", "1.0.0-b", true},
		member{semver.NPM, ">=1.0.0-a 1.*", "1.0.0-b", false},
		member{semver.Helm, "!=1.0.0-a", "2.0.0-b", true},
		member{semver.NPM, "!=1.0.0-a", "1.0.0-b", false},
	)
}

func TestPrereleaseRulePerAlternative(t *testing.T) {
	const text = ">=1.2.3-a <1.2.3 || ^2"
	checkMembers(t,
		member{semver.NPM, text, "1.2.3-b", true},
		member{semver.NPM, text, "2.0.0-b", false},
		member{semver.NPM, text, "2.2.3-b", false},
		member{semver.NPM, text, "1.2.3", false},
		member{semver.Helm, text, "2.2.3-b", false},
	)
}

// TestCargoPartialBoundsKeepTheirEnd has answers of Rust's crate.
func TestCargoPartialBoundsKeepTheirEnd(t *testing.T) {
	for _, text := range []string{">=1.1, >=1.1.0-a", "<=1.1, >=1.1.0-a"} {
		checkMembers(t, member{semver.Cargo, text, "1.1.0-b", false}, member{semver.Cargo, text, "1.1.0", true})
	}
}

// TestPreGroupRemembersTheName names a pre-release before and after other
// comparators.
func TestPreGroupRemembersTheName(t *testing.T) {
	for _, text := range []string{">=1.0.0-a, <2", "<2, >=1.0.0-a", ">=1, !=1.5.0-a, <2"} {
		checkMembers(t, member{semver.Helm, text, "1.5.0-b", true}, member{semver.Helm, text + " || ^3", "3.5.0-b", false})
	}
}

func TestCaretNeverReachesNextMajor(t *testing.T) {
	for _, p := range []semver.Prereleases{semver.PreSameCore, semver.PreAll, semver.PreGroup, semver.PreExact, semver.PreNone} {
		d := semver.NPM.With(p)
		checkMembers(t, member{d, "^1.2.3", "2.0.0-alpha", false}, member{d, "^1.2.3-rc", "2.0.0-alpha", false})
	}
	checkMembers(t, member{semver.NPM.With(semver.PreAll), "<2.0.0", "2.0.0-alpha", true})
}

func TestLowerBoundsOfPreAll(t *testing.T) {
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

func TestBoundsDoNotWrap(t *testing.T) {
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

func TestPessimistic(t *testing.T) {
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
	checkEqual(t, terraform("~> 2"), semver.MustParseRange(">=2.0.0"))
	provider, err := semver.TerraformProvider.ParseRange("~> 2")
	checkIs(t, err, nil)
	checkEqual(t, provider, semver.MustParseRange("^2"))
}

func TestCargoIsNotNPM(t *testing.T) {
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

// Helm templates write >=1.19-0 to admit the builds of cloud vendors.
func TestHelmReadsPartialPrereleases(t *testing.T) {
	checkMembers(t,
		member{semver.Helm, ">=1.19-0", "1.34.1-eks-3025e55", true},
		member{semver.Helm, ">=1.19-0", "1.19.0-0", true},
		member{semver.Helm, ">=1.19-0", "1.18.9", false},
		member{semver.Helm, "<1.14-0", "1.13.9", true},
		member{semver.Helm, "<1.14-0", "1.14.0-0", false},
		member{semver.Helm, "^1.9-0", "1.9.0-0", true},
		member{semver.Helm, "^1.9-0", "2.0.0-0", false},
		member{semver.Helm, ">=1.8-0, <1.11-0", "1.10.5-gke.1", true},
		member{semver.Helm, "~1.1-alpha", "1.1.9-a", true},
		member{semver.Helm, "!=4.1-alpha", "4.1.0-alpha", false},
		member{semver.Helm, "*-0", "1.0.0-rc", true},
		member{semver.Helm, "x-0", "1.0.0-rc", true},
		member{semver.Helm, "*.*.*-qa", "1.0.0-rc", true},
		member{semver.Helm, ">=1.2+b", "1.2.0", true},
		member{semver.Helm, "1.2-beta", "1.2.7", true},
		member{semver.Helm, "v*", "1.2.7", true},
		member{semver.Helm, "1.0.0 - 2.0.0, !=1.5.0", "1.5.0", false},
		member{semver.Helm, "1.0.0 - 2.0.0, !=1.5.0", "1.5.1", true},
	)
}

func TestHelmReadsHyphenRangesAfterCommaOrHyphenRange(t *testing.T) {
	for _, text := range []string{"1.0.0 - 2.0.0, !=1.5.0", "!=1.5.0, 1.0.0 - 2.0.0"} {
		checkMembers(t, member{semver.Helm, text, "1.4.0", true}, member{semver.Helm, text, "1.5.0", false})
	}
	text := "1.0.0 - 2.0.0 1.5.0 - 3.0.0"
	checkMembers(t, member{semver.Helm, text, "1.4.0", false}, member{semver.Helm, text, "1.5.0", true}, member{semver.Helm, text, "2.1.0", false})
	if r, err := semver.Helm.ParseRange("!=1.5.0 1.0.0 - 2.0.0"); err == nil {
		t.Errorf("got %s, want an error", r)
	}
}

func TestCargoPartialComparatorsAdmitNoPrereleases(t *testing.T) {
	for _, text := range []string{">=1, >=1.1.0-a", "<=1, >=1.1.0-a", "=1, >=1.1.0-a", "1.*, >=1.1.0-a", "1.1.*, >=1.1.0-a", "~1, >=1.1.0-a", "~1.1, >=1.1.0-a"} {
		checkMembers(t, member{semver.Cargo, text, "1.1.0-a", false})
	}
	checkMembers(t, member{semver.Cargo, "^1, >=1.1.0-a", "1.1.0-a", true})
	for _, text := range []string{"*.*", "x.X.*"} {
		if r, err := semver.Cargo.ParseRange(text); err == nil {
			t.Errorf("Cargo reads %q as %s", text, r.Canonical())
		}
	}
}

func TestNPMReadsTails(t *testing.T) {
	for _, text := range []string{"1.x+build", "1.2+b", "1.x.x-alpha", "^1.2.x-0", "v*", "^=1.2.3"} {
		if _, err := semver.NPM.ParseRange(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestStarReplacesAlternativesOnlyUnderTheRuleOfNPM(t *testing.T) {
	checkMembers(t,
		member{semver.NPM.With(semver.PreAll), ">=0.0.0 || 0.0.0-alpha", "0.0.0-alpha", true},
		member{semver.NPM.With(semver.PreGroup), "* || 1.0.0-rc.1", "1.0.0-rc.1", true},
		member{semver.NPM.With(semver.PreExact), "1.0.0-rc.1 || *", "1.0.0-rc.1", true},
		member{semver.NPM, "* || 1.0.0-rc.1", "1.0.0-rc.1", false},
		member{semver.NPM, ">=0.0.0-0", "0.0.0-a", true},
		member{semver.NPM, ">=0.0.0-0 || 1.0.0-rc.1", "1.0.0-rc.1", true},
		member{semver.NPM, ">=0.0.0-alpha.1 >=0.0.0", "0.0.0-rc1", true},
	)
}

func TestTerraformReadsRequiredVersion(t *testing.T) {
	checkMembers(t,
		member{semver.Terraform, ">= v1.2", "1.2.0", true},
		member{semver.Terraform, "v0.0.3-alpha.1", "0.0.3-alpha.1", true},
		member{semver.Terraform, "~> 5", "6.0.0", true},
		member{semver.Terraform, "1.0-beta2", "1.0.0-beta2", true},
		member{semver.Terraform, ">= 1.15.0-alpha", "1.15.0-beta1", true},
		member{semver.Terraform, ">= 1.15.0-alpha", "1.16.0-beta1", false},
	)
}

// TestRealConstraints parses constraints that people wrote, collected from
// public packages, charts and modules. The list is outside the repository.
func TestRealConstraints(t *testing.T) {
	invalid := map[string]bool{ // no tool reads these
		"11.10.": true, "9999.0000.9999": true, "typedoc": true, "unbundled": true, "latest": true, "not actually version": true,
	}
	for name, d := range map[string]semver.Dialect{"npm": semver.NPM, "helm": semver.Helm, "terraform": semver.Terraform} {
		doc, err := os.ReadFile(filepath.Join("..", "..", "shared", "data", "semver", "real_"+name+".txt"))
		if err != nil {
			t.Skip("the list is not there")
		}
		for line := range strings.Lines(string(doc)) {
			text, err := strconv.Unquote(strings.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			if r, err := d.ParseRange(text); (err != nil) != invalid[text] {
				t.Errorf("%s: %q: %s, %v", name, text, r, err)
			}
		}
	}
}

func TestPrereleasesOfRequiredVersion(t *testing.T) {
	checkMembers(
		t,
		member{semver.Terraform, ">= 1.2.3-rc.1", "1.2.3", true},
		member{semver.Terraform, ">= 1.2.3-rc.1", "1.2.3-rc.2", true},
		member{semver.Terraform, ">= 1.2.3-rc.1", "1.2.4-rc.2", false},
		member{semver.Terraform, ">= 1.2.3-rc.1, < 2.0.0", "1.2.3-rc.2", false},
		member{semver.Terraform, ">= 1.2.3-rc.1, != 1.2.3-rc.3", "1.2.3-rc.2", true},
		member{semver.Terraform, "!= 1.0.0", "2.0.0-beta", true},
		member{semver.Terraform, "~> 1.2.3-rc.1", "1.2.3-rc.2", true},
		member{semver.Terraform, "~> 1.2.3-rc.1", "1.2.4", false},
		member{semver.TerraformProvider, "~> 1.2.3-rc.1", "1.2.4", true},
		member{semver.TerraformProvider, "= 2.0.0-a, ~> 1.2", "2.0.0-a", true},
		member{semver.TerraformProvider, ">= 1.0.0-a", "1.0.0-b", false},
	)
}

func TestHelmReadsStarAsZero(t *testing.T) {
	for text, want := range map[string]semver.Range{
		"*":                semver.MustParseRange("*"),
		"~*":               semver.MustParseRange("*"),
		"^*":               semver.MustParseRange("0.0.0"),
		"<*":               {},
		"<=*":              semver.MustParseRange("0.0.x"),
		">*":               semver.MustParseRange(">0.0.0"),
		">=*":              semver.MustParseRange("*"),
		"!=*":              semver.MustParseRange(">0.0.0"),
		"* - 1.2":          semver.MustParseRange("<=1.2"),
		"!=1":              semver.MustParseRange("<1 || >=2"),
		"!=1.2":            semver.MustParseRange("<1.2.0 || >=1.3.0"),
		"1.x.2":            semver.MustParseRange("1.x"),
		">=2025.04 <=2025": semver.MustParseRange(">=2025.4.0 <2026.0.0"),
	} {
		got, err := semver.Helm.ParseRange(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		checkEqual(t, got, want)
	}
	checkMembers(
		t,
		member{semver.Helm, "!=1.2, >=0-0", "1.2.1-a", true},
		member{semver.Helm, "!=1, >=0-0", "1.0.0-0", false},
		member{semver.Helm, ">1.0-0", "1.1.0-0", true},
		member{semver.Helm, "<1.2, >=0-0", "1.2.0-0", true},
		member{semver.Helm, "<=1.2-0", "1.2.9", true},
	)
}

// TestNPMPrefixes checks answers of the npm package semver 7.8.6.
func TestNPMPrefixes(t *testing.T) {
	for text, want := range map[string]string{ // "" for an error
		"^=1.2.3": "^1.2.3", "~ =1.2": "~1.2", "~= 3": "~3", "> =1.2.3": ">=1.2.3", "==1.x": "1.x", "vv1.x": "1.x",
		"==1.2.3": "", "vv1.2.3": "", ">==1.2.3": "", ">==1.x": ">=1.x", "^*.1": "*", "~1.x.2": "1.x", "1 - =2": "1 - 2",
		"=1.x - 2": "1 - 2", "1.2.3 - x.1": ">=1.2.3", "!1": "", "^*.01": "", "1.x-": "", "1xx": "", "1.2.3+b 1.x": "1.2.3",
		"<>1": "", "x.": "", "1 - ^2": "", "1.2.3 - 2 3": "",
	} {
		got, err := semver.NPM.ParseRange(text)
		if (err == nil) != (want != "") {
			t.Errorf("%q: %s, %v, want %q", text, got, err, want)
		}
		if err == nil {
			checkEqual(t, got, semver.MustParseRange(want))
		}
	}
}

// TestNPMReadsArrowsAsTheToolDoes lists spellings of ~ whose answers come
// from node-semver.
func TestNPMReadsArrowsAsTheToolDoes(t *testing.T) {
	for _, text := range []string{"~ >1.2.3", "~ >  1.2.3", "~ >=1.2.3", "~> >= v1.2.3", "~>= 1.2.3", "~ = 1.2.3"} {
		checkEqual(t, semver.MustParseRange(text), semver.MustParseRange("~1.2.3"))
	}
	for _, text := range []string{"~> = 1.2.3", "~ > = v1", "^ >1"} {
		if r, err := semver.ParseRange(text); err == nil {
			t.Errorf("%q gives %s, want an error", text, r.Canonical())
		}
	}
}
