package siem_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/siem"
)

// An ocsfAttribute is a fact of the published schema, see testdata/ocsf.json.
type ocsfAttribute struct {
	Type     string
	Array    bool
	Required bool
	Enum     map[string]string
}

type ocsfObject struct {
	AtLeastOne []string `json:"at_least_one"`
	Category   float64  `json:"category_uid"`
	Attributes map[string]ocsfAttribute
}

type ocsfSchema struct{ Classes, Objects map[string]ocsfObject }

func facts[T any](t testing.TB, name string) (v T) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// validate returns everything that is wrong with an event by the rules of OCSF.
func (s ocsfSchema) validate(line []byte) (bad []string) {
	var e map[string]any
	if err := json.Unmarshal(line, &e); err != nil {
		return []string{err.Error()}
	}
	class, ok := s.Classes[fmt.Sprint(e["class_uid"])]
	if !ok {
		return []string{fmt.Sprint("no class ", e["class_uid"])}
	}
	bad = s.object("", class, e)
	if e["category_uid"] != class.Category || fmt.Sprint(e["type_uid"]) != fmt.Sprint(e["class_uid"].(float64)*100+e["activity_id"].(float64)) {
		bad = append(bad, fmt.Sprint("category_uid or type_uid ", e["category_uid"], " ", e["type_uid"]))
	}
	return bad
}

func (s ocsfSchema) object(path string, o ocsfObject, v map[string]any) (bad []string) {
	for name, a := range o.Attributes {
		if _, ok := v[name]; a.Required && !ok {
			bad = append(bad, path+name+" is required")
		}
	}
	if len(o.AtLeastOne) > 0 && !slices.ContainsFunc(o.AtLeastOne, func(n string) bool { _, ok := v[n]; return ok }) {
		bad = append(bad, fmt.Sprint(path, " needs one of ", o.AtLeastOne))
	}
	for name, x := range v {
		a, ok := o.Attributes[name]
		if !ok {
			bad = append(bad, path+name+" is unknown")
			continue
		}
		list := []any{x}
		if a.Array {
			if list, ok = x.([]any); !ok {
				bad = append(bad, path+name+" is no array")
			}
		}
		for _, x := range list {
			bad = append(bad, s.attribute(path+name, a, x)...)
		}
		if text, id := strings.CutSuffix(name, "_id"); id {
			if caption, ok := v[text].(string); ok && x != 99.0 && caption != a.Enum[fmt.Sprint(x)] {
				bad = append(bad, fmt.Sprintf("%s%s is %q, and %s is %v", path, text, caption, name, x))
			}
		}
	}
	return bad
}

func (s ocsfSchema) attribute(path string, a ocsfAttribute, x any) []string {
	if o, ok := s.Objects[a.Type]; ok {
		m, ok := x.(map[string]any)
		if !ok {
			return []string{path + " is no object"}
		}
		return s.object(path+".", o, m)
	}
	ok := false
	switch a.Type {
	case "string_t", "resource_uid_t", "username_t":
		_, ok = x.(string)
	case "integer_t", "long_t", "timestamp_t":
		f, number := x.(float64)
		ok = number && f == float64(int64(f))
	case "boolean_t":
		_, ok = x.(bool)
	case "object":
		_, ok = x.(map[string]any)
	case "ip_t":
		text, _ := x.(string)
		_, err := netip.ParseAddr(text)
		ok = err == nil
	}
	if ok && len(a.Enum) > 0 {
		_, ok = a.Enum[fmt.Sprint(x)]
	}
	if !ok {
		return []string{fmt.Sprintf("%s is %v, want %s %v", path, x, a.Type, a.Enum)}
	}
	return nil
}

