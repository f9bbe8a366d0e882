package breaker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

// A User is what the examples fetch.
type User struct{ Name string }

var errBadRequest = errors.New("bad request")

func fetch(_ context.Context, id int) (User, error) {
	if id < 0 {
		return User{}, errDown
	}
	return User{"Ada"}, nil
}

func cached(int) User { return User{"Ada, as of yesterday"} }

func Example() {
	ctx := context.Background()
	users := breaker.New(breaker.Config{Name: "users"})
	find := breaker.WrapArg(users, fetch)
	user, err := find(ctx, 7)
	if errors.Is(err, breaker.ErrOpen) {
		user = cached(7)
	}
	fmt.Println(user.Name, err)
	// Output: Ada <nil>
}

func ExampleNew() {
	b := breaker.New(breaker.Config{
		Name:     "billing",
		MinCalls: 3,
		OpenFor:  time.Hour,
		OnEvent: func(_ context.Context, e breaker.Event) {
			fmt.Printf("%s: %v to %v because of the %s: %v\n", e.Name, e.From, e.To, e.Reason, e.Err)
		},
	})
	ctx := context.Background()
	for range 5 {
		err := b.Do(ctx, func(context.Context) error { return errDown })
		fmt.Println(errors.Is(err, breaker.ErrOpen))
	}
	// Output:
	// false
	// false
	// billing: closed to open because of the failure ratio: down
	// false
	// true
	// true
}

func ExampleDo() {
	b := breaker.New(breaker.Config{})
	user, err := breaker.Do(context.Background(), b, func(ctx context.Context) (User, error) { return fetch(ctx, 7) })
	fmt.Println(user.Name, err)
	// Output: Ada <nil>
}

func ExampleWrap() {
	b := breaker.New(breaker.Config{})
	guarded := breaker.Wrap(b, func(ctx context.Context) (User, error) { return fetch(ctx, -1) })
	for range 8 {
		guarded(context.Background())
	}
	fmt.Println(b.State(), b.Stats().Failures)
	// Output: open 5
}

func ExampleWrapArg() {
	b := breaker.New(breaker.Config{Name: "users"})
	user := breaker.WrapArg(b, fetch)
	fmt.Println(user(context.Background(), 7))
	// Output: {Ada} <nil>
}

func ExampleFallback() {
	b := breaker.New(breaker.Config{Name: "users"})
	user := breaker.Fallback(
		breaker.Wrap(b, func(ctx context.Context) (User, error) { return fetch(ctx, 7) }),
		func(_ context.Context, err error) (User, error) {
			if errors.Is(err, breaker.ErrOpen) {
				return cached(7), nil
			}
			return User{}, err
		})
	b.ForceOpen()
	fmt.Println(user(context.Background()))
	// Output: {Ada, as of yesterday} <nil>
}

func ExampleBreaker_ForceClosed() {
	b := breaker.New(breaker.Config{MinCalls: 3, OnEvent: func(_ context.Context, e breaker.Event) {
		fmt.Println(e.Kind, e.From, e.To)
	}})
	b.ForceClosed() // a dry run
	for range 10 {
		b.Do(context.Background(), func(context.Context) error { return errDown })
	}
	fmt.Println(b.State(), b.Stats().WindowFailures)
	// Output:
	// transition closed forced closed
	// shadow closed open
	// forced closed 10
}

func ExampleBreaker_Trip() {
	b := breaker.New(breaker.Config{Name: "search"})
	b.Trip(time.Hour, errors.New("maintenance"))
	_, err := b.Allow(context.Background())
	var refusal *breaker.OpenError
	if errors.As(err, &refusal) {
		fmt.Println(refusal.State, refusal.Cause, refusal.RetryAfter() > 59*time.Minute)
	}
	b.Reset()
	fmt.Println(b.State())
	// Output:
	// open maintenance true
	// closed
}

func ExampleBreaker_Set() {
	b := breaker.New(breaker.Config{Name: "search"})
	cfg := b.Config() // with the defaults filled in
	cfg.OpenFor = time.Minute
	fmt.Println(b.Set(cfg))
	cfg.Probes = -1
	fmt.Println(b.Set(cfg), b.Config().OpenFor)
	// Output:
	// <nil>
	// breaker: Probes is -1, want 1 to 1000 1m0s
}

