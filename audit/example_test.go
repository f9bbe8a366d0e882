package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

// sink prints events as key=value, without time and ID.
var sink = audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
	for _, e := range events {
		fmt.Println(brief(e))
	}
	return nil
})

func brief(e *audit.Event) string {
	s := ""
	for _, f := range [][2]string{
		{"actor", e.Actor.ID},
		{"action", string(e.Action)},
		{"outcome", string(e.Outcome)},
		{"target", strings.Trim(e.Target.Type+"/"+e.Target.ID, "/")},
		{"code", string(e.Code)},
	} {
		if f[1] != "" {
			s += " " + f[0] + "=" + f[1]
		}
	}
	for _, c := range e.Changes {
		s += " field=" + c.Field
		if c.Old != "" {
			s += " old=" + c.Old
		}
		if c.New != "" {
			s += " new=" + c.New
		}
	}
	return strings.TrimSpace(s)
}

func Example() {
	ctx := context.Background()

	apiKey := audit.Attribute[string]{
		Name: "api_key", Sensitive: true, Check: audit.Length(8, 64),
	}
	log := audit.New(audit.Config{Sink: sink})
	key := apiKey.Of(log.Object("user", "u-1"))
	ctx = audit.WithActor(ctx, audit.Actor{ID: "alice"})
	err := key.Set(ctx, "sk_live_abc123") // recorded, then applied

	fmt.Println(key, err)
	// Output:
	// actor=alice action=create outcome=success target=user/u-1 field=api_key new=***
	// *** <nil>
}

func ExampleNew() {
	log := audit.New(audit.Config{Sink: sink})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	err := log.Record(ctx, audit.Event{
		Action: "report.export", Outcome: audit.Success, Target: audit.Target{Type: "report", ID: "2026-10"},
	})
	fmt.Println(err)
	// Output:
	// actor=alice action=report.export outcome=success target=report/2026-10
	// <nil>
}

func ExampleConfig() {
	fmt.Println(audit.Config{}.Validate())
	// Output: audit: Sink is missing
}

func ExampleLog() {
	log := audit.New(audit.Config{Sink: sink})
	err := log.Record(context.Background(), audit.Event{Action: "login", Outcome: audit.Success})
	fmt.Println(err)
	// Output: audit: login: no actor in the context
}

func ExampleObject() {
	log := audit.New(audit.Config{Sink: sink})
	user := log.Object("user", "u-1")
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	name := audit.Attribute[string]{Name: "name"}
	err := name.Of(user).Set(ctx, "Alice")
	fmt.Println(err)
	// Output:
	// actor=alice action=create outcome=success target=user/u-1 field=name new=Alice
	// <nil>
}

// failing is a sink on a full disk.
type failing struct{}

func (failing) WriteEvents(context.Context, []*audit.Event) error { return errors.New("no space") }

func ExampleSink() {
	log := audit.New(audit.Config{Sink: failing{}})
	name := audit.Attribute[string]{Name: "name"}
	f, _ := name.Load(log.Object("user", "u-1"), "Alice")
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	err := f.Set(ctx, "Mallory")
	fmt.Println(errors.Is(err, audit.ErrFailed), f)
	// Output: true Alice
}

func ExampleSinkFunc() {
	count := 0
	log := audit.New(audit.Config{Sink: audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
		count += len(events)
		return nil
	})})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	_ = log.Record(ctx, audit.Event{Action: "login", Outcome: audit.Success})
	fmt.Println(count)
	// Output: 1
}

func ExampleActor() {
	support := audit.Actor{ID: "bob", Type: "user", OnBehalfOf: "alice"}
	fmt.Println(support.ID, "for", support.OnBehalfOf)
	// Output: bob for alice
}

func ExampleWithActor() {
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "nightly-cleanup", Type: "service"})
	a, ok := audit.ActorFrom(ctx)
	fmt.Println(a.ID, ok)
	// Output: nightly-cleanup true
}

func ExampleActorFrom() {
	_, ok := audit.ActorFrom(context.Background())
	fmt.Println(ok)
	// Output: false
}

func ExampleWithRequestID() {
	log := audit.New(audit.Config{Sink: audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
		fmt.Println(events[0].RequestID)
		return nil
	})})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	_ = log.Record(audit.WithRequestID(ctx, "req-77"), audit.Event{Action: "login", Outcome: audit.Success})
	// Output: req-77
}

func ExampleWithSource() {
	log := audit.New(audit.Config{Sink: audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
		fmt.Println(events[0].Source)
		return nil
	})})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	_ = log.Record(audit.WithSource(ctx, "192.0.2.7"), audit.Event{Action: "login", Outcome: audit.Success})
	// Output: 192.0.2.7
}

