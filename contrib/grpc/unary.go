package redoubtgrpc

import (
	"context"
	"io"
	"reflect"
	"slices"
	"strconv"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/retry"
)

// Unary returns the interceptor for unary calls; see
// grpc.WithChainUnaryInterceptor. c must not be changed afterwards.
//
// An interceptor before this interceptor sees the call, an interceptor after it
// each attempt. An interceptor after it must pass on the options of the call:
// from them the Client learns whether a request was sent.
//
// Errors: every error has a status of gRPC. It is the error of gRPC if the
// first attempt failed for good, and otherwise wraps a *[retry.Error]. An error
// of a guard has the code Unavailable, or ResourceExhausted if Limit refused
// the call, and wraps the error of the guard.
func (c Client) Unary() grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		u := unary{req: req, reply: reply, invoker: invoker}
		u.plan = c.plan(ctx, method, cc)
		u.nested = retry.Nested(u.ctx)
		if c.Hedge != nil {
			if h := c.Hedge(method); h != nil && renewable(reply) && u.idempotent() && !u.left() {
				return u.hedge(*h, opts)
			}
		}
		var finish func(error)
		u.opts, finish = once(opts)
		u.opts = append(u.opts, grpc.Trailer(&u.trailer), grpc.Peer(&u.peer))
		err := result(u.policy().Do(u.ctx, u.attempt))
		if finish != nil {
			finish(err)
		}
		return err
	}
}

// A unary is a unary call.
type unary struct {
	plan
	req, reply any
	invoker    grpc.UnaryInvoker
	opts       []grpc.CallOption // with trailer and peer
	trailer    metadata.MD
	peer       peer.Peer
	nested     bool
	n          int    // attempts begun
	first      guards // of the first attempt
}

// attempt makes the next attempt of a call without a hedge.
func (u *unary) attempt(ctx context.Context) error {
	g := &u.first
	if u.n > 0 {
		g, u.trailer, u.peer = new(guards), nil, peer.Peer{}
	}
	u.n++
	if u.n > 1 || u.nested {
		ctx = withAttempts(ctx, max(u.n-1, 1))
	}
	return u.make(ctx, g, u.reply, u.opts, &u.trailer, &u.peer)
}

// make makes an attempt with its guards.
func (u *unary) make(ctx context.Context, g *guards, reply any, opts []grpc.CallOption, trailer *metadata.MD, from *peer.Peer) error {
	left := false
	defer func() {
		if !left { // also a panic of another interceptor, or of a function of the Client
			g.abandon()
		}
	}()
	if err := g.enter(ctx, &u.plan); err != nil {
		return err
	}
	from.Addr = nowhere{}
	err := u.invoker(ctx, u.method, u.req, reply, u.cc, opts...)
	if err == nil {
		g.leave(&u.plan, nil, breaker.OutcomeSuccess)
		left = true
		return nil
	}
	if err == io.EOF {
		err = errLost
	}
	// gRPC sets the peer when a stream for the request exists.
	e, v := u.judge(ctx, g.start, err, *trailer, from.Addr == nowhere{})
	g.leave(&u.plan, e, v.Outcome)
	left = true
	return e.decision()
}

// errLost is the error of a request that gRPC repeated after the server had not
// processed it, and whose second connection ended as well. gRPC takes the end
// of the second connection for the end of the call.
var errLost = status.Error(codes.Unavailable, "grpc: connection lost")

// nowhere is the address of a request that was not sent. The address of a
// connection may be nil.
type nowhere struct{}

func (nowhere) Network() string { return "" }
func (nowhere) String() string  { return "" }

// withAttempts returns ctx with the number of earlier attempts for the server.
func withAttempts(ctx context.Context, n int) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx) // a copy
	if md == nil {
		md = metadata.MD{}
	}
	md.Set(attemptsKey, strconv.Itoa(n))
	return metadata.NewOutgoingContext(ctx, md)
}

