package siem

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

// A Product is the program that produces the events. Its methods are encoders
// for [audit.Lines].
type Product struct {
	Vendor  string // manufacturer
	Name    string // name of the program
	Version string // version of the program
}

// A record is an event that was encoded as JSON and decoded. It is bounded and
// valid UTF-8, and its attributes are JSON.
type record struct {
	Time      time.Time       `json:"time"`
	ID        string          `json:"id"`
	Action    audit.Action    `json:"action"`
	Outcome   audit.Outcome   `json:"outcome"`
	Actor     audit.Actor     `json:"actor"`
	Target    audit.Target    `json:"target"`
	RequestID string          `json:"request_id"`
	Source    string          `json:"source"`
	Reason    string          `json:"reason"`
	Code      audit.Code      `json:"code"`
	Changes   json.RawMessage `json:"changes"`
	Attrs     json.RawMessage `json:"attrs"`
	Truncated bool            `json:"truncated"`
}

func recordOf(e *audit.Event) (r record) {
	if err := json.Unmarshal(e.AppendJSON(nil), &r); err != nil {
		panic("siem: " + err.Error()) // AppendJSON always writes valid JSON
	}
	return r
}

// appendJSON appends v, whose texts are from a record. It also escapes the
// runes that control a terminal, which occur only inside texts.
func appendJSON(dst []byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("siem: " + err.Error()) // v contains texts, numbers and valid JSON
	}
	for _, r := range string(b) {
		if unsafeRune(r) {
			dst = fmt.Appendf(dst, `\u%04x`, r)
		} else {
			dst = append(dst, string(r)...)
		}
	}
	return dst
}

// unsafeRune reports whether r can control a terminal, break a line or change
// the direction of text.
func unsafeRune(r rune) bool {
	return r < 0x20 || 0x7f <= r && r <= 0x9f || r == 0x061c || r == 0x200e || r == 0x200f ||
		0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}

// object returns an object of alternating keys and values. It leaves out empty
// values, because a SIEM indexes every key. Numbers are never empty.
func object(kv ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(kv); i += 2 {
		switch v := kv[i+1].(type) {
		case string:
			if v == "" {
				continue
			}
		case bool:
			if !v {
				continue
			}
		case json.RawMessage:
			if len(v) == 0 {
				continue
			}
		case map[string]any:
			if len(v) == 0 {
				continue
			}
		}
		m[kv[i].(string)] = kv[i+1]
	}
	return m
}

// ecsTypes contains the event.type of an action. Other actions are "info".
var ecsTypes = map[audit.Action]string{
	audit.Create: "creation", audit.Read: "access", audit.Modify: "change", audit.Delete: "deletion",
}

// ecsOutcomes contains the event.outcome. Other outcomes are "unknown".
var ecsOutcomes = map[audit.Outcome]string{
	audit.Success: "success", audit.Failure: "failure", audit.Denied: "failure",
}

// AppendECS appends e as a JSON object of the Elastic Common Schema and returns
// the extended buffer. The ID of the actor is in user.id, and its OnBehalfOf in
// user.effective.id. A denied action has the outcome failure and the type
// denied. An attempt has the outcome unknown. Fields outside the schema, such
// as target, changes and attributes, are in the object redoubt.
func (p Product) AppendECS(e *audit.Event, dst []byte) []byte {
	r := recordOf(e)
	types := []string{cmp.Or(ecsTypes[r.Action], "info")}
	if r.Outcome == audit.Denied {
		types = append(types, "denied")
	}
	return appendJSON(dst, object(
		"@timestamp", r.Time.Format(time.RFC3339Nano),
		"ecs", object("version", "8.11.0"),
		"event", object("kind", "event", "id", r.ID, "action", string(r.Action), "type", types,
			"outcome", cmp.Or(ecsOutcomes[r.Outcome], "unknown"), "reason", r.Reason, "code", string(r.Code), "provider", p.Name),
		"user", object("id", r.Actor.ID, "effective", object("id", r.Actor.OnBehalfOf)),
		"source", object("address", r.Source),
		"http", object("request", object("id", r.RequestID)),
		"service", object("name", p.Name, "version", p.Version),
		"redoubt", object("outcome", string(r.Outcome), "actor_type", r.Actor.Type, "session", r.Actor.Session,
			"target_type", r.Target.Type, "target", r.Target.ID, "changes", r.Changes, "attrs", r.Attrs, "truncated", r.Truncated),
	))
}

// Identifiers of OCSF.
const (
	ocsfIAM    = 3    // category
	ocsfEntity = 3004 // class Entity Management
	ocsfOther  = 99   // activity or status with its own name
)

var (
	ocsfActivities = map[audit.Action]int{audit.Create: 1, audit.Read: 2, audit.Modify: 3, audit.Delete: 4}
	ocsfStatuses   = map[audit.Outcome]int{audit.Attempt: 0, audit.Success: 1, audit.Failure: 2, audit.Denied: 2}
	ocsfCaptions   = []string{"Unknown", "Success", "Failure"} // captions of the statuses 0 to 2
	ocsfSeverities = map[audit.Outcome]int{audit.Denied: 2}    // low; other outcomes are informational
)

// AppendOCSF appends e as a JSON object of the Open Cybersecurity Schema
// Framework and returns the extended buffer. An event with a target is of the
// class Entity Management, other events are base events. The actions of audited
// fields have their own activity. Other actions have the activity 99 and their
// name. The action is always in metadata.event_code. Fields outside the class,
// such as changes and attributes, are in the object unmapped.
func (p Product) AppendOCSF(e *audit.Event, dst []byte) []byte {
	r := recordOf(e)
	status, ok := ocsfStatuses[r.Outcome]
	caption := string(r.Outcome)
	if ok {
		caption = ocsfCaptions[status]
	} else {
		status = ocsfOther
	}
	o := object(
		"severity_id", cmp.Or(ocsfSeverities[r.Outcome], 1), "time", r.Time.UnixMilli(), "message", r.Reason,
		"status_id", status, "status", caption, "status_code", string(r.Code), "status_detail", string(r.Outcome),
		"metadata", object("version", "1.3.0", "uid", r.ID, "event_code", string(r.Action), "correlation_uid", r.RequestID,
			"product", object("name", p.Name, "vendor_name", p.Vendor, "version", p.Version)),
	)
	unmapped := object("on_behalf_of", r.Actor.OnBehalfOf, "changes", r.Changes, "attrs", r.Attrs, "truncated", r.Truncated)
	known := o
	class, category, activity := ocsfEntity, ocsfIAM, cmp.Or(ocsfActivities[r.Action], ocsfOther)
	if r.Target.ID == "" { // the class requires entity.uid; the base event has no actor
		class, category, activity = 0, 0, ocsfOther
		known = unmapped
	}
	maps.Copy(known, object(
		"entity", object("type", r.Target.Type, "uid", r.Target.ID),
		"actor", object("user", object("uid", r.Actor.ID, "type", r.Actor.Type), "session", object("uid", r.Actor.Session)),
		"src_endpoint", endpoint(r.Source),
	))
	if activity == ocsfOther { // other activities have names in the schema
		o["activity_name"] = string(r.Action)
	}
	maps.Copy(o, object("class_uid", class, "category_uid", category, "activity_id", activity, "type_uid", class*100+activity, "unmapped", unmapped))
	return appendJSON(dst, o)
}

// endpoint returns a source as an OCSF endpoint, with an address or a name.
func endpoint(source string) map[string]any {
	if addr, err := netip.ParseAddr(source); err == nil {
		return object("ip", addr.String())
	}
	return object("name", source)
}
