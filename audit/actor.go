package audit

import (
	"context"
	"unicode"
)

// anonymous is the actor type of events without an actor.
const anonymous = "anonymous"

// An Actor is the identity behind an action: the user or service that made the
// request, not the account under which the program runs.
type Actor struct {
	ID         string `json:"id,omitempty"`           // identity; without a visible character in it, the Actor is no actor
	Type       string `json:"type,omitempty"`         // kind of identity: "user", "service", "anonymous"
	Session    string `json:"session,omitempty"`      // login session or connection
	OnBehalfOf string `json:"on_behalf_of,omitempty"` // identity whose rights were used, if another
}

// An origin is everything that a context says about its events, in one value
// because an event reads all of it.
type origin struct {
	actor           Actor
	request, source string
}

type originKey struct{}

func originOf(ctx context.Context) (o origin) {
	o, _ = ctx.Value(originKey{}).(origin)
	return o
}

// WithActor returns a context whose events have the actor a, whatever actor is
// in the event. The innermost actor wins. To act for another identity, set
// OnBehalfOf instead of calling WithActor twice.
func WithActor(ctx context.Context, a Actor) context.Context {
	o := originOf(ctx)
	o.actor = a
	return context.WithValue(ctx, originKey{}, o)
}

// ActorFrom returns the actor of ctx and reports whether the actor has an ID.
func ActorFrom(ctx context.Context) (Actor, bool) {
	a := originOf(ctx).actor
	return a, a.identified()
}

// WithRequestID returns a context whose events carry the request ID id.
func WithRequestID(ctx context.Context, id string) context.Context {
	o := originOf(ctx)
	o.request = id
	return context.WithValue(ctx, originKey{}, o)
}

// WithSource returns a context whose events carry the source: an address, a
// host or a component.
func WithSource(ctx context.Context, source string) context.Context {
	o := originOf(ctx)
	o.source = source
	return context.WithValue(ctx, originKey{}, o)
}

// identified reports whether the ID contains a visible character.
func (a *Actor) identified() bool {
	for _, r := range a.ID {
		if unicode.IsGraphic(r) && !unicode.IsSpace(r) {
			return true
		}
	}
	return false
}
