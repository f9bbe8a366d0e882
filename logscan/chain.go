package logscan

import (
	"fmt"
	"slices"
)

var errNoMessage = fmt.Errorf("%w: no message for the next parser", ErrMalformed)

type chain struct{ parsers []Parser }

// Chain returns a parser that gives the line to the first parser, the field
// message it finds to the second as its line, and so on, as for a pattern within
// syslog. The fields are those of all, the later over the earlier; the time is
// the last that one found, weights multiply. The record is malformed when a
// parser refuses its part, or there is no message for it.
func Chain(ps ...Parser) Parser { return &chain{slices.Clone(ps)} }

// Parse implements Parser.
func (c *chain) Parse(r *Record) error {
	r.reset()
	return parseChain(r, c.parsers)
}

// parseChain has the first of ps parse r and the others, on a record that r
// keeps, its message. What they find is then added to r.
func parseChain(r *Record, ps []Parser) error {
	if len(ps) == 0 {
		return nil
	}
	if err := ps[0].Parse(r); err != nil || len(ps) == 1 {
		return err
	}
	message := r.Get("message")
	if message == nil {
		return errNoMessage
	}
	if r.sub == nil {
		r.sub = new(Record)
	}
	s := r.sub
	s.Line, s.Source, s.Num, s.Offset, s.Next = message, r.Source, r.Num, r.Offset, r.Next
	s.Dropped, s.Partial = r.Dropped, r.Partial
	s.reset()
	if err := parseChain(s, ps[1:]); err != nil {
		return err
	}
	r.fields = append(r.fields, s.fields...)
	if !s.time.IsZero() {
		r.time, r.skipped = s.time, s.skipped
	}
	r.weight = r.Weight() * s.Weight()
	return nil
}
