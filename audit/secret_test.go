package audit_test

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
)

func TestMaskIsNotDecodedAsSecret(t *testing.T) {
	s := audit.NewSecret("old")
	checkIs(t, s.UnmarshalText([]byte("***")), audit.ErrInvalid)
	checkIs(t, json.Unmarshal([]byte(`"***"`), &s), audit.ErrInvalid)
	checkIs(t, json.Unmarshal([]byte(`"\u002a**"`), &s), audit.ErrInvalid)
	if s.Reveal() != "old" {
		t.Errorf("secret became %q", s.Reveal())
	}
	var n audit.Secret[int]
	err := n.UnmarshalJSON([]byte(`"hunter2"`))
	checkIs(t, err, audit.ErrInvalid)
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error shows the value: %v", err)
	}
	checkIs(t, n.UnmarshalText([]byte("1")), errors.ErrUnsupported)
	if err := n.UnmarshalJSON([]byte("7")); err != nil || n.Reveal() != 7 {
		t.Errorf("decoded %d, %v", n.Reveal(), err)
	}
	f, _ := (&audit.Attribute[string]{Name: "key"}).Load(newLog(&memory{}).Object("user", "1"), "old")
	checkIs(t, f.UnmarshalText([]byte("new")), errors.ErrUnsupported)
	checkIs(t, json.Unmarshal([]byte(`"new"`), &f), errors.ErrUnsupported)
	if f.Masked() != "old" {
		t.Errorf("field became %q", f.Masked())
	}
}

func TestSecretEqual(t *testing.T) {
	s := audit.NewSecret[string]
	if !s("a").Equal(s("a")) || s("a").Equal(s("b")) || s("a").Equal(s("aa")) || s("").Equal(s("a")) {
		t.Error("string secrets compare wrongly")
	}
	b := func(v []byte) audit.Secret[[]byte] { return audit.NewSecret(v) }
	if !b([]byte("a")).Equal(b([]byte("a"))) || b([]byte("a")).Equal(b(nil)) || !b([]byte{}).Equal(b(nil)) {
		t.Error("byte secrets compare wrongly")
	}
	if n := audit.NewSecret[nosy]; n("x").Equal(n("y")) {
		t.Error("named strings are compared by their String method")
	}
	if i := audit.NewSecret[int]; !i(1).Equal(i(1)) || i(1).Equal(i(2)) || !i(0).Equal(audit.Secret[int]{}) {
		t.Error("integer secrets compare wrongly")
	}
}

// A database must not store the mask of a secret.
func TestDatabasesRefuseSecrets(t *testing.T) {
	f, _ := (&audit.Attribute[string]{Name: "key", Sensitive: true}).Load(newLog(&memory{}).Object("user", "1"), plaintext)
	for name, v := range map[string]driver.Valuer{"secret": audit.NewSecret(plaintext), "field": f, "zero": audit.Secret[int]{}, "unbound": audit.Field[int]{}} {
		got, err := driver.DefaultParameterConverter.ConvertValue(v)
		if got != nil || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: stored as %v, %v", name, got, err)
		}
	}
	if err := f.Scan("x"); !errors.Is(err, errors.ErrUnsupported) || f.Masked() != "***" {
		t.Errorf("Scan into a field: %v", err)
	}
}

func TestSecretScan(t *testing.T) {
	var s audit.Secret[string]
	var b audit.Secret[[]byte]
	var n audit.Secret[int64]
	var null audit.Secret[sql.Null[string]]
	source := []byte("hunter2")
	for _, c := range []struct {
		scan func(any) error
		src  any
		want error
	}{
		{s.Scan, "hunter2", nil},
		{b.Scan, source, nil},
		{n.Scan, int64(7), nil},
		{null.Scan, nil, nil},
		{s.Scan, "***", audit.ErrInvalid},
		{s.Scan, nil, audit.ErrInvalid},
		{s.Scan, int64(7), errors.ErrUnsupported},
		{n.Scan, "hunter2", errors.ErrUnsupported},
	} {
		err := c.scan(c.src)
		if !errors.Is(err, c.want) || err != nil && leaks(err.Error()) {
			t.Errorf("Scan(%v): %v, want %v", c.src, err, c.want)
		}
	}
	source[0] = 'X' // a driver reuses its memory
	if s.Reveal() != "hunter2" || string(b.Reveal()) != "hunter2" || n.Reveal() != 7 || null.Reveal().Valid {
		t.Errorf("secrets %q, %q, %d, %v", s.Reveal(), b.Reveal(), n.Reveal(), null.Reveal())
	}
}
