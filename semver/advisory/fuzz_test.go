package advisory_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/advisory"
)

func FuzzParseVERS(f *testing.F) {
	for _, s := range []string{"vers:npm/1.2.3|>=2.0.0|<5.0.0", "vers:all/*", "vers:golang/!=1.0.0|>2.0.0-rc", "vers:none/*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		typ, r, err := advisory.ParseVERS(s)
		if err != nil {
			if e, ok := errors.AsType[*semver.ParseError](err); !ok || e.Offset < 0 || e.Offset > len(s) {
				t.Errorf("%q: %#v", s, err)
			}
			return
		}
		if typ == "all" || typ == "none" {
			typ = "semver"
		}
		text, err := advisory.FormatVERS(typ, r)
		if errors.Is(err, semver.ErrTooLong) { // the successor of a version of 1024 bytes
			return
		}
		if err != nil {
			t.Fatalf("%q: VERS: %v", s, err)
		}
		if _, back, err := advisory.ParseVERS(text); err != nil || !back.Equal(r) {
			t.Errorf("%q: VERS %q gives %v, %v", s, text, back, err)
		}
	})
}

func FuzzParseOSV(f *testing.F) {
	f.Add([]byte(`[{"introduced":"0"},{"fixed":"1.4.2"}]`))
	f.Add([]byte(`[{"introduced":"1.0.0-a"},{"last_affected":"1.4.2"},{"limit":"*"}]`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		var events []advisory.Event
		if json.Unmarshal(doc, &events) != nil {
			return
		}
		r, err := advisory.ParseOSV(events...)
		if err != nil {
			if !errors.Is(err, advisory.ErrEvents) || !r.IsEmpty() {
				t.Errorf("%s: %v, %v", doc, r, err)
			}
			return
		}
		for _, v := range around(r) {
			if r.Contains(v) != included(v, events) {
				t.Errorf("%s: contains %s = %v", doc, v, r.Contains(v))
			}
		}
	})
}

// sources are texts from which FuzzAlgebra makes ranges.
type sources struct{ a, b, c string }

// ranges makes a range from every source that accepts the texts: every
// constructor, every dialect under every rule, OSV events and vers.
func (s sources) ranges() (out []semver.Range) {
	v, err := semver.Tolerant.Parse(s.a)
	w, err2 := semver.Tolerant.Parse(s.b)
	if err == nil && err2 == nil {
		out = append(out, semver.Exactly(v, w), semver.AtLeast(v), semver.Above(v), semver.AtMost(w), semver.Below(w),
			semver.Between(v, w), semver.Closed(v, w))
		for _, events := range [][]advisory.Event{
			{{Introduced: v.String()}, {Fixed: w.String()}},
			{{Introduced: v.String()}, {LastAffected: w.String()}},
			{{Introduced: "0"}, {Limit: w.String()}},
		} {
			if r, err := advisory.ParseOSV(events...); err == nil {
				out = append(out, r)
			}
		}
	}
	for d := semver.NPM; d <= semver.TerraformProvider; d++ {
		for p := semver.Prereleases(0); p <= semver.PreEachCore; p++ {
			if r, err := d.With(p).ParseRange(s.c); err == nil {
				out = append(out, r)
			}
		}
	}
	if _, r, err := advisory.ParseVERS(s.c); err == nil {
		out = append(out, r)
	}
	return out
}

// FuzzAlgebra checks the laws of sets and of their texts, keys and formats on
// ranges of every source.
func FuzzAlgebra(f *testing.F) {
	f.Add("1.2.3", "2.0.0-rc.1+b", ">=1.2-0 <2 || 1.2.4-a")
	f.Add("24.0.9+incompatible", "0.0.0-0", "vers:golang/>=2.0.0|<2.4.0+incompatible")
	f.Add("1.2.3-rc.1", "1.2.3-rc.1.0", "~> 1.2.3-rc, != 1.2.4")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		rs := sources{a, b, c}.ranges()
		for i, r := range rs {
			checkRange(t, r)
			s := rs[(i+1)%len(rs)]
			checkPair(t, r, s)
		}
	})
}

