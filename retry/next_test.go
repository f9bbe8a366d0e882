package retry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/retry"
)

// byNext is a scheduler around Policy.Next: it runs each attempt and sleeps in
// between.
func byNext(ctx context.Context, p retry.Policy, f func(context.Context) error) error {
	first := time.Now()
	for n := 1; ; n++ {
		err := f(ctx)
		if err == nil {
			return nil
		}
		pause, stop := p.Next(n, first, err)
		if stop != nil {
			return stop
		}
		p.OnEvent(ctx, retry.Event{Kind: retry.KindRetry, Delay: pause})
		time.Sleep(pause)
	}
}

// Oracle: Do. The context of the scenes does not end, since Next knows no
// context. A pause that is asked for resets no step.
func TestNextDecidesAsDo(t *testing.T) {
	checkProperty(t, 300, scenes(func(s scene) string {
		s.deadline, s.cancel = 0, 0
		next := s.play(t, byNext)
		if s.asks() {
			// Without steps the reset does not show.
			s.flat = true
			next = s.play(t, byNext)
		}
		return cmp.Diff(s.play(t, forms["Policy.Do"]), next)
	}))
}

// The property bites: a scheduler that counts from 0 is found.
func TestNextPropertyBites(t *testing.T) {
	s := scene{outcomes: []int{2}, attempts: 3, elapsed: 3000, tokens: 9}
	wrong := func(ctx context.Context, p retry.Policy, f func(context.Context) error) error {
		first := time.Now()
		for n := 0; ; n++ {
			err := f(ctx)
			if _, stop := p.Next(n, first, err); stop != nil {
				return stop
			}
		}
	}
	if cmp.Equal(s.play(t, forms["Policy.Do"]), s.play(t, wrong)) {
		t.Error("a wrong scheduler decides as Do does")
	}
}

func TestNext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		now := time.Now()
		policy := retry.Policy{Name: "q", MaxAttempts: 4, MaxElapsed: time.Hour, Backoff: retry.Exponential{Base: time.Second, Jitter: retry.None}}
		tests := []struct {
			name    string
			attempt int
			first   time.Time
			err     error
			pause   time.Duration
			stop    string
		}{
			{"first", 1, now, errBoom, time.Second, ""},
			{"third", 3, now, errBoom, 4 * time.Second, ""},
			{"attempt 0 counts as the first", 0, now, errBoom, time.Second, ""},
			{"last", 4, now, errBoom, 0, "retry: q: exhausted after 4 attempts: boom"},
			{"asked", 2, now, retry.After(-1, errBoom), 2 * time.Second, ""},
			{"not retryable", 2, now, retry.Permanent(errBoom), 0, "retry: q: not retryable after 2 attempts: boom"},
			{"too late", 2, now.Add(-time.Hour), errBoom, 0, "retry: q: time limit reached after 2 attempts: boom"},
			{"unknown start", 2, time.Time{}, errBoom, 2 * time.Second, ""},
			{"start in the future", 2, now.Add(time.Hour), errBoom, 2 * time.Second, ""},
			{"no error", 1, now, nil, 0, "retry: q: not retryable after 1 attempt"},
			{"refused", 1, now, refusal(time.Minute), 0, "retry: q: asked to wait too long after 1 attempt, retry after 1m0s: refused"},
		}
		for _, tt := range tests {
			pause, stop := policy.Next(tt.attempt, tt.first, tt.err)
			got := ""
			if stop != nil {
				got = stop.Error()
			}
			if pause != tt.pause || got != tt.stop {
				t.Errorf("%s: Next = %v, %q, want %v, %q", tt.name, pause, got, tt.pause, tt.stop)
			}
		}
		_, stop := policy.Next(4, now, errBoom)
		for n, err := range details(t, stop).All() {
			checkEqual(t, fmt.Sprint(n, err), "4 boom")
		}
	})
}

func TestNextReportsNoEvent(t *testing.T) {
	policy := constant(0, 2)
	policy.OnEvent = func(_ context.Context, e retry.Event) { t.Errorf("event %v, want none", e) }
	for n := range 3 {
		policy.Next(n, time.Time{}, errBoom)
	}
}

// A pause that depends on earlier pauses has the distribution that it has in
// Do. Oracle: Do.
func TestNextDrawsEarlierPausesAgain(t *testing.T) {
	b := retry.Decorrelated{Base: time.Second, Max: time.Hour}
	policy := retry.Policy{MaxAttempts: retry.Unlimited, Backoff: b}
	const n, attempt = 20_000, 5
	got := sample(n, func() time.Duration {
		d, _ := policy.Next(attempt, time.Time{}, errBoom)
		return d
	})
	want := sample(n, func() time.Duration {
		var d time.Duration
		s := retry.Step{Retry: 1}
		for ; s.Retry <= attempt; s.Retry++ {
			s.Rand = rand.Float64()
			d = b.Delay(s)
			s.Prev = d
		}
		return d
	})
	if d := distance(got, want); d > .02 {
		t.Errorf("distance to the pauses of Do = %.3f, want at most 0.02", d)
	}
}
