package audit

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
)

// Secret holds a value that is configuration rather than data: nothing is
// recorded, and nothing but Reveal shows it. The value lives in a closure, where
// neither fmt nor an encoder nor a debugging dump can follow. Secrets cannot be
// compared with ==. The zero Secret holds the zero T.
type Secret[T any] struct{ reveal func() T }

// NewSecret hides v. A slice, map or pointer is held as it is, not copied, so that
// clear(s.Reveal()) wipes a Secret of bytes.
func NewSecret[T any](v T) Secret[T] { return Secret[T]{func() T { return v }} }

// Reveal returns the value.
func (s Secret[T]) Reveal() T {
	if s.reveal == nil {
		var zero T
		return zero
	}
	return s.reveal()
}

// Equal reports whether both hold the same value. For strings and byte slices the
// time taken does not depend on where or whether they differ; other types are
// compared by reflect.DeepEqual, which makes no such promise.
func (s Secret[T]) Equal(t Secret[T]) bool {
	a, b := any(s.Reveal()), any(t.Reveal())
	switch k := reflect.TypeFor[T](); {
	case k.Kind() == reflect.String, k.Kind() == reflect.Slice && k.Elem().Kind() == reflect.Uint8:
		// Digests have one length, so different lengths take no shortcut either.
		x, y := sha256.Sum256([]byte(plainText(a))), sha256.Sum256([]byte(plainText(b)))
		return subtle.ConstantTimeCompare(x[:], y[:]) == 1
	}
	return reflect.DeepEqual(a, b)
}

// String returns "***".
func (s Secret[T]) String() string { return fullMask }

// Format writes "***" for every verb.
func (s Secret[T]) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, fullMask) }

// LogValue returns "***".
func (s Secret[T]) LogValue() slog.Value { return slog.StringValue(fullMask) }

// MarshalText returns "***".
func (s Secret[T]) MarshalText() ([]byte, error) { return []byte(fullMask), nil }

// MarshalJSON returns "***" as a JSON string.
func (s Secret[T]) MarshalJSON() ([]byte, error) { return []byte(`"` + fullMask + `"`), nil }

// UnmarshalText takes text as the new secret, which makes a Secret usable in
// configuration files and with flag.TextVar. T must be string, []byte or decode
// itself from text. The mask is refused: a masked dump read back must not become
// the secret.
//
// Errors, which never repeat the text: [ErrInvalid], errors.ErrUnsupported for
// other types.
func (s *Secret[T]) UnmarshalText(text []byte) error {
	if string(text) == fullMask {
		return fmt.Errorf("audit: secret: the text is the mask: %w", ErrInvalid)
	}
	v := new(T)
	switch p := any(v).(type) {
	case encoding.TextUnmarshaler:
		if p.UnmarshalText(text) != nil {
			return fmt.Errorf("audit: secret: text not decodable: %w", ErrInvalid)
		}
	case *string:
		*p = string(text)
	case *[]byte:
		*p = append([]byte{}, text...)
	default:
		return fmt.Errorf("audit: secret: decode text: %w", errors.ErrUnsupported)
	}
	*s = NewSecret(*v)
	return nil
}

// UnmarshalJSON takes a JSON value of type T as the new secret, and refuses the
// mask. The error matches [ErrInvalid] and never repeats the value.
func (s *Secret[T]) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil && text == fullMask {
		return fmt.Errorf("audit: secret: the text is the mask: %w", ErrInvalid)
	}
	var v T
	if json.Unmarshal(data, &v) != nil {
		return fmt.Errorf("audit: secret: JSON not decodable: %w", ErrInvalid)
	}
	*s = NewSecret(v)
	return nil
}
