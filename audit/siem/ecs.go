package siem

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

// ecsOutcomes contains the event.outcome. Other outcomes are "unknown".
var ecsOutcomes = map[audit.Outcome]string{
	audit.Success: "success", audit.Failure: "failure", audit.Denied: "failure",
}

// AppendECS appends e as a JSON object of the Elastic Common Schema and returns
// the extended buffer. The actor is in user.id and user.name, its OnBehalfOf in
// user.effective.id, and all users are in related.user. The source is in
// source.address and, if it is an IP address, in source.ip. A denied action has
// the outcome failure. An attempt has the outcome unknown.
//
// Fields outside the schema are in the object redoubt, whose fields are fixed:
// attributes are a list of texts such as "order.id=17".
func (p Product) AppendECS(e *audit.Event, dst []byte) []byte {
	r := recordOf(e)
	c := p.classOf(e)
	users := []string{r.Actor.ID, r.Actor.OnBehalfOf}
	if r.Target.Type == "user" {
		users = append(users, r.Target.ID)
	}
	slices.Sort(users)
	users = slices.DeleteFunc(slices.Compact(users), func(s string) bool { return s == "" })
	source, related := object("address", r.Source), object("user", users)
	if addr, ok := parseIP(r.Source); ok {
		source["ip"], related["ip"] = addr, []string{addr}
	}
	return appendJSON(dst, object(
		"@timestamp", r.Time.Format(time.RFC3339Nano),
		"ecs", object("version", "9.4.0"),
		"event", object("kind", "event", "id", r.ID, "action", string(r.Action), "category", []string{c.Category}, "type", c.Type,
			"outcome", cmp.Or(ecsOutcomes[r.Outcome], "unknown"), "reason", r.Reason, "code", string(r.Code), "provider", p.Name),
		"user", object("id", r.Actor.ID, "name", r.Actor.ID, "effective", object("id", r.Actor.OnBehalfOf)),
		"source", source,
		"related", related,
		"http", object("request", object("id", r.RequestID)),
		"service", object("name", p.Name, "version", p.Version),
		"redoubt", object("outcome", string(r.Outcome), "actor_type", r.Actor.Type, "session", r.Actor.Session,
			"target_type", r.Target.Type, "target", r.Target.ID, "changes", r.Changes, "attrs", flat(r.Attrs), "truncated", r.Truncated),
	))
}

// parseIP returns the canonical text of an IP address without a zone, which
// indexes of addresses refuse.
func parseIP(s string) (string, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return "", false
	}
	return addr.Unmap().WithZone("").String(), true
}
