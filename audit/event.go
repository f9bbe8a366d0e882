package audit

import (
	"log/slog"
	"math/rand/v2"
	"time"
)

var _ slog.LogValuer = Event{}

// Action is what was done: one of the constants or a word of your own such as
// "deploy.delete". It is a name: 1 to 128 ASCII letters, digits and . _ - : /
type Action string

// The actions of audited fields.
const (
	Create Action = "create" // a value where there was none
	Read   Action = "read"   // the value was handed out
	Modify Action = "modify" // another value
	Delete Action = "delete" // no value any more
)

// Outcome is what came of the action. It is a name as [Action] is.
type Outcome string

// The outcomes this package records.
const (
	Attempt Outcome = "attempt" // allowed and about to begin
	Success Outcome = "success" // done
	Failure Outcome = "failure" // tried and not done
	Denied  Outcome = "denied"  // not allowed, not tried
)

// Target is the thing acted on.
type Target struct {
	Type string `json:"type,omitempty"` // sort of thing, a name as [Action] is
	ID   string `json:"id,omitempty"`   // which one, free text
}

// Change is one attribute before and after, as text that may be shown: sensitive
// values are masked already.
type Change struct {
	Field     string `json:"field"`               // name of the attribute
	Old       string `json:"old,omitempty"`       // before; empty when there was no value
	New       string `json:"new,omitempty"`       // after; empty when there is no value, or when it was only read
	Sensitive bool   `json:"sensitive,omitempty"` // the texts are masks
}

// Code says in one word why an outcome was not a success. Those of this package
// are "invalid", "unset", "denied", "no_actor", "undecided", "failed" and "panic".
type Code string

// Event is one line of the audit log. Action and Outcome are required; Time, ID,
// Actor and RequestID are filled in by [Log.Record] where they are zero.
type Event struct {
	Time      time.Time   // when, by the wall clock in UTC; it may run backwards, the order of the log does not
	ID        string      // unique, and the same whenever the event is sent again
	Action    Action      // what was done; required
	Outcome   Outcome     // what came of it; required
	Actor     Actor       // who
	Target    Target      // to what
	RequestID string      // which request
	Source    string      // from where: an address, a host, a component
	Reason    string      // why, in words for people; never put secrets here
	Code      Code        // why not, in one word for programs
	Changes   []Change    // attributes changed or read
	Attrs     []slog.Attr // anything else; never put secrets here
	Truncated bool        // something was left out of the JSON form, see [Event.AppendJSON]
}

// LogValue returns the event as a group, within the bounds of [Event.AppendJSON].
// Actor and target are spread out: actor, actor_type, target, target_type and so on.
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

// fill sets time and ID where they are zero.
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
// has to be unique and not secret, so the bits come from the generator of the
// runtime, ChaCha8 with a seed from the system, which costs no system call.
func newID() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var id [26]byte
	var bits uint64
	for i := range id {
		if i%12 == 0 {
			bits = rand.Uint64() // enough for twelve digits of five bits
		}
		id[i] = alphabet[bits%32]
		bits /= 32
	}
	return string(id[:])
}

// fit leaves out what is over max bytes of text, the least telling first. Who did
// what to which thing is never left out, and never long: see [Event.AppendJSON].
func (e *Event) fit(max int) {
	changes, attrs := 0, attrsSize(e.Attrs, 0)
	for _, c := range e.Changes {
		changes += len(c.Field) + min(len(c.Old), maxText) + min(len(c.New), maxText)
	}
	reason := min(len(e.Reason), maxText)
	if attrs+changes+reason > max && attrs > 0 {
		e.Attrs, attrs, e.Truncated = nil, 0, true
	}
	if changes+reason > max && changes > 0 {
		e.Changes, changes, e.Truncated = nil, 0, true
	}
	if reason > max {
		e.Reason, e.Truncated = cut(e.Reason, max), true
	}
}

// attrsSize is the most text that attributes can take. What fmt would have to
// print is not printed twice to know, but counted at its bound.
func attrsSize(as []slog.Attr, depth int) (n int) {
	for i := range as {
		a := &as[i]
		n += len(a.Key)
		switch a.Value.Kind() {
		case slog.KindString:
			n += min(len(a.Value.String()), maxText)
		case slog.KindGroup:
			if depth < maxDepth {
				n += attrsSize(a.Value.Group(), depth+1)
			}
		case slog.KindAny, slog.KindLogValuer:
			n += maxText
		default:
			n += 24 // a number, a time
		}
	}
	return n
}

// isName reports whether s can stand in a log line, a query and a dashboard
// without quoting.
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

// nameByte are the bytes of names.
var nameByte = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/") {
		t[c] = true
	}
	return t
}()