func ExampleCall() {
	b := breaker.New(breaker.Config{})
	call, err := b.Allow(context.Background())
	if err != nil {
		return // refused
	}
	defer call.Report(breaker.OutcomeFailure) // does nothing if the stream ended well
	// Read a stream here, and at its end:
	call.Done(nil)
	fmt.Println(b.Stats().Successes, b.Stats().Failures)
	// Output: 1 0
}

func ExampleGate() {
	// What guards a dependency can be left to configuration.
	guard := func(throttled bool) breaker.Gate {
		if throttled {
			return breaker.NewThrottle(breaker.ThrottleConfig{})
		}
		return breaker.New(breaker.Config{})
	}
	for _, throttled := range []bool{true, false} {
		fmt.Println(breaker.Do(context.Background(), guard(throttled), func(ctx context.Context) (User, error) { return fetch(ctx, 7) }))
	}
	// Output:
	// {Ada} <nil>
	// {Ada} <nil>
}

func ExampleMark() {
	b := breaker.New(breaker.Config{})
	ctx := context.Background()
	err := b.Do(ctx, func(context.Context) error {
		return breaker.Mark(errBadRequest, breaker.OutcomeIgnored)
	})
	fmt.Println(err, b.Stats().WindowFailures)
	// Output: bad request 0
}

func ExampleClassify() {
	b := breaker.New(breaker.Config{Classify: func(err error) breaker.Outcome {
		if errors.Is(err, errBadRequest) {
			return breaker.OutcomeSuccess // an answer is an answer
		}
		return breaker.Classify(err)
	}})
	b.Do(context.Background(), func(context.Context) error { return errBadRequest })
	fmt.Println(b.Stats().Successes)
	// Output: 1
}

func ExampleOutcome() {
	ctx, cancel := context.WithCancel(context.Background())
	b := breaker.New(breaker.Config{SlowCall: time.Minute})
	b.Do(ctx, func(ctx context.Context) error {
		cancel() // the caller gives up, long before a call is slow
		return ctx.Err()
	})
	b.Do(context.Background(), func(context.Context) error {
		return context.Canceled // but not our caller's
	})
	fmt.Println(b.Stats().Ignored, b.Stats().Failures)
	// Output: 1 1
}

func ExampleState() {
	b := breaker.New(breaker.Config{})
	fmt.Println(b.State() == breaker.StateClosed)
	b.ForceOpen()
	text, err := json.Marshal(b.State())
	fmt.Println(b.State(), string(text), err)
	// Output:
	// true
	// forced open "forced open" <nil>
}

func ExampleConfig() {
	cfg := breaker.Config{Name: "billing", FailureRatio: 1.5, ProbeTimeout: -time.Second}
	fmt.Println(cfg.Validate())
	// Output:
	// breaker: FailureRatio is 1.5, want a share in (0, 1], or a negative number
	// breaker: ProbeTimeout is -1s, want 0 or more
}

func ExampleOpenError() {
	b := breaker.New(breaker.Config{Name: "billing"})
	b.ForceOpen()
	err := b.Do(context.Background(), func(context.Context) error { return nil })
	fmt.Println(err)
	// Output: breaker: billing: forced open
}

func ExampleEvent() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	b := breaker.New(breaker.Config{Name: "billing", OnEvent: func(ctx context.Context, e breaker.Event) {
		logger.WarnContext(ctx, "breaker", "event", e)
	}})
	b.Trip(time.Minute, errDown)
	// Output:
	// level=WARN msg=breaker event.kind=transition event.name=billing event.from=closed event.to=open event.reason=tripped event.calls=0 event.failures=0 event.open_for=1m0s event.error=down
}

func ExampleKind() {
	fmt.Println(breaker.KindTransition, breaker.KindShadow)
	// Output: transition shadow
}