func ExampleEvent() {
	e := audit.Event{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), ID: "1", Action: audit.Modify, Outcome: audit.Success,
		Actor: audit.Actor{ID: "alice"}, Reason: "line one\nline two",
		Attrs: []slog.Attr{slog.Int("attempts", 2)},
	}
	fmt.Printf("%s\n", e.AppendJSON(nil))
	// Output: {"time":"2026-01-02T03:04:05.000000000Z","id":"1","action":"modify","outcome":"success","actor":{"id":"alice"},"reason":"line one\u000aline two","attrs":{"attempts":2}}
}

func ExampleAction() {
	const Deploy audit.Action = "deploy.start"
	fmt.Println(Deploy, audit.Delete)
	// Output: deploy.start delete
}

func ExampleOutcome() {
	fmt.Println(audit.Attempt, audit.Success, audit.Failure, audit.Denied)
	// Output: attempt success failure denied
}

func ExampleTarget() {
	fmt.Println(audit.Target{Type: "user", ID: "u-1"})
	// Output: {user u-1}
}

func ExampleChange() {
	c := audit.Change{Field: "api_key", Old: "***", New: "***", Sensitive: true}
	b, _ := json.Marshal(c)
	fmt.Println(string(b))
	// Output: {"field":"api_key","old":"***","new":"***","sensitive":true}
}

func ExampleCode() {
	age := audit.Attribute[int]{Name: "age", Check: audit.Between(0, 150)}
	_, err := age.Load(audit.New(audit.Config{Sink: sink}).Object("user", "u-1"), 151)
	var fe *audit.FieldError
	fmt.Println(errors.As(err, &fe) && fe.Code == "invalid")
	// Output: true
}

func ExampleAttribute() {
	email := audit.Attribute[string]{Name: "email", Check: audit.Match(regexp.MustCompile(`^\S+@\S+$`))}
	log := audit.New(audit.Config{Sink: sink})
	f, err := email.Load(log.Object("user", "u-1"), "alice@example.com")
	fmt.Println(f, err)
	// Output: alice@example.com <nil>
}

func ExampleField() {
	score := audit.Attribute[int]{Name: "score"}
	f := score.Of(audit.New(audit.Config{Sink: sink}).Object("player", "p-1"))
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "referee"})
	_ = f.Set(ctx, 1)
	_ = f.Update(ctx, func(old int, _ bool) (int, error) { return old + 2, nil })
	v, _ := f.Get(ctx)
	_ = f.Delete(ctx)
	fmt.Println(v, f, f.IsSet())
	// Output:
	// actor=referee action=create outcome=success target=player/p-1 field=score new=1
	// actor=referee action=modify outcome=success target=player/p-1 field=score old=1 new=3
	// actor=referee action=read outcome=success target=player/p-1 field=score
	// actor=referee action=delete outcome=success target=player/p-1 field=score old=3
	// 3 <unset> false
}

func ExampleFieldError() {
	pin := audit.Attribute[string]{Name: "pin", Sensitive: true, Check: audit.Length(4, 4)}
	_, err := pin.Load(audit.New(audit.Config{Sink: sink}).Object("card", "c-1"), "31415")
	fmt.Println(err)
	// Output: audit: card.pin: invalid: length not in 4..4
}

func ExampleLength() {
	check := audit.Length(2, 4)
	fmt.Println(check("äöü"), "|", check("x"))
	// Output: <nil> | length not in 2..4
}

func ExampleMatch() {
	check := audit.Match(regexp.MustCompile(`^v\d+$`))
	fmt.Println(check("v12"), "|", check("12"))
	// Output: <nil> | no match for "^v\\d+$"
}

func ExampleBetween() {
	check := audit.Between(1, 6)
	fmt.Println(check(6), "|", check(7))
	// Output: <nil> | not in 1..6
}

func ExampleOneOf() {
	check := audit.OneOf("red", "green")
	fmt.Println(check("red"), "|", check("blue"))
	// Output: <nil> | not one of the allowed values
}

func ExampleAll() {
	check := audit.All(audit.Length(1, 8), audit.OneOf("red", "green"))
	fmt.Println(check("red"), "|", check(""))
	// Output: <nil> | length not in 1..8
}

func ExampleLast() {
	mask := audit.Last(4)
	fmt.Println(mask("4111111111111111"), mask("1234"))
	// Output: ***1111 ***
}

