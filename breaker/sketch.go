package breaker

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/internal/outbox"
)

const (
	shards    = 4096 // of a sketch
	maxTraces = 320  // in a shard: 5 standard deviations above a million in all
	tick      = time.Second / 256
	maxTicks  = 1<<31 - 1 // between two times that can be compared
	maxCalls  = 255       // in a trace

	// Values of trace.run.
	maxRun  = 253
	open    = 254
	probing = 255
)

// A sketch guards the keys of a group that have no breaker. It contains a trace
// for each key that has failed; a key without a trace is closed. Its memory is
// bounded by shards*maxTraces traces. There is none before the first failure.
type sketch struct {
	start  time.Time
	shards atomic.Pointer[[shards]shard]
}

// A shard contains the traces of the keys whose hashes have the same low bits,
// in no order. A search looks at all of them.
type shard struct {
	mu       sync.Mutex
	traces   []trace
	lost     uint64
	openings uint64
	rejected uint64
	out      *outbox.Outbox[notice] // nil before the first event
}

// A trace is the state of a key in 12 bytes. In the states open and probing,
// calls is the number of probes that succeeded, and failures is 1 if the key is
// half-open.
type trace struct {
	tag      uint32 // high bits of the hash
	at       uint32 // in ticks modulo 1<<32; see below
	run      uint8  // failures since the last success, or open, or probing
	calls    uint8  // successes and failures in the window
	failures uint8  // failures in the window
	openings uint8  // openings in this outage
}

// The field at of a trace is a time near the last use of the key: the start of
// the present half of the window, in which the counters are halved, the end of
// the open period or the start of the probe.

// A notice is an event with the hook that receives it.
type notice struct {
	event Event
	hook  func(context.Context, Event)
}

// A brief guards a key by the sketch. It is a Gate.
type brief struct {
	sketch *sketch
	hash   uint64
	cfg    Config // with defaults
}

// The start of a ticket of a brief contains the tick of the admission, the
// openings of the trace then, and whether the call is a probe.
func (k *brief) ticket(at uint32, openings uint8, probe time.Duration) ticket {
	return ticket{start: time.Duration(at)<<16 | time.Duration(openings)<<8 | probe}
}

func (s *sketch) now() uint32 { return uint32(time.Since(s.start) / tick) }

// ticks rounds d up.
func ticks(d time.Duration) uint32 {
	return uint32(min(max(0, d-1)/tick+1, maxTicks))
}

// after returns a-b. The difference of two times is at most maxTicks.
func after(a, b uint32) int { return int(int32(a - b)) }

// shard locks the shard of hash. It returns nil if the sketch is empty.
func (s *sketch) shard(hash uint64) *shard {
	all := s.shards.Load()
	if all == nil {
		return nil
	}
	sh := &all[hash%shards]
	sh.mu.Lock()
	return sh
}

// find returns the trace of hash, or nil.
func (sh *shard) find(hash uint64) *trace {
	tag := uint32(hash >> 32)
	for i := range sh.traces {
		if sh.traces[i].tag == tag {
			return &sh.traces[i]
		}
	}
	return nil
}

// oldest returns the trace that was not used for the longest time, or nil.
func (sh *shard) oldest(now uint32) (oldest *trace) {
	most := math.MinInt
	for i := range sh.traces {
		if age := after(now, sh.traces[i].at); age > most {
			oldest, most = &sh.traces[i], age
		}
	}
	return oldest
}

// remembers reports whether the sketch has a trace of the key of k.
func (k *brief) remembers() bool {
	sh := k.sketch.shard(k.hash)
	if sh == nil {
		return false
	}
	defer sh.mu.Unlock()
	t := sh.find(k.hash)
	return t != nil && after(k.sketch.now(), t.at) <= k.span()
}

// span is the number of ticks for which a key must not be used to be forgotten.
func (k *brief) span() int {
	return int(ticks(max(2*min(k.cfg.MaxOpenFor, math.MaxInt64/2), k.cfg.Window)))
}

// state returns the state of a key.
func (s *sketch) state(hash uint64) State {
	sh := s.shard(hash)
	if sh == nil {
		return StateClosed
	}
	defer sh.mu.Unlock()
	switch t := sh.find(hash); {
	case t == nil || t.run <= maxRun:
		return StateClosed
	case t.run == open && t.failures == 0 && after(t.at, s.now()) > 0:
		return StateOpen
	default:
		return StateHalfOpen
	}
}

// stats adds the figures of the sketch to g.
func (s *sketch) stats(g *GroupStats) {
	all := s.shards.Load()
	if all == nil {
		return
	}
	for i := range all {
		sh := &all[i]
		sh.mu.Lock()
		g.Sketched += len(sh.traces)
		g.SketchOpenings += sh.openings
		g.SketchRejected += sh.rejected
		g.SketchLost += sh.lost
		sh.mu.Unlock()
	}
}

