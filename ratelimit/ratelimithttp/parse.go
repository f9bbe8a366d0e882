package ratelimithttp

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// maxField bounds the bytes of a field, over all its lines, and with that the quotas.
const maxField = 4096

// ParseRateLimit reads the fields RateLimit and RateLimit-Policy of a response, and returns a Quota for each name that
// occurs, in the order of their first. Of a name that occurs again, what comes later counts. Unknown parameters are
// skipped. A field that is not well-formed, or longer than 4096 bytes, is an error, and there are no quotas then.
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
			return nil, fmt.Errorf("ratelimithttp: %s: at byte %d of %q: %w", field, p.pos, text[:min(len(text), 64)], err)
		}
	}
	return quotas, nil
}

// A parser reads a structured field (RFC 9651) that is a list of Strings with parameters.
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

// accept reads c if it is next.
func (p *parser) accept(c byte) bool {
	if p.peek() != c || p.pos == len(p.text) {
		return false
	}
	p.pos++
	return true
}

// span reads bytes while ok says so.
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

// quoted reads a String.
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

// bare reads a value of any type and returns its text.
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

// set takes in a parameter.
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
