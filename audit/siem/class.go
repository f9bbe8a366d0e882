package siem

import (
	"cmp"
	"log/slog"
	"strings"

	"github.com/redoubt-go/redoubt/audit"
)

// A Class is the meaning of an event in the schemas. The default depends on the
// action:
//
//   - "login", "logon", "signin", "logout", "logoff" and "signout", also after
//     a dot as in "user.login": OCSF Authentication, ECS category
//     authentication;
//   - create, read, modify and delete with a target: OCSF Entity Management,
//     ECS category api;
//   - other actions: OCSF API Activity, ECS category api.
type Class struct {
	// UID is the class of OCSF. For other classes than the defaults, give the
	// attributes that the class requires in Fields.
	UID int

	// Activity is the activity_id of OCSF. Zero means the activity of the
	// action, otherwise 99.
	Activity int

	// Fields are further attributes of the OCSF event. They cannot replace the
	// attributes that this package writes.
	Fields []slog.Attr

	// Category is the event.category of ECS.
	Category string

	// Type is the event.type of ECS.
	Type []string
}

// Classes of OCSF.
const (
	Authentication   = 3002 // a user logs on or off
	EntityManagement = 3004 // an entity is created, read, changed or deleted
	APIActivity      = 6003 // a program does something for a caller
)

// Numbers of OCSF for unknown and for other values.
const (
	unknown = 0
	other   = 99
)

// A verb is the default meaning of an action.
type verb struct {
	activity int    // of the class
	ecs      string // event.type
}

var (
	crud = map[string]verb{
		string(audit.Create): {1, "creation"}, string(audit.Read): {2, "access"},
		string(audit.Modify): {3, "change"}, string(audit.Delete): {4, "deletion"},
	}
	logons = map[string]verb{
		"login": {1, "start"}, "logon": {1, "start"}, "signin": {1, "start"},
		"logout": {2, "end"}, "logoff": {2, "end"}, "signout": {2, "end"},
	}
)

// classOf returns the class of an event, complete.
func (p Product) classOf(e *audit.Event) (c Class) {
	if p.Classify != nil {
		c = p.Classify(e)
	}
	action := string(e.Action)
	last := strings.ToLower(action[strings.LastIndexAny(action, ".:/")+1:])
	v, isLogon := logons[last]
	isCRUD := false
	if !isLogon {
		v, isCRUD = crud[action]
	}
	uid, category := APIActivity, "api"
	switch {
	case isLogon:
		uid, category = Authentication, "authentication"
	case isCRUD && e.Target.ID != "":
		uid = EntityManagement
	}
	if c.UID == 0 {
		c.UID = uid
		c.Activity = cmp.Or(c.Activity, v.activity)
	}
	c.Activity = cmp.Or(c.Activity, other)
	if c.Category != "" && c.Category != category { // the type of the action is for its own category
		v.ecs = ""
	}
	c.Category = cmp.Or(c.Category, category)
	if len(c.Type) == 0 {
		c.Type = []string{cmp.Or(v.ecs, "info")}
		if e.Outcome == audit.Denied && c.Category == "api" { // authentication has no such type
			c.Type = append(c.Type, "denied")
		}
	}
	return c
}