// Allow implements Gate.
func (k *brief) Allow(ctx context.Context) (*Call, error) { return allow(ctx, k) }

// enter implements gate.
func (k *brief) enter(ctx context.Context) (ticket, error) {
	if ctx.Err() != nil {
		return ticket{}, ctxerr.New(ctx, op(k.cfg.Name))
	}
	sh := k.sketch.shard(k.hash)
	now := k.sketch.now()
	if sh == nil {
		return k.ticket(now, 0, 0), nil
	}
	t := sh.find(k.hash)
	if t == nil || t.run <= maxRun {
		defer sh.mu.Unlock()
		if t == nil {
			return k.ticket(now, 0, 0), nil
		}
		return k.ticket(now, t.openings, 0), nil
	}
	if state, until := k.refuses(t, now); state != StateClosed {
		sh.rejected++
		sh.mu.Unlock()
		return ticket{}, &OpenError{Name: k.cfg.Name, State: state, start: k.sketch.start, until: until}
	}
	if t.failures == 0 {
		k.emit(ctx, sh, t, Event{From: StateOpen, To: StateHalfOpen, Reason: "open period over"})
	}
	t.run, t.failures, t.at = probing, 1, now
	admitted := k.ticket(now, t.openings, 1)
	delivered := false
	defer func() {
		if !delivered {
			k.report(ctx, admitted, OutcomeIgnored, nil) // the hook panicked: the call will not take place
		}
	}()
	k.unlock(sh)
	delivered = true
	return admitted, nil
}

// refuses returns the state in which t refuses a call and its end, or
// StateClosed.
func (k *brief) refuses(t *trace, now uint32) (State, time.Duration) {
	if t.run == open {
		// After a jump of the clock the end may be out of reach.
		if left := after(t.at, now); left > 0 && left <= int(ticks(2*min(k.cfg.MaxOpenFor, math.MaxInt64/2))) {
			return StateOpen, time.Since(k.sketch.start) + time.Duration(left)*tick
		}
		return StateClosed, 0
	}
	patience := k.cfg.ProbeTimeout
	if patience <= 0 {
		patience = k.openPeriod(t)
	}
	if age := after(now, t.at); age >= 0 && age < int(ticks(patience)) {
		return StateHalfOpen, 0
	}
	return StateClosed, 0
}

// openPeriod is the length of an open period without jitter: as for a Breaker,
// a 40th of the outage, if that consists of open periods.
func (k *brief) openPeriod(t *trace) time.Duration {
	d := float64(k.cfg.OpenFor) * math.Pow(1+1./40, max(0, float64(t.openings)-40))
	return time.Duration(min(d, float64(k.cfg.MaxOpenFor)))
}

// leave implements gate.
func (k *brief) leave(ctx context.Context, t ticket, err error) {
	o := OutcomeFailure // if Classify panics
	defer func() { k.report(ctx, t, o, err) }()
	if err == nil {
		o = OutcomeSuccess
		return
	}
	var unknown pace
	ran := time.Duration(max(0, after(k.sketch.now(), uint32(t.start>>16)))) * tick
	o, _ = outcome(ctx, &k.cfg, &unknown, ran, ran, err)
}

// end implements gate.
func (k *brief) end(ctx context.Context, t ticket, o Outcome, err error) {
	k.report(ctx, t, min(o, OutcomeIgnored), err)
}

// report takes the end of a call. As in a Breaker, a call that was admitted
// before the key opened comes late and changes nothing.
func (k *brief) report(ctx context.Context, tk ticket, o Outcome, err error) {
	wait := time.Duration(0)
	if o == OutcomeFailure {
		wait = errtree.Read(err).RetryAfter
		if k.sketch.shards.Load() == nil {
			k.sketch.shards.CompareAndSwap(nil, new([shards]shard))
		}
	}
	sh := k.sketch.shard(k.hash)
	if sh == nil {
		return
	}
	now := k.sketch.now()
	t := sh.find(k.hash)
	if t == nil && o == OutcomeFailure {
		t = k.add(sh, now)
	}
	probe, openings := tk.start&1 != 0, uint8(tk.start>>8)
	switch {
	case t == nil || openings < t.openings || t.run > maxRun && !probe:
	case t.run <= maxRun:
		k.count(ctx, sh, t, now, o, wait, err)
	default:
		k.probed(ctx, sh, t, now, uint32(tk.start>>16), o, wait, err)
	}
	k.unlock(sh)
}

