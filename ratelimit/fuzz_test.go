package ratelimit_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

func FuzzParseLimit(f *testing.F) {
	for _, text := range []string{
		"100/s", "100/m burst 20", "5/1m30s", "0/h burst 3", "inf", "1/250µs", "9223372036854775807/ms burst 0", "1/s burst", "x",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limit, err := ratelimit.ParseLimit(text)
		if err != nil {
			if limit != (ratelimit.Limit{}) || len(err.Error()) > 500 {
				t.Errorf("got %+v and a text of %d bytes, want zero and a short one", limit, len(err.Error()))
			}
			return
		}
		canonical, err := limit.MarshalText()
		if err != nil {
			t.Fatalf("parsed %q to %+v, which has no text: %v", text, limit, err)
		}
		again, err := ratelimit.ParseLimit(string(canonical))
		if err != nil || again.String() != string(canonical) {
			t.Errorf("%q became %q, which became %v, %v", text, canonical, again, err)
		}
		if again != limit && again != ratelimit.Inf() {
			t.Errorf("%q: got %+v after a round trip, want %+v", text, again, limit)
		}
		ratelimit.New(limit).Take(1)
	})
}

// FuzzExtremes asks for n events twice, at two instants, of any limit. Oracle:
// burst + rate × time in math/big, with a unit of slack.
func FuzzExtremes(f *testing.F) {
	const most = math.MaxInt64
	f.Add(int64(1), int64(24*time.Hour), int64(106_752), int64(1), int64(0), int64(1))
	f.Add(int64(most-1), int64(1), int64(most), int64(1)<<61, int64(0), int64(1))
	f.Add(int64(1), int64(most), int64(1), int64(1), int64(-most), int64(most))
	f.Add(int64(most-1), int64(most), int64(5), int64(5), int64(1)<<57, int64(1)<<58)
	f.Add(int64(0), int64(0), int64(-1), int64(math.MinInt64), int64(math.MinInt64), int64(0))
	f.Add(int64(1e10), int64(time.Second), int64(1500), int64(1500), int64(-5), int64(150))
	f.Fuzz(func(t *testing.T, n, per, burst, ask, first, second int64) {
		limit := ratelimit.Limit{N: n, Per: time.Duration(per), Burst: burst}
		if n == math.MaxInt64 {
			return
		}
		if limit.Validate() != nil {
			if lim, _ := made(limit); lim != nil {
				t.Fatalf("New accepts %+v", limit)
			}
			return
		}
		if burst = max(burst, 0); limit.Burst == 0 {
			burst = n
		}
		lim := ratelimit.New(limit)
		var sum int64
		for _, ns := range []int64{first, second} {
			if lim.AllowAt(lim.Epoch().Add(time.Duration(ns)), ask) {
				if ask < 0 || ask > max(burst, 0) || (ask > 0 && (n < 0 || per <= 0)) {
					t.Fatalf("%+v admits %d", limit, ask)
				}
				sum += ask / 2 // halved: the sum of two may exceed an int64
			}
		}
		if per > 0 && sum > 0 {
			gap := new(big.Int).Sub(big.NewInt(max(first, second)), big.NewInt(min(first, second)))
			bound := new(big.Rat).SetFrac(gap.Mul(gap, big.NewInt(n)), big.NewInt(per))
			bound.Add(bound, new(big.Rat).SetInt64(burst))
			bound.Add(bound, new(big.Rat).SetFrac(big.NewInt(2), new(big.Int).Lsh(big.NewInt(1), lim.Frac())))
			if got := new(big.Rat).SetInt64(sum); got.Cmp(bound.Quo(bound, big.NewRat(2, 1))) > 0 {
				t.Errorf("%+v admits %d at %d and %d", limit, ask, first, second)
			}
		}
		sane(t, lim, ask)
		var open []*ratelimit.Reservation
		reserve := func() { open = append(open, lim.Reserve(1), lim.Reserve(ask), lim.Reserve(first), lim.Reserve(1)) }
		for _, change := range []func(){
			reserve,
			func() { lim.Reserve(ask).Cancel() },
			func() { lim.Charge(ask) },
			func() { lim.Penalize(time.Duration(second)) },
			func() { lim.Credit(ask) },
			func() { _ = setLimits(lim, limit.WithBurst(first), ratelimit.PerSecond(7)) },
			func() { lim.Reserve(first).Settle(ask) },
			func() { lim.AllowAt(lim.Epoch().Add(time.Duration(first)), 1) },
			reserve,
			func() { _ = setLimits(lim, limit) },
			reserve,
			func() {
				for _, r := range open {
					r.Settle(second)
				}
			},
			lim.Reset,
		} {
			change()
			sane(t, lim, ask)
		}
	})
}

// made returns a Limiter, or the panic of New.
func made(limit ratelimit.Limit) (lim *ratelimit.Limiter, panicked any) {
	defer func() { panicked = recover() }()
	return ratelimit.New(limit), nil
}

// sane checks conditions that hold for every decision.
func sane(t *testing.T, lim *ratelimit.Limiter, ask int64) {
	t.Helper()
	for _, d := range []ratelimit.Decision{lim.Take(ask), lim.Peek(), lim.Take(1)} {
		if d.Remaining < 0 || d.Remaining > max(d.Limit.Burst, 0) || d.RetryAfter < 0 || d.ResetAfter < 0 || d.OK && d.Retryable || d.Retryable != (d.RetryAfter > 0) {
			t.Errorf("Take(%d) = %+v", ask, d)
		}
		if err := d.Err(); err != nil && err.Error() == "" {
			t.Errorf("no text for %+v", d)
		}
	}
	if tokens := lim.Tokens(); tokens < 0 || math.IsNaN(tokens) || math.IsInf(tokens, 0) {
		t.Errorf("Tokens = %v", tokens)
	}
}
