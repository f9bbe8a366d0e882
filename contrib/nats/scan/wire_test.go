package scan_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/contrib/nats/scan"
)

func TestMessagesAreRead(t *testing.T) {
	for _, b := range scan.Messages() {
		got, err := scan.Recode(b)
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("%q: got %q, %v", b, got, err)
		}
		later := bytes.Clone(b)
		later[1]++
		_, err = scan.Recode(later)
		checkIs(t, err, scan.ErrVersion)
		// Answers, states and blobs end with bytes of any number.
		for n := range min(len(b), 18) {
			if _, err := scan.Recode(b[:n]); !errors.Is(err, scan.ErrForm) {
				t.Errorf("%q: got %v", b[:n], err)
			}
		}
	}
	for _, b := range []string{"", "J", "X\x01", string(scan.Messages()[0]) + "x", string(scan.Messages()[1]) + "x"} {
		_, err := scan.Recode([]byte(b))
		checkIs(t, err, scan.ErrForm)
	}
}

// A message that is read is the same after it is written and read again. Its
// size bounds the memory for it.
func FuzzMessages(f *testing.F) {
	for _, b := range scan.Messages() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		once, err := scan.Recode(b)
		if err != nil {
			return
		}
		if len(once) > len(b)+16 {
			t.Errorf("%d bytes became %d", len(b), len(once))
		}
		twice, err := scan.Recode(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("got %q, %v, want %q", twice, err, once)
		}
	})
}

func TestTextOfErrors(t *testing.T) {
	checkEqual(t, scan.TextOf(errors.New("logscan: a\n\tb")), "a b")
	long := scan.TextOf(errors.New("x" + strings.Repeat("\u00e9", 1000) + "\xff"))
	if len(long) != 1023 || !utf8.ValidString(long) {
		t.Errorf("got %d bytes, valid %v", len(long), utf8.ValidString(long))
	}
	checkEqual(t, scan.TextOf(fmt.Errorf("a: %w", errors.New("b"))), "a: b")
}
