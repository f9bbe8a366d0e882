package audit

import (
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redoubt-go/redoubt/internal/show"
)

// An Action names an operation: a constant or a name of your own, such as
// "deploy.delete". A name consists of 1 to 128 ASCII letters, digits and the
// characters . _ - : /
type Action string

// The actions of audited fields.
const (
	Create Action = "create" // the first value was set
	Read   Action = "read"   // the value was returned to a caller
	Modify Action = "modify" // another value was set
	Delete Action = "delete" // the value was removed
)

// An Outcome is the result of an action. It is a name as described at [Action].
type Outcome string

// The outcomes that this package records.
const (
	Attempt Outcome = "attempt" // allowed and about to start
	Success Outcome = "success" // done
	Failure Outcome = "failure" // tried and not done
	Denied  Outcome = "denied"  // not allowed and not tried
)

// A Target is the thing on which an action operates.
type Target struct {
	Type string `json:"type,omitempty"` // kind of thing, a name as described at [Action]
	ID   string `json:"id,omitempty"`   // identity of the thing, any text
}

// A Change is an attribute before and after an action. Its texts may be shown:
// sensitive values are masked.
type Change struct {
	Field     string `json:"field"`               // name of the attribute
	Old       string `json:"old,omitempty"`       // text before; empty without a value
	New       string `json:"new,omitempty"`       // text after; empty without a value and for reads
	Sensitive bool   `json:"sensitive,omitempty"` // the texts are masks
}

// A Code gives, in a single word, the reason why an outcome is not a success.
// This package uses "invalid", "unset", "denied", "no_actor", "undecided",
// "failed", "panic" and "lost".
type Code string

// An Event is one entry of the audit log. Action and Outcome are required.
// [Log.Record] sets Time, ID, Actor and RequestID if they are zero.
type Event struct {
	Time      time.Time   `json:"time"`       // wall clock time in UTC, which may go back; the order of the log does not
	ID        string      `json:"id"`         // unique; the same if the event is sent again
	Action    Action      `json:"action"`     // the operation; required
	Outcome   Outcome     `json:"outcome"`    // its result; required
	Actor     Actor       `json:"actor"`      // who
	Target    Target      `json:"target"`     // on which thing
	RequestID string      `json:"request_id"` // in which request
	Source    string      `json:"source"`     // from where: an address, a host, a component
	Reason    string      `json:"reason"`     // why, as a text for people, without secrets
	Code      Code        `json:"code"`       // why the outcome is not a success
	Changes   []Change    `json:"changes"`    // attributes that were changed or read
	Attrs     []slog.Attr `json:"attrs"`      // further data, without secrets
	Truncated bool        `json:"truncated"`  // part of the event was left out, see [Config.MaxEvent] and [Event.AppendJSON]
}

// LogValue returns the event as a group, within the bounds of
// [Event.AppendJSON]. Actor and target become the keys actor, actor_type,
// session, on_behalf_of, target_type and target.
func (e Event) LogValue() slog.Value { return slog.GroupValue(e.slogAttrs()...) }

func (e *Event) slogAttrs() []slog.Attr {
	as := make([]slog.Attr, 0, 16)
	l := attrLimit{left: maxEvent, cut: e.Truncated}
	add := func(key, text string) {
		if text != "" {
			as = append(as, slog.String(key, l.text(text)))
		}
	}
	add("id", e.ID)
	add("action", string(e.Action))
	add("outcome", string(e.Outcome))
	add("actor", e.Actor.ID)
	add("actor_type", e.Actor.Type)
	add("session", e.Actor.Session)
	add("on_behalf_of", e.Actor.OnBehalfOf)
	add("target_type", e.Target.Type)
	add("target", e.Target.ID)
	add("request_id", e.RequestID)
	add("source", e.Source)
	add("reason", e.Reason)
	add("code", string(e.Code))
	for _, c := range e.Changes {
		if l.left < 0 {
			l.cut = true
			break
		}
		as = append(as, slog.Group("change."+l.text(c.Field), "old", l.text(c.Old), "new", l.text(c.New), "sensitive", c.Sensitive))
	}
	if len(e.Attrs) > 0 {
		as = append(as, slog.Attr{Key: "attrs", Value: slog.GroupValue(l.group(e.Attrs, 1)...)})
	}
	if l.cut {
		as = append(as, slog.Bool("truncated", true))
	}
	return as
}

// set makes e a copy of from and reuses the slices of e. Attributes that refer
// to memory of the caller are resolved to text now, because that memory may
// change later.
func (e *Event) set(from *Event) {
	changes, attrs := append(e.Changes[:0], from.Changes...), append(e.Attrs[:0], from.Attrs...)
	*e = *from
	e.Changes, e.Attrs = changes, attrs
	l := attrLimit{left: maxEvent, cut: from.Truncated}
	for i := range attrs {
		switch v := &attrs[i].Value; v.Kind() {
		case slog.KindAny, slog.KindLogValuer, slog.KindGroup:
			*v = l.value(*v, 1)
		}
	}
	e.Truncated = l.cut
}