func ExampleStats() {
	b := breaker.New(breaker.Config{Name: "users"})
	breaker.Do(context.Background(), b, func(ctx context.Context) (User, error) { return fetch(ctx, -1) })
	s := b.Stats()
	s.StateFor, s.Usual = 0, 0 // differ from run to run
	text, err := json.MarshalIndent(s, "", " ")
	fmt.Println(string(text), err)
	// Output:
	// {
	//  "name": "users",
	//  "state": "closed",
	//  "state_for_ns": 0,
	//  "retry_after_ns": 0,
	//  "successes": 0,
	//  "failures": 1,
	//  "ignored": 0,
	//  "slow": 0,
	//  "late": 0,
	//  "rejected": 0,
	//  "openings": 0,
	//  "window_calls": 1,
	//  "window_failures": 1,
	//  "window_slow": 0,
	//  "overdue": 0,
	//  "consecutive": 1,
	//  "probes": 0,
	//  "limit": 0,
	//  "outage_for_ns": 0,
	//  "usual_ns": 0,
	//  "reason": "",
	//  "hint": ""
	// } <nil>
}

func ExampleBreaker() {
	var off *breaker.Breaker // a nil breaker admits everything
	for range 100 {
		off.Do(context.Background(), func(context.Context) error { return errDown })
	}
	fmt.Println(off.State())
	// Output: closed
}

func ExampleGroup_Do() {
	ctx := context.Background()
	ping := func(context.Context) error { return errDown }
	shards := breaker.NewGroup(breaker.GroupConfig[int]{Max: 100})
	err := shards.Do(ctx, 3, ping)
	fmt.Println(err)
	// Output: down
}

func ExampleNewGroup() {
	shards := breaker.NewGroup(breaker.GroupConfig[int]{Max: 100, Config: func(shard int) breaker.Config {
		return breaker.Config{Name: fmt.Sprint("shard ", shard)}
	}})
	shards.For(3)
	if b, ok := shards.Peek(3); ok {
		b.ForceOpen()
	}
	for _, shard := range []int{2, 3} {
		fmt.Println(shards.Do(context.Background(), shard, func(context.Context) error { return nil }))
	}
	// Output:
	// <nil>
	// breaker: shard 3: forced open
}

func ExampleGroup() {
	hosts := breaker.NewGroup(breaker.GroupConfig[string]{Name: "hosts"})
	for range 6 {
		err := hosts.Do(context.Background(), "a.example.com", func(context.Context) error { return errDown })
		if errors.Is(err, breaker.ErrOpen) { // after five failures
			text, _, _ := strings.Cut(err.Error(), ", retry after ")
			fmt.Println(text)
		}
	}
	for host, b := range hosts.All() {
		fmt.Println(host, b.State())
	}
	// Output:
	// breaker: hosts: a.example.com: open (consecutive failures: "down")
	// a.example.com open
}

func ExampleGroup_For() {
	hosts := breaker.NewGroup(breaker.GroupConfig[string]{})
	user, err := breaker.Do(context.Background(), hosts.For("a.example.com"), func(ctx context.Context) (User, error) {
		return fetch(ctx, 7)
	})
	fmt.Println(user, err)
	// Output: {Ada} <nil>
}

func ExampleWrapKey() {
	type request struct{ host, path string }
	hosts := breaker.NewGroup(breaker.GroupConfig[string]{})
	get := breaker.WrapKey(hosts, func(r request) string { return r.host },
		func(_ context.Context, r request) (string, error) { return r.path + " of " + r.host, nil })
	fmt.Println(get(context.Background(), request{"a.example.com", "/index"}))
	// Output: /index of a.example.com <nil>
}

func ExampleGroupConfig() {
	fmt.Println(breaker.GroupConfig[string]{Max: -1}.Validate())
	// Output: breaker: Max is -1, want 1 or more
}

func ExampleGroupStats() {
	g := breaker.NewGroup(breaker.GroupConfig[int]{Max: 1})
	for key := range 3 { // the second and third key find no room
		for range 6 {
			g.Do(context.Background(), key, func(context.Context) error { return errDown })
		}
	}
	s := g.Stats()
	fmt.Println("own breakers:", s.Len, "open:", s.Open, "failures:", s.Failures, "refused:", s.Rejected)
	fmt.Println("in the sketch:", s.Sketched, "openings:", s.SketchOpenings, "refused:", s.SketchRejected)
	// Output:
	// own breakers: 1 open: 1 failures: 5 refused: 1
	// in the sketch: 2 openings: 2 refused: 2
}

