package sketch_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func checkEqual(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("got (+), want (-):\n%s", d)
	}
}

// checkIs reports the targets that err does not match.
func checkIs(t *testing.T, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("got %v, want an error that matches %v", err, target)
		}
	}
}

// checkProperty reports the first seed for which prop returns a problem.
func checkProperty(t *testing.T, runs int, prop func(seed uint64) string) {
	t.Helper()
	for seed := range uint64(runs) {
		if problem := prop(seed); problem != "" {
			t.Errorf("seed %d: %s", seed, problem)
			return
		}
	}
}

// checkBites reports a property that a broken implementation passes.
func checkBites(t *testing.T, runs int, broken func(seed uint64) string) {
	t.Helper()
	for seed := range uint64(runs) {
		if broken(seed) != "" {
			return
		}
	}
	t.Error("a broken implementation passes")
}
