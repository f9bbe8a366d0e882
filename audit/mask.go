package audit

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// fullMask tells nothing: neither length nor type.
const fullMask = "***"

// Last returns a mask that shows the last n runes, as "***1234". It shows nothing
// of a text of fewer than 16 runes, nor more than a quarter of a longer one: what
// is too short to be cut is masked whole.
func Last(n int) func(string) string {
	return func(s string) string {
		runes := utf8.RuneCountInString(s)
		if n <= 0 || runes < 16 || n > runes/4 {
			return fullMask
		}
		i := len(s)
		for range n {
			_, size := utf8.DecodeLastRuneInString(s[:i])
			i -= size
		}
		return fullMask + s[i:]
	}
}

// safeMask is what mask makes of v, unless it panics or gives v away.
func safeMask[T any](mask func(T) string, v T) (s string) {
	defer func() {
		if recover() != nil {
			s = fullMask // the panic value may hold the secret
		}
	}()
	s = mask(v)
	// Both forms, because a String method may hide what the mask was given.
	for _, plain := range [...]string{fmt.Sprint(v), plainText(v)} {
		if plain != "" && strings.Contains(s, plain) {
			return fullMask
		}
	}
	return s
}

// plainText is the text inside string and byte slice types, whatever methods they
// have, and empty for other types.
func plainText(v any) string {
	rv := reflect.ValueOf(v)
	switch {
	case !rv.IsValid():
		return ""
	case rv.Kind() == reflect.String:
		return rv.String()
	case rv.Kind() == reflect.Slice && rv.Type().Elem().Kind() == reflect.Uint8:
		return string(rv.Bytes())
	}
	return ""
}