func ExampleSecret() {
	var c struct {
		Token audit.Secret[string] `json:"token"`
	}
	_ = json.Unmarshal([]byte(`{"token":"hunter2"}`), &c)
	out, _ := json.Marshal(c)
	fmt.Printf("%+v %s %d\n", c, out, len(c.Token.Reveal()))
	// Output: {Token:***} {"token":"***"} 7
}

func ExampleNewSecret() {
	a, b := audit.NewSecret("hunter2"), audit.NewSecret("hunter2")
	fmt.Println(a, a.Equal(b))
	// Output: *** true
}

func ExampleGuard() {
	g := audit.Guard{
		Log: audit.New(audit.Config{Sink: sink}), Action: "deploy.delete", Target: audit.Target{Type: "deploy", ID: "web"},
	}
	err := g.Do(context.Background(), func(context.Context) error { return nil })
	fmt.Println(err)
	// Output:
	// action=deploy.delete outcome=denied target=deploy/web code=no_actor
	// audit: deploy.delete: denied: "no actor in the context"
}

func ExampleDo() {
	g := audit.Guard{Log: audit.New(audit.Config{Sink: sink}), Action: "report.read"}
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	n, err := audit.Do(ctx, g, func(context.Context) (int, error) { return 42, nil })
	fmt.Println(n, err)
	// Output:
	// actor=alice action=report.read outcome=attempt
	// actor=alice action=report.read outcome=success
	// 42 <nil>
}

func ExampleWrapArg() {
	log := audit.New(audit.Config{Sink: sink})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	refund := func(_ context.Context, order string) (string, error) { return "refunded " + order, nil }

	guard := audit.Guard{Log: log, Action: "order.refund"}
	guarded := audit.WrapArg(guard, refund)
	receipt, err := guarded(ctx, "o-17")

	fmt.Println(receipt, err)
	// Output:
	// actor=alice action=order.refund outcome=attempt
	// actor=alice action=order.refund outcome=success
	// refunded o-17 <nil>
}

func ExampleWrap() {
	g := audit.Guard{Log: audit.New(audit.Config{Sink: sink}), Action: "report.read"}
	read := audit.Wrap(g, func(context.Context) (string, error) { return "", errors.New("gone") })
	_, err := read(audit.WithActor(context.Background(), audit.Actor{ID: "alice"}))
	fmt.Println(err)
	// Output:
	// actor=alice action=report.read outcome=attempt
	// actor=alice action=report.read outcome=failure code=failed
	// gone
}

func ExampleDeniedError() {
	err := error(&audit.DeniedError{Action: "deploy.delete", Err: audit.ErrDenied})
	var d *audit.DeniedError
	fmt.Println(errors.As(err, &d), d.Rejected(), d.Retryable())
	// Output: true true false
}

func ExamplePermission() {
	rule := audit.Permission("deploy", func(_ context.Context, a audit.Actor, _ string) (bool, error) {
		return a.ID == "alice", nil
	})
	for _, id := range []string{"alice", "bob"} {
		fmt.Println(rule(audit.WithActor(context.Background(), audit.Actor{ID: id})))
	}
	// Output:
	// <nil>
	// permission "deploy": denied
}

func ExampleJSON() {
	var out bytes.Buffer
	log := audit.New(audit.Config{Sink: audit.JSON(&out)})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	_ = log.Record(ctx, audit.Event{Action: "login", Outcome: audit.Success})
	var e audit.Event
	_ = json.Unmarshal(out.Bytes(), &e)
	fmt.Println(e.Actor.ID, e.Action, e.Outcome)
	// Output: alice login success
}

func ExampleSlog() {
	h := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "id" {
			return slog.Attr{} // different in every run
		}
		return a
	}})
	log := audit.New(audit.Config{Sink: audit.Slog(h)})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	_ = log.Record(ctx, audit.Event{Action: "login", Outcome: audit.Failure})
	// Output: level=WARN msg=audit action=login outcome=failure actor=alice
}

func ExampleTokenKey() {
	log := audit.New(audit.Config{
		Sink:      sink,
		TokenKeys: []audit.TokenKey{{ID: "2026", Key: audit.NewSecret([]byte("sixteen bytes at least"))}},
	})
	iban := audit.Attribute[string]{Name: "iban", Sensitive: true, Token: true}
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	_ = iban.Of(log.Object("account", "a-1")).Set(ctx, "DE02120300000000202051")
	fmt.Println(log.Tokens("account.iban", "DE02120300000000202051"))
	// Output:
	// actor=alice action=create outcome=success target=account/a-1 field=iban new=2026:qdVkpsaG0gbR32V4RGjtpQ
	// [2026:qdVkpsaG0gbR32V4RGjtpQ]
}