// randomEvent returns an event with any combination of fields.
func randomEvent(r *rand.Rand) *audit.Event {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	e := &audit.Event{
		Time: time.UnixMilli(r.Int64N(2e12)), ID: pick("", "e-1"), Action: audit.Action(pick("create", "read", "modify", "delete", "user.login", "logout", "order.refund", "A:LOGIN")),
		Outcome: audit.Outcome(pick("attempt", "success", "failure", "denied", "pending")),
		Actor: audit.Actor{
			ID: pick("", "alice", "\u202e\xff"), Type: pick("", "user", "service", "anonymous", "admin", "robot"),
			Session: pick("", "s-1"), OnBehalfOf: pick("", "bob"),
		},
		Target: audit.Target{Type: pick("", "user", "order", "device"), ID: pick("", "x-1")}, RequestID: pick("", "r-1"),
		Source: pick("", "192.0.2.1", "fe80::1%eth0", "::ffff:192.0.2.1", "door 4"), Reason: pick("", "why"), Code: audit.Code(pick("", "denied")), Truncated: r.IntN(2) == 0,
	}
	if r.IntN(2) == 0 {
		e.Changes = []audit.Change{{Field: "pin", Old: "***", New: "***", Sensitive: true}}
		e.Attrs = []slog.Attr{slog.Any(pick("k", "a.b"), map[string]int{"x": 1}), slog.Group("g", "n", r.IntN(9), "t", time.Now()), slog.Bool("k", true)}
	}
	return e
}

// Every event becomes a valid event of the published schema.
func TestOCSFValidates(t *testing.T) {
	schema := facts[ocsfSchema](t, "ocsf.json")
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[string]int{}
	for _, p := range []siem.Product{{}, shop} {
		for range 3000 {
			e := randomEvent(r)
			line := p.AppendOCSF(e, nil)
			if bad := schema.validate(line); len(bad) > 0 {
				t.Fatalf("%s: %q", line, bad)
			}
			seen[fmt.Sprint(decode(t, line)["class_uid"])]++
		}
	}
	if len(seen) != 3 {
		t.Errorf("classes %v, want 3", seen)
	}
}

// The validator finds each kind of mistake.
func TestOCSFValidatorBites(t *testing.T) {
	schema := facts[ocsfSchema](t, "ocsf.json")
	e := &audit.Event{Action: audit.Modify, Outcome: audit.Success, Actor: audit.Actor{ID: "a"}, Target: audit.Target{Type: "user", ID: "u"}, Source: "192.0.2.1"}
	line := string(shop.AppendOCSF(e, nil))
	if bad := schema.validate([]byte(line)); bad != nil {
		t.Fatal(bad)
	}
	for _, c := range [][2]string{
		{`"severity_id":1`, `"severity_id":7`},
		{`"severity_id":1,`, ``},
		{`"uid":"a"`, `"uid":1`},
		{`"uid":"a"`, `"who":"a"`},
		{`"type_id":2`, `"type_id":3`},
		{`"ip":"192.0.2.1"`, `"ip":"here"`},
		{`"ip":"192.0.2.1"`, `"port":1`},
		{`"type_uid":300403`, `"type_uid":300404`},
		{`"category_uid":3`, `"category_uid":4`},
	} {
		broken := strings.Replace(line, c[0], c[1], 1)
		if broken == line || schema.validate([]byte(broken)) == nil {
			t.Errorf("%s is not found in %s", c[1], broken)
		}
	}
}

type ecsField struct {
	Type    string
	Array   bool
	Allowed map[string][]string
}

type ecsSchema struct{ Fields map[string]ecsField }

