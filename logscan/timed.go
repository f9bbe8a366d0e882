package logscan

// Timed returns a parser that calls p and then reads [Record.Time] from a field
// of the record. A record without the field has no time. A time that t does not
// know makes the record malformed.
func Timed(p Parser, field string, t TimeParser) Parser {
	return &timedParser{p, field, t}
}

type timedParser struct {
	p     Parser
	field string
	t     TimeParser
}

// Parse implements Parser.
func (p *timedParser) Parse(r *Record) error {
	if err := p.p.Parse(r); err != nil {
		return err
	}
	v := r.Get(p.field)
	if v == nil {
		return nil
	}
	return p.t.Set(r, v)
}
