package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/internal/errtree"
)

func TestRefusalsAreEvents(t *testing.T) {
	m := &memory{}
	key := audit.Attribute[string]{Name: "key", Check: audit.Length(8, 64)}
	f := key.Of(newLog(m).Object("user", "1"))
	err := f.Set(alice(), "short")
	checkIs(t, err, audit.ErrInvalid)
	if got, want := err.Error(), "audit: user.key: invalid: length not in 8..64"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
	checkEvents(t, m, "create failure invalid >")
	checkIs(t, f.Delete(alice()), audit.ErrUnset)
	_, err = f.Get(alice())
	checkIs(t, err, audit.ErrUnset)
	if len(m.events) != 1 {
		t.Errorf("%d events, want 1: nothing was read or deleted", len(m.events))
	}
	m.fail = errSink
	checkIs(t, f.Set(alice(), "short"), audit.ErrInvalid, audit.ErrFailed)
}

func TestGuard(t *testing.T) {
	no := errors.New("no")
	backend := errors.New("directory is down")
	has := func(ok bool, err error) func(context.Context) error {
		return audit.Permission("deploy", func(context.Context, audit.Actor, string) (bool, error) { return ok, err })
	}
	for _, c := range []struct {
		name  string
		ctx   context.Context
		allow func(context.Context) error
		fnErr error
		is    []error
		retry bool
		want  []string
	}{
		{"allowed", alice(), has(true, nil), nil, nil, false, []string{"d attempt", "d success"}},
		{"default allows the known", alice(), nil, nil, nil, false, []string{"d attempt", "d success"}},
		{"work fails", alice(), has(true, nil), no, []error{no}, false, []string{"d attempt", "d failure failed"}},
		{"denied", alice(), has(false, nil), nil, []error{audit.ErrDenied}, false, []string{"d denied denied"}},
		{"undecided", alice(), has(true, backend), nil, []error{audit.ErrDenied, backend}, true, []string{"d denied undecided"}},
		{"stranger", context.Background(), nil, nil, []error{audit.ErrDenied, audit.ErrNoActor}, false, []string{"d denied no_actor"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &memory{}
			g := audit.Guard{Log: newLog(m), Action: "d", Allow: c.allow}
			ran := false
			v, err := audit.Wrap(g, func(context.Context) (int, error) { ran = true; return 7, c.fnErr })(c.ctx)
			checkIs(t, err, c.is...)
			if (err == nil) != (c.is == nil) || ran != (len(c.want) == 2) || ran != (v == 7) {
				t.Errorf("ran %v, value %d, error %v", ran, v, err)
			}
			var d *audit.DeniedError
			if errors.As(err, &d) && (!d.Rejected() || d.Retryable() != c.retry) {
				t.Errorf("Rejected %v, Retryable %v", d.Rejected(), d.Retryable())
			}
			checkEvents(t, m, c.want...)
			if ran && m.events[1].Attrs[0].Value.String() != m.events[0].ID {
				t.Error("the outcome does not name its attempt")
			}
		})
	}
}

func TestGuardFaults(t *testing.T) {
	m := &memory{fail: errSink}
	g := audit.Guard{Log: newLog(m), Action: "d"}
	err := g.Do(alice(), func(context.Context) error { t.Error("ran unrecorded"); return nil })
	checkIs(t, err, audit.ErrFailed)
	g.Allow = func(context.Context) error { return audit.ErrDenied }
	checkIs(t, g.Do(alice(), nil), audit.ErrDenied, audit.ErrFailed)

	m.fail, g.Allow = nil, nil
	v, err := audit.Do(alice(), g, func(context.Context) (int, error) { m.fail = errSink; return 7, nil })
	checkIs(t, err, audit.ErrUnrecorded, errSink)
	if v != 7 {
		t.Errorf("result %d of work that was done, want 7", v)
	}
	m.fail = nil
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v, want boom", r)
			}
		}()
		_ = g.Do(alice(), func(context.Context) error { panic("boom") })
	}()
	ctx, cancel := context.WithCancel(alice())
	_ = g.Do(ctx, func(context.Context) error { cancel(); return nil })
	checkIs(t, g.Do(ctx, nil), context.Canceled)
	checkEvents(t, m, "d attempt", "d attempt", "d failure panic", "d attempt", "d success")
}

func TestGuardIsChecked(t *testing.T) {
	m := &memory{}
	for name, g := range map[string]audit.Guard{
		"no log":      {Action: "a"},
		"no action":   {Log: newLog(m)},
		"target type": {Log: newLog(m), Action: "a", Target: audit.Target{Type: "two words"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := g.Do(alice(), func(context.Context) error { t.Error("ran"); return nil })
			checkIs(t, err, audit.ErrInvalid)
			if want := g.Validate(); err == nil || err.Error() != want.Error() {
				t.Errorf("error %v, want the error of Validate, %v", err, want)
			}
		})
	}
	err := (audit.Guard{Target: audit.Target{Type: " "}}).Validate()
	if got := strings.Count(err.Error(), "audit: guard: "); got != 3 {
		t.Errorf("%d problems in %q, want 3", got, err)
	}
	if len(m.events) != 0 {
		t.Errorf("%d events, want none", len(m.events))
	}
}

