package semver_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/redoubt-go/redoubt/semver"
)

func TestDecoding(t *testing.T) {
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

func TestParseAliases(t *testing.T) {
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

func TestNext(t *testing.T) {
	for text, want := range map[string]string{
		"1.2.3": "1.2.4-0", "1.2.3-rc": "1.2.3-rc.0", "1.2.3-rc.1+b": "1.2.3-rc.1.0",
		"1.2.18446744073709551615": "1.2.18446744073709551616-0",
	} {
		checkEqual(t, semver.MustParse(text).Next().String(), want)
	}
}

// TestDerivedVersionsHaveABound derives successors until a bound stops it.
func TestDerivedVersionsHaveABound(t *testing.T) {
	v := semver.MustParse("1.2.3-" + strings.Repeat("a", 250))
	for range 380 {
		v = v.Next()
	}
	var back semver.Version
	if err := back.UnmarshalText([]byte(v.String())); err != nil || back != v {
		t.Errorf("%d bytes cannot be read: %v", len(v.String()), err)
	}
	defer func() {
		if err, _ := recover().(error); err == nil || !strings.Contains(err.Error(), "16384 bytes") {
			t.Errorf("panic %v", err)
		}
	}()
	for range 1 << 14 {
		v = v.Next()
	}
	t.Errorf("%d bytes", len(v.String()))
}

// TestTheLongestStoredTextsAreSafe derives from the longest versions that the
// readers of stored data accept. No foreign text may cause a panic.
func TestTheLongestStoredTextsAreSafe(t *testing.T) {
	nines, letters := strings.Repeat("9", 254), strings.Repeat("a", 1024-len("1.0.0-"))
	for _, text := range []string{
		"1.0.0-" + letters, nines + ".0.0", "0." + nines + ".0", "0.0." + nines,
		nines + "." + nines + "." + nines + "-" + letters[:250],
	} {
		var v semver.Version
		if err := v.UnmarshalText([]byte(text)); err != nil {
			t.Fatalf("%.20s: %v", text, err)
		}
		for _, part := range []semver.Part{semver.Patch, semver.Minor, semver.Major} {
			if next := v.Bump(part); !v.Less(next) {
				t.Errorf("%.20s: Bump(%s) is not above", text, part)
			}
		}
		key, _ := v.Bump(semver.Major).MarshalBinary()
		next, _ := v.Bump(semver.Major).Next().MarshalBinary()
		if bytes.Compare(key, next) >= 0 {
			t.Errorf("%.20s: the keys of Bump and Next are out of order", text)
		}
		if r := semver.Exactly(v); !r.Contains(v) || r.Contains(v.Next()) {
			t.Errorf("%.20s: Exactly is wrong", text)
		}
		if err := semver.Exactly(v.Next()).Check(v); err == nil {
			t.Errorf("%.20s: Check passes", text)
		}
		for _, op := range []string{"", "<", "<=", ">", ">=", "~", "^", "!="} {
			var r, back semver.Range
			if err := r.UnmarshalText([]byte(op + text)); err != nil {
				t.Errorf("%s%.20s: %v", op, text, err)
			}
			stored, err := r.MarshalText()
			switch {
			case err != nil:
				checkIs(t, err, semver.ErrTooLong)
			case back.UnmarshalText(stored) != nil || !back.Equal(r):
				t.Errorf("%s%.20s: written, not read", op, text)
			}
		}
	}
	var v semver.Version
	checkIs(t, v.UnmarshalText([]byte("9"+nines+".0.0")), semver.ErrTooLong)
}
