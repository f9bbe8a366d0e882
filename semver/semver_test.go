package semver_test

import (
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
	v := semver.MustParse("1.2.3-" + strings.Repeat("a", 200))
	defer func() {
		err, _ := recover().(error)
		if err == nil || !strings.Contains(err.Error(), "1024 bytes") {
			t.Errorf("panic %v", err)
		}
		var back semver.Version
		if err := back.UnmarshalText([]byte(v.String())); err != nil || back != v {
			t.Errorf("%d bytes cannot be read: %v", len(v.String()), err)
		}
		if len(v.String()) < 900 {
			t.Errorf("stopped at %d bytes", len(v.String()))
		}
	}()
	for range 1000 {
		v = v.Next()
	}
}
