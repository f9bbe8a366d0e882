package audit

import "context"

// anonymous is the actor type of events that nobody signed for.
const anonymous = "anonymous"

// Actor is who did it: the identity of the request, never the account the
// program happens to run under.
type Actor struct {
	ID         string `json:"id,omitempty"`           // who; an Actor without an ID counts as none
	Type       string `json:"type,omitempty"`         // what sort of who: "user", "service", "anonymous"
	Session    string `json:"session,omitempty"`      // login session or connection
	OnBehalfOf string `json:"on_behalf_of,omitempty"` // whose rights were used, when not the actor's own
}

type (
	actorKey   struct{}
	requestKey struct{}
)

// WithActor returns a context whose events are signed by a. The innermost actor
// wins; acting for somebody else is said in OnBehalfOf, not by a second call. Work
// that outlives the request must be given this context too.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom returns the actor of ctx, and whether there is one. An actor without
// an ID is none.
func ActorFrom(ctx context.Context) (Actor, bool) {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a, a.ID != ""
}

// WithRequestID returns a context whose events carry id, which ties them to the
// other traces of one request.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}
