package retry_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"

	"github.com/redoubt-go/redoubt/retry"
)

var (
	errBoom  = errors.New("boom")
	errEarly = errors.New("early")
	errCause = errors.New("the cause")
)

// checkEqual compares two values in depth.
func checkEqual[T any](t *testing.T, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("difference (-want +got):\n%s", d)
	}
}

// checkIs checks that err matches each of targets.
func checkIs(t *testing.T, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("errors.Is(%v, %v) = false, want true", err, target)
		}
	}
}

// checkProperty runs a property with a fixed seed.
func checkProperty(t *testing.T, runs int, prop gopter.Prop) {
	t.Helper()
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests = runs
	properties := gopter.NewProperties(parameters)
	properties.Property(t.Name(), prop)
	properties.TestingRun(t)
}

// checkBites checks that a property finds a counterexample.
func checkBites(t *testing.T, prop gopter.Prop) {
	t.Helper()
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MaxShrinkCount = 0
	properties := gopter.NewProperties(parameters)
	properties.Property(t.Name(), prop)
	if properties.Run(gopter.NewFormatedReporter(false, 80, io.Discard)) {
		t.Error("the property holds for a wrong implementation")
	}
}

// bubble runs f in a synctest bubble, whose clock moves only while all sleep.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// A probe is a function under retry. It records when each attempt starts, works
// for a time, and fails with errs in turn. The last of errs repeats; nil is a
// success.
type probe struct {
	errs   []error
	work   time.Duration
	begin  time.Time
	starts []time.Duration
}

func failing(errs ...error) *probe { return &probe{errs: errs, begin: time.Now()} }

// call returns the number of the attempt as its value.
func (p *probe) call(context.Context) (int, error) {
	p.starts = append(p.starts, time.Since(p.begin))
	time.Sleep(p.work)
	n := len(p.starts)
	return n, p.errs[min(n, len(p.errs))-1]
}

// details returns the *retry.Error that err is.
func details(t *testing.T, err error) *retry.Error {
	t.Helper()
	e, ok := errors.AsType[*retry.Error](err)
	if !ok {
		t.Fatalf("error %v is a %T, want *retry.Error", err, err)
	}
	return e
}

// constant is a policy with a pause of d and n attempts.
func constant(d time.Duration, n int) retry.Policy {
	return retry.Policy{MaxAttempts: n, Backoff: retry.Constant(d)}
}
