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

// Product is the program that the events come from. Its methods fit
// [audit.Lines].
type Product struct {
	Vendor  string // who makes it
	Name    string // what it is called
	Version string // which version runs
}

// record is an event after its way through JSON: within bounds, valid UTF-8, and
// with attributes of known types.
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
		panic("siem: " + err.Error()) // AppendJSON writes valid JSON whatever it is given
	}
	return r
}

// appendJSON appends v, whose texts came out of a record. What encoding/json leaves
// as it is, but a terminal would obey, is escaped: such runes stand within texts only.
func appendJSON(dst []byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("siem: " + err.Error()) // v is made of texts, numbers and checked JSON
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

// unsafeRune reports whether r drives a terminal, breaks a line or changes the
// direction of the text that follows.
func unsafeRune(r rune) bool {
	return r < 0x20 || 0x7f <= r && r <= 0x9f || r == 0x061c || r == 0x200e || r == 0x200f ||
		0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}

// object makes an object of keys and values, without those that are empty: a SIEM
// indexes every key it sees. Numbers are never empty.
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

// ecsTypes are the types of the schema that an action is; others are "info".
var ecsTypes = map[audit.Action]string{
	audit.Create: "creation", audit.Read: "access", audit.Modify: "change", audit.Delete: "deletion",
}

// ecsOutcomes are all that the schema allows besides "unknown".
var ecsOutcomes = map[audit.Outcome]string{
	audit.Success: "success", audit.Failure: "failure", audit.Denied: "failure",
}

// AppendECS appends e as one JSON object of the Elastic Common Schema and returns
// the extended buffer. The actor is user.id, the one it acts for user.effective.id.
// A denied action has the outcome failure and the type denied; an attempt the outcome
// unknown. Target, changes, attributes and what else the schema does not know stand
// in the object redoubt.
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

// Numbers of OCSF.
const (
	ocsfIAM    = 3    // category
	ocsfEntity = 3004 // class Entity Management
	ocsfOther  = 99   // activity or status with a name of its own
)

var (
	ocsfActivities = map[audit.Action]int{audit.Create: 1, audit.Read: 2, audit.Modify: 3, audit.Delete: 4}
	ocsfStatuses   = map[audit.Outcome]int{audit.Attempt: 0, audit.Success: 1, audit.Failure: 2, audit.Denied: 2}
	ocsfCaptions   = []string{"Unknown", "Success", "Failure"} // of the statuses
	ocsfSeverities = map[audit.Outcome]int{audit.Denied: 2}    // low: one refusal is no incident; else informational
)

// AppendOCSF appends e as one JSON object of the Open Cybersecurity Schema Framework
// and returns the extended buffer: Entity Management where there is a target, else
// the base event. Actions other than those of audited fields are activity 99 with
// their name, and every action is metadata.event_code. Changes, attributes and what else the class does not know stand in the
// object unmapped.
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
	if r.Target.ID == "" { // the class demands an entity with a uid, and the base event knows no actor
		class, category, activity = 0, 0, ocsfOther
		known = unmapped
	}
	maps.Copy(known, object(
		"entity", object("type", r.Target.Type, "uid", r.Target.ID),
		"actor", object("user", object("uid", r.Actor.ID, "type", r.Actor.Type), "session", object("uid", r.Actor.Session)),
		"src_endpoint", endpoint(r.Source),
	))
	if activity == ocsfOther { // the others have the names of the schema
		o["activity_name"] = string(r.Action)
	}
	maps.Copy(o, object("class_uid", class, "category_uid", category, "activity_id", activity, "type_uid", class*100+activity, "unmapped", unmapped))
	return appendJSON(dst, o)
}

// endpoint is a source as OCSF has it: an address, or a name.
func endpoint(source string) map[string]any {
	if addr, err := netip.ParseAddr(source); err == nil {
		return object("ip", addr.String())
	}
	return object("name", source)
}