func TestWrapArgPassesTheArgument(t *testing.T) {
	m := &memory{}
	g := audit.Guard{Log: newLog(m), Action: "a"}
	double := audit.WrapArg(g, func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	if v, err := double(alice(), 21); v != 42 || err != nil {
		t.Errorf("got %d, %v", v, err)
	}
	_, err := double(context.Background(), 21)
	checkIs(t, err, audit.ErrDenied, audit.ErrNoActor)
	checkEvents(t, m, "a attempt", "a success", "a denied no_actor")
}

// scriptSink fails the calls for which its script has an error.
type scriptSink struct {
	memory
	calls  int
	script []func(context.Context) error
}

func (s *scriptSink) WriteEvents(ctx context.Context, events []*audit.Event) error {
	s.calls++
	if s.calls <= len(s.script) && s.script[s.calls-1] != nil {
		if err := s.script[s.calls-1](ctx); err != nil {
			return err
		}
	}
	return s.memory.WriteEvents(ctx, events)
}

// refunds calls the guarded work as a retry does: again, unless the error says
// that it must not be called again.
func refunds(g audit.Guard, work func() error) (done int, err error) {
	for range 3 {
		err = g.Do(alice(), func(context.Context) error { done++; return work() })
		var r interface{ Retryable() bool }
		if err == nil || errors.As(err, &r) && !r.Retryable() {
			return done, err
		}
	}
	return done, err
}

// Whatever the sink does, a retry around a guard does the work at most once.
func TestWorkIsDoneOnceInEveryFailureOfTheSink(t *testing.T) {
	lost := func(context.Context) error { return errSink }
	uncertain := func(context.Context) error { return audit.ErrUncertain }
	hung := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	failedAndRetryable := errors.New("gateway timeout")
	for _, c := range []struct {
		name   string
		script []func(context.Context) error
		work   error
		done   int
		is     []error
	}{
		{"nothing fails", nil, nil, 1, nil},
		{"attempt lost", []func(context.Context) error{lost}, nil, 1, nil},
		{"attempt uncertain", []func(context.Context) error{uncertain}, nil, 1, nil},
		{"attempt hung", []func(context.Context) error{hung}, nil, 1, nil},
		{"attempt always lost", []func(context.Context) error{lost, lost, lost}, nil, 0, []error{audit.ErrFailed, errSink}},
		{"result lost", []func(context.Context) error{nil, lost}, nil, 1, []error{audit.ErrUnrecorded, errSink}},
		{"result uncertain", []func(context.Context) error{nil, uncertain}, nil, 1, []error{audit.ErrUnrecorded}},
		{"result hung", []func(context.Context) error{nil, hung}, nil, 1, []error{audit.ErrUnrecorded, context.DeadlineExceeded}},
		{"failure lost", []func(context.Context) error{nil, lost}, failedAndRetryable, 1, []error{audit.ErrUnrecorded, failedAndRetryable}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scriptSink{script: c.script}
				done, err := refunds(audit.Guard{Log: newLog(s), Action: "refund"}, func() error { return c.work })
				checkEqual(t, done, c.done)
				checkIs(t, err, c.is...)
				if (err == nil) != (c.is == nil) {
					t.Errorf("error %v", err)
				}
				if done > 0 && (errors.Is(err, audit.ErrFailed) || errors.Is(err, audit.ErrUncertain)) {
					t.Errorf("error %v claims that nothing was done", err)
				}
			})
		})
	}
}

// A sink's own signs about a retry concern the event, not the work.
func TestUnrecordedHidesTheSignsOfTheSink(t *testing.T) {
	s := &scriptSink{script: []func(context.Context) error{nil, func(context.Context) error { return busy{} }}}
	err := (audit.Guard{Log: newLog(s), Action: "a"}).Do(alice(), func(context.Context) error { return nil })
	got := errtree.Read(err)
	if got.Retryable || got.RetryAfter != 0 || got.Rejected {
		t.Errorf("signs %+v of work that was done", got)
	}
	if want := "audit: a: done, but its result is not recorded: event not recorded: busy"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

type busy struct{}

func (busy) Error() string             { return "busy" }
func (busy) Retryable() bool           { return true }
func (busy) Rejected() bool            { return true }
func (busy) RetryAfter() time.Duration { return time.Second }

func TestGuardRecordsWhyAndHowMuch(t *testing.T) {
	m := &memory{}
	g := audit.Guard{Log: newLog(m), Action: "refund", Reason: "damaged", Attrs: []slog.Attr{slog.Int("cents", 1999)}}
	if err := g.Do(alice(), func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	g.Allow = audit.Permission("refunds.write", func(context.Context, audit.Actor, string) (bool, error) { return false, nil })
	err := g.Do(alice(), nil)
	var denied *audit.DeniedError
	if !errors.As(err, &denied) || denied.Permission != "refunds.write" || !strings.Contains(denied.LogValue().String(), "permission=refunds.write") {
		t.Errorf("denial %+v", denied)
	}
	want := []string{"[cents=1999]", "[attempt=" + m.events[0].ID + " cents=1999]", "[permission=refunds.write cents=1999]"}
	for i, e := range m.events {
		checkEqual(t, fmt.Sprint(e.Attrs), want[i])
		checkEqual(t, e.Reason, "damaged")
	}
}

func TestUnrecordedWorkNeverMatchesFailed(t *testing.T) {
	errWork := errors.New("work")
	for _, class := range []error{audit.ErrFailed, audit.ErrUncertain} {
		m := &memory{}
		g := audit.Guard{Log: newLog(m), Action: "order.refund"}
		inner := audit.Opaque("inner", errors.Join(class, errWork))
		for _, work := range []error{inner, errors.Join(class, errWork)} {
			m.fail = nil
			err := g.Do(alice(), func(context.Context) error { m.fail = errSink; return work })
			checkIs(t, err, audit.ErrUnrecorded, errSink, errWork)
			if errors.Is(err, class) {
				t.Errorf("%v matches %v", err, class)
			}
		}
	}
}
