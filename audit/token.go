package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"math"
	"reflect"
	"strconv"
	"sync"
)

// minTokenKey is the least number of bytes that nobody tries one by one.
const minTokenKey = 16

// TokenKey makes correlation tokens: texts that are equal where sensitive values
// are equal, and tell nothing else to those without the key. Whoever has the key
// can try guesses, so keep it away from those who read the log.
type TokenKey struct {
	ID  string         // which key, in clear in each token: 1 to 32 letters, digits and . _ -
	Key Secret[[]byte] // 16 random bytes or more
}

func (k TokenKey) validate() error {
	if !isName(k.ID) || len(k.ID) > 32 || containsAny(k.ID, ":/") {
		return fmt.Errorf("audit: config: token key ID %s is not allowed: %w", quote(k.ID), ErrInvalid)
	}
	if len(k.Key.Reveal()) < minTokenKey {
		return fmt.Errorf("audit: config: token key %s is shorter than %d bytes: %w", k.ID, minTokenKey, ErrInvalid)
	}
	return nil
}

// containsAny reports whether s has a byte of chars. Names are ASCII.
func containsAny(s, chars string) bool {
	for i := range len(s) {
		for j := range len(chars) {
			if s[i] == chars[j] {
				return true
			}
		}
	}
	return false
}

// tokenizer is the token function of one key; it reports false for what has no
// canonical form. The key and its hash states live in a closure, where dumps of a
// Log or a Field do not follow.
type tokenizer func(domain string, v any) (string, bool)

func newTokenizer(k TokenKey) tokenizer {
	key := append([]byte(nil), k.Key.Reveal()...)
	pool := sync.Pool{New: func() any { return &tokenState{mac: hmac.New(sha256.New, key)} }}
	return func(domain string, v any) (string, bool) {
		s := pool.Get().(*tokenState)
		defer pool.Put(s)
		return s.token(k.ID, domain, v)
	}
}

// tokenState is what one token at a time needs.
type tokenState struct {
	mac  hash.Hash
	buf  []byte // holds the value only while token runs
	sum  [sha256.Size]byte
	text [32 + 1 + 22]byte // the longest ID, a colon, 128 bits in base 64
}

func (s *tokenState) token(id, domain string, v any) (string, bool) {
	// The length in front keeps ("ab", "c") apart from ("a", "bc").
	b := binary.BigEndian.AppendUint64(s.buf[:0], uint64(len(domain)))
	b, ok := canonical(append(b, domain...), v)
	if !ok {
		return "", false
	}
	s.mac.Reset() // cheaper than a new one: the two key blocks are hashed already
	_, _ = s.mac.Write(b)
	clear(b)
	if s.buf = b; cap(b) > maxText {
		s.buf = nil // a rare giant is left to the collector
	}
	text := append(append(s.text[:0], id...), ':')
	return string(base64.RawURLEncoding.AppendEncode(text, s.mac.Sum(s.sum[:0])[:16])), true
}

// Tokens returns the tokens of v under every key of [Config.TokenKeys], the
// current one first, for finding v in older parts of a log. The domain is that of
// the attribute, by default its object's type, a dot and its name. There are none
// without keys, or if v has no canonical form.
//
// A token is a key ID, a colon, and 128 bits of HMAC-SHA-256 over domain, kind and
// value. Strings and byte slices of equal bytes have equal tokens; the number 1
// and the text "1" have not.
func (l *Log) Tokens(domain string, v any) []string {
	tokens := make([]string, len(l.tokens))
	for i, token := range l.tokens {
		var ok bool
		if tokens[i], ok = token(domain, v); !ok {
			return nil
		}
	}
	return tokens
}

// token returns the token of v under the current key, or the mask if there can be
// none: a hash without a key would be a puzzle.
func (l *Log) token(domain string, v any) string {
	if len(l.tokens) > 0 {
		if token, ok := l.tokens[0](domain, v); ok {
			return token
		}
	}
	return fullMask
}

// canonical appends v as a letter for its sort and bytes. Numbers count by value,
// not by the width of their type. A type that panics has no canonical form.
func canonical(dst []byte, v any) (b []byte, ok bool) {
	defer func() {
		if recover() != nil {
			b, ok = nil, false // the panic value may hold the secret
		}
	}()
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.Invalid:
		return nil, false
	case reflect.String:
		return append(append(dst, 's'), rv.String()...), true
	case reflect.Bool:
		return strconv.AppendBool(append(dst, 'b'), rv.Bool()), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(append(dst, 'i'), rv.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.AppendUint(append(dst, 'i'), rv.Uint(), 10), true
	case reflect.Float32, reflect.Float64:
		return binary.BigEndian.AppendUint64(append(dst, 'f'), math.Float64bits(rv.Float())), true
	case reflect.Slice:
		if rv.Type().Elem().Kind() == reflect.Uint8 {
			return append(append(dst, 's'), rv.Bytes()...), true
		}
	}
	// The letters keep a value apart from the text of another kind that looks like it.
	if t, isText := v.(encoding.TextMarshaler); isText {
		text, err := t.MarshalText()
		return append(append(dst, 't'), text...), err == nil
	}
	text, err := json.Marshal(v)
	return append(append(dst, 'j'), text...), err == nil
}
