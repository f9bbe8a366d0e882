package semver_test

import (
	"bytes"
	"encoding/gob"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/semver"
)

func TestRangeText(t *testing.T) {
	for text, want := range map[string]string{
		"^1.2.3":                  ">=1.2.3 <2.0.0",
		"1.2.3":                   "1.2.3",
		"1.2.3-rc.1":              "1.2.3-rc.1",
		"*":                       ">=0.0.0",
		"<2":                      ">=0.0.0 <2.0.0",
		"^1.2.3-rc.1":             ">=1.2.3 <2.0.0 || >=1.2.3-rc.1 <1.2.3",
		">4 <3":                   "<0.0.0-0",
		">=1.0.0 ; pre >=1.0.0-b": "plain >=1.0.0-b",
		">=1.0.0 ; pre >=2.0.0-b": ">=1.0.0 ; pre >=2.0.0-b",
		"plain >1.2.3 <2":         "plain >1.2.3 <2.0.0-0",
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
	for want, r := range map[string]semver.Range{
		"plain >=1.0.0 <1.4.2":                  semver.Between(semver.New(1, 0, 0), semver.New(1, 4, 2)),
		"plain >1.0.0 <=1.4.2":                  semver.Above(semver.New(1, 0, 0)).Intersect(semver.AtMost(semver.New(1, 4, 2))),
		"plain <2.0.0 || 3.0.0":                 semver.Below(semver.New(2, 0, 0)).Union(semver.Exactly(semver.New(3, 0, 0))),
		"plain >=2.0.0":                         semver.AtLeast(semver.New(2, 0, 0)),
		">=1.0.0 <2.0.0 ; pre >=1.0.1-0 <1.4.2": plain("^1").Intersect(semver.Releases()).Union(semver.Between(semver.MustParse("1.0.1-0"), semver.New(1, 4, 2))),
		"<0.0.0-0 ; pre >=1.0.1-0":              semver.AtLeast(semver.New(1, 0, 0)).Difference(semver.Releases()),
		"<0.0.0-0":                              {},
		"plain *":                               semver.All(),
		"1.2.3-rc.1 || 2.0.0-0":                 semver.Exactly(semver.MustParse("2.0.0-0"), semver.MustParse("1.2.3-rc.1+b")),
	} {
		var back semver.Range
		if err := back.UnmarshalText([]byte(want)); err != nil || r.String() != want || !back.Equal(r) {
			t.Errorf("String() = %q, want %q; decoded %v, %v", r, want, back, err)
		}
	}
}

func TestWrittenRangesCanBeRead(t *testing.T) {
	var many semver.Range
	for i := range uint64(300) {
		many = many.Union(semver.Between(semver.New(i, 0, 0), semver.New(i, 5, 1)))
	}
	long := semver.MustParse("1.2.3-" + strings.Repeat("a", 250))
	for _, r := range []semver.Range{many, semver.Exactly(long), semver.Exactly(long).Complement()} {
		b, err := r.MarshalText()
		var back semver.Range
		if err := back.UnmarshalText(b); err != nil || !back.Equal(r) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
		_ = err
	}
	for iv := range semver.Exactly(long).Intervals() {
		var v semver.Version
		key, _ := iv.Hi.MarshalBinary()
		if err := v.UnmarshalBinary(key); err != nil {
			t.Error(err)
		}
	}
	for _, text := range []string{" ", "||", "1.2.3 || "} {
		var r semver.Range
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("UnmarshalText(%q) = %s", text, r.Canonical())
		}
	}
}

func TestRangeCodecs(t *testing.T) {
	for _, r := range []semver.Range{
		{},
		semver.All(), semver.Releases(), semver.MustParseRange("^1.2.3-rc.1 || 4"), semver.Below(semver.New(1, 4, 2)),
		semver.AtLeast(semver.New(1, 0, 0)).Difference(semver.Releases()),
	} {
		var buf bytes.Buffer
		var decoded, scanned semver.Range
		if err := gob.NewEncoder(&buf).Encode(&r); err != nil {
			t.Error(err)
		}
		if err := gob.NewDecoder(&buf).Decode(&decoded); err != nil {
			t.Error(err)
		}
		checkEqual(t, decoded, r)
		value, err := r.Value()
		if err != nil || scanned.Scan(value) != nil {
			t.Errorf("%v, %v", value, err)
		}
		checkEqual(t, scanned, r)
		if got, want := scanned.LogValue().String(), r.Canonical(); got != want && got != want[:min(len(want), 64)]+"…" {
			t.Errorf("LogValue() = %s, want the start of %s", got, want)
		}
		if again, err := semver.ParseRange(r.Canonical()); err != nil || !again.Equal(r) {
			t.Errorf("ParseRange(%q) = %s, %v", r.Canonical(), again, err)
		}
	}
	var r semver.Range
	checkIs(t, r.Scan(nil), semver.ErrUnsupported)
	checkIs(t, r.Scan(1), semver.ErrUnsupported)
	checkIs(t, r.Scan([]byte("1 ||")), semver.ErrSyntax)
}

func TestTextOfAHugeRange(t *testing.T) {
	vs := make([]semver.Version, 100_000)
	for i := range vs {
		vs[i] = semver.New(uint64(i), 1, 1)
	}
	r := semver.Exactly(vs...)
	_, err := r.MarshalText()
	checkIs(t, err, semver.ErrTooLong)
	_, err = r.Value()
	checkIs(t, err, semver.ErrTooLong)
	checkIs(t, new(semver.Range).UnmarshalText(bytes.Repeat([]byte(" "), 1<<20+1)), semver.ErrTooLong)
}

func TestStoredRangesReportTheFault(t *testing.T) {
	for text, offset := range map[string]int{
		"plain 1.x.2": 10, "plain ": 6, "1 ; pre x.1": 10, "x.1 ; pre 1": 2, "1 ; pre ": 8, "1.2.3 || ": 9,
	} {
		checkParseError(t, text, new(semver.Range).UnmarshalText([]byte(text)), semver.ErrSyntax, offset)
	}
}