// cloneEvents returns copies, for use after the call that passed the events.
func cloneEvents(events []*Event) []*Event {
	copies := make([]Event, len(events))
	out := make([]*Event, len(events))
	for i, e := range events {
		copies[i].set(e)
		out[i] = &copies[i]
	}
	return out
}

// fill sets Time and ID if they are zero.
func (e *Event) fill() {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC()
	if e.ID == "" {
		e.ID = newID()
	}
}

// newID returns 130 random bits in base 32, the form of crypto/rand.Text. An ID
// must be unique but not secret. The bits therefore come from the generator of
// the runtime, which needs no system call.
func newID() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var id [26]byte
	var bits uint64
	for i := range id {
		if i%12 == 0 {
			bits = rand.Uint64() // enough for 12 digits of 5 bits
		}
		id[i] = alphabet[bits%32]
		bits /= 32
	}
	return string(id[:])
}

// resolve turns attributes whose text comes from methods of other types into
// plain values. No foreign code then runs in a sink, which may hold a lock, and
// all sinks see the same values.
func (e *Event) resolve() {
	if slices.ContainsFunc(e.Attrs, isForeign) {
		l := attrLimit{left: maxEvent, cut: e.Truncated}
		e.Attrs = l.group(e.Attrs, 1)
		e.Truncated = l.cut
	}
}

func isForeign(a slog.Attr) bool {
	switch a.Value.Kind() {
	case slog.KindAny, slog.KindLogValuer:
		return true
	case slog.KindGroup:
		return slices.ContainsFunc(a.Value.Group(), isForeign)
	}
	return false
}

// fit enforces Config.MaxEvent on resolved attributes: it removes attributes
// that do not fit, then changes, then the end of the reason. Other fields are
// short, see AppendJSON.
func (e *Event) fit(max int) {
	left := max - min(len(e.Reason), maxText)
	if left < 0 {
		e.Reason, e.Truncated, left = show.Cut(e.Reason, max), true, 0
	}
	e.Changes = fitting(e, e.Changes, &left, func(c *Change) int {
		return len(c.Field) + min(len(c.Old), maxText) + min(len(c.New), maxText)
	})
	e.Attrs = fitting(e, e.Attrs, &left, func(a *slog.Attr) int { return attrSize(a, 0) })
}

// fitting returns list without the elements that do not fit into left. It
// copies the list if it removes anything.
func fitting[T any](e *Event, list []T, left *int, size func(*T) int) []T {
	for i := range list {
		if n := size(&list[i]); n <= *left {
			*left -= n
			continue
		}
		out := slices.Clone(list[:i])
		for j := i + 1; j < len(list); j++ {
			if n := size(&list[j]); n <= *left {
				*left -= n
				out = append(out, list[j])
			}
		}
		e.Truncated = true
		return out
	}
	return list
}

// attrSize returns an upper bound of the text of a resolved attribute.
func attrSize(a *slog.Attr, depth int) int {
	n := len(a.Key)
	switch a.Value.Kind() {
	case slog.KindString:
		return n + min(len(a.Value.String()), maxText)
	case slog.KindGroup:
		for _, a := range a.Value.Group() {
			if depth < maxDepth {
				n += attrSize(&a, depth+1)
			}
		}
		return n
	}
	return n + 24 // a number or a time
}

// isName reports whether s needs no quotes in a log line, a query or a
// dashboard.
func isName(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		if !nameByte[s[i]] {
			return false
		}
	}
	return true
}

// nameByte contains the bytes of names.
var nameByte = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/") {
		t[c] = true
	}
	return t
}()

// Bounds of one event, so that texts chosen by others cannot exhaust memory.
// Together they keep a JSON line well below 1 MiB.
const (
	maxText  = 4 << 10  // bytes of one text, before escaping
	maxEvent = 64 << 10 // bytes after which no further change or attribute starts
	maxAttrs = 256      // attributes of one group
	maxDepth = 8        // groups inside groups
)

// An attrLimit applies the bounds of an event to slog attributes, because slog
// handlers have no bounds of their own.
type attrLimit struct {
	left int  // bytes of text that may still start
	cut  bool // something was left out
}

// text returns s, cut at the bound of a text, and counts it.
func (l *attrLimit) text(s string) string {
	if len(s) > maxText {
		s, l.cut = show.Cut(s, maxText), true
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
		text, cut := show.Attr(v.Any(), maxText)
		l.cut = l.cut || cut
		return slog.StringValue(l.text(text))
	case slog.KindGroup:
		if depth == maxDepth {
			l.cut = true
			return slog.StringValue("...")
		}
		return slog.GroupValue(l.group(v.Group(), depth+1)...)
	}
	return v
}
