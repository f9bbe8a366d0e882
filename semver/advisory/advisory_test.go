package advisory_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/advisory"
)

// TestAdjacentIntervalsMakeOneConstraint writes sets in which an interval of
// both kinds begins where an interval of a single kind ends.
func TestAdjacentIntervalsMakeOneConstraint(t *testing.T) {
	gap := semver.MustParseRange("1.0.0 || 1.0.1")
	for want, r := range map[string]semver.Range{
		"vers:npm/>=1.0.0-0|<1.0.0|>=1.0.1-0|<1.0.1|>=1.0.2-0": semver.AtLeast(semver.MustParse("1.0.0-0")).Difference(gap),
		"vers:npm/1.0.0|>=1.0.1":                               semver.AtLeast(semver.MustParse("1.0.2-0")).Union(gap),
	} {
		text, err := advisory.FormatVERS("npm", r)
		if _, back, err2 := advisory.ParseVERS(text); text != want || err != nil || err2 != nil || !back.Equal(r) {
			t.Errorf("got %s, %v, want %s, read as %s, %v", text, err, want, back, err2)
		}
	}
}

// TestTheLongestSpecifiersAreSafe reads the longest versions. No foreign text
// may cause a panic.
func TestTheLongestSpecifiersAreSafe(t *testing.T) {
	for _, text := range []string{"1.0.0-" + strings.Repeat("a", 1018), strings.Repeat("9", 254) + ".0.0"} {
		for _, op := range []string{"", "!=", "<", "<=", ">", ">="} {
			_, r, err := advisory.ParseVERS("vers:npm/" + op + text)
			if err != nil {
				t.Errorf("%s%.20s: %v", op, text, err)
			}
			again, err := advisory.FormatVERS("npm", r)
			if errors.Is(err, semver.ErrTooLong) {
				continue
			}
			if _, back, err := advisory.ParseVERS(again); err != nil || !back.Equal(r) {
				t.Errorf("%s%.20s: written, not read: %v", op, text, err)
			}
		}
	}
}

func TestAdvisoriesInPlainOrder(t *testing.T) {
	gated := semver.MustParseRange("<2.0.0")
	osv, err := advisory.ParseOSV(advisory.Event{Introduced: "0"}, advisory.Event{Fixed: "2.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	_, vers, err := advisory.ParseVERS("vers:npm/<2.0.0")
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

func TestVERS(t *testing.T) {
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
		typ, got, err := advisory.ParseVERS(text)
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
		{"vers:npm/" + strings.Repeat("9", 1<<20), semver.ErrTooLong, 1 << 20},
	} {
		_, _, err := advisory.ParseVERS(row.text)
		checkParseError(t, row.text, err, row.class, row.offset)
	}
	for text, want := range map[string]string{
		"1.0.0 || 1.0.1":        "vers:npm/1.0.0|1.0.1",
		"1.0.1 - 1.0.3":         "vers:npm/1.0.1|1.0.2|1.0.3",
		"1.0.0-rc || >=2 <1":    "vers:npm/1.0.0-rc",
		"1.2.3-rc - 1.2.4":      "vers:npm/>=1.2.3-rc|<1.2.4-0|1.2.4",
		">=1.0.0-0 <1.0.0 || 1": "",
	} {
		if got, err := advisory.FormatVERS("npm", semver.MustParseRange(text)); got != want || (err == nil) != (want != "") {
			t.Errorf("VERS of %s = %q, %v, want %q", text, got, err, want)
		}
	}
	pres := semver.Between(semver.New(1, 0, 0), semver.New(1, 0, 2)).Difference(semver.Releases())
	if got, err := advisory.FormatVERS("npm", pres); got != "vers:npm/>=1.0.1-0|<1.0.1|>=1.0.2-0|<1.0.2" {
		t.Errorf("VERS of pre-releases = %q, %v", got, err)
	}
	if s, err := advisory.FormatVERS("npm", semver.MustParseRange("^1")); !errors.Is(err, semver.ErrUnsupported) {
		t.Errorf("VERS of a gated range = %q, %v, want ErrUnsupported", s, err)
	}
	if s, err := advisory.FormatVERS("pypi", semver.All()); !errors.Is(err, semver.ErrUnsupported) {
		t.Errorf("VERS(pypi) = %q, %v, want ErrUnsupported", s, err)
	}
}

func TestOSV(t *testing.T) {
	ev := func(pairs ...string) (events []advisory.Event) {
		for i := 0; i < len(pairs); i += 2 {
			e := advisory.Event{}
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
		events []advisory.Event
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
		got, err := advisory.ParseOSV(row.events...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		checkEqual(t, got, row.want)
	}
	for name, events := range map[string][]advisory.Event{
		"no key":            {{}},
		"two keys":          {{Introduced: "0", Fixed: "1.0.0"}},
		"none introduced":   ev("fixed", "1.0.0"),
		"mixed":             ev("introduced", "0", "fixed", "1.0.0", "last_affected", "0.9.0"),
		"malformed version": ev("introduced", "1.0"),
		"star":              ev("introduced", "*"),
		"zero fixed":        ev("introduced", "0", "fixed", "0"),
	} {
		if r, err := advisory.ParseOSV(events...); !errors.Is(err, advisory.ErrEvents) || !r.IsEmpty() {
			t.Errorf("%s: got %v, %v, want ErrEvents", name, r, err)
		}
	}
}
