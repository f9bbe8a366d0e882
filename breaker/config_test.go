package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

func TestConfigValidate(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		cfg  breaker.Config
		want string
	}{
		{breaker.Config{}, ""},
		{breaker.Config{FailureRatio: -1, SlowRatio: -1, Jitter: -1, Consecutive: -1, MinCalls: -1, MaxOpenFor: -1, SlowCall: -1, WindowCalls: -1}, ""},
		{breaker.Config{OpenFor: time.Hour}, ""},
		{breaker.Config{WindowCalls: 5}, ""},
		{breaker.Config{Window: 9}, "breaker: Window is 9ns, want at least 10ns"},
		{breaker.Config{Window: -1}, "breaker: Window is -1ns, want at least 10ns"},
		{breaker.Config{WindowCalls: 1<<20 + 1}, "breaker: WindowCalls is 1048577, want at most 1048576"},
		{breaker.Config{WindowCalls: 10, MinCalls: 11}, "breaker: MinCalls is 11, want at most WindowCalls, 10"},
		{breaker.Config{FailureRatio: nan}, "breaker: FailureRatio is NaN, want a share in (0, 1], or a negative number"},
		{breaker.Config{SlowRatio: inf}, "breaker: SlowRatio is +Inf, want a share in (0, 1], or a negative number"},
		{breaker.Config{Jitter: -inf}, "breaker: Jitter is -Inf, want a share in (0, 1], or a negative number"},
		{breaker.Config{OpenFor: -1}, "breaker: OpenFor is -1ns, want more than 0"},
		{breaker.Config{MaxOpenFor: time.Second}, "breaker: MaxOpenFor is 1s, want at least OpenFor, 4s"},
		{
			breaker.Config{Probes: 1001, ProbeTimeout: -1},
			"breaker: Probes is 1001, want 1 to 1000\nbreaker: ProbeTimeout is -1ns, want 0 or more",
		},
	}
	for _, tt := range tests {
		err := tt.cfg.Validate()
		if got := fmt.Sprint(err); got != tt.want && (err != nil || tt.want != "") {
			t.Errorf("Validate: got %q, want %q", got, tt.want)
		}
		func() {
			defer func() {
				if v := recover(); fmt.Sprint(v) != fmt.Sprint(err) {
					t.Errorf("New panics with %v, want %v", v, err)
				}
			}()
			breaker.New(tt.cfg)
		}()
	}
}

func TestNilAdmitsEverything(t *testing.T) {
	var b *breaker.Breaker
	repeat(100, fail, b)
	if v, err := breaker.Do(bg, b, work); v != 1 || err != nil {
		t.Errorf("%v, %v; want 1", v, err)
	}
	mustAllow(t, b).Done(errDown)
	mustAllow(t, b).Report(breaker.OutcomeFailure)
	b.ForceOpen()
	b.ForceClosed()
	b.Trip(1, nil)
	b.Reset()
	checkState(t, b, breaker.StateClosed)
	checkEqual(t, b.Stats(), breaker.Stats{})
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if err := b.Do(ctx, func(context.Context) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}
