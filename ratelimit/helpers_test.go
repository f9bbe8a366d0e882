package ratelimit_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// checkEqual reports how got differs from want.
func checkEqual(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// checkIs checks that err matches all targets.
func checkIs(t *testing.T, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("error %v does not match %v", err, target)
		}
	}
}

// checkProperty checks a property with the given number of random inputs.
func checkProperty(t *testing.T, runs int, p gopter.Prop) {
	t.Helper()
	parameters := gopter.DefaultTestParameters()
	parameters.MinSuccessfulTests = runs
	properties := gopter.NewProperties(parameters)
	properties.Property(t.Name(), p)
	properties.TestingRun(t)
}

// checkPanics calls f and checks that it panics with the text of err.
func checkPanics(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if err, ok := recover().(error); !ok || err.Error() != want {
			t.Errorf("panics with %v, want %v", err, want)
		}
	}()
	f()
}

// refusedForever reports whether d is a refusal that no waiting can change.
func refusedForever(d ratelimit.Decision) bool { return !d.OK && !d.Retryable && d.RetryAfter == 0 }

// setLimits changes the limits of lim alone.
func setLimits(lim *ratelimit.Limiter, limits ...ratelimit.Limit) error {
	c := lim.Config()
	c.Limits = limits
	return lim.Set(c)
}
