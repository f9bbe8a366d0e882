package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

// FuzzOps reads a configuration and a list of ops from bytes and compares the
// breaker with the oracle after each op.
func FuzzOps(f *testing.F) {
	f.Add([]byte("\x00\x02\x01\x02\x01\x02\x01\x02\x01\x03\xff\x02\x00\x02\x00"))
	f.Add([]byte("\x01\x02\x01\x02\x00\x02\x01\x05\x10\x03\x20\x02\x00\x07\x00\x02\x01\x08\x00"))
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00\x00\x03\xff\x03\xff\x00\x00\x01\x00\x01\x01"))
	f.Add([]byte("\x03\x05\x01\x03\x02\x00\x00\x00\x00\x04\xff\x02\x00\x02\x00\x02\x00\x02\x01"))
	f.Add([]byte("\x04\x06\x00\x02\x00\x07\x00\x02\x01\x02\x01\x02\x01\x04\xff\x02\x00\x08\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || len(data) > 1000 {
			return
		}
		cfg := variants()[int(data[0])%len(variants())]
		synctest.Test(t, func(t *testing.T) {
			r, m := newRig(cfg), &oracle{cfg: cfg}
			for i := 1; i+1 < len(data); i += 2 {
				o := op{opKind(data[i]) % opKinds, data[i+1]}
				m.do(o)
				if d := m.see().diff(r.do(o)); d != "" {
					t.Fatalf("op %d, %v: %s", i/2, o, d)
				}
			}
		})
	})
}

// FuzzConfigValidate: a Config is either refused, or makes a breaker that works
// and does not panic.
func FuzzConfigValidate(f *testing.F) {
	f.Add(int64(0), 0, 0, 0.0, 0, int64(0), 0.0, int64(0), int64(0), 0.0, 0, int64(0))
	f.Add(int64(10), 3, -1, 1.0, 1, int64(1), 0.1, int64(1), int64(1)<<62, 1.0, 1000, int64(1)<<62)
	f.Fuzz(func(t *testing.T, window int64, windowCalls, minCalls int, failureRatio float64, consecutive int, slowCall int64,
		slowRatio float64, openFor, maxOpenFor int64, jitter float64, probes int, probeTimeout int64,
	) {
		cfg := breaker.Config{
			Window: time.Duration(window), WindowCalls: windowCalls, MinCalls: minCalls, FailureRatio: failureRatio, Consecutive: consecutive,
			SlowCall: time.Duration(slowCall), SlowRatio: slowRatio, OpenFor: time.Duration(openFor), MaxOpenFor: time.Duration(maxOpenFor),
			Jitter: jitter, Probes: probes, ProbeTimeout: time.Duration(probeTimeout),
		}
		err := cfg.Validate()
		defer func() {
			if v := recover(); (v == nil) != (err == nil) || v != nil && fmt.Sprint(v) != err.Error() {
				t.Errorf("%+v: Validate returns %v, New or a call panics with %v", cfg, err, v)
			}
		}()
		b := breaker.New(cfg)
		for range 3 {
			repeat(25, fail, b)
			b.Trip(0, nil)
			if s := b.Stats(); s.State == breaker.StateOpen && s.RetryAfter < 0 {
				t.Errorf("open for %v", s.RetryAfter)
			}
			repeat(3, succeed, b)
		}
	})
}

// FuzzClassify builds an error tree from bytes, with cycles in it, and compares
// Classify with a search written as a recursion over the same bytes. Only trees
// below the bound have an answer; for larger ones ending is enough.
func FuzzClassify(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{1, 3, 0})
	f.Add([]byte{2, 2, 0, 4, 5})
	f.Add([]byte{6})
	f.Add([]byte{2, 7, 1, 6, 3, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 200 {
			return
		}
		p := treeParser{data: data}
		marked, rejected, err := p.tree(0)
		want := breaker.OutcomeFailure
		switch {
		case err == nil:
			want = breaker.OutcomeSuccess
		case len(marked) > 0:
			want = marked[0]
		case rejected:
			want = breaker.OutcomeIgnored
		}
		if got := breaker.Classify(err); got != want && !p.cyclic {
			t.Errorf("Classify(%v) = %v, want %v", err, got, want)
		}
	})
}

type treeParser struct {
	data   []byte
	cyclic bool
}

func (p *treeParser) next() byte {
	if len(p.data) == 0 {
		return 0
	}
	c := p.data[0]
	p.data = p.data[1:]
	return c
}

// tree returns an error, the marks in it in pre-order, and whether there is a
// refusal in it.
func (p *treeParser) tree(depth int) (marks []breaker.Outcome, rejected bool, err error) {
	if depth > 20 {
		return nil, false, errDown
	}
	switch c := p.next(); c % 8 {
	case 1: // wrapped
		marks, rejected, err = p.tree(depth + 1)
		if err != nil {
			err = fmt.Errorf("wrapped: %w", err)
		}
		return marks, rejected, err
	case 2: // joined
		lm, lr, left := p.tree(depth + 1)
		rm, rr, right := p.tree(depth + 1)
		return append(lm, rm...), lr || rr, errors.Join(left, right)
	case 3: // marked
		o := breaker.Outcome(c / 8 % 3)
		marks, rejected, err = p.tree(depth + 1)
		if err == nil && o == breaker.OutcomeSuccess {
			return nil, false, nil
		}
		return append([]breaker.Outcome{o}, marks...), rejected, breaker.Mark(err, o)
	case 4: // a refusal
		return nil, true, &breaker.OpenError{}
	case 5:
		return nil, false, nil
	case 6: // its own cause
		p.cyclic = true
		e := &cycle{}
		e.next = []error{e, e}
		return nil, false, e
	case 7:
		return nil, false, context.Canceled
	}
	return nil, false, errDown
}

type cycle struct{ next []error }

func (*cycle) Error() string     { return "cycle" }
func (c *cycle) Unwrap() []error { return c.next }
