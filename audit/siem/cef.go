package siem

import (
	"fmt"
	"net/netip"
	"strconv"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/audit"
)

// AppendCEF appends e as a line of the Common Event Format, without a line end
// and without a syslog header, and returns the extended buffer. The header
// contains the action as signature and as name. The severity is 7 for denied
// actions, 5 for failures, otherwise 3.
//
// The extension contains:
//
//   - rt, act, outcome, externalId: time, action, outcome and ID;
//   - reason: the code;
//   - msg: the reason;
//   - suid: the actor;
//   - src, c6a2 or shost: the source, if it is an IPv4 address, an IPv6 address
//     or another text;
//   - cs1 to cs6: target type, target, session, on behalf of, changes and
//     attributes, the last two as JSON;
//   - flexString1 and flexString2: actor type and request ID;
//   - cn1: 1 if a text was cut, otherwise absent.
//
// Control characters and bidirectional formatting characters have no escape in
// CEF and become the six characters \uXXXX.
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

// A cef appends to b.
type cef struct {
	b   []byte
	cut bool // a text was cut
}

// field appends a key and at most max bytes of text. It appends nothing if text
// is empty.
func (w *cef) field(key, text string, max int) {
	if text != "" {
		w.b = append(append(append(w.b, ' '), key...), '=')
		w.text(text, '=', max)
	}
}

// labelled appends a field and the field with its label.
func (w *cef) labelled(key, label, text string) {
	max := 4000
	if key[0] == 'f' {
		max = 1023
	}
	if w.field(key, text, max); text != "" {
		w.field(key+"Label", label, 1023)
	}
}

// text appends at most max bytes of s, before escaping. It escapes backslashes
// and the separator own: a pipe in the header, an equals sign in the extension.
// Only the extension has escapes for line ends.
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
