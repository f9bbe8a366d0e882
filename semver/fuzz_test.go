package semver_test

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/semver"
)

// official is the regular expression suggested by semver.org.
var official = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)` +
	`(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?` +
	`(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$`)

// checkFault checks that an error is a ParseError that points into s.
func checkFault(t *testing.T, s string, err error) {
	t.Helper()
	e, ok := errors.AsType[*semver.ParseError](err)
	if !ok || e.Offset < 0 || e.Offset > len(s) || len(strings.TrimSuffix(e.Input, "…")) > 64 {
		t.Errorf("%q: %#v", s, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1.2.3-rc.1+b", "99999999999999999999.0.0", "1.0.0--", "1.0.0-01", "1.0.0-a..b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := semver.Parse(s)
		if want := len(s) <= semver.MaxLength && official.MatchString(s); (err == nil) != want || semver.Valid(s) != want {
			t.Fatalf("Parse(%q) = %v, %v, want it valid: %v", s, v, err, want)
		}
		if err != nil {
			checkFault(t, s, err)
			return
		}
		m := official.FindStringSubmatch(s)
		if v.String() != s || v.Prerelease() != m[4] || v.Build() != m[5] {
			t.Errorf("Parse(%q): String %q, Prerelease %q, Build %q", s, v, v.Prerelease(), v.Build())
		}
		var w semver.Version
		if err := w.UnmarshalText([]byte(s)); err != nil || v != w {
			t.Errorf("UnmarshalText(%q) = %v, %v", s, w, err)
		}
	})
}

func FuzzMode(f *testing.F) {
	f.Add(uint8(15), " v01.2\n")
	f.Add(uint8(7), "v00099999999999999999999.2")
	f.Fuzz(func(t *testing.T, mode uint8, s string) {
		v, err := semver.Mode(mode).Parse(s)
		if err != nil {
			checkFault(t, s, err)
			if semver.Valid(s) {
				t.Errorf("a mode refuses the strict %q: %v", s, err)
			}
			return
		}
		if w, err := semver.Parse(v.String()); err != nil || v != w {
			t.Errorf("Mode(%d).Parse(%q) = %#v, not normal: %v", mode, s, v, err)
		}
	})
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"^1.2 || >=3.1 <4", "1 - 2.x", "~> 1.2.3, != 1.2.4", ">=1.0.0-a <2 || *", "=> v1 , =<2", "1.*"} {
		for d := range uint16(5) {
			f.Add(d, s)
		}
	}
	f.Fuzz(func(t *testing.T, d uint16, s string) {
		r, err := semver.Dialect(d).ParseRange(s)
		if err != nil {
			checkFault(t, s, err)
			return
		}
		if r.String() != s && s != "" {
			t.Errorf("String() = %q, want %q", r, s)
		}
		if c := r.Complement(); c.Overlaps(r) || !c.Union(r).Equal(semver.All()) {
			t.Errorf("%q: the complement is wrong: %s", s, c)
		}
		var back semver.Range
		text, err := r.MarshalText()
		if err != nil || back.UnmarshalText(text) != nil || !back.Equal(r) {
			t.Errorf("%q: canonical text %q gives %v, %v", s, text, back, back.UnmarshalText(text))
		}
	})
}

func FuzzUnmarshalBinary(f *testing.F) {
	for _, s := range []string{"1.2.3", "1.2.3-rc.1+001.b", "99999999999999999999.0.0--"} {
		f.Add(key(semver.MustParse(s)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v semver.Version
		if err := v.UnmarshalBinary(b); err != nil {
			checkFault(t, string(b), err)
			return
		}
		if !bytes.Equal(key(v), b) || !semver.Valid(v.String()) {
			t.Errorf("UnmarshalBinary(%q) = %s, whose key is %q", b, v, key(v))
		}
	})
}

func FuzzCompare(f *testing.F) {
	f.Add("1.0.0-a.b+1", "1.0.0-a-+01")
	f.Fuzz(func(t *testing.T, a, b string) {
		v, err := semver.Parse(a)
		w, err2 := semver.Parse(b)
		if err != nil || err2 != nil {
			return
		}
		if got, want := v.Compare(w), reference(v, w); got != want {
			t.Errorf("%s.Compare(%s) = %d, want %d", v, w, got, want)
		}
		if got, want := bytes.Compare(key(v), key(w)), v.CompareTotal(w); got != want || (got == 0) != (a == b) {
			t.Errorf("keys of %s and %s compare as %d, want %d", v, w, got, want)
		}
	})
}
