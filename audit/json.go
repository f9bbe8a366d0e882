package audit

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of the JSON form of one event: whoever chooses the texts must not choose
// the memory. All of them together keep a line well under 1 MiB.
const (
	maxText  = 4 << 10  // bytes of one text, before escaping
	maxEvent = 64 << 10 // bytes after which no further change or attribute is begun
	maxAttrs = 256      // attributes of one group
	maxDepth = 8        // groups within groups
)

// AppendJSON appends the event as one JSON object on one line, without a line
// end, and returns the extended buffer. The keys are time, id, action, outcome,
// actor, target, request_id, source, reason, code, changes, attrs and truncated;
// what is empty is left out, and attributes stand inside attrs, where they cannot
// pass for anything else.
//
// The line is safe to print: control characters (C0, DEL, C1), U+2028, U+2029 and
// the marks that change the direction of text are written as \uXXXX. Invalid
// UTF-8 becomes U+FFFD. Attribute values that JSON has no word for are text:
// times, durations, infinities, and for slog.Any what fmt prints for %+v.
//
// It is bounded: texts are cut at 4 KiB, a group at 256 attributes, nesting at 8
// groups, and after 64 KiB nothing more is begun. Of attributes with one key in
// one group the first is kept. Whatever is left out sets truncated. A time outside
// the years 1 to 9999 is written as year 1.
func (e *Event) AppendJSON(dst []byte) []byte {
	w := encoder{b: dst, limit: len(dst) + maxEvent, cut: e.Truncated}
	w.raw(`{"time":`)
	w.time(e.Time)
	w.field(`,"id":`, e.ID)
	w.field(`,"action":`, string(e.Action))
	w.field(`,"outcome":`, string(e.Outcome))
	w.object(`,"actor":{`, `"id":`, e.Actor.ID, `"type":`, e.Actor.Type, `"session":`, e.Actor.Session, `"on_behalf_of":`, e.Actor.OnBehalfOf)
	w.object(`,"target":{`, `"type":`, e.Target.Type, `"id":`, e.Target.ID)
	w.field(`,"request_id":`, e.RequestID)
	w.field(`,"source":`, e.Source)
	w.field(`,"reason":`, e.Reason)
	w.field(`,"code":`, string(e.Code))
	w.changes(e.Changes)
	if len(e.Attrs) > 0 {
		w.raw(`,"attrs":`)
		w.group(e.Attrs, 1)
	}
	if w.cut {
		w.raw(`,"truncated":true`)
	}
	return append(w.b, '}')
}

// MarshalJSON returns the form of [Event.AppendJSON].
func (e Event) MarshalJSON() ([]byte, error) { return e.AppendJSON(nil), nil }

// encoder appends JSON to b. It knows no reflection and keeps nothing.
type encoder struct {
	b     []byte
	limit int  // length of b after which nothing more is begun
	cut   bool // something was left out
}

// raw appends what needs no escape.
func (w *encoder) raw(s string) { w.b = append(w.b, s...) }

// field appends a key from this file, with its comma, quotes and colon, and a text,
// or nothing for no text.
func (w *encoder) field(key, text string) {
	if text != "" {
		w.raw(key)
		w.text(text)
	}
}

// object appends an object of texts given as key, text, key, text, or nothing where
// all texts are empty.
func (w *encoder) object(open string, kv ...string) {
	mark := len(w.b)
	w.raw(open)
	begin := len(w.b)
	for i := 0; i < len(kv); i += 2 {
		if kv[i+1] == "" {
			continue
		}
		if len(w.b) > begin {
			w.b = append(w.b, ',')
		}
		w.field(kv[i], kv[i+1])
	}
	if len(w.b) == begin {
		w.b = w.b[:mark]
		return
	}
	w.b = append(w.b, '}')
}

// changes are a list rather than an object, because their order can tell something and
// their names are not always names.
func (w *encoder) changes(cs []Change) {
	if len(cs) == 0 {
		return
	}
	w.raw(`,"changes":[`)
	for i, c := range cs {
		if len(w.b) > w.limit {
			w.cut = true
			break
		}
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.raw(`{"field":`)
		w.text(c.Field)
		w.field(`,"old":`, c.Old)
		w.field(`,"new":`, c.New)
		if c.Sensitive {
			w.raw(`,"sensitive":true`)
		}
		w.b = append(w.b, '}')
	}
	w.b = append(w.b, ']')
}

// group appends attributes as an object. Keys are compared as they are written,
// because different invalid keys can become one.
func (w *encoder) group(as []slog.Attr, depth int) {
	var room [16][2]int // where each key begins and ends in b; more than 16 are rare
	keys := room[:0]
	w.b = append(w.b, '{')
	for _, a := range as {
		if len(keys) == maxAttrs || len(w.b) > w.limit {
			w.cut = true
			break
		}
		mark := len(w.b)
		if len(keys) > 0 {
			w.b = append(w.b, ',')
		}
		key := [2]int{len(w.b), 0}
		w.text(a.Key)
		key[1] = len(w.b)
		if w.repeated(keys, key) {
			w.b, w.cut = w.b[:mark], true
			continue
		}
		keys = append(keys, key)
		w.b = append(w.b, ':')
		w.value(a.Value, depth)
	}
	w.b = append(w.b, '}')
}

