package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

// FuzzExponential checks the bounds and compares with a naive computation.
func FuzzExponential(f *testing.F) {
	f.Add(int64(time.Second), int64(time.Minute), int64(0), 2.0, 3, 0.5, uint8(0))
	f.Add(int64(math.MaxInt64), int64(0), int64(-1), math.Inf(1), math.MaxInt, 1.0, uint8(1))
	f.Add(int64(-1), int64(-1), int64(math.MaxInt64), math.NaN(), -1, math.NaN(), uint8(2))
	f.Fuzz(func(t *testing.T, base, limit, low int64, factor float64, n int, u float64, kind uint8) {
		jitters := []retry.Jitter{retry.Full, retry.Equal, retry.None, retry.Spread(u)}
		b := retry.Exponential{
			Base: time.Duration(base), Max: time.Duration(limit), Min: time.Duration(low),
			Factor: factor, Jitter: jitters[int(kind)%len(jitters)],
		}
		top := b.Max
		if top <= 0 {
			top = math.MaxInt64
		}
		d := b.Delay(retry.Step{Retry: n, Rand: u})
		if d < 0 || d > top {
			t.Errorf("%+v: Delay = %d, want within [0, %d]", b, d, top)
		}
		if b.Base >= 0 && d < min(b.Min, top) {
			t.Errorf("%+v: Delay = %d, want at least Min", b, d)
		}
		b.Jitter = retry.None
		got, want := float64(b.Delay(retry.Step{Retry: n})), float64(naive(b, n, top))
		if math.Abs(got-want) > want*1e-9+1 {
			t.Errorf("%+v: ceiling of retry %d = %.0f, want %.0f", b, n, got, want)
		}
	})
}

// naive is the oracle: the ceiling by float64 alone.
func naive(b retry.Exponential, n int, top time.Duration) time.Duration {
	base, factor := float64(b.Base), b.Factor
	switch {
	case b.Base == 0:
		base = float64(100 * time.Millisecond)
	case b.Base < 0:
		return 0
	}
	if factor == 0 || math.IsNaN(factor) {
		factor = 2
	}
	c := base * math.Pow(math.Max(factor, 1), float64(max(n, 1)-1))
	c = math.Max(c, float64(b.Min))
	if c >= float64(top) {
		return top
	}
	return time.Duration(c)
}

// speaker has all three methods, with answers from the fuzzer.
type speaker struct{ flags byte }

func (s speaker) Error() string             { return fmt.Sprint("speaker ", s.flags) }
func (s speaker) Retryable() bool           { return s.flags&1 != 0 }
func (s speaker) Rejected() bool            { return s.flags&2 != 0 }
func (s speaker) RetryAfter() time.Duration { return time.Duration(s.flags >> 2) }

// tree builds an error tree from a program: each byte pushes, wraps or joins.
func tree(program []byte) error {
	stack := []error{errBoom}
	for _, op := range program {
		top := len(stack) - 1
		switch op % 8 {
		case 0:
			stack = append(stack, errBoom)
		case 1:
			stack = append(stack, context.Canceled)
		case 2, 3:
			stack = append(stack, speaker{op >> 3})
		case 4:
			stack[top] = retry.After(time.Duration(op>>3), stack[top])
		case 5:
			stack[top] = fmt.Errorf("wrap: %w", stack[top])
		case 6:
			if op>>3 == 7 {
				stack[top] = retry.Permanent(stack[top])
			}
		case 7:
			if top > 0 {
				stack = append(stack[:top-1], errors.Join(stack[top-1], stack[top]))
			}
		}
	}
	return errors.Join(stack...)
}

// FuzzClassification compares the decisions of Do about an error tree with
// errors.As and errors.Is.
func FuzzClassification(f *testing.F) {
	f.Add([]byte{2, 7, 5})
	f.Add([]byte{0, 62, 1, 7})
	f.Add([]byte{10, 20, 28, 5, 7, 3, 7})
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) > 100 {
			return
		}
		err := tree(program)
		policy := constant(0, 2)
		policy.MaxRetryAfter = time.Nanosecond
		_, got := retry.Do(t.Context(), policy, failing(err).call)
		e := details(t, got)

		var hint interface{ RetryAfter() time.Duration }
		if errors.As(err, &hint); hint != nil && e.RetryAfter != hint.RetryAfter() {
			t.Errorf("%q: Hint = %d, want %d", err, e.RetryAfter, hint.RetryAfter())
		}
		want := !errors.Is(err, context.Canceled)
		var says interface{ Retryable() bool }
		if errors.As(err, &says) {
			want = says.Retryable()
		}
		if marker := retry.Permanent(errBoom); contains(err, fmt.Sprintf("%T", marker)) {
			want = false
		}
		if got := retry.Retryable(err); got != want || (e.Reason == retry.ErrPermanent) == want {
			t.Errorf("%q: Retryable = %t, reason %v, want %t", err, got, e.Reason, want)
		}
	})
}

// contains reports whether the tree of err has a node of a type, by the naive
// walk.
func contains(err error, typ string) bool {
	if fmt.Sprintf("%T", err) == typ {
		return true
	}
	if x, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range x.Unwrap() {
			if contains(e, typ) {
				return true
			}
		}
	}
	next := errors.Unwrap(err)
	return next != nil && contains(next, typ)
}