// add makes a trace of the key of k. It takes the place of the oldest trace if
// that has expired or the shard is full.
func (k *brief) add(sh *shard, now uint32) *trace {
	full := len(sh.traces) == maxTraces
	if t := sh.oldest(now); t != nil && (full || after(now, t.at) > k.span()) {
		if after(now, t.at) <= k.span() {
			sh.lost++
		}
		*t = trace{tag: uint32(k.hash >> 32), at: now}
		return t
	}
	if n := len(sh.traces); n == cap(sh.traces) { // append would double the capacity
		sh.traces = append(make([]trace, 0, n+8), sh.traces...)
	}
	sh.traces = append(sh.traces, trace{tag: uint32(k.hash >> 32), at: now})
	return &sh.traces[len(sh.traces)-1]
}

// count takes the end of a call of a closed key.
func (k *brief) count(ctx context.Context, sh *shard, t *trace, now uint32, o Outcome, wait time.Duration, err error) {
	if after(now, t.at) > k.span() {
		*t = trace{tag: t.tag, at: now} // forgotten
	}
	half := ticks(k.cfg.Window / 2)
	if n := (now - t.at) / half; n > 0 {
		t.at += n * half
		t.calls >>= n
		t.failures >>= n
		if t.failures == 0 {
			t.openings >>= n
		}
	}
	if o == OutcomeIgnored {
		return
	}
	if t.calls == maxCalls {
		t.calls, t.failures = t.calls/2, t.failures/2
	}
	t.calls++
	if o == OutcomeSuccess {
		if t.run = 0; t.failures+t.openings == 0 {
			last := len(sh.traces) - 1
			*t = sh.traces[last]
			sh.traces = sh.traces[:last]
		}
		return
	}
	t.failures++
	t.run = min(t.run+1, maxRun)
	c := k.cfg // with limits that a trace can reach
	c.Consecutive, c.MinCalls = min(c.Consecutive, maxRun), min(c.MinCalls, maxCalls/2)
	if reason := judge(&c, figures{calls: int(t.calls), failures: int(t.failures), run: int(t.run)}, 0); reason != "" {
		k.open(ctx, sh, t, now, Event{From: StateClosed, Reason: reason, Err: err}, wait)
	}
}

// probed takes the outcome of a probe that began at start. A probe that has
// lost its place counts too, unless it fails after others have succeeded.
func (k *brief) probed(ctx context.Context, sh *shard, t *trace, now, start uint32, o Outcome, wait time.Duration, err error) {
	held := t.run == probing && t.at == start
	switch o {
	case OutcomeFailure:
		if held || t.calls == 0 {
			k.open(ctx, sh, t, now, Event{From: StateHalfOpen, Reason: "probe failed", Err: err}, wait)
		}
	case OutcomeSuccess:
		if t.calls++; int(t.calls) >= min(k.cfg.Probes, maxCalls) {
			k.emit(ctx, sh, t, Event{From: StateHalfOpen, To: StateClosed, Reason: "probes succeeded"})
			*t = trace{tag: t.tag, at: now, openings: t.openings}
			return
		}
		fallthrough
	default:
		if held {
			t.run, t.at = open, now // gives its place to another
		}
	}
}

// open opens a key.
func (k *brief) open(ctx context.Context, sh *shard, t *trace, now uint32, e Event, wait time.Duration) {
	d := max(k.openPeriod(t), min(wait, k.cfg.MaxOpenFor))
	e.To, e.OpenFor = StateOpen, lengthen(d, k.cfg.Jitter)
	k.emit(ctx, sh, t, e)
	sh.openings++
	*t = trace{tag: t.tag, at: now + ticks(e.OpenFor), run: open, openings: t.openings + min(1, 255-t.openings)}
}

// emit queues an event before its change is made, with the lock held.
func (k *brief) emit(ctx context.Context, sh *shard, t *trace, e Event) {
	if k.cfg.OnEvent == nil {
		return
	}
	e.Name, e.At = k.cfg.Name, time.Now()
	e.Stats = Stats{Name: e.Name, State: e.From}
	if e.From == StateClosed {
		e.Stats.WindowCalls, e.Stats.WindowFailures, e.Stats.Consecutive = int(t.calls), int(t.failures), int(t.run)
	}
	if sh.out == nil {
		sh.out = new(outbox.Outbox[notice])
	}
	sh.out.Post(ctx, notice{e, k.cfg.OnEvent})
}

// unlock releases the lock of a shard and delivers its events.
func (k *brief) unlock(sh *shard) {
	out := sh.out
	sh.mu.Unlock()
	if out == nil {
		return
	}
	out.Deliver(func(ctx context.Context, n notice, dropped int) {
		n.event.Dropped = dropped
		n.hook(ctx, n.event)
	})
}