// checkRange checks the laws of a single range.
func checkRange(t *testing.T, r semver.Range) {
	t.Helper()
	if !r.Complement().Complement().Equal(r) || !r.Clone().Equal(r) {
		t.Fatalf("%s: the double complement or the clone differs", r)
	}
	text, err := r.MarshalText()
	var back semver.Range
	if errors.Is(err, semver.ErrTooLong) { // the successor of a version of 1024 bytes
		return
	}
	if err != nil || back.UnmarshalText(text) != nil || !back.Equal(r) || back.Canonical() != string(text) {
		t.Fatalf("%s: text %q gives %s, %v", r, text, back, back.UnmarshalText(text))
	}
	if text, err := advisory.FormatVERS("npm", r); err == nil {
		if _, back, err := advisory.ParseVERS(text); err != nil || !back.Equal(r) {
			t.Fatalf("%s: vers %q gives %s, %v", r, text, back, err)
		}
	}
	for iv := range r.Intervals() {
		checkKeys(t, r, iv)
	}
	for _, v := range around(r) {
		if (r.Check(v) == nil) != r.Contains(v) {
			t.Fatalf("%s: Check(%s) = %v", r, v, r.Check(v))
		}
	}
}

// checkKeys checks that a scan of an ordered store by the keys of an interval
// finds exactly the members.
func checkKeys(t *testing.T, r semver.Range, iv semver.Interval) {
	t.Helper()
	lo, _ := iv.Lo.MarshalBinary()
	hi, _ := iv.Hi.MarshalBinary()
	for _, v := range around(r) {
		key, _ := v.MarshalBinary()
		var back semver.Version
		if err := back.UnmarshalBinary(key); err != nil || back != v {
			t.Fatalf("%s: key gives %s, %v", v, back, err)
		}
		found := bytes.Compare(lo, key) <= 0 && (iv.Unbounded || bytes.Compare(key, hi) < 0)
		found = found && (v.IsPrerelease() && iv.Prereleases || !v.IsPrerelease() && iv.Releases)
		if found && !r.Contains(v) {
			t.Fatalf("%s: the scan %v finds %s", r, iv, v)
		}
	}
	if iv.Lo.Build() != "" || iv.Hi.Build() != "" {
		t.Fatalf("%s: %v has build metadata", r, iv)
	}
}

// checkPair checks the laws of two ranges.
func checkPair(t *testing.T, r, s semver.Range) {
	t.Helper()
	union, both, rest := r.Union(s), r.Intersect(s), r.Difference(s)
	if !both.Union(rest).Equal(r) || !union.Complement().Equal(r.Complement().Intersect(s.Complement())) {
		t.Fatalf("%s, %s: laws of sets", r, s)
	}
	for _, v := range around(r, s) {
		in, in2 := r.Contains(v), s.Contains(v)
		if union.Contains(v) != (in || in2) || both.Contains(v) != (in && in2) || rest.Contains(v) != (in && !in2) {
			t.Fatalf("%s, %s: membership of %s", r, s, v)
		}
	}
}

// FuzzReadOSV reads arbitrary records. The rule of a set refuses its members,
// and only its members.
func FuzzReadOSV(f *testing.F) {
	for _, s := range []string{
		"{}", "[]", "null", `{"vulns":[]}`, `{"id":"A","affected":[{"package":{"name":"p"},"versions":["1.0.0"]}]}`,
		`{"id":"A","affected":[{"package":{"name":"p"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.0+b"}]}]}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		found, err := advisory.ReadOSV(bytes.NewReader(doc), "")
		if err != nil {
			return
		}
		for _, a := range found {
			rule := a.Rule()
			for _, v := range []semver.Version{semver.New(0, 0, 0), semver.New(1, 0, 0), semver.MustParse("1.0.0-rc.1"), semver.New(9, 9, 9)} {
				if err := rule(v); (err != nil) != a.Range.Contains(v) {
					t.Errorf("%s: the set contains %v: %v, the rule: %v", a.Range, v, a.Range.Contains(v), err)
				}
			}
			if low, ok := a.Range.Least(); ok && rule(low) == nil {
				t.Errorf("%s: the rule passes %v", a.Range, low)
			}
		}
	})
}
