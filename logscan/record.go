package logscan

import (
	"bytes"
	"iter"
	"math"
	"strconv"
	"time"
)

// A Record is a line of an input, or several lines joined by a [Joiner], with
// the fields that a parser has found.
//
// Its bytes are views of the buffer of the scan: they are valid until the next
// iteration and must not be changed. Programs built with -tags logscanpoison
// overwrite a Record after its iteration, which reveals a missing
// [Record.Clone].
type Record struct {
	Line    []byte // without its terminator ("\n" or "\r\n"), at most MaxLine bytes
	Source  string // Input.Name
	Num     int64  // number of the first line, from 1 at Input.Offset; 0 in Reduce and Map
	Offset  int64  // of Line in the decoded stream, in bytes
	Next    int64  // offset behind the terminator, where a later scan can continue: see Input.Offset
	Dropped int64  // bytes of the line beyond MaxLine
	Partial bool   // the input ended or failed before the newline

	time    time.Time
	modTime time.Time // of the input
	skipped bool      // see TimeSkipped
	weight  int
	fields  []field
	names   map[string]string // field names found in lines, as strings
	scratch []byte            // unescaped values
	nesting []uint64          // of JSON values
	sub     *Record           // the record for a later parser of a Chain
}

// A field without a value does not exist.
type field struct {
	name  string
	value []byte
	base  int // of a path of JSON: the length of its part above the last key
}

// Get returns the value of the field key, or nil if there is none.
func (r *Record) Get(key string) []byte {
	for i := len(r.fields) - 1; i >= 0; i-- {
		if r.fields[i].name == key {
			return r.fields[i].value
		}
	}
	return nil
}

// Lookup returns the value of the field key and reports whether it exists.
func (r *Record) Lookup(key string) ([]byte, bool) {
	v := r.Get(key)
	return v, v != nil
}

// Is reports whether the field key exists and equals value.
func (r *Record) Is(key, value string) bool {
	v := r.Get(key)
	return v != nil && string(v) == value
}

// Int returns the value of the field key as a whole number, and reports whether
// it is a whole number.
func (r *Record) Int(key string) (int64, bool) {
	n, err := strconv.ParseInt(string(r.Get(key)), 10, 64)
	return n, err == nil
}

// Float returns the value of the field key as a number, and reports whether it
// is a number. NaN and infinities are no numbers.
func (r *Record) Float(key string) (float64, bool) {
	f, err := strconv.ParseFloat(string(r.Get(key)), 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// Duration returns the value of the field key, such as "1m3.5s", and reports
// whether it is a duration. A number without a unit counts in the given unit.
func (r *Record) Duration(key string, unit time.Duration) (time.Duration, bool) {
	if f, ok := r.Float(key); ok {
		d := f * float64(unit)
		return time.Duration(d), math.Abs(d) < 1<<63
	}
	d, err := time.ParseDuration(string(r.Get(key)))
	return d, err == nil
}

// Fields returns the fields in the order of the parser. If a line has a name
// twice, Fields yields both values; Get returns the last.
func (r *Record) Fields() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, f := range r.fields {
			if f.value != nil && !yield(f.name, f.value) {
				return
			}
		}
	}
}

// Set sets a field; parsers call it. A later value of a name replaces an
// earlier one in Get. A nil value removes the field. Set does not copy the
// value: it should be a part of Line, or bytes that do not change until the
// next record.
func (r *Record) Set(key string, value []byte) {
	if value == nil {
		for i := range r.fields {
			if r.fields[i].name == key {
				r.fields[i].value = nil
			}
		}
		return
	}
	r.fields = append(r.fields, field{name: key, value: value})
}

// Time returns the time that the parser found, or the zero time.
func (r *Record) Time() time.Time { return r.time }

// SetTime sets the time of the record. Parsers call it; for a time that is
// text, they use [TimeParser.Set].
func (r *Record) SetTime(t time.Time) { r.time, r.skipped = t, false }

// TimeSkipped reports whether the time of the line never existed, because
// clocks were put forward over it. An example is 02:30 in the night when summer
// time begins in Europe. Time then returns the time of a clock that was not put
// forward. Either the clock of the log is not in [TimeParser].Location, or the
// time was invented.
func (r *Record) TimeSkipped() bool { return r.skipped }

// Weight returns the number of events that the record stands for: N if the
// parser found "message repeated N times", otherwise 1.
func (r *Record) Weight() int { return max(r.weight, 1) }

// SetWeight sets the weight of the record; parsers call it. If n < 1, the
// weight is 1.
func (r *Record) SetWeight(n int) { r.weight = n }

// Clone returns a copy of the record that shares no bytes with it.
func (r *Record) Clone() *Record {
	c := *r
	c.Line = bytes.Clone(r.Line)
	c.names, c.scratch, c.nesting, c.sub = nil, nil, nil, nil
	c.fields = make([]field, len(r.fields))
	for i, f := range r.fields {
		c.fields[i] = field{name: f.name, value: bytes.Clone(f.value)}
	}
	return &c
}

// reset removes the results of a parser.
func (r *Record) reset() {
	r.time, r.skipped, r.weight = time.Time{}, false, 0
	r.fields = r.fields[:0]
	r.scratch = r.scratch[:0]
}

// Bounds of Record.names: a log has few names, an attacker has any number.
const (
	maxNames   = 256
	maxNameLen = 64
)

// intern returns name, of the next field, as a string. It does not allocate if
// the name is known. Most often the same field of the record before had it.
func (r *Record) intern(name []byte) string {
	if n := len(r.fields); n < cap(r.fields) {
		if last := r.fields[:n+1][n].name; last == string(name) {
			return last
		}
	}
	if s, ok := r.names[string(name)]; ok {
		return s
	}
	s := string(name)
	if len(s) <= maxNameLen && len(r.names) < maxNames {
		if r.names == nil {
			r.names = make(map[string]string)
		}
		r.names[s] = s
	}
	return s
}

// poison overwrites the bytes of the record, which reveals a missing Clone.
func (r *Record) poison() {
	for _, b := range [][]byte{r.Line, r.scratch} {
		for i := range b {
			b[i] = '!'
		}
	}
	if r.sub != nil {
		r.sub.poison()
	}
}
