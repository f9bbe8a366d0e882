package audit

import (
	"crypto/sha256"
	"crypto/subtle"
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
)

// A Secret holds a value that only Reveal shows, such as a password in a
// configuration. Unlike a [Field] it records no events. The value is in a
// closure, which fmt, encoders and printers of structs cannot enter. Secrets
// cannot be compared with ==. The zero Secret holds the zero T.
type Secret[T any] struct{ reveal func() T }

// NewSecret returns a Secret that holds v. It does not copy slices, maps and
// pointers, so clear(s.Reveal()) erases a Secret of bytes.
func NewSecret[T any](v T) Secret[T] { return Secret[T]{func() T { return v }} }

// Reveal returns the value.
func (s Secret[T]) Reveal() T {
	if s.reveal == nil {
		var zero T
		return zero
	}
	return s.reveal()
}

// Equal reports whether s and t hold the same value. For strings and byte
// slices the time does not depend on the position of a difference. Other types
// are compared with reflect.DeepEqual, whose time does.
func (s Secret[T]) Equal(t Secret[T]) bool {
	a, b := any(s.Reveal()), any(t.Reveal())
	switch k := reflect.TypeFor[T](); {
	case k.Kind() == reflect.String, k.Kind() == reflect.Slice && k.Elem().Kind() == reflect.Uint8:
		// Digests have equal lengths, so different lengths take no shortcut.
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

// Value always fails with errors.ErrUnsupported: a database would store the
// mask. Store the value that Reveal returns.
func (s Secret[T]) Value() (driver.Value, error) {
	return nil, fmt.Errorf("audit: store a secret: %w", errors.ErrUnsupported)
}

// Scan makes a value from a database the new secret. T must be the type of the
// value, a sql.Scanner, or a type of UnmarshalText if the value is a text. Scan
// refuses "***" and NULL.
//
// Errors: [ErrInvalid], errors.ErrUnsupported for other types. They never
// contain the value.
func (s *Secret[T]) Scan(src any) error {
	v := new(T)
	if scanner, ok := any(v).(interface{ Scan(any) error }); ok {
		if scanner.Scan(src) != nil {
			return invalid("secret: value not decodable")
		}
		*s = NewSecret(*v)
		return nil
	}
	switch x := src.(type) {
	case nil:
		return invalid("secret: the value is NULL")
	case string:
		return s.UnmarshalText([]byte(x))
	case []byte:
		return s.UnmarshalText(x)
	case T:
		*s = NewSecret(x)
		return nil
	}
	return fmt.Errorf("audit: secret: scan: %w", errors.ErrUnsupported)
}

// UnmarshalText makes text the new secret, for configuration files and
// flag.TextVar. T must be string, []byte or an encoding.TextUnmarshaler. The
// text "***" is refused, so that masked output read back does not become the
// secret.
//
// Errors: [ErrInvalid], errors.ErrUnsupported for other types. They never
// contain the text.
func (s *Secret[T]) UnmarshalText(text []byte) error {
	if string(text) == fullMask {
		return invalid("secret: the text is the mask")
	}
	v := new(T)
	switch p := any(v).(type) {
	case encoding.TextUnmarshaler:
		if p.UnmarshalText(text) != nil {
			return invalid("secret: text not decodable")
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

// UnmarshalJSON makes a JSON value of type T the new secret. It refuses "***".
// The error matches [ErrInvalid] and never contains the value.
func (s *Secret[T]) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil && text == fullMask {
		return invalid("secret: the text is the mask")
	}
	var v T
	if json.Unmarshal(data, &v) != nil {
		return invalid("secret: JSON not decodable")
	}
	*s = NewSecret(v)
	return nil
}
