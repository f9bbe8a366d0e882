package logscan

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
)

var errNoMatch = fmt.Errorf("%w: the line does not match the pattern", ErrMalformed)

// A pattern is a text, then fields, each followed by a text.
type pattern struct {
	head  []byte
	steps []step
}

type step struct {
	name string // "" for a field that is not kept
	tail []byte // empty only in the last step
}

// Pattern returns a parser for lines of a fixed form, such as
//
//	[<level>] <message>
//
// A name in angle brackets is a field. <_> is a field that is not kept, and <<
// is a literal "<". Everything else stands for itself, byte by byte. The
// pattern describes the whole line; a line that does not match is malformed.
//
// A field is as short as possible and may be empty. It ends at the first
// occurrence of the text behind it; the text of the last field is at the end of
// the line. The result is the same as for the regular expression with (.*?) for
// every field, in linear time.
//
// Errors: the error reports that p has no field, two fields with nothing
// between them, a name that is empty or used twice, or a "<" that is not
// closed.
func Pattern(p string) (Parser, error) {
	c, err := compile(p)
	if err != nil {
		return nil, fmt.Errorf("logscan: pattern %s: %w", quote.Text(p), err)
	}
	return c, nil
}

// MustPattern is like [Pattern], but panics with its error.
func MustPattern(p string) Parser {
	c, err := Pattern(p)
	if err != nil {
		panic(err)
	}
	return c
}

func compile(p string) (*pattern, error) {
	head, rest := literal(p)
	c := &pattern{head: head}
	seen := map[string]bool{"": true}
	for rest != "" {
		name, after, ok := strings.Cut(rest[1:], ">")
		switch {
		case !ok || strings.Contains(name, "<"):
			return nil, fmt.Errorf("%s is not closed", quote.Text(rest))
		case seen[name]:
			return nil, fmt.Errorf("field name %s is empty or used twice", quote.Text(name))
		case strings.HasPrefix(after, "<") && !strings.HasPrefix(after, "<<"):
			return nil, fmt.Errorf("nothing between <%s> and the next field", quote.Name(name))
		}
		s := step{name: name}
		if name == "_" {
			s.name = ""
		} else {
			seen[name] = true
		}
		s.tail, rest = literal(after)
		c.steps = append(c.steps, s)
	}
	if len(c.steps) == 0 {
		return nil, fmt.Errorf("no field")
	}
	return c, nil
}

// literal returns the text at the beginning of p, and the rest from the first
// field on.
func literal(p string) (text []byte, rest string) {
	for {
		i := strings.IndexByte(p, '<')
		if i < 0 {
			return append(text, p...), ""
		}
		text = append(text, p[:i]...)
		if !strings.HasPrefix(p[i:], "<<") {
			return text, p[i:]
		}
		text = append(text, '<')
		p = p[i+2:]
	}
}

// Parse implements Parser.
func (p *pattern) Parse(r *Record) error {
	r.reset()
	rest, ok := bytes.CutPrefix(r.Line, p.head)
	if !ok {
		return errNoMatch
	}
	for i, s := range p.steps {
		at := bytes.Index(rest, s.tail)
		if i == len(p.steps)-1 {
			at = len(rest) - len(s.tail)
			if !bytes.HasSuffix(rest, s.tail) {
				return errNoMatch
			}
		}
		if at < 0 {
			return errNoMatch
		}
		if s.name != "" {
			r.Set(s.name, rest[:at:at])
		}
		rest = rest[at+len(s.tail):]
	}
	return nil
}
