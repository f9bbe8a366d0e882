package siem

import (
	"cmp"
	"encoding/json"
	"maps"

	"github.com/redoubt-go/redoubt/audit"
)

var (
	ocsfStatuses   = map[audit.Outcome]int{audit.Attempt: 0, audit.Success: 1, audit.Failure: 2, audit.Denied: 2}
	ocsfCaptions   = []string{"Unknown", "Success", "Failure"} // captions of the statuses 0 to 2
	ocsfSeverities = map[audit.Outcome]int{audit.Denied: 2}    // low; other outcomes are informational
)

// A kind is a number of OCSF with its caption.
type kind struct {
	id      int
	caption string
}

var (
	userKinds = map[string]kind{
		"": {unknown, "Unknown"}, "anonymous": {unknown, "Unknown"}, "user": {1, "User"}, "admin": {2, "Admin"}, "system": {3, "System"},
		"service": {4, "Service"}, "program": {4, "Service"},
	}
	entityKinds = map[string]kind{
		"": {unknown, "Unknown"}, "device": {1, "Device"}, "user": {2, "User"}, "group": {3, "Group"}, "organization": {4, "Organization"},
		"policy": {5, "Policy"}, "email": {6, "Email"},
	}
)

// kindOf returns the kind of a type. A type that the schema does not know is
// "other" with its own name.
func kindOf(kinds map[string]kind, typ string) kind {
	if k, ok := kinds[typ]; ok {
		return k
	}
	return kind{other, typ}
}

// user returns an OCSF user, which must have a name or an ID.
func user(id, typ string) map[string]any {
	k := kindOf(userKinds, typ)
	u := object("uid", id, "type", k.caption)
	u["type_id"] = k.id
	if id == "" {
		u["name"] = cmp.Or(typ, "unknown")
	}
	return u
}

// AppendOCSF appends e as a JSON object of the Open Cybersecurity Schema
// Framework and returns the extended buffer. The class of the event is a
// [Class]. The action is always in metadata.event_code. An anonymous actor is a
// user with the name "anonymous". If the event has no source, the program
// itself is the source.
//
// Fields outside the class are in the object unmapped, whose fields are fixed:
// attributes are a list of texts such as "order.id=17".
func (p Product) AppendOCSF(e *audit.Event, dst []byte) []byte {
	r := recordOf(e)
	c := p.classOf(e)
	status, ok := ocsfStatuses[r.Outcome]
	caption := string(r.Outcome)
	if ok {
		caption = ocsfCaptions[status]
	} else {
		status = other
	}
	o := object(
		"severity_id", cmp.Or(ocsfSeverities[r.Outcome], 1), "time", r.Time.UnixMilli(), "message", r.Reason,
		"status_id", status, "status", caption, "status_code", string(r.Code), "status_detail", string(r.Outcome),
		"class_uid", c.UID, "category_uid", c.UID/1000, "activity_id", c.Activity, "type_uid", c.UID*100+c.Activity,
		"actor", object("user", user(r.Actor.ID, r.Actor.Type), "session", object("uid", r.Actor.Session)),
		"src_endpoint", p.endpoint(r.Source),
		"metadata", object("version", "1.8.0", "uid", r.ID, "event_code", string(r.Action), "correlation_uid", r.RequestID, "is_truncated", r.Truncated,
			"product", object("name", cmp.Or(p.Name, "unknown"), "vendor_name", p.Vendor, "version", p.Version)),
	)
	if c.Activity == other { // other activities have names in the schema
		o["activity_name"] = string(r.Action)
	}
	unmapped := object("on_behalf_of", r.Actor.OnBehalfOf, "changes", r.Changes, "attrs", flat(r.Attrs))
	target := object("type", r.Target.Type, "uid", r.Target.ID)
	switch c.UID {
	case EntityManagement:
		k := kindOf(entityKinds, r.Target.Type)
		o["entity"] = object("uid", cmp.Or(r.Target.ID, "unknown"), "type", k.caption, "type_id", k.id)
	case Authentication: // the user is the account, the actor tries to use it
		o["user"] = user(r.Actor.ID, r.Actor.Type)
		o["service"] = object("name", cmp.Or(p.Name, "unknown"), "version", p.Version)
		if r.Target.Type == "user" && r.Target.ID != "" {
			o["user"] = user(r.Target.ID, "user")
		} else {
			maps.Copy(unmapped, object("target", target))
		}
		maps.Copy(o, object("session", object("uid", r.Actor.Session)))
	case APIActivity:
		o["api"] = object("operation", string(r.Action), "service", object("name", p.Name))
		if r.Target.ID != "" {
			o["resources"] = []any{target}
		} else {
			maps.Copy(unmapped, object("target", target))
		}
	default:
		maps.Copy(unmapped, object("target", target))
	}
	for k, v := range fields(c) {
		if _, taken := o[k]; !taken {
			o[k] = v
		}
	}
	maps.Copy(o, object("unmapped", unmapped))
	return appendJSON(dst, o)
}

// fields returns the fields of a class, with the bounds and escapes of an
// event.
func fields(c Class) map[string]json.RawMessage {
	if len(c.Fields) == 0 {
		return nil
	}
	var d struct {
		Attrs map[string]json.RawMessage `json:"attrs"`
	}
	_ = json.Unmarshal((&audit.Event{Attrs: c.Fields}).AppendJSON(nil), &d) // AppendJSON always writes valid JSON
	return d.Attrs
}

// endpoint returns a source as an OCSF endpoint, with an address or a name.
func (p Product) endpoint(source string) map[string]any {
	if addr, ok := parseIP(source); ok {
		return object("ip", addr)
	}
	if source == "" {
		return object("svc_name", cmp.Or(p.Name, "unknown"))
	}
	return object("name", source)
}
