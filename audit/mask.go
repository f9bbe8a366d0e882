package audit

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/internal/show"
)

// fullMask reveals neither length nor type.
const fullMask = show.Mask

// Last returns a mask that shows the last n runes, such as "***1234". It shows
// only "***" if n <= 0, if n is more than a quarter of the runes, or if there
// are fewer than 16 runes.
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

// safeMask returns mask(v), or "***" if mask panics or returns v.
func safeMask[T any](mask func(T) string, v T) (s string) {
	defer func() {
		if recover() != nil {
			s = fullMask // the panic value may contain the secret
		}
	}()
	s = mask(v)
	// Two forms, because a String method may hide the plain text.
	for _, plain := range [...]string{fmt.Sprint(v), plainText(v)} {
		if plain != "" && strings.Contains(s, plain) {
			return fullMask
		}
	}
	return s
}

// plainText returns the content of string and byte slice types, without calling
// methods. It is empty for other types.
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
