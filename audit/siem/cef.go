package siem

import (
	"fmt"
	"net/netip"
	"strconv"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/audit"
)

// AppendCEF appends e as one line of the Common Event Format, without a line end and
// without a syslog header, and returns the extended buffer. Signature and name are the
// action; the severity is 7 for what was denied, 5 for failures, and else 3.
//
// The extension has rt, act, outcome, reason (the code), msg (the event's reason),
// externalId, suid, and src, c6a2 or shost, whichever the source is. The custom
// strings 1 to 6 are target type, target, session, on behalf of, changes and
// attributes, the last two as JSON; the flexible strings are actor type and request.
// Custom number 1 is there, and 1, where something was cut.
//
// Control characters and marks of direction, for which CEF knows no escape, are
// shown as the six characters \uXXXX.
func (p Product) AppendCEF(e *audit.Event, dst []byte) []byte {
	r := recordOf(e)
	w := cef{b: append(dst, "CEF:0"...), cut: r.Truncated}
	severity := 3
	switch r.Outcome {
	case audit.Denied:
		severity = 7
	case audit.Failure:
		severity = 5
	}
	for _, s := range []string{p.Vendor, p.Name, p.Version, string(r.Action), string(r.Action), strconv.Itoa(severity)} {
		w.b = append(w.b, '|')
		w.text(s, '|', 512)
	}
	w.b = append(w.b, '|')
	w.b = fmt.Appendf(w.b, "rt=%d", r.Time.UnixMilli())
	w.field("act", string(r.Action), 63)
	w.field("outcome", string(r.Outcome), 63)
	w.field("reason", string(r.Code), 1023)
	w.field("msg", r.Reason, 1023)
	w.field("externalId", r.ID, 40)
	w.field("suid", r.Actor.ID, 1023)
	switch addr, err := netip.ParseAddr(r.Source); {
	case err != nil:
		w.field("shost", r.Source, 1023)
	case addr.Is4():
		w.field("src", r.Source, 1023)
	default:
		w.labelled("c6a2", "Source IPv6 Address", r.Source)
	}
	w.labelled("cs1", "targetType", r.Target.Type)
	w.labelled("cs2", "target", r.Target.ID)
	w.labelled("cs3", "session", r.Actor.Session)
	w.labelled("cs4", "onBehalfOf", r.Actor.OnBehalfOf)
	w.labelled("cs5", "changes", string(r.Changes))
	w.labelled("cs6", "attrs", string(r.Attrs))
	w.labelled("flexString1", "actorType", r.Actor.Type)
	w.labelled("flexString2", "requestId", r.RequestID)
	if w.cut {
		w.labelled("cn1", "truncated", "1")
	}
	return w.b
}

// cef appends to b.
type cef struct {
	b   []byte
	cut bool // a text was longer than its field
}

// field appends a key and a text of at most max bytes, or nothing for no text.
func (w *cef) field(key, text string, max int) {
	if text != "" {
		w.b = append(append(append(w.b, ' '), key...), '=')
		w.text(text, '=', max)
	}
}

// labelled is a field whose meaning is told by another field.
func (w *cef) labelled(key, label, text string) {
	max := 4000
	if key[0] == 'f' {
		max = 1023
	}
	if w.field(key, text, max); text != "" {
		w.field(key+"Label", label, 1023)
	}
}

// text appends at most max bytes of s, before escaping. Only the header ends at a
// pipe, and only the extension at an equals sign, so each escapes its own. A header
// must stay on its line, the extension has escapes for line ends.
func (w *cef) text(s string, own rune, max int) {
	for i, r := range s {
		if i+utf8.RuneLen(r) > max {
			w.cut = true
			return
		}
		switch {
		case r == '\\' || r == own:
			w.b = append(append(w.b, '\\'), byte(r))
		case r == '\n' && own == '=':
			w.b = append(w.b, `\n`...)
		case r == '\r' && own == '=':
			w.b = append(w.b, `\r`...)
		case unsafeRune(r):
			w.b = fmt.Appendf(w.b, `\\u%04x`, r)
		default:
			w.b = utf8.AppendRune(w.b, r)
		}
	}
}
