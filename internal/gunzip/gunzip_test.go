package gunzip_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/redoubt-go/redoubt/internal/gunzip"
)

func member(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

func TestReader(t *testing.T) {
	one, two := member("one "), member("two")
	for _, tt := range []struct {
		name, in, want string
		err            error
	}{
		{"one member", one, "one ", nil},
		{"two members", one + two, "one two", nil},
		{"an empty member", one + member("") + two, "one two", nil},
		{"padding", one + two + "\x00\x00\x00", "one two", nil},
		{"empty", "", "", io.ErrUnexpectedEOF},
		{"cut in a header", one + two[:5], "one ", io.ErrUnexpectedEOF},
		{"cut in a member", one + two[:len(two)-4], "one two", io.ErrUnexpectedEOF},
		{"text after a member", one + "text, no header", "one ", gzip.ErrHeader},
		{"a member after padding", one + "\x00" + two, "one ", gzip.ErrHeader},
		{"damaged", one[:len(one)-5] + "\x00" + one[len(one)-4:], "one ", gzip.ErrChecksum},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in))} {
				got, err := io.ReadAll(gunzip.NewReader(bufio.NewReader(r), new(gzip.Reader)))
				if string(got) != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
				}
			}
		})
	}
}
