package ratelimithttp

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A member is a member of a List (RFC 9651): an Item with parameters.
type member struct {
	value  bare
	params []param
}

type param struct {
	key   string
	value bare
}

// A bare is a bare Item. The text of a String is unescaped.
type bare struct {
	kind kind
	text string
	n    int64 // of an Integer
}

type kind uint8

const (
	kindInteger kind = iota
	kindDecimal
	kindString
	kindToken
	kindBytes
	kindBoolean
	kindDate
	kindDisplay
)

// param returns the last value of a parameter, as RFC 9651 wants it.
func (m *member) param(key string) (bare, bool) {
	for i := len(m.params) - 1; i >= 0; i-- {
		if m.params[i].key == key {
			return m.params[i].value, true
		}
	}
	return bare{}, false
}

// A parser parses a structured field (RFC 9651, section 4.2).
type parser struct {
	text string
	pos  int
}

var (
	errItem  = errors.New("want an item")
	errParam = errors.New("malformed parameter")
	errComma = errors.New("want a comma")
	errKey   = errors.New("want a key")
	errType  = errors.New("value of another type")
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
	if p.pos == len(p.text) || p.text[p.pos] != c {
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

func isSpace(c byte) bool { return c == ' ' }
func isBlank(c byte) bool { return c == ' ' || c == '\t' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isAlpha(c byte) bool { return isLower(c | 0x20) }
func isKey(c byte) bool   { return isLower(c) || isDigit(c) || strings.IndexByte("_-.*", c) >= 0 }

func isToken(c byte) bool {
	return isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~:/", c) >= 0
}

// list parses the whole text as a List without Inner Lists.
func (p *parser) list() (members []member, err error) {
	err = p.sequence(func() error {
		v, err := p.bare()
		if err != nil {
			return err
		}
		m := member{value: v}
		m.params, err = p.parameters()
		members = append(members, m)
		return err
	})
	return members, err
}

// dictionary parses the whole text as a Dictionary without Inner Lists.
func (p *parser) dictionary() (entries []param, err error) {
	err = p.sequence(func() error {
		e, err := p.entry()
		if err == nil {
			entries = append(entries, e)
			_, err = p.parameters()
		}
		return err
	})
	return entries, err
}

// sequence parses elements separated by commas, up to the end of the text.
func (p *parser) sequence(element func() error) error {
	p.span(isSpace)
	for p.pos < len(p.text) {
		if err := element(); err != nil {
			return err
		}
		end := p.pos
		if p.span(isBlank); p.pos == len(p.text) {
			if strings.Contains(p.text[end:], "\t") {
				return errComma
			}
			return nil
		}
		if !p.accept(',') {
			return errComma
		}
		if p.span(isBlank); p.pos == len(p.text) {
			return errItem // a comma at the end
		}
	}
	return nil
}

func (p *parser) parameters() (params []param, err error) {
	for p.accept(';') {
		p.span(isSpace)
		e, err := p.entry()
		if err != nil {
			return nil, err
		}
		params = append(params, e)
	}
	return params, nil
}

// entry parses a key and, if it is not "true", its value.
func (p *parser) entry() (param, error) {
	if c := p.peek(); c != '*' && !isLower(c) {
		return param{}, errKey
	}
	e := param{p.span(isKey), bare{kind: kindBoolean, text: "1"}}
	if !p.accept('=') {
		return e, nil
	}
	var err error
	e.value, err = p.bare()
	return e, err
}

func (p *parser) bare() (bare, error) {
	switch c := p.peek(); {
	case c == '-' || isDigit(c):
		return p.number()
	case c == '"':
		return p.quoted()
	case c == '*' || isAlpha(c):
		return bare{kind: kindToken, text: p.span(isToken)}, nil
	case c == ':':
		return p.bytes()
	case c == '?':
		p.pos++
		if v := p.peek(); v == '0' || v == '1' {
			p.pos++
			return bare{kind: kindBoolean, text: string(v)}, nil
		}
	case c == '@':
		p.pos++
		v, err := p.number()
		if err == nil && v.kind == kindInteger {
			v.kind = kindDate
			return v, nil
		}
	case c == '%':
		return p.display()
	}
	return bare{}, errItem
}

// number parses an Integer of at most 15 digits, or a Decimal of at most 12
// digits before the point and 1 to 3 after it.
func (p *parser) number() (bare, error) {
	start := p.pos
	p.accept('-')
	whole := p.span(isDigit)
	if !p.accept('.') {
		if whole == "" || len(whole) > 15 {
			return bare{}, errItem
		}
		text := p.text[start:p.pos]
		n, err := strconv.ParseInt(text, 10, 64)
		return bare{kind: kindInteger, text: text, n: n}, err
	}
	if part := p.span(isDigit); whole == "" || len(whole) > 12 || part == "" || len(part) > 3 {
		return bare{}, errItem
	}
	return bare{kind: kindDecimal, text: p.text[start:p.pos]}, nil
}

func (p *parser) quoted() (bare, error) {
	var b strings.Builder
	for p.pos++; p.pos < len(p.text); {
		c := p.text[p.pos]
		p.pos++
		switch {
		case c == '"':
			return bare{kind: kindString, text: b.String()}, nil
		case c == '\\':
			if c = p.peek(); c != '"' && c != '\\' {
				return bare{}, errItem
			}
			p.pos++
		case c < ' ' || c > '~':
			return bare{}, errItem
		}
		b.WriteByte(c)
	}
	return bare{}, errItem
}

// bytes parses a Byte Sequence. Missing padding is accepted.
func (p *parser) bytes() (bare, error) {
	p.pos++
	text := p.span(func(c byte) bool { return isAlpha(c) || isDigit(c) || c == '+' || c == '/' })
	padding := p.span(func(c byte) bool { return c == '=' })
	n := len(text) % 4
	if n == 1 || padding != "" && len(padding) != (4-n)%4 || !p.accept(':') {
		return bare{}, errItem
	}
	return bare{kind: kindBytes, text: text + padding}, nil
}

// display parses a Display String.
func (p *parser) display() (bare, error) {
	p.pos++
	var b strings.Builder
	if !p.accept('"') {
		return bare{}, errItem
	}
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		p.pos++
		switch {
		case c < ' ' || c > '~':
			return bare{}, errItem
		case c == '"':
			if !utf8.ValidString(b.String()) {
				return bare{}, errItem
			}
			return bare{kind: kindDisplay, text: b.String()}, nil
		case c == '%':
			hex := p.span(func(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' })
			if len(hex) < 2 {
				return bare{}, errItem
			}
			p.pos -= len(hex) - 2
			v, _ := strconv.ParseUint(hex[:2], 16, 8)
			c = byte(v)
		}
		b.WriteByte(c)
	}
	return bare{}, errItem
}