// once returns opts without grpc.OnFinish, and a function that calls its hooks
// once for the whole call. The function is nil without hooks. The result has
// room for two more options.
func once(opts []grpc.CallOption) ([]grpc.CallOption, func(error)) {
	var hooks []func(error)
	left := make([]grpc.CallOption, 0, len(opts)+2)
	for _, o := range opts {
		if f, ok := o.(grpc.OnFinishCallOption); ok {
			hooks = append(hooks, f.OnFinish)
			continue
		}
		left = append(left, o)
	}
	if hooks == nil {
		return left, nil
	}
	return left, func(err error) {
		for _, hook := range slices.Backward(hooks) { // as gRPC does
			hook(err)
		}
	}
}

// A reply is the result of a hedged attempt. Attempts share nothing that gRPC
// writes.
type reply struct {
	message any
	header  metadata.MD
	trailer metadata.MD
	peer    peer.Peer
}

// hedge makes a hedged call.
func (u *unary) hedge(h retry.Hedge[any], opts []grpc.CallOption) error {
	if h.Fatal == nil {
		h.Fatal = func(err error) bool {
			e, ok := errtree.Find[*callError](err)
			return ok && !e.again && !e.push.never // gRFC A6: the attempts that run go on
		}
	} else {
		user := h.Fatal
		h.Fatal = func(err error) bool { return user(bare(err)) }
	}
	if user := h.OnEvent; user != nil {
		h.OnEvent = u.named(user)
	}
	if user := h.Discard; user != nil {
		h.Discard = func(v any) { user(v.(*reply).message) }
	}
	shared, finish := once(opts)
	var outputs []grpc.CallOption
	shared = slices.DeleteFunc(shared, func(o grpc.CallOption) bool {
		switch o.(type) {
		case grpc.HeaderCallOption, grpc.TrailerCallOption, grpc.PeerCallOption:
			outputs = append(outputs, o)
			return true
		}
		return false
	})
	var n atomic.Int32
	won, err := h.Do(u.ctx, func(ctx context.Context) (any, error) {
		before := int(n.Add(1)) - 1
		if before > 0 || u.nested {
			ctx = withAttempts(ctx, max(before, 1))
		}
		r := &reply{message: empty(u.reply)}
		mine := append(slices.Clip(shared), grpc.Header(&r.header), grpc.Trailer(&r.trailer), grpc.Peer(&r.peer))
		err := u.make(ctx, new(guards), r.message, mine, &r.trailer, &r.peer)
		if err != nil {
			if e, ok := errtree.Find[*callError](err); ok {
				e.reply = r
			}
			return nil, err
		}
		return r, nil
	})
	r, _ := won.(*reply)
	if err == nil {
		fill(u.reply, r.message)
	} else if e, ok := errtree.Find[*callError](err); ok {
		r = e.reply
	}
	for _, o := range outputs {
		r.write(o)
	}
	err = result(err)
	if finish != nil {
		finish(err)
	}
	return err
}

// write copies an output of r to the variable of the option.
func (r *reply) write(o grpc.CallOption) {
	if r == nil {
		return
	}
	switch o := o.(type) {
	case grpc.HeaderCallOption:
		*o.HeaderAddr = r.header
	case grpc.TrailerCallOption:
		*o.TrailerAddr = r.trailer
	case grpc.PeerCallOption:
		if r.peer.Addr != (nowhere{}) {
			*o.PeerAddr = r.peer
		}
	}
}

// renewable reports whether m is a message that each attempt can have anew.
func renewable(m any) bool {
	v := reflect.ValueOf(m)
	return v.Kind() == reflect.Pointer && !v.IsNil()
}

// empty returns a new message of the type of m.
func empty(m any) any {
	if p, ok := m.(proto.Message); ok {
		return p.ProtoReflect().New().Interface()
	}
	return reflect.New(reflect.TypeOf(m).Elem()).Interface()
}

// fill sets m to the message from.
func fill(m, from any) {
	if p, ok := m.(proto.Message); ok {
		proto.Reset(p)
		proto.Merge(p, from.(proto.Message))
		return
	}
	reflect.ValueOf(m).Elem().Set(reflect.ValueOf(from).Elem())
}
