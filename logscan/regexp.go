package logscan

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

var errNoRegexp = fmt.Errorf("%w: the line does not match the expression", ErrMalformed)

type regexpParser struct {
	re       *regexp.Regexp
	names    []string // "" for a group that is not a field
	literals [][]byte // a match contains one or more; empty if unknown
}

// Regexp returns a parser for the first match of re in the line. The fields are
// the named groups that take part in the match. A line without a match is
// malformed.
//
// If every match must contain a certain text, the parser searches for that text
// first. A [Scanner] without Malformed, Require, Join and Redact searches whole
// blocks for it. That changes the speed, never the result. A line that matches
// costs one allocation in package regexp. Where [Pattern] suffices, it is about
// ten times as fast.
func Regexp(re *regexp.Regexp) Parser {
	p := &regexpParser{re: re, names: re.SubexpNames()}
	// The expression was parsed before, as Perl or as POSIX.
	for _, flags := range []syntax.Flags{syntax.Perl, syntax.POSIX} {
		if tree, err := syntax.Parse(re.String(), flags); err == nil {
			for _, text := range required(tree.Simplify()) {
				p.literals = append(p.literals, []byte(text))
			}
			break
		}
	}
	return p
}

// Parse implements Parser.
func (p *regexpParser) Parse(r *Record) error {
	r.reset()
	if !p.possible(r.Line) {
		return errNoRegexp
	}
	at := p.re.FindSubmatchIndex(r.Line)
	if at == nil {
		return errNoRegexp
	}
	for i, name := range p.names {
		if from, to := at[2*i], at[2*i+1]; name != "" && from >= 0 {
			r.Set(name, r.Line[from:to:to])
		}
	}
	return nil
}

// possible reports whether line contains a text of p.literals.
func (p *regexpParser) possible(line []byte) bool {
	for _, text := range p.literals {
		if bytes.Contains(line, text) {
			return true
		}
	}
	return len(p.literals) == 0
}

// maxLiterals bounds the texts: a search for more would be slower than the
// expression.
const maxLiterals = 8

// required returns texts of which every match of re contains at least one. It
// returns nil if it finds none. Compare Cox, Regular Expression Matching with a
// Trigram Index, 2012.
func required(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return literalOf(re)
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpConcat:
		var best []string
		for _, sub := range re.Sub {
			if texts := required(sub); worth(texts) > worth(best) {
				best = texts
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			texts := required(sub)
			if texts == nil || len(all)+len(texts) > maxLiterals {
				return nil
			}
			all = append(all, texts...)
		}
		return all
	}
	return nil
}

// worth returns the length of the shortest text, which decides how selective
// texts are.
func worth(texts []string) int {
	if len(texts) == 0 {
		return 0
	}
	n := len(texts[0])
	for _, text := range texts {
		n = min(n, len(text))
	}
	return n
}

// literalOf returns the longest part of a literal with only one spelling. If
// case is folded, letters have two spellings, or three: K is also U+212A.
// U+FFFD matches any invalid byte.
func literalOf(re *syntax.Regexp) []string {
	parts := strings.FieldsFunc(string(re.Rune), func(c rune) bool {
		return c == utf8.RuneError || c == '\n' || re.Flags&syntax.FoldCase != 0 && unicode.SimpleFold(c) != c
	})
	best := ""
	for _, part := range parts {
		if len(part) > len(best) {
			best = part
		}
	}
	if best == "" {
		return nil
	}
	return []string{best}
}