func ExampleNewThrottle() {
	t := breaker.NewThrottle(breaker.ThrottleConfig{Name: "search"})
	fmt.Println(breaker.Do(context.Background(), t, func(ctx context.Context) (User, error) { return fetch(ctx, 7) }))
	// Output: {Ada} <nil>
}

func ExampleThrottle() {
	t := breaker.NewThrottle(breaker.ThrottleConfig{})
	for range 1000 {
		t.Do(context.Background(), func(context.Context) error { return errDown })
	}
	s := t.Stats()
	fmt.Println(s.Failures+s.Rejected, s.RefuseShare > 0.9, s.RefuseShare < 1)
	// Output: 1000 true true
}

func ExampleThrottleError() {
	t := breaker.NewThrottle(breaker.ThrottleConfig{Name: "search"})
	var err error
	for !errors.Is(err, breaker.ErrOpen) {
		err = t.Do(context.Background(), func(context.Context) error { return errDown })
	}
	fmt.Println(err)
	// Output: breaker: search: throttled
}

func ExampleThrottleConfig() {
	fmt.Println(breaker.ThrottleConfig{K: 0.5}.Validate())
	// Output: breaker: K is 0.5, want a finite number of at least 1
}

func ExampleThrottleStats() {
	t := breaker.NewThrottle(breaker.ThrottleConfig{Name: "search"})
	t.Do(context.Background(), func(context.Context) error { return nil })
	text, err := json.Marshal(t.Stats())
	fmt.Println(string(text), err)
	// Output: {"name":"search","successes":1,"failures":0,"ignored":0,"rejected":0,"window_calls":1,"window_failures":0,"refuse_share":0} <nil>
}

func ExampleOver() {
	regions := breaker.NewPool(breaker.PoolConfig[string]{
		Endpoints: []string{"eu", "us"},
		Ordered:   true, // us is the reserve
	})
	complete := func(_ context.Context, region string) (string, error) {
		if region == "eu" {
			return "", errors.New("eu is down")
		}
		return "answer from " + region, nil
	}
	for range 2 { // a retry goes elsewhere
		fmt.Println(breaker.Over(context.Background(), regions, complete))
	}
	// Output:
	//  eu is down
	// answer from us <nil>
}

func ExampleNewPool() {
	replicas := breaker.NewPool(breaker.PoolConfig[int]{
		Name:       "search",
		Endpoints:  []int{1, 2, 3},
		MaxEjected: 1, // refuse calls if all replicas are down
	})
	for range 20 {
		err := replicas.Do(context.Background(), func(context.Context, int) error { return errors.New("down") })
		if errors.Is(err, breaker.ErrOpen) {
			fmt.Println(replicas.Stats().Ejected, "ejected")
			break
		}
	}
	// Output: 3 ejected
}

func ExampleBreaker_Ready() {
	sink := breaker.New(breaker.Config{Name: "sink", OpenFor: time.Millisecond})
	sink.Trip(time.Millisecond, nil)
	for message := range 3 {
		if err := sink.Ready(context.Background()); err != nil {
			break // the consumer stops
		}
		err := sink.Do(context.Background(), func(context.Context) error { return nil })
		fmt.Println(message, err)
	}
	// Output:
	// 0 <nil>
	// 1 <nil>
	// 2 <nil>
}

func ExampleCall_Begin() {
	type download struct {
		call breaker.Call // no allocation of its own
		body io.Reader
	}
	files := breaker.New(breaker.Config{Name: "files"})
	var d download
	if err := d.call.Begin(context.Background(), files); err != nil {
		return
	}
	d.body = strings.NewReader("text") // the dependency has answered
	d.call.Answered()                  // reading may take long
	_, err := io.Copy(io.Discard, d.body)
	d.call.Done(err)
	fmt.Println(files.Stats().Successes)
	// Output: 1
}
