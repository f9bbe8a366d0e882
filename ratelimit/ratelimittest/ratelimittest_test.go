package ratelimittest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimittest"
)

func newStore(t *testing.T, limit ratelimit.Limit) ratelimit.Store {
	config := ratelimit.KeyedConfig{Limit: limit}
	return ratelimit.Local(ratelimit.NewKeyed[string](config))
}

func TestStore(t *testing.T) {
	ratelimittest.Run(t, newStore)
}

func ExampleRun() {
	// In a file of tests, this is func TestStore.
	test := func(t *testing.T) { ratelimittest.Run(t, newStore) }
	fmt.Printf("%T\n", test)
	// Output: func(*testing.T)
}

// A faulty store is a correct store whose methods are replaced, if they are
// not nil.
type faulty struct {
	ratelimit.Adjuster
	keyed   *ratelimit.Keyed[string]
	take    func(f faulty, ctx context.Context, key string, n int64) (ratelimit.Decision, error)
	charge  func(f faulty, key string, n int64) (ratelimit.Decision, error)
	credit  func(f faulty, key string, n int64)
	punish  func(f faulty, key string, d time.Duration)
	reset   func(f faulty, key string)
	reserve func(f faulty, key string, n int64) (ratelimit.Decision, func(context.Context, int64) error)
}

func (f faulty) TakeKey(ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
	if f.take == nil {
		return f.Adjuster.TakeKey(ctx, key, n)
	}
	return f.take(f, ctx, key, n)
}

func (f faulty) ChargeKey(ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
	if f.charge == nil || ctx.Err() != nil {
		return f.Adjuster.ChargeKey(ctx, key, n)
	}
	return f.charge(f, key, n)
}

func (f faulty) CreditKey(ctx context.Context, key string, n int64) error {
	if f.credit == nil {
		return f.Adjuster.CreditKey(ctx, key, n)
	}
	f.credit(f, key, n)
	return ctx.Err()
}

func (f faulty) PenalizeKey(ctx context.Context, key string, d time.Duration) error {
	if f.punish == nil || ctx.Err() != nil {
		return f.Adjuster.PenalizeKey(ctx, key, d)
	}
	f.punish(f, key, d)
	return nil
}

func (f faulty) ResetKey(ctx context.Context, key string) error {
	if f.reset == nil {
		return f.Adjuster.ResetKey(ctx, key)
	}
	f.reset(f, key)
	return nil
}

func (f faulty) ReserveKey(ctx context.Context, key string, n int64) (ratelimit.Decision, func(context.Context, int64) error, error) {
	if f.reserve == nil || ctx.Err() != nil {
		return f.Adjuster.ReserveKey(ctx, key, n)
	}
	d, settle := f.reserve(f, key, n)
	return d, settle, nil
}

// changed returns a take whose decisions are changed.
func changed(change func(*ratelimit.Decision)) faulty {
	return faulty{take: func(f faulty, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
		d, err := f.Adjuster.TakeKey(ctx, key, n)
		change(&d)
		return d, err
	}}
}

// renamed returns a take whose keys are changed.
func renamed(rename func(string) string) faulty {
	return faulty{take: func(f faulty, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
		return f.Adjuster.TakeKey(ctx, rename(key), n)
	}}
}

// after returns a take that also does something after each decision.
func after(do func(f faulty, key string, d ratelimit.Decision)) faulty {
	return faulty{take: func(f faulty, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
		d, err := f.Adjuster.TakeKey(ctx, key, n)
		do(f, key, d)
		return d, err
	}}
}

// settling returns a reservation that changes the actual number.
func settling(actual func(reserved, actual int64, calls int) int64) faulty {
	return faulty{reserve: func(f faulty, key string, n int64) (ratelimit.Decision, func(context.Context, int64) error) {
		d, calls := f.keyed.Take(key, n), 0
		return d, func(_ context.Context, m int64) error {
			calls++
			if m = actual(n, m, calls); m > n {
				f.keyed.Charge(key, m-n)
			} else if d.OK {
				f.keyed.Credit(key, n-max(m, 0))
			}
			return nil
		}
	}}
}