// repeated is a search through a short list, which is faster than a map would be.
func (w *encoder) repeated(keys [][2]int, key [2]int) bool {
	for _, k := range keys {
		if string(w.b[k[0]:k[1]]) == string(w.b[key[0]:key[1]]) {
			return true
		}
	}
	return false
}

// value appends v by its kind. A LogValuer that panics or never ends is made harmless
// by Resolve.
func (w *encoder) value(v slog.Value, depth int) {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindString:
		w.text(v.String())
	case slog.KindBool:
		w.b = strconv.AppendBool(w.b, v.Bool())
	case slog.KindInt64:
		w.b = strconv.AppendInt(w.b, v.Int64(), 10)
	case slog.KindUint64:
		w.b = strconv.AppendUint(w.b, v.Uint64(), 10)
	case slog.KindFloat64:
		w.float(v.Float64())
	case slog.KindDuration:
		w.text(v.Duration().String())
	case slog.KindTime:
		w.time(v.Time())
	case slog.KindGroup:
		if depth == maxDepth {
			w.cut = true
			w.raw(`"..."`)
			return
		}
		w.group(v.Group(), depth+1)
	default:
		w.text(fmt.Sprintf("%+v", v.Any()))
	}
}

// float writes a number that stays a float when read back.
func (w *encoder) float(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.text(strconv.FormatFloat(f, 'g', -1, 64))
		return
	}
	mark := len(w.b)
	w.b = strconv.AppendFloat(w.b, f, 'g', -1, 64) // the shortest that reads back the same
	for _, c := range w.b[mark:] {
		if c == '.' || c == 'e' {
			return
		}
	}
	w.raw(".0")
}

// time has fixed width, in UTC to the nanosecond: lines of one shape can be compared
// as text.
func (w *encoder) time(t time.Time) {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 1 || year > 9999 { // it would not keep the width
		w.time(time.Time{})
		return
	}
	hour, min, sec := t.Clock()
	mark := len(w.b)
	w.raw(`"0000-00-00T00:00:00.000000000Z"`)
	b := w.b[mark:]
	digits(b[1:5], year)
	digits(b[6:8], int(month))
	digits(b[9:11], day)
	digits(b[12:14], hour)
	digits(b[15:17], min)
	digits(b[18:20], sec)
	digits(b[21:30], t.Nanosecond())
}

// digits writes n over all of b.
func digits(b []byte, n int) {
	u := uint32(n) // divided faster than an int
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + u%10)
		u /= 10
	}
}

const hex = "0123456789abcdef"

// plain are the bytes that stand for themselves in a JSON string and in a terminal:
// nearly all of nearly all texts.
var plain = func() (t [256]bool) {
	for c := byte(0x20); c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// text appends s as a JSON string. Runs that need no escape are copied whole.
func (w *encoder) text(s string) {
	if len(s) > maxText {
		s, w.cut = cut(s, maxText), true
	}
	w.b = append(w.b, '"')
	start := 0
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		// Invalid bytes and a real U+FFFD are written alike, so that equal keys look equal.
		if unsafeRune(r) || r == utf8.RuneError {
			w.raw(s[start:i])
			w.escape(r)
			start = i + size
		}
		i += size
	}
	w.raw(s[start:])
	w.b = append(w.b, '"')
}

// escape appends an unsafe rune. The long form is used for all but the two
// characters of JSON's own syntax: one form is easier to search for.
func (w *encoder) escape(r rune) {
	if r == '"' || r == '\\' {
		w.b = append(w.b, '\\', byte(r))
		return
	}
	w.b = append(w.b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// unsafeRune reports whether r could end the string, drive a terminal, break the
// line or change the direction of the text that follows. All are below U+10000.
func unsafeRune(r rune) bool {
	switch {
	case r < 0x20 || r == '"' || r == '\\':
		return true
	case r < 0x7f:
		return false
	case r <= 0x9f:
		return true
	}
	return r == 0x061c || r == 0x200e || r == 0x200f ||
		0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}

// cut shortens s to at most n bytes without splitting a rune.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := n; i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i]
		}
	}
	return s[:n] // not UTF-8 anyway
}

// JSON returns a sink that writes each event as one line to w, in the form of
// [Event.AppendJSON]; see [Lines].
func JSON(w io.Writer) Sink { return Lines(w, (*Event).AppendJSON) }

// Lines returns a sink that writes each event as one line to w, with one Write per
// batch. Encode appends an event to a buffer, without a line end; it must escape the
// line ends within. The sink promises no more than w does: nothing is synced. After a
// Write that failed part-way the next batch begins on a new line; the failed batch,
// sent again, repeats whole events with their IDs.
func Lines(w io.Writer, encode func(e *Event, dst []byte) []byte) Sink {
	return &lineSink{w: w, encode: encode}
}

type lineSink struct {
	encode func(*Event, []byte) []byte
	mu     sync.Mutex
	w      io.Writer
	buf    []byte
	torn   bool // the last Write stopped inside a line
}

// WriteEvents writes all events with one Write, and none with none.
func (s *lineSink) WriteEvents(_ context.Context, events []*Event) error {
	if len(events) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buf[:0]
	if s.torn {
		b = append(b, '\n')
	}
	for _, e := range events {
		b = append(s.encode(e, b), '\n')
	}
	if cap(b) <= maxEvent {
		s.buf = b // a rare giant is left to the collector
	}
	n, err := s.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if 0 < n && n <= len(b) {
		s.torn = b[n-1] != '\n'
	}
	return err
}
