package audit_test

import (
	"context"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
)

// The identity of a request comes from the context. An event that was decoded
// from a request cannot change it.
func TestContextDecidesWhoAndWhere(t *testing.T) {
	m := &memory{}
	l := newLog(m)
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "mallory"})
	ctx = audit.WithSource(audit.WithRequestID(ctx, "r-1"), "192.0.2.7")
	var e audit.Event
	body := `{"id":"x","action":"a","outcome":"success","actor":{"id":"admin","on_behalf_of":"root"},"request_id":"r-9","source":"localhost"}`
	if err := e.UnmarshalJSON([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := l.Record(ctx, e); err != nil {
		t.Fatal(err)
	}
	got := m.events[0]
	checkEqual(t, []any{got.Actor, got.RequestID, got.Source}, []any{audit.Actor{ID: "mallory"}, "r-1", "192.0.2.7"})
	checkIs(t, l.Record(context.Background(), e), audit.ErrNoActor)
	enriched := audit.New(audit.Config{Sink: m, Enrich: func(_ context.Context, e *audit.Event) { e.Actor = audit.Actor{ID: "job"} }})
	if err := enriched.Record(ctx, e); err != nil || m.events[1].Actor.ID != "job" {
		t.Errorf("Enrich: %v, actor %v", err, m.events[1].Actor)
	}
}

// An ID without a visible character identifies no actor.
func TestInvisibleActors(t *testing.T) {
	l := newLog(&memory{})
	for _, id := range []string{"", " ", "\t\n", "\u200b", "\u00a0\u2028", "\x00", "\xff"} {
		ctx := audit.WithActor(alice(), audit.Actor{ID: id})
		if _, ok := audit.ActorFrom(ctx); ok && id != "\xff" {
			t.Errorf("%q is an actor", id)
		}
		if err := l.Record(ctx, audit.Event{Action: "a", Outcome: "b"}); (err == nil) != (id == "\xff") {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, ok := audit.ActorFrom(audit.WithActor(alice(), audit.Actor{ID: " \u00e9"})); !ok {
		t.Error("an ID with a visible character is no actor")
	}
}
