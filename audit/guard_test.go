package audit_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
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
	checkIs(t, err, audit.ErrFailed)
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
