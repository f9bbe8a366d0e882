package ratelimithttp

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// A Quota is one limit that a server announces.
type Quota struct {
	Name      string        // of the policy
	Limit     int64         // events per Window; -1 if absent
	Window    time.Duration // whole seconds; 0 if absent
	Remaining int64         // events left; -1 if absent
	Reset     time.Duration // whole seconds until more events are available; -1 if absent
}

// duration returns s seconds, at most the largest Duration of whole seconds.
func duration(s int64) time.Duration {
	return time.Duration(min(s, math.MaxInt64/int64(time.Second))) * time.Second
}

// maxField bounds the bytes of a field over all lines, and so the number of
// quotas.
const maxField = 4096

// ParseRateLimit parses the fields RateLimit and RateLimit-Policy of a
// response. It returns a Quota for each name, in the order of first occurrence.
// If a parameter occurs again for the same name, the last value counts. Unknown
// parameters are skipped.
//
// Errors: a field is longer than 4096 bytes, or is not a list of strings with
// parameters. The values of unknown parameters are checked only roughly. With
// an error, ParseRateLimit returns no quotas.
func ParseRateLimit(h http.Header) ([]Quota, error) {
	var quotas []Quota
	for _, field := range []string{"Ratelimit-Policy", "Ratelimit"} {
		text := strings.Join(h[field], ",")
		if len(text) > maxField {
			return nil, fmt.Errorf("ratelimithttp: %s: longer than %d bytes", field, maxField)
		}
		p := parser{text: text}
		var err error
		if quotas, err = p.list(quotas); err != nil {
			return nil, fmt.Errorf("ratelimithttp: %s: at byte %d of %s: %w", field, p.pos, quote.Text(text), err)
		}
	}
	return quotas, nil
}

// A parser parses a structured field (RFC 9651): a List of Strings with
// parameters.
type parser struct {
	text string
	pos  int
}

var (
	errString = errors.New("want a string in quotes")
	errParam  = errors.New("malformed parameter")
	errComma  = errors.New("want a comma")
)

// peek returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

// accept consumes c if it is the next byte, and reports whether it was.
func (p *parser) accept(c byte) bool {
	if p.peek() != c || p.pos == len(p.text) {
		return false
	}
	p.pos++
	return true
}

// span consumes and returns the bytes up to the first that is not ok.
func (p *parser) span(ok func(byte) bool) string {
	start := p.pos
	for p.pos < len(p.text) && ok(p.text[p.pos]) {
		p.pos++
	}
	return p.text[start:p.pos]
}

func (p *parser) blanks() { p.span(func(c byte) bool { return c == ' ' || c == '\t' }) }

func (p *parser) list(quotas []Quota) ([]Quota, error) {
	for p.blanks(); p.pos < len(p.text); p.blanks() {
		name, err := p.quoted()
		if err != nil {
			return nil, err
		}
		i := 0
		for i < len(quotas) && quotas[i].Name != name {
			i++
		}
		if i == len(quotas) {
			quotas = append(quotas, Quota{Name: name, Limit: -1, Remaining: -1, Reset: -1})
		}
		if err := p.parameters(&quotas[i]); err != nil {
			return nil, err
		}
		p.blanks()
		if p.pos == len(p.text) {
			break
		}
		if !p.accept(',') {
			return nil, errComma
		}
		if p.blanks(); p.pos == len(p.text) {
			return nil, errString // a comma at the end
		}
	}
	return quotas, nil
}

// quoted parses a String.
func (p *parser) quoted() (string, error) {
	if !p.accept('"') {
		return "", errString
	}
	var b strings.Builder
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		p.pos++
		switch {
		case c == '"':
			return b.String(), nil
		case c == '\\':
			if c = p.peek(); c != '"' && c != '\\' {
				return "", errString
			}
			p.pos++
		case c < ' ' || c > '~':
			return "", errString
		}
		b.WriteByte(c)
	}
	return "", errString
}

func (p *parser) parameters(q *Quota) error {
	for p.accept(';') {
		p.span(func(c byte) bool { return c == ' ' })
		if c := p.peek(); c != '*' && (c < 'a' || c > 'z') {
			return errParam
		}
		key := p.span(isKey)
		value := ""
		if p.accept('=') {
			var err error
			if value, err = p.bare(); err != nil {
				return err
			}
		}
		if err := q.set(key, value); err != nil {
			return err
		}
	}
	return nil
}

func isKey(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.' || c == '*'
}

// bare parses a value of any type. It returns the text of a number, and the
// first byte of a quoted value.
func (p *parser) bare() (string, error) {
	switch c := p.peek(); {
	case c == '"':
		_, err := p.quoted()
		return `"`, err
	case c == ':':
		p.pos++
		p.span(func(c byte) bool { return c != ':' && c > ' ' && c <= '~' })
		if !p.accept(':') {
			return "", errParam
		}
		return ":", nil
	}
	text := p.span(func(c byte) bool { return c > ' ' && c <= '~' && c != ';' && c != ',' && c != '"' })
	if text == "" {
		return "", errParam
	}
	return text, nil
}

// set sets the field of a known parameter.
func (q *Quota) set(key, value string) error {
	if key != "q" && key != "w" && key != "r" && key != "t" {
		return nil
	}
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil || n > maxInteger {
		return errParam
	}
	switch key {
	case "q":
		q.Limit = int64(n)
	case "w":
		q.Window = duration(int64(n))
	case "r":
		q.Remaining = int64(n)
	case "t":
		q.Reset = duration(int64(n))
	}
	return nil
}
