package logscan

import (
	"fmt"
	"slices"
)

var errNoMessage = fmt.Errorf("%w: no message for the next parser", ErrMalformed)

type chain struct{ parsers []Parser }

// Chain returns a parser that runs several parsers in a row. The first parser
// reads the line, and each further parser reads the field "message" of the
// parser before it. A pattern within a syslog line is an example.
//
// The record has the fields of all parsers; if two parsers set a field, the
// later value counts. The time is the last time that a parser set. Weights
// multiply. The record is malformed if a parser refuses its part, or if there
// is no message for the next parser.
func Chain(ps ...Parser) Parser { return &chain{slices.Clone(ps)} }

// Parse implements Parser.
func (c *chain) Parse(r *Record) error {
	r.reset()
	return parseChain(r, c.parsers)
}

// parseChain parses r with the first parser of ps. The other parsers read the
// message, on a record that r owns, and their results are added to r.
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