// Each fault breaks a rule.
func TestRunFindsFaults(t *testing.T) {
	bg := context.Background()
	tests := []struct {
		name, rule, want string
		store            faulty
	}{
		{"no fault", "", "", faulty{}},
		{"one key for all", "keys", "shares the limit", renamed(func(string) string { return "" })},
		{"keys in lower case", "keys", `key "A"`, renamed(strings.ToLower)},
		{"keys without spaces", "keys", `key "a "`, renamed(strings.TrimSpace)},
		{"keys cut to 64 bytes", "keys", "shares the limit", renamed(func(key string) string { return key[:min(len(key), 64)] })},
		{"keys without their middle", "keys", "shares the limit", renamed(func(key string) string {
			return key[:min(len(key), 1000)] + key[max(0, len(key)-1000):]
		})},
		{"keys that end at a zero byte", "keys", "shares the limit", renamed(func(key string) string {
			key, _, _ = strings.Cut(key, "\x00")
			return key
		})},
		{"keys that are valid UTF-8", "keys", "shares the limit", renamed(func(key string) string { return strings.ToValidUTF8(key, "?") })},
		{"keys by their hash tag", "keys", "shares the limit", renamed(func(key string) string {
			if tag, _, ok := strings.Cut(strings.TrimPrefix(key, "{"), "}"); ok && strings.HasPrefix(key, "{") {
				return tag
			}
			return key
		})},
		{"ignores the context", "done context", "want context.Canceled", faulty{take: func(f faulty, _ context.Context, key string, n int64) (ratelimit.Decision, error) {
			return f.Adjuster.TakeKey(bg, key, n)
		}}},
		{"takes without an answer", "done context", "has taken events", faulty{take: func(f faulty, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
			d, _ := f.Adjuster.TakeKey(bg, key, n)
			return d, ctx.Err()
		}}},
		{"knows no deadline", "done context", "want context.DeadlineExceeded", faulty{take: func(f faulty, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
			if ctx.Err() != nil {
				return ratelimit.Decision{}, context.Canceled
			}
			return f.Adjuster.TakeKey(ctx, key, n)
		}}},
		{"no limit", "burst", "sixth event", faulty{take: func(_ faulty, _ context.Context, _ string, n int64) (ratelimit.Decision, error) {
			return ratelimit.Decision{OK: true, N: n}, nil
		}}},
		{"another Limit in decisions", "burst", "Limit is ", changed(func(d *ratelimit.Decision) { d.Limit = ratelimit.PerSecond(1) })},
		{"no Limit in decisions", "burst", "Limit is ", changed(func(d *ratelimit.Decision) { d.Limit = ratelimit.Limit{} })},
		{"no N in decisions", "burst", "contradictory", changed(func(d *ratelimit.Decision) { d.N = 0 })},
		{"no ResetAfter", "burst", "ResetAfter is 0s", changed(func(d *ratelimit.Decision) { d.ResetAfter = 0 })},
		{"ResetAfter of unused keys", "amounts", "unused key", changed(func(d *ratelimit.Decision) { d.ResetAfter += time.Hour })},
		{"no RetryAfter", "burst", "contradictory", changed(func(d *ratelimit.Decision) { d.RetryAfter = 0 })},
		{"RetryAfter in milliseconds", "burst", "sixth event", changed(func(d *ratelimit.Decision) { d.RetryAfter /= 1000 })},
		{"RetryAfter of allowed events", "burst", "contradictory", changed(func(d *ratelimit.Decision) { d.RetryAfter++ })},
		{"retries what can never be", "amounts", "Retryable true", changed(func(d *ratelimit.Decision) {
			if !d.OK && d.N > 5 {
				d.Retryable, d.RetryAfter = true, time.Hour
			}
		})},
		{"Remaining before the event", "burst", "event 1", changed(func(d *ratelimit.Decision) { d.Remaining++ })},
		{"negative numbers return events", "amounts", "-3 events", faulty{take: func(f faulty, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
			f.keyed.Credit(key, -max(n, -100))
			return f.Adjuster.TakeKey(ctx, key, n)
		}}},
		{"0 events are one", "amounts", "0 events", faulty{take: func(f faulty, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
			if n == 0 {
				d, err := f.Adjuster.TakeKey(ctx, key, 1)
				d.N = 0
				return d, err
			}
			return f.Adjuster.TakeKey(ctx, key, n)
		}}},
		{"takes as many as there are", "amounts", "a refusal takes nothing", after(func(f faulty, key string, d ratelimit.Decision) {
			if !d.OK && d.Retryable {
				f.keyed.Take(key, d.Remaining)
			}
		})},
		{"refusals of an event cost an event", "refusals", "must not delay", after(func(f faulty, key string, d ratelimit.Decision) {
			if !d.OK && d.N == 1 {
				f.keyed.Charge(key, 1)
			}
		})},
		{"refusals of several events cost an event", "refusals", "must not delay", after(func(f faulty, key string, d ratelimit.Decision) {
			if !d.OK && d.N > 1 {
				f.keyed.Charge(key, 1)
			}
		})},
		{"a burst of N", "larger burst", "5 events of 2/h", faulty{take: func(f faulty, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
			d, err := f.Adjuster.TakeKey(ctx, key, n)
			if n > 2 && d.Limit.N == 2 {
				d = ratelimit.Decision{N: n, Limit: d.Limit}
			}
			return d, err
		}}},
		{"forgets early", "refill", "one by one", faulty{take: func(f faulty, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
			d, err := f.Adjuster.TakeKey(ctx, key, n)
			if d.OK && d.Remaining == 0 && d.Limit.Per < time.Second {
				time.AfterFunc(150*time.Millisecond, func() { f.keyed.Reset(key) })
			}
			return d, err
		}}},
		{"a race", "concurrent", "events of 100", faulty{take: func(f faulty, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
			d := f.keyed.Peek(key)
			if d.OK {
				time.Sleep(time.Millisecond)
				f.keyed.Charge(key, n)
			}
			d.N, d.OK = n, d.OK || n == 0
			return d, ctx.Err()
		}}},
		{"fails", "burst", "down", faulty{take: func(faulty, context.Context, string, int64) (ratelimit.Decision, error) {
			return ratelimit.Decision{}, errors.New("down")
		}}},
		{"a charge that asks", "adjust", "the debt is 2", faulty{charge: func(f faulty, key string, n int64) (ratelimit.Decision, error) {
			f.keyed.Take(key, n)
			return f.keyed.Peek(key), nil
		}}},
		{"a charge without an answer", "adjust", "2 remaining", faulty{charge: func(f faulty, key string, n int64) (ratelimit.Decision, error) {
			f.keyed.Charge(key, n)
			return ratelimit.Decision{}, nil
		}}},
		{"a charge of a negative number", "adjust", "ChargeKey(-3)", faulty{charge: func(f faulty, key string, n int64) (ratelimit.Decision, error) {
			f.keyed.Credit(key, -n)
			return f.keyed.Charge(key, n), nil
		}}},
		{"a credit of a negative number", "adjust", "of a debt of 2", faulty{credit: func(f faulty, key string, n int64) {
			f.keyed.Charge(key, -n)
			f.keyed.Credit(key, n)
		}}},
		{"a credit that forgives", "adjust", "CreditKey(3)", faulty{credit: func(f faulty, key string, n int64) {
			if n > 0 {
				f.keyed.Reset(key)
			}
		}}},
		{"a credit with a cancelled context", "adjust", "calls with a cancelled context", faulty{credit: func(f faulty, key string, n int64) { f.keyed.Credit(key, n) }}},
		{"a penalty that ends early", "adjust", "penalized for 1h", faulty{punish: func(f faulty, key string, d time.Duration) {
			if d > 0 {
				f.keyed.Reset(key)
			}
			f.keyed.Penalize(key, d)
		}}},
		{"no reset", "adjust", "ResetKey", faulty{reset: func(faulty, string) {}}},
		{"a reset with a cancelled context", "adjust", "with a cancelled context", faulty{reset: func(f faulty, key string) { f.keyed.Reset(key) }}},
		{"settles nothing", "reserve", "settled 1", settling(func(reserved, _ int64, _ int) int64 { return reserved })},
		{"settles twice", "reserve", "then 0", settling(func(_, actual int64, _ int) int64 { return actual })},
		{"settles no more than was reserved", "reserve", "settled 5", settling(func(reserved, actual int64, calls int) int64 {
			if calls > 1 {
				return reserved
			}
			return min(reserved, actual)
		})},
		{"settles refusals", "reserve", "refused reservation", faulty{reserve: func(f faulty, key string, n int64) (ratelimit.Decision, func(context.Context, int64) error) {
			r := f.keyed.Reserve(key, n)
			return r.Decision(), func(_ context.Context, actual int64) error {
				if r.Settle(actual); !r.OK() {
					f.keyed.Credit(key, n)
				}
				return nil
			}
		}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var found map[string][]string
			synctest.Test(t, func(*testing.T) {
				found = ratelimittest.Problems(func(limit ratelimit.Limit) ratelimit.Store {
					f := tt.store
					f.keyed = ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: limit})
					f.Adjuster = ratelimit.Local(f.keyed)
					return f
				})
			})
			if tt.rule == "" && len(found) > 0 {
				t.Errorf("rules report %q of a correct store", found)
			}
			if got := strings.Join(found[tt.rule], "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("rule %q reports %q, want %q in it", tt.rule, got, tt.want)
			}
		})
	}
}
