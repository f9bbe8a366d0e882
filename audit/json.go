package audit

import (
	"log/slog"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/internal/show"
)

// AppendJSON appends the event as one JSON object on one line, without a line
// end, and returns the extended buffer. The keys are, in this order: time, id,
// action, outcome, actor, target, request_id, source, reason, code, changes,
// attrs, truncated. Empty values are left out. Attributes are inside attrs, so
// they cannot be confused with the other keys.
//
// The line is safe to print. Control characters (C0, DEL, C1), U+2028, U+2029
// and bidirectional formatting characters become \uXXXX. Invalid UTF-8 becomes
// U+FFFD. Attribute values without a JSON type become text: times, durations,
// infinities, and the text of fmt's %+v for slog.Any.
//
// The size is bounded. A text is cut at 4 KiB, a group at 256 attributes, the
// nesting at 8 groups. After 64 KiB no further change or attribute starts. If a
// group contains a key twice, the first attribute stays. If anything is left
// out, truncated is set. A time outside the years 1 to 9999 becomes the year 1.
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

// MarshalJSON returns the JSON of [Event.AppendJSON].
func (e Event) MarshalJSON() ([]byte, error) { return e.AppendJSON(nil), nil }

// An encoder appends JSON to b.
type encoder struct {
	b     []byte
	limit int  // length of b after which nothing starts
	cut   bool // something was left out
}

// raw appends s, which needs no escapes.
func (w *encoder) raw(s string) { w.b = append(w.b, s...) }

// field appends key, which contains comma, quotes and colon, and the text. It
// appends nothing if text is empty.
func (w *encoder) field(key, text string) {
	if text != "" {
		w.raw(key)
		w.text(text)
	}
}

// object appends an object of alternating keys and texts. It appends nothing if
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

// changes appends a list, not an object: the order may matter, and a field may
// occur twice.
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

// group appends attributes as an object. It compares keys in their written
// form, because different invalid keys can have the same form.
func (w *encoder) group(as []slog.Attr, depth int) {
	var room [16][2]int // start and end of each key in b
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

// repeated searches linearly, which is faster than a map for few keys.
func (w *encoder) repeated(keys [][2]int, key [2]int) bool {
	for _, k := range keys {
		if string(w.b[k[0]:k[1]]) == string(w.b[key[0]:key[1]]) {
			return true
		}
	}
	return false
}

// value appends v. Resolve handles a LogValuer that panics or returns
// LogValuers forever.
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
		text, cut := show.Attr(v.Any(), maxText)
		w.cut = w.cut || cut
		w.text(text)
	}
}

// float appends a number that is read back as a float.
func (w *encoder) float(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.text(strconv.FormatFloat(f, 'g', -1, 64))
		return
	}
	mark := len(w.b)
	w.b = strconv.AppendFloat(w.b, f, 'g', -1, 64) // the shortest text that is read back as f
	for _, c := range w.b[mark:] {
		if c == '.' || c == 'e' {
			return
		}
	}
	w.raw(".0")
}

// time appends t in UTC with a fixed width, so that times can be compared as
// text.
func (w *encoder) time(t time.Time) {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 1 || year > 9999 { // such a year has another width
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

// digits fills b with the decimal digits of n.
func digits(b []byte, n int) {
	u := uint32(n) // faster to divide than an int
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + u%10)
		u /= 10
	}
}

const hex = "0123456789abcdef"

// plain contains the bytes that need no escape.
var plain = func() (t [256]bool) {
	for c := byte(0x20); c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// text appends s as a JSON string. It copies runs without escapes as a whole.
func (w *encoder) text(s string) {
	if len(s) > maxText {
		s, w.cut = show.Cut(s, maxText), true
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
		// Invalid bytes and U+FFFD have the same form, so that equal keys look
		// equal.
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

// escape appends an unsafe rune as \uXXXX, except for quotes and backslashes. A
// single form is easier to search for.
func (w *encoder) escape(r rune) {
	if r == '"' || r == '\\' {
		w.b = append(w.b, '\\', byte(r))
		return
	}
	w.b = append(w.b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// unsafeRune reports whether r can end the string, control a terminal, break
// the line or change the direction of text. All such runes are below U+10000.
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
