package logscan

import (
	"bytes"
	"iter"
	"time"
)

// A Record is one line of an input, or several that a Joiner has joined, and the
// fields a parser found in it. Its
// bytes are views of the scanner's buffer: a Record is valid until the next
// iteration, and its bytes must not be changed.
type Record struct {
	Line    []byte // without its terminator ("\n" or "\r\n"), byte for byte as in the input; at most MaxLine bytes
	Source  string // Input.Name
	Num     int64  // number of the (first) line in its input, from 1 (from Input.Offset on); 0 in Reduce and Map
	Offset  int64  // of Line in the decoded stream, in bytes
	Next    int64  // offset of the first byte after the terminator, where a later scan can go on: see Input.Offset
	Dropped int64  // bytes cut off Line because it was longer than MaxLine
	Partial bool   // the input ended, or failed, before the newline

	time    time.Time
	skipped bool // TimeSkipped
	weight  int
	fields  []field
	names   map[string]string // field names seen in lines, to have them as strings
	scratch []byte            // unescaped values
	nesting []uint64          // of JSON values
	sub     *Record           // what a later parser of a Chain works on
}

// A field without a value is not there.
type field struct {
	name  string
	value []byte
}

// Get returns the value of the field key, nil when there is none.
func (r *Record) Get(key string) []byte {
	for i := len(r.fields) - 1; i >= 0; i-- {
		if r.fields[i].name == key {
			return r.fields[i].value
		}
	}
	return nil
}

// Lookup returns the value of the field key and whether there is one.
func (r *Record) Lookup(key string) ([]byte, bool) {
	v := r.Get(key)
	return v, v != nil
}

// Is reports whether there is a field key that has the given value.
func (r *Record) Is(key, value string) bool {
	v := r.Get(key)
	return v != nil && string(v) == value
}

// Fields returns the fields in the order in which the parser lists them. A name
// that a line has twice comes twice; Get has the last.
func (r *Record) Fields() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, f := range r.fields {
			if f.value != nil && !yield(f.name, f.value) {
				return
			}
		}
	}
}

// Set adds a field to the record, over an earlier one of the same name; nil
// takes it away. It is meant for parsers. The value is not copied: it should be
// a part of Line, or bytes that stay as they are until the next record.
func (r *Record) Set(key string, value []byte) {
	if value == nil {
		for i := range r.fields {
			if r.fields[i].name == key {
				r.fields[i].value = nil
			}
		}
		return
	}
	r.fields = append(r.fields, field{key, value})
}

// Time returns the time the parser found, the zero time when it found none.
func (r *Record) Time() time.Time { return r.time }

// SetTime sets the time of the record. It is meant for parsers, which use
// TimeParser.Set where the line has the time as text.
func (r *Record) SetTime(t time.Time) { r.time, r.skipped = t, false }

// TimeSkipped reports whether the line has a time that never was: its clock was
// put forward over it, as over 02:30 in the night in which summer time begins in
// Europe. Time is then what a clock that was not put forward would have meant.
// Either the clock of the log is not that of TimeParser.Location, or the time was made up.
func (r *Record) TimeSkipped() bool { return r.skipped }

// Weight returns how many events the record stands for: N where the parser
// found "message repeated N times", else 1.
func (r *Record) Weight() int { return max(r.weight, 1) }

// SetWeight sets the weight of the record; less than 1 means 1. It is meant for
// parsers.
func (r *Record) SetWeight(n int) { r.weight = n }

// Clone returns a copy of the record that shares no bytes with it.
func (r *Record) Clone() *Record {
	c := *r
	c.Line = bytes.Clone(r.Line)
	c.names, c.scratch, c.nesting, c.sub = nil, nil, nil, nil
	c.fields = make([]field, len(r.fields))
	for i, f := range r.fields {
		c.fields[i] = field{f.name, bytes.Clone(f.value)}
	}
	return &c
}

// reset takes away what a parser has found.
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

// intern returns name, of the next field, as a string, without allocating when it
// has been seen. Most often it was that field's in the record before.
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

// poison overwrites the bytes of the record, so that what was kept without
// Clone shows.
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