func ExampleOpaque() {
	cause := fmt.Errorf("connect to db: password %q refused", "hunter2")
	err := audit.Opaque("db_down", cause)
	fmt.Println(err, errors.Is(err, cause))
	// Output: db_down true
}

func ExampleNewBuffer() {
	buffer := audit.NewBuffer(audit.BufferConfig{Next: sink})
	log := audit.New(audit.Config{Sink: buffer})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	err := log.Record(ctx, audit.Event{Action: "login", Outcome: audit.Success})
	fmt.Println(err, buffer.Close(ctx))
	// Unordered output:
	// actor=alice action=login outcome=success
	// <nil> <nil>
}

func ExampleBuffer() {
	blocked := make(chan struct{})
	buffer := audit.NewBuffer(audit.BufferConfig{
		Next: audit.SinkFunc(func(_ context.Context, events []*audit.Event) error { <-blocked; return nil }),
		Size: 4, Overflow: audit.Drop,
	})
	for range 10 {
		_ = buffer.WriteEvents(context.Background(), []*audit.Event{{Action: "a", Outcome: audit.Success}})
	}
	close(blocked)
	err := buffer.Close(context.Background())
	s := buffer.Stats()
	fmt.Println(s.Written+s.Lost, s.Lost > 0, err)
	// Output: 10 true <nil>
}

func ExampleBufferConfig() {
	fmt.Println(audit.BufferConfig{Next: sink, Size: -1}.Validate())
	// Output: audit: buffer: Size is -1, want 0 or more
}

func ExampleBufferStats() {
	b, _ := json.Marshal(audit.BufferStats{Written: 7, Lost: 1})
	fmt.Println(string(b))
	// Output: {"name":"","written":7,"lost":1,"uncertain":0,"waiting":0}
}

func ExampleOverflow() {
	fmt.Println(audit.Block, audit.Drop, audit.Fail)
	// Output: block drop fail
}

func ExampleQuorumConfig() {
	fmt.Println(audit.QuorumConfig{Need: 2, Members: []audit.Member{{Sink: sink}}}.Validate())
	// Output: audit: quorum: Need is 2, want 0 to 1
}

func ExampleNewQuorum() {
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})

	remote := failing{}
	important := func(e *audit.Event) bool { return e.Action != audit.Read }

	both := audit.NewQuorum(audit.QuorumConfig{
		Members: []audit.Member{
			{Sink: sink},
			{Sink: remote, BestEffort: true, Filter: important},
		},
	})
	log := audit.New(audit.Config{Sink: both})

	err := log.Record(ctx, audit.Event{Action: "login", Outcome: audit.Success})
	fmt.Println(err)
	// Output:
	// actor=alice action=login outcome=success
	// <nil>
}

func ExampleQuorum() {
	either := audit.NewQuorum(audit.QuorumConfig{Need: 1, Members: []audit.Member{{Sink: failing{}}, {Sink: sink}}})
	log := audit.New(audit.Config{Sink: either})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	fmt.Println(log.Record(ctx, audit.Event{Action: "login", Outcome: audit.Success}))
	// Output:
	// actor=alice action=login outcome=success
	// <nil>
}

func ExampleMember() {
	m := audit.Member{Sink: sink, Filter: func(e *audit.Event) bool { return e.Outcome == audit.Denied }}
	q := audit.NewQuorum(audit.QuorumConfig{Members: []audit.Member{m}})
	_ = q.WriteEvents(context.Background(), []*audit.Event{{Action: "a", Outcome: audit.Success}, {Action: "b", Outcome: audit.Denied}})
	fmt.Println(q.Close(context.Background()))
	// Output:
	// action=b outcome=denied
	// <nil>
}

func ExampleStats() {
	log := audit.New(audit.Config{Sink: audit.JSON(io.Discard)})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	_ = log.Record(ctx, audit.Event{Action: "login", Outcome: audit.Success})
	_ = log.Record(ctx, audit.Event{Action: "login", Outcome: audit.Denied})
	_ = log.Record(context.Background(), audit.Event{Action: "login", Outcome: audit.Success}) // no actor
	s := log.Stats()
	fmt.Println(s.Recorded, s.Denied, s.Refused, s.Failed)
	// Output: 2 1 1 0
}

func ExampleLines() {
	sink := audit.Lines(os.Stdout, func(e *audit.Event, dst []byte) []byte {
		return fmt.Appendf(dst, "%q did %s: %s", e.Actor.ID, e.Action, e.Outcome)
	})
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	_ = audit.New(audit.Config{Sink: sink}).Record(ctx, audit.Event{Action: "login", Outcome: audit.Success})
	// Output: "alice" did login: success
}
