package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/internal/errtree"
)

func TestOpaque(t *testing.T) {
	cause := checkError{"hunter2"}
	err := audit.Opaque("db_down", cause)
	var back checkError
	if !errors.As(err, &back) || back != cause || err.Error() != "db_down" {
		t.Errorf("error %v, cause %v", err, back)
	}
	if text := fmt.Sprintf("%v %+v %#v %q %x %v", err, err, err, err, err, struct{ e error }{err}); strings.Contains(text, "hunter2") || strings.Contains(text, "68756e74") {
		t.Errorf("shows its cause: %s", text)
	}
	if got := slog.AnyValue(err).Resolve().String(); got != "db_down" {
		t.Errorf("logs %q", got)
	}
	if got := audit.Opaque("a\nb", cause).Error(); got != `"a\nb"` {
		t.Errorf("text %s", got)
	}
	m := &memory{}
	g := audit.Guard{Log: newLog(m), Action: "d"}
	checkIs(t, g.Do(alice(), func(context.Context) error { return fmt.Errorf("wrapped: %w", err) }), err)
	checkEvents(t, m, "d attempt", "d failure db_down")
}

// unwrapped returns the texts that a reporter finds by unwrapping errors.
func unwrapped(err error) (out []string) {
	for ; err != nil; err = errors.Unwrap(err) {
		out = append(out, err.Error())
		if j, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range j.Unwrap() {
				out = append(out, unwrapped(e)...)
			}
		}
		if c, ok := err.(interface{ Cause() error }); ok {
			out = append(out, unwrapped(c.Cause())...)
		}
	}
	return out
}

// Causes that may contain secrets are found by Is and As, and by the signs of a
// retry, but not by programs that unwrap errors to print them.
func TestHiddenCauses(t *testing.T) {
	cause := errors.Join(checkError{plaintext}, errSink, busy{}, &loop{})
	key := audit.Attribute[string]{Name: "key", Sensitive: true, Check: func(string) error { return cause }}
	for name, err := range map[string]error{
		"opaque": audit.Opaque("db", cause),
		"field":  key.Of(newLog(&memory{}).Object("user", "1")).Set(alice(), plaintext),
	} {
		t.Run(name, func(t *testing.T) {
			wrapped := fmt.Errorf("wrapped: %w", err)
			if got := strings.Join(unwrapped(wrapped), "; "); leaks(got) || strings.Contains(got, "disk on fire") {
				t.Errorf("a reporter finds %s", got)
			}
			var back checkError
			if !errors.Is(wrapped, errSink) || !errors.As(wrapped, &back) || back.value != plaintext {
				t.Error("Is or As does not find the cause")
			}
			var missing *brittle
			if errors.Is(wrapped, audit.ErrDenied) || errors.As(wrapped, &missing) {
				t.Error("Is or As finds an error that is not there")
			}
			if signs := errtree.Read(wrapped); !signs.Retryable || signs.RetryAfter == 0 {
				t.Errorf("signs %+v", signs)
			}
		})
	}
}
