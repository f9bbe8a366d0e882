package scan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// version is the second byte of every message; see README.md.
const version = 1

// The first bytes of the messages.
const (
	kindSpec   = 'J'
	kindTask   = 'T'
	kindAnswer = 'A'
	kindState  = 'S'
	kindBlob   = 'B'
)

const (
	maxName   = 4096 // bytes of the name of an input
	maxText   = 1024 // bytes of the text of an error
	maxFailed = 100  // errors that a scan keeps
)

// errForm is returned for bytes that are not a message of this package.
var errForm = errors.New("scan: malformed message")

// An id names a scan among the scans of the same name.
type id [8]byte

// A digest is the beginning of a SHA-256.
type digest [16]byte

// A spec describes a scan to its workers. It is stored once.
type spec struct {
	scan    id
	program string
	began   time.Time
}

// A task is a part of an input.
type task struct {
	scan    id
	program string
	num     uint64
	name    string
	offset  int64
	end     int64 // 0 if the task has no end
	size    int64 // stored bytes of the input, or -1 if unknown
	within  bool  // offset may be inside a record
	modTime time.Time
	failure string // error in place of an input; such a task is not queued
}

// An answer is the result of a task.
type answer struct {
	task     digest // of the message of the task
	attempts uint64
	failure  string // text of the error, if the task has failed permanently
	form     []byte // of the accumulator; empty if there is none
}

// A state is a checkpoint of the coordinator.
type state struct {
	scan   id
	owner  id     // of the call of Run
	merged uint64 // number of the first task that is not merged
	bytes  int64  // merged
	chain  digest // of the merged tasks
	lost   uint64 // failed tasks beyond maxFailed
	failed []TaskError
	form   []byte // of the accumulator
}

// A blob is the head of an object in the stream: the object, or the number of
// its parts.
type blob struct {
	nonce  id
	parts  uint64 // 0 if data is the object
	length uint64 // of all parts
	data   []byte
}

func appendHeader(kind byte) []byte { return []byte{kind, version} }

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendTime appends an instant. The zero time is an instant as any other.
func appendTime(b []byte, t time.Time) []byte {
	return binary.AppendUvarint(binary.AppendVarint(b, t.Unix()), uint64(t.Nanosecond()))
}

func (s *spec) marshal() []byte {
	b := append(appendHeader(kindSpec), s.scan[:]...)
	return appendTime(appendText(b, s.program), s.began)
}

func (t *task) marshal() []byte {
	b := append(appendHeader(kindTask), t.scan[:]...)
	b = appendText(b, t.program)
	b = binary.AppendUvarint(b, t.num)
	b = appendText(b, t.name)
	for _, n := range []int64{t.offset, t.end, t.size} {
		b = binary.AppendVarint(b, n)
	}
	b = binary.AppendUvarint(b, map[bool]uint64{true: 1}[t.within])
	b = appendTime(b, t.modTime)
	return appendText(b, t.failure)
}

func (a *answer) marshal() []byte {
	b := append(appendHeader(kindAnswer), a.task[:]...)
	b = binary.AppendUvarint(b, a.attempts)
	b = appendText(b, a.failure)
	return append(b, a.form...)
}

func (s *state) marshal() []byte {
	b := append(appendHeader(kindState), s.scan[:]...)
	b = append(b, s.owner[:]...)
	b = binary.AppendUvarint(b, s.merged)
	b = binary.AppendVarint(b, s.bytes)
	b = append(b, s.chain[:]...)
	b = binary.AppendUvarint(b, s.lost)
	b = binary.AppendUvarint(b, uint64(len(s.failed)))
	for _, e := range s.failed {
		b = appendText(b, e.Name)
		b = binary.AppendVarint(b, e.Offset)
		b = binary.AppendVarint(b, e.End)
		b = binary.AppendUvarint(b, uint64(e.Attempts))
		b = appendText(b, e.Text)
	}
	return append(b, s.form...)
}

func (h *blob) marshal() []byte {
	b := append(appendHeader(kindBlob), h.nonce[:]...)
	b = binary.AppendUvarint(b, h.parts)
	b = binary.AppendUvarint(b, h.length)
	return append(b, h.data...)
}

// A decoder reads a message. err stays set once it is set, and all further
// values are zero.
type decoder struct {
	b   []byte
	err error
}

func decode(b []byte, kind byte) *decoder {
	switch {
	case len(b) < 2 || b[0] != kind:
		return &decoder{err: errForm}
	case b[1] != version:
		return &decoder{err: fmt.Errorf("%w: message of format %d, this program has format %d", ErrVersion, b[1], version)}
	}
	return &decoder{b: b[2:]}
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = errForm
	}
	d.b = nil
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// bytes fills p.
func (d *decoder) bytes(p []byte) {
	if len(d.b) < len(p) {
		d.fail()
		return
	}
	d.b = d.b[copy(p, d.b):]
}

func (d *decoder) text(most int) string {
	n := d.uint()
	if n > uint64(len(d.b)) || n > uint64(most) {
		d.fail()
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) time() time.Time {
	sec, ns := d.int(), d.uint()
	if ns >= 1e9 {
		d.fail()
		return time.Time{}
	}
	return time.Unix(sec, int64(ns)).UTC()
}

func decodeSpec(b []byte) (s spec, err error) {
	d := decode(b, kindSpec)
	d.bytes(s.scan[:])
	s.program = d.text(maxName)
	s.began = d.time()
	if len(d.b) > 0 {
		d.fail()
	}
	return s, d.err
}

func decodeTask(b []byte) (t task, err error) {
	d := decode(b, kindTask)
	d.bytes(t.scan[:])
	t.program = d.text(maxName)
	t.num = d.uint()
	t.name = d.text(maxName)
	t.offset, t.end, t.size = d.int(), d.int(), d.int()
	within := d.uint()
	t.within = within == 1
	t.modTime = d.time()
	t.failure = d.text(maxText)
	if within > 1 || len(d.b) > 0 {
		d.fail()
	}
	return t, d.err
}

func decodeAnswer(b []byte) (a answer, err error) {
	d := decode(b, kindAnswer)
	d.bytes(a.task[:])
	a.attempts = d.uint()
	a.failure = d.text(maxText)
	a.form = d.b
	return a, d.err
}

func decodeState(b []byte) (s state, err error) {
	d := decode(b, kindState)
	d.bytes(s.scan[:])
	d.bytes(s.owner[:])
	s.merged = d.uint()
	s.bytes = d.int()
	d.bytes(s.chain[:])
	s.lost = d.uint()
	n := d.uint()
	if n > maxFailed {
		d.fail()
	}
	for range n {
		if d.err != nil {
			return s, d.err
		}
		e := TaskError{Name: d.text(maxName), Offset: d.int(), End: d.int()}
		e.Attempts = int(min(d.uint(), math.MaxInt32))
		e.Text = d.text(maxText)
		s.failed = append(s.failed, e)
	}
	s.form = d.b
	return s, d.err
}

func decodeBlob(b []byte) (h blob, err error) {
	d := decode(b, kindBlob)
	d.bytes(h.nonce[:])
	h.parts, h.length, h.data = d.uint(), d.uint(), d.b
	inline := uint64(len(h.data))
	if h.length > maxBlob || h.parts > h.length || h.parts > 0 && inline > 0 || h.parts == 0 && inline != h.length {
		d.fail()
	}
	return h, d.err
}

// checkProgram compares the program of a message with the program of this
// process.
func checkProgram(got, want string) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%w: the scan is of program %s, this program is %s", ErrVersion, quote.Text(got), quote.Text(want))
}
