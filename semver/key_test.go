package semver_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/semver"
)

func TestKeyOrder(t *testing.T) {
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
