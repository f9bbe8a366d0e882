package redact

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/internal/show"
)

// Config configures a [Handler].
type Config struct {
	_ [0]func() // not comparable, so that fields can be added

	// Next writes the masked records. Required by New.
	Next slog.Handler

	// Keys are names of attributes, groups and struct fields whose values are
	// masked. Letter case and the separators between words do not matter. Nil
	// means [DefaultKeys].
	Keys []string

	// Patterns are masked in every text: the message, attributes, and texts in
	// structs. If a pattern has groups, only the text of its first group is
	// masked. Nil means patterns for bearer tokens, JSON web tokens, passwords
	// in URLs, private keys, and texts such as "password=x".
	Patterns []*regexp.Regexp

	// Mask is the text in place of a value. Empty means "***".
	Mask string
}

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if c.Next == nil {
		errs = append(errs, errors.New("redact: Next is missing"))
	}
	return errors.Join(append(errs, c.rules())...)
}

func (c Config) rules() error {
	var errs []error
	for i, k := range c.Keys {
		if string(words(nil, k)) == "_" {
			errs = append(errs, fmt.Errorf("redact: Keys[%d] contains no letter or digit", i))
		}
	}
	for i, p := range c.Patterns {
		if p == nil {
			errs = append(errs, fmt.Errorf("redact: Patterns[%d] is missing", i))
		}
	}
	return errors.Join(errs...)
}

// DefaultKeys returns the keys of a Config whose Keys is nil.
func DefaultKeys() []string {
	return []string{
		"password", "passwd", "passphrase", "pwd", "secret", "token", "authorization", "cookie", "set-cookie", "credential", "credentials",
		"api_key", "apikey", "access_key", "private_key", "signing_key", "encryption_key", "session_id", "otp", "pin", "cvv", "cvc", "ssn", "dsn",
	}
}

// A pattern is a regular expression. Every match contains one of the texts in
// need, so that most texts need no matching.
type pattern struct {
	re   *regexp.Regexp
	need []string
}

var defaultPatterns = []pattern{
	{regexp.MustCompile(`\b(?:[Bb]earer|BEARER|[Bb]asic|BASIC)\s+([A-Za-z0-9._~+/=-]{8,})`), []string{"earer", "EARER", "asic", "ASIC"}},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`), []string{"eyJ"}},
	{regexp.MustCompile(`://[^/\s:]*:([^/\s]+)@`), []string{"://"}},
	{regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[^-]|-[^-])*(?:-----END [A-Z ]*PRIVATE KEY-----)?`), []string{"PRIVATE KEY"}},
	// A text in quotes may be cut off, or be JSON in a JSON text.
	{regexp.MustCompile(`(?is)(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key)\\*["']?\s*[=:]\s*\[?\s*("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|\\"(?:[^"\\]|\\{2,}"?|\\[^"\\])*(?:\\")?|[^\s"&,;]+)`), []string{"=", ":"}},
}

// A rule is a Config, prepared.
type rule struct {
	keys     [][]byte // by words
	patterns []pattern
	mask     string
	plans    sync.Map // reflect.Type to []field
}

func newRule(c Config) *rule {
	r := &rule{patterns: defaultPatterns, mask: cmp.Or(c.Mask, show.Mask)}
	if c.Keys == nil {
		c.Keys = DefaultKeys()
	}
	for _, k := range c.Keys {
		r.keys = append(r.keys, words(nil, k))
	}
	if c.Patterns != nil {
		r.patterns = nil
		for _, p := range c.Patterns {
			r.patterns = append(r.patterns, pattern{re: p})
		}
	}
	return r
}

// words appends the words of a name in lower case, each between underscores:
// "_api_key_" for "apiKey", "API-Key" and "api_key".
func words(dst []byte, name string) []byte {
	dst = append(dst, '_')
	separate := func() {
		if dst[len(dst)-1] != '_' {
			dst = append(dst, '_')
		}
	}
	before := ' '
	for i, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			separate()
			before = r
			continue
		}
		if unicode.IsUpper(r) {
			next, _ := utf8.DecodeRuneInString(name[i+utf8.RuneLen(r):])
			if !unicode.IsUpper(before) || unicode.IsLower(next) { // "aB", "ABc"
				separate()
			}
		}
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		before = r
	}
	separate()
	return dst
}

// secret reports whether the words of a key contain the words of a rule.
func (r *rule) secret(key string) bool {
	if len(key) > maxText {
		return true // no name of a program
	}
	var room [128]byte
	w := words(room[:0], key)
	for _, k := range r.keys {
		if bytes.Contains(w, k) {
			return true
		}
	}
	return false
}

// text masks the patterns in s.
func (r *rule) text(s string) string {
	for _, p := range r.patterns {
		if p.wants(s) {
			s = p.mask(s, r.mask)
		}
	}
	return s
}

func (p pattern) wants(s string) bool {
	for _, n := range p.need {
		if strings.Contains(s, n) {
			return true
		}
	}
	return len(p.need) == 0
}

func (p pattern) mask(s, mask string) string {
	var b strings.Builder
	last := 0
	for _, at := range p.re.FindAllStringSubmatchIndex(s, -1) {
		from, to := at[0], at[1]
		if len(at) > 2 && at[2] >= 0 {
			from, to = at[2], at[3]
		}
		b.WriteString(s[last:from])
		b.WriteString(mask)
		last = to
	}
	if last == 0 {
		return s
	}
	b.WriteString(s[last:])
	return b.String()
}

// A Handler masks records for another handler. It is safe for concurrent use.
type Handler struct {
	rule *rule
	next slog.Handler
	hide bool // inside a group with a secret name
}

// New returns a handler that writes to c.Next. It panics with the error of
// [Config.Validate].
func New(c Config) *Handler {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	return &Handler{rule: newRule(c), next: c.Next}
}

// Enabled asks the next handler.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle passes a masked copy of the record to the next handler.
//
// Errors: the errors of the next handler.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	w := walker{rule: h.rule, left: maxRecord}
	masked := slog.NewRecord(r.Time, r.Level, w.text(r.Message), r.PC)
	n := 0
	r.Attrs(func(a slog.Attr) bool {
		masked.AddAttrs(w.attr(a, h.hide, 0))
		n++
		return n < maxElements && w.left > 0
	})
	return h.next.Handle(ctx, masked)
}

// WithAttrs masks the attributes now, once for all records.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	w := walker{rule: h.rule, left: maxRecord}
	return &Handler{h.rule, h.next.WithAttrs(w.group(attrs, h.hide, 0)), h.hide}
}

// WithGroup masks everything in the group if its name is a key.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &Handler{h.rule, h.next.WithGroup(name), h.hide || h.rule.secret(name)}
}

// ReplaceAttr returns a function for [slog.HandlerOptions] that masks
// attributes and the message, and nothing else of the record. It does not use
// c.Next. It panics if c is invalid.
func ReplaceAttr(c Config) func(groups []string, a slog.Attr) slog.Attr {
	if err := c.rules(); err != nil {
		panic(err)
	}
	r := newRule(c)
	return func(groups []string, a slog.Attr) slog.Attr {
		switch a.Value.Any().(type) {
		case time.Time, slog.Level, *slog.Source: // of the record, not an attribute with such a key
			if len(groups) == 0 && !r.secret(a.Key) {
				return a
			}
		}
		hide := false
		for _, g := range groups {
			hide = hide || r.secret(g)
		}
		w := walker{rule: r, left: maxRecord}
		return w.attr(a, hide, 0)
	}
}
