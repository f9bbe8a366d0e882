package audit

import "context"

// anonymous is the actor type of events without an actor.
const anonymous = "anonymous"

// An Actor is the identity behind an action: the user or service that made the
// request, not the account under which the program runs.
type Actor struct {
	ID         string `json:"id,omitempty"`           // identity; an Actor without an ID is no actor
	Type       string `json:"type,omitempty"`         // kind of identity: "user", "service", "anonymous"
	Session    string `json:"session,omitempty"`      // login session or connection
	OnBehalfOf string `json:"on_behalf_of,omitempty"` // identity whose rights were used, if another
}

type (
	actorKey   struct{}
	requestKey struct{}
)

// WithActor returns a context whose events have the actor a. The innermost
// actor wins. To act for another identity, set OnBehalfOf instead of calling
// WithActor twice. An [Event] whose own Actor has an ID keeps that actor.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom returns the actor of ctx and reports whether the actor has an ID.
func ActorFrom(ctx context.Context) (Actor, bool) {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a, a.ID != ""
}

// WithRequestID returns a context whose events carry the request ID id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}
