package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// minTokenKey is the least length of a key in bytes, too long for brute force.
const minTokenKey = 16

// A TokenKey is a key for tokens, also called pseudonyms. Tokens are equal if
// the sensitive values are equal, and reveal nothing else without the key. With
// the key, values can be guessed: readers of the log must not have it.
type TokenKey struct {
	ID  string         // identifies the key in each token: 1 to 32 letters, digits and . _ -
	Key Secret[[]byte] // at least 16 random bytes
}

func (k TokenKey) validate() error {
	if !isName(k.ID) || len(k.ID) > 32 || strings.ContainsAny(k.ID, ":/") {
		return invalid("TokenKeys contains the ID %s, want 1 to 32 letters, digits and . _ -", quote.Text(k.ID))
	}
	if n := len(k.Key.Reveal()); n < minTokenKey {
		return invalid("TokenKeys: key %s has %d bytes, want at least %d", k.ID, n, minTokenKey)
	}
	return nil
}

// A tokenizer returns the token of a value under one key. It reports false if
// the value has no canonical form. The key and its hash states are in a
// closure, which printers of a Log or a Field cannot enter.
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

// A tokenState is the memory for computing a token.
type tokenState struct {
	mac  hash.Hash
	buf  []byte // contains the value only while token runs
	sum  [sha256.Size]byte
	text [32 + 1 + 22]byte // longest ID, colon, 128 bits in base64
}

func (s *tokenState) token(id, domain string, v any) (string, bool) {
	// The length separates ("ab", "c") from ("a", "bc").
	b := binary.BigEndian.AppendUint64(s.buf[:0], uint64(len(domain)))
	b, ok := canonical(append(b, domain...), v)
	if !ok {
		return "", false
	}
	s.mac.Reset() // cheaper than a new HMAC: the key is hashed already
	_, _ = s.mac.Write(b)
	clear(b)
	if s.buf = b; cap(b) > maxText {
		s.buf = nil // a large buffer is not kept
	}
	text := append(append(s.text[:0], id...), ':')
	return string(base64.RawURLEncoding.AppendEncode(text, s.mac.Sum(s.sum[:0])[:16])), true
}

// Tokens returns the tokens of v under every key of [Config.TokenKeys], the
// current key first. Use it to search a log for v. The domain is the domain of
// the attribute, by default the type of its object, a dot and its name. Tokens
// returns nil if there are no keys or if v has no canonical form.
//
// A token is a key ID, a colon, and 128 bits of HMAC-SHA-256 over domain, kind
// and value. Strings and byte slices with equal bytes have equal tokens. The
// number 1 and the text "1" have different tokens.
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

// token returns the token of v under the current key, or the mask if there is
// no token.
func (l *Log) token(domain string, v any) string {
	if len(l.tokens) > 0 {
		if token, ok := l.tokens[0](domain, v); ok {
			return token
		}
	}
	return fullMask
}

// canonical appends a letter for the kind of v and its bytes. Numbers of
// different width but equal value are equal. A type whose methods panic has no
// canonical form.
func canonical(dst []byte, v any) (b []byte, ok bool) {
	defer func() {
		if recover() != nil {
			b, ok = nil, false // the panic value may contain the secret
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
	// The letter separates a value from an equal text of another kind.
	if t, isText := v.(encoding.TextMarshaler); isText {
		text, err := t.MarshalText()
		return append(append(dst, 't'), text...), err == nil
	}
	text, err := json.Marshal(v)
	return append(append(dst, 'j'), text...), err == nil
}
