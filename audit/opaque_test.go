package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
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
