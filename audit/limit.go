package audit

import (
	"fmt"
	"log/slog"
	"unicode/utf8"
)

// Bounds of one event, so that texts chosen by others cannot exhaust memory.
// Together they keep a JSON line well below 1 MiB.
const (
	maxText  = 4 << 10  // bytes of one text, before escaping
	maxEvent = 64 << 10 // bytes after which no further change or attribute starts
	maxAttrs = 256      // attributes of one group
	maxDepth = 8        // groups inside groups
)

// cut returns at most n bytes of s and splits no rune.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := n; i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i]
		}
	}
	return s[:n] // not UTF-8
}

// An attrLimit applies the bounds of an event to slog attributes, because slog
// handlers have no bounds of their own.
type attrLimit struct {
	left int  // bytes of text that may still start
	cut  bool // something was left out
}

// text returns s, cut at the bound of a text, and counts it.
func (l *attrLimit) text(s string) string {
	if len(s) > maxText {
		s, l.cut = cut(s, maxText), true
	}
	l.left -= len(s) + 16 // an empty text costs memory too
	return s
}

// group returns a copy of the attributes that fit. It does not change as.
func (l *attrLimit) group(as []slog.Attr, depth int) []slog.Attr {
	out := make([]slog.Attr, 0, min(len(as), maxAttrs))
	for _, a := range as {
		if len(out) == maxAttrs || l.left < 0 {
			l.cut = true
			break
		}
		out = append(out, slog.Attr{Key: l.text(a.Key), Value: l.value(a.Value, depth)})
	}
	return out
}

// value resolves v, so that no LogValuer runs again inside a handler and
// returns another value there.
func (l *attrLimit) value(v slog.Value, depth int) slog.Value {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(l.text(v.String()))
	case slog.KindAny: // a handler would print all of it
		return slog.StringValue(l.text(fmt.Sprintf("%+v", v.Any())))
	case slog.KindGroup:
		if depth == maxDepth {
			l.cut = true
			return slog.StringValue("...")
		}
		return slog.GroupValue(l.group(v.Group(), depth+1)...)
	}
	return v
}
