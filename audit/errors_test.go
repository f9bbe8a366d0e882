package audit_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/audit"
)

// A loop is an error that wraps itself.
type loop struct{}

func (e *loop) Error() string { return "loop" }
func (e *loop) Unwrap() error { return e }

// A brittle error panics in every method, as a nil pointer in an error does.
type brittle struct{ text string }

func (e *brittle) Error() string { return e.text }
func (e *brittle) Unwrap() error { _ = e.text; return nil }
func (e *brittle) Is(error) bool { return e.text == "" }

// No error of a sink, a check or guarded work hangs or panics in this package.
func TestHostileErrors(t *testing.T) {
	var missing *brittle
	for name, bad := range map[string]error{"cyclic": &loop{}, "nil pointer": missing} {
		t.Run(name, func(t *testing.T) {
			m := &memory{fail: bad}
			l := newLog(m)
			e := audit.Event{Action: "a", Outcome: audit.Success}
			checkIs(t, l.Record(alice(), e), audit.ErrFailed)
			if got := l.Stats(); got.Failed != 1 {
				t.Errorf("stats %+v, want 1 failed", got)
			}
			m.fail = nil
			g := audit.Guard{Log: l, Action: "a", Allow: func(context.Context) error { return bad }}
			err := g.Do(alice(), nil)
			checkIs(t, err, audit.ErrDenied)
			if !strings.HasPrefix(err.Error(), "audit: a: denied: ") {
				t.Errorf("error %q", err)
			}
			g.Allow = nil
			if err := g.Do(alice(), func(context.Context) error { return bad }); err != bad {
				t.Errorf("error %v, want the error of the work", err)
			}
			checked := audit.Attribute[int]{Name: "n", Check: func(int) error { return bad }}
			checkIs(t, checked.Of(l.Object("o", "1")).Set(alice(), 1), audit.ErrInvalid)
			checkEvents(t, m, "a denied undecided", "a attempt", "a failure failed", "create failure invalid >")
		})
	}
}

func TestZeroErrorsCanBePrinted(t *testing.T) {
	for _, err := range []interface {
		error
		slog.LogValuer
	}{&audit.DeniedError{}, &audit.FieldError{}} {
		if err.Error() == "" || err.LogValue().String() == "" || errors.Is(err, errSink) {
			t.Errorf("%T prints %q", err, err)
		}
	}
}

// Foreign texts are cut at 64 bytes between two runes, with a mark.
func TestErrorsCutForeignText(t *testing.T) {
	long := strings.Repeat("é", 40) // 80 bytes
	err := newLog(&memory{}).Record(alice(), audit.Event{Action: audit.Action("x" + long)})
	want := `audit: action "x` + strings.Repeat("é", 31) + `"… is not a name`
	if err.Error() != want || !utf8.ValidString(err.Error()) {
		t.Errorf("error %q, want %q", err, want)
	}
	denied := &audit.DeniedError{Action: "a", Err: errors.New("x" + long)}
	if want := `audit: a: denied: "x` + strings.Repeat("é", 31) + `"…`; denied.Error() != want {
		t.Errorf("error %q, want %q", denied, want)
	}
}

func TestErrorsContainTheName(t *testing.T) {
	l := audit.New(audit.Config{Name: "billing", Sink: &memory{fail: errSink}})
	for _, c := range []struct {
		err  error
		want string
	}{
		{l.Record(alice(), audit.Event{Action: "pay", Outcome: audit.Success}), "audit: billing: event not recorded: disk on fire"},
		{l.Record(context.Background(), audit.Event{Action: "pay", Outcome: audit.Success}), "audit: billing: pay: no actor in the context"},
		{audit.ErrFull, "audit: full"},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("error %q, want %q", c.err, c.want)
		}
	}
	b := audit.NewBuffer(audit.BufferConfig{Name: "audit queue", Next: &memory{}})
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if err := b.WriteEvents(context.Background(), ev("1")); err == nil || err.Error() != "audit: audit queue: closed" {
		t.Errorf("error %v", err)
	}
}