// validate returns everything that is wrong by the rules of ECS. Objects of
// lists are not leaves, so only the object redoubt may contain them.
func (s ecsSchema) validate(e map[string]any) (bad []string) {
	for name, v := range e {
		if strings.HasPrefix(name, "redoubt.") {
			continue
		}
		f, ok := s.Fields[name]
		if !ok {
			bad = append(bad, name+" is unknown")
			continue
		}
		list, isList := v.([]any)
		if !isList {
			list = []any{v}
		}
		for _, x := range list {
			text, ok := x.(string)
			switch f.Type {
			case "ip":
				_, err := netip.ParseAddr(text)
				ok = err == nil && !strings.Contains(text, "%")
			case "date":
				_, err := time.Parse(time.RFC3339, text)
				ok = err == nil
			}
			if f.Allowed != nil {
				_, ok = f.Allowed[text]
			}
			if !ok || isList != f.Array {
				bad = append(bad, fmt.Sprintf("%s is %v, want %+v", name, v, f))
			}
		}
	}
	categories, _ := e["event.category"].([]any)
	if len(categories) != 1 {
		return append(bad, fmt.Sprint("event.category ", categories))
	}
	types, _ := e["event.type"].([]any)
	for _, typ := range types {
		if expected := s.Fields["event.category"].Allowed[categories[0].(string)]; !slices.Contains(expected, typ.(string)) {
			bad = append(bad, fmt.Sprint("event.type ", typ, ", want one of ", expected))
		}
	}
	return bad
}

func TestECSValidates(t *testing.T) {
	schema := facts[ecsSchema](t, "ecs.json")
	r := rand.New(rand.NewPCG(3, 4))
	paths := map[string]bool{}
	for _, p := range []siem.Product{{}, shop} {
		for range 3000 {
			e := randomEvent(r)
			e.Attrs = append(e.Attrs, slog.String("k"+strconv.Itoa(r.IntN(1e9)), "v"))
			line := decode(t, p.AppendECS(e, nil))
			if bad := schema.validate(line); len(bad) > 0 {
				t.Fatalf("%v: %q", line, bad)
			}
			for path := range line {
				paths[path] = true
			}
		}
	}
	// Keys of attributes, which callers may choose, add no fields to an index.
	if len(paths) > 40 {
		t.Errorf("%d fields", len(paths))
	}
	for name, bad := range map[string]map[string]any{
		"category":   {"event.category": []any{"payment"}, "event.type": []any{}},
		"type":       {"event.category": []any{"authentication"}, "event.type": []any{"denied"}},
		"no array":   {"event.category": []any{"api"}, "related.user": "x"},
		"address":    {"event.category": []any{"api"}, "source.ip": "door"},
		"other name": {"event.category": []any{"api"}, "source.port.name": "x"},
	} {
		if schema.validate(bad) == nil {
			t.Errorf("%s is not found", name)
		}
	}
}

// The owner of an action says what it is.
func TestClassify(t *testing.T) {
	p := shop
	p.Classify = func(e *audit.Event) siem.Class {
		if e.Action == "order.refund" {
			return siem.Class{UID: 6001, Activity: 3, Category: "web", Type: []string{"access"}, Fields: []slog.Attr{
				slog.Group("web_resources", "name", e.Target.ID), slog.String("class_uid", "forged"),
			}}
		}
		return siem.Class{}
	}
	got := decode(t, p.AppendOCSF(full(), nil))
	checkEqual(t, []any{got["class_uid"], got["category_uid"], got["type_uid"], got["activity_name"], got["web_resources.name"]}, []any{6001.0, 6.0, 600103.0, nil, "o-17"})
	got = decode(t, p.AppendECS(full(), nil))
	checkEqual(t, []any{got["event.category"], got["event.type"]}, []any{[]any{"web"}, []any{"access"}})
	e := full()
	e.Action = "user.login"
	got = decode(t, p.AppendOCSF(e, nil))
	checkEqual(t, []any{got["class_uid"], got["type_uid"], got["user.uid"], got["service.name"]}, []any{3002.0, 300201.0, "alice", "shop"})
	e.Target = audit.Target{Type: "user", ID: "root"}
	got = decode(t, p.AppendOCSF(e, nil))
	checkEqual(t, []any{got["user.uid"], got["actor.user.uid"]}, []any{"root", "alice"})
	got = decode(t, p.AppendECS(e, nil))
	checkEqual(t, []any{got["event.category"], got["event.type"], got["related.user"]}, []any{[]any{"authentication"}, []any{"start"}, []any{"alice", "bob", "root"}})
}
