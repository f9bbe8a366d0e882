package ratelimit_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

var schedules = flag.Int("schedules", 10_000, "random schedules of TestPropertyMostGenerousSafeAnswer")

// A commitment is a change of a plan at an instant.
type commitment struct {
	at, n int64 // n < 0 is a credit
	asked bool  // no limit applied: a charge, a credit, a penalty, a reset or a change
	empty int64 // a penalty: the buckets are empty for so long
	reset bool
	grow  int64 // a change of all bursts, and of the rates
	rates []int64
	final bool // a reservation that nothing can change any more
}

// A plan is an oracle: a list of all commitments ever made, past and future, in
// the order of their instants. Every answer is computed from the whole list, in
// exact rational numbers: the level of a limit is counted in events/Per. An
// event fits if, for every limit, no interval that contains its instant gets
// more than burst + rate × time. So the answers of a plan are both safe and the
// most generous.
type plan struct {
	limits  []ratelimit.Limit
	rates   []int64 // at first
	list    []*commitment
	now     int64
	waiting []*pending
	served  []*pending
	extra   int64 // added to every burst, to make the oracle wrong
}

// pending is a waiting caller.
type pending struct {
	id     int
	n      int64
	served int64 // the instant
}

func (p *plan) add(c *commitment) *commitment {
	i, _ := slices.BinarySearchFunc(p.list, c.at+1, func(c *commitment, at int64) int { return cmp.Compare(c.at, at) })
	p.list = slices.Insert(p.list, i, c)
	return c
}

func (p *plan) burst(l ratelimit.Limit) int64 { return (l.Burst + p.extra) * int64(l.Per) }

// level returns the level of limit k at the instant at, and the commitments
// after it.
func (p *plan) level(k int, at int64) (level int64, later []*commitment) {
	l, last := p.limits[k], int64(math.MinInt64)
	burst := p.burst(l)
	l.N = p.rates[k]
	for _, c := range p.list {
		burst -= c.grow * int64(l.Per) // the burst at first
	}
	for i, c := range p.list {
		if c.at > at {
			later = p.list[i:]
			break
		}
		level, last = decay(level, l, last, c.at), c.at
		if c.rates != nil {
			l.N = c.rates[k]
		}
		switch burst += c.grow * int64(l.Per); {
		case c.reset:
			level = 0
		case c.empty > 0:
			level = max(level, burst+c.empty*l.N)
		default:
			level = max(0, level+(c.n+c.grow)*int64(l.Per))
		}
	}
	return decay(level, l, last, at), later
}

func decay(level int64, l ratelimit.Limit, from, to int64) int64 {
	if level == 0 {
		return 0
	}
	return max(0, level-(to-from)*l.N)
}

// fits reports whether n events fit at the instant at, and otherwise returns
// the instant at which they would if there were no later commitments.
func (p *plan) fits(at, n int64) (ok bool, next int64) {
	ok, next = true, at
	for k, l := range p.limits {
		level, later := p.level(k, at)
		level += n * int64(l.Per)
		if over := level - p.burst(l); over > 0 {
			ok, next = false, max(next, at+(over+l.N-1)/max(l.N, 1))
		}
		last := at
		for _, c := range later {
			level, last = level-(c.at-last)*l.N+c.n*int64(l.Per), c.at
			ok = ok && level <= p.burst(l)
		}
	}
	return ok, next
}

// earliest tries all instants at which an answer can change.
func (p *plan) earliest(n int64) int64 {
	tries := []int64{p.now}
	for _, c := range p.list {
		if c.at > p.now {
			tries = append(tries, c.at)
		}
	}
	for _, at := range tries {
		_, next := p.fits(at, n)
		tries = append(tries, next)
	}
	slices.Sort(tries)
	for _, at := range tries {
		if ok, _ := p.fits(at, n); ok {
			return at
		}
	}
	return math.MaxInt64
}

// full reports whether a limit like l has its whole burst again at an instant.
func (p *plan) full(l ratelimit.Limit, at int64) bool {
	last := p.now
	for _, c := range p.list {
		if c.n != 0 {
			last = max(last, c.at)
		}
	}
	for k := range p.limits {
		level, _ := p.level(k, last)
		if p.limits[k] == l && at == last+(level+l.N-1)/l.N {
			return true
		}
	}
	return false
}

// allows reports whether n events can ever be taken at once.
func (p *plan) allows(n int64) bool {
	for _, l := range p.limits {
		if n*int64(l.Per) > p.burst(l) {
			return false
		}
	}
	return true
}

// run lets callers wait until the instant to.
func (p *plan) run(to int64) {
	for len(p.waiting) > 0 {
		w := p.waiting[0]
		at := int64(math.MaxInt64)
		if p.allows(w.n) {
			at = p.earliest(w.n)
		}
		if at > to && at != math.MaxInt64 {
			break
		}
		if p.waiting, w.served = p.waiting[1:], p.now; at != math.MaxInt64 {
			p.add(&commitment{at: at, n: w.n})
			p.now, w.served = at, at
		} else {
			w.served = -1
		}
		p.served = append(p.served, w)
	}
	p.now = to
}

// excess returns by how much a limit is exceeded over any interval. See excess.
func (p *plan) excess() float64 {
	worst := 0.0
	for _, l := range p.limits {
		var events []event
		for _, c := range p.list {
			if !c.asked {
				events = append(events, event{c.at, c.n})
			}
		}
		if len(events) > 0 {
			worst = max(worst, float64(excess(l, events))/float64(l.Per))
		}
	}
	return worst
}

// A driver applies a random schedule to a Limiter and to a plan.
type driver struct {
	rand  *rand.Rand
	lim   *ratelimit.Limiter
	plan  *plan
	exact bool // instants are whole units: the answers must be equal
	log   strings.Builder
	held  []held

	wait    sync.WaitGroup
	cancels map[int]context.CancelFunc
	mu      sync.Mutex
	served  map[int]int64
}

type held struct {
	r *ratelimit.Reservation
	c *commitment
}

// Limits whose units are whole: 2 ns or 4 ns.
var binary = []ratelimit.Limit{
	ratelimit.Per(1, 1<<30).WithBurst(4), ratelimit.Per(4, 1<<30).WithBurst(3), ratelimit.Per(2, 1<<32).WithBurst(7), ratelimit.Per(1, 1<<28).WithBurst(1),
}

var odd = []ratelimit.Limit{
	ratelimit.PerSecond(333).WithBurst(7), ratelimit.Per(7, 13*time.Millisecond), ratelimit.PerSecond(1_000_003).WithBurst(3), ratelimit.PerSecond(0).WithBurst(60),
}

// grain is a quarter of the time of an event.
func grain(l ratelimit.Limit) int64 { return max(1, int64(l.Per)/max(l.N, 1)/4) }

func newDriver(seed uint64, exact bool, extra int64) *driver {
	d := &driver{rand: rand.New(rand.NewPCG(seed, 7)), exact: exact, cancels: map[int]context.CancelFunc{}, served: map[int]int64{}}
	from := odd
	if exact {
		from = binary
	}
	limits := []ratelimit.Limit{from[d.rand.IntN(len(from))]}
	for d.rand.IntN(3) == 0 {
		limits = append(limits, from[d.rand.IntN(len(from))])
	}
	d.lim = ratelimit.New(limits...)
	d.plan = &plan{limits: limits, rates: rates(limits), extra: extra}
	return d
}

func rates(limits []ratelimit.Limit) (all []int64) {
	for _, l := range limits {
		all = append(all, l.N)
	}
	return all
}

func (d *driver) limit() ratelimit.Limit { return d.plan.limits[0] }

// run makes the steps of a schedule and returns the first difference.
func (d *driver) run(ctx context.Context, steps int, asks bool) string {
	defer d.wait.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i := range steps {
		if diff := d.step(ctx, i, asks); diff != "" {
			return fmt.Sprintf("%v\n%sstep %d: %s", d.plan.limits, d.log.String(), i, diff)
		}
	}
	if over := d.plan.excess(); over > 0 && !asks {
		return fmt.Sprintf("%v\n%sexceeds the limit by %v events", d.plan.limits, d.log.String(), over)
	}
	return ""
}

func (d *driver) step(ctx context.Context, i int, asks bool) string {
	p, n, waiting := d.plan, 1+d.rand.Int64N(3), d.waiting()
	kinds, to := 12, p.now
	if asks {
		kinds = 18
	}
	kind := d.rand.IntN(kinds)
	fmt.Fprintf(&d.log, "%d: %d(%d) w%d ", p.now, kind, n, waiting)
	switch kind {
	case 0, 1, 2:
		gap := d.rand.Int64N(9) * grain(d.limit())
		time.Sleep(time.Duration(gap))
		to += gap
	case 3, 4:
		if !d.exact && d.rand.IntN(2) == 0 { // an instant that is not the present
			at := p.now + (d.rand.Int64N(7)-3)*grain(d.limit())
			fmt.Fprintf(&d.log, "at %d ", at)
			if d.lim.AllowAt(d.lim.Epoch().Add(time.Duration(at)), n) {
				p.add(&commitment{at: at, n: n})
			}
			break
		}
		if d.exact && d.rand.IntN(4) == 0 {
			want, _ := p.fits(p.now, n)
			for k, l := range p.limits {
				level, _ := p.level(k, p.now)
				want = want && 2*(level+n*int64(l.Per)) <= p.burst(l)
			}
			if got := d.lim.LowPriority(0.5).AllowN(n); got != (want && waiting == 0) {
				return fmt.Sprintf("low priority: AllowN(%d) is %v", n, got)
			}
			if want && waiting == 0 {
				p.add(&commitment{at: p.now, n: n})
			}
			break
		}
		before := d.lim.Peek()
		got := d.lim.Take(n)
		if diff := d.compareDecisions(before, got); diff != "" {
			return diff
		}
		if got.OK {
			p.add(&commitment{at: p.now, n: n})
		}
	case 5, 6, 7, 8:
		r := d.lim.Reserve(n)
		if waiting > 0 || !p.allows(n) {
			if r.OK() {
				return "reserved before waiting callers"
			}
			return ""
		}
		if !r.OK() {
			if slices.ContainsFunc(p.limits, func(l ratelimit.Limit) bool { return l.N == 0 }) {
				return ""
			}
			return fmt.Sprintf("Reserve(%d): %v", n, r.Err())
		}
		at := p.now + int64(r.Delay())
		if d.exact {
			if want := p.earliest(n); at != want {
				return fmt.Sprintf("Reserve(%d) is due at %d, want %d", n, at, want)
			}
		}
		d.held = append(d.held, held{r, p.add(&commitment{at: at, n: n})})
	case 9, 10:
		if len(d.held) > 0 {
			d.settle(d.rand.IntN(len(d.held)))
		}
	case 11:
		if id := d.rand.IntN(i + 1); d.cancels[id] != nil && d.rand.IntN(4) > 0 {
			d.cancels[id]()
			p.waiting = slices.DeleteFunc(p.waiting, func(w *pending) bool { return w.id == id })
		} else {
			d.enqueue(ctx, i, n)
		}
	default:
		d.ask(kind, n)
	}
	synctest.Wait()
	p.run(to)
	return d.compareServed()
}

// compareDecisions compares what Peek has returned, and then Take.
func (d *driver) compareDecisions(peek, take ratelimit.Decision) string {
	p := d.plan
	if !d.exact {
		return ""
	}
	fits, _ := p.fits(p.now, take.N)
	want := ratelimit.Decision{N: take.N, OK: fits && len(p.waiting) == 0, Limit: take.Limit, ResetAfter: take.ResetAfter, Remaining: take.Remaining}
	if !p.full(peek.Limit, p.now+int64(peek.ResetAfter)) {
		return fmt.Sprintf("%v is not full after exactly %v", peek.Limit, peek.ResetAfter)
	}
	if !want.OK {
		want.Retryable, want.RetryAfter = p.allows(take.N), take.RetryAfter
	}
	if len(p.waiting) > 0 {
		want.Remaining = 0 // and RetryAfter is a lower bound
	} else {
		left := int64(0)
		for ok := true; ok && p.allows(left); left++ {
			ok, _ = p.fits(p.now, left+1)
			if !ok {
				break
			}
		}
		if peek.Remaining != left {
			return fmt.Sprintf("%d remain, want %d", peek.Remaining, left)
		}
		if want.Retryable {
			want.RetryAfter = time.Duration(p.earliest(take.N) - p.now)
		}
	}
	if take != want {
		return fmt.Sprintf("Take is %+v, want %+v", take, want)
	}
	return ""
}

func (d *driver) waiting() int {
	callers, _ := d.lim.Waiting()
	return callers
}

func (d *driver) settle(i int) {
	h := d.held[i]
	d.held = slices.Delete(d.held, i, i+1)
	actual := d.rand.Int64N(h.c.n + 2)
	if d.rand.IntN(2) == 0 {
		actual = 0
	}
	h.r.Settle(actual)
	if more := actual - h.c.n; more > 0 {
		d.plan.add(&commitment{at: d.plan.now, n: more, asked: true})
	} else if !h.c.final {
		h.c.n = actual
	}
}

func (d *driver) enqueue(ctx context.Context, id int, n int64) {
	ctx, d.cancels[id] = context.WithCancel(ctx)
	d.wait.Go(func() {
		err := d.lim.WaitN(ctx, n)
		d.mu.Lock()
		defer d.mu.Unlock()
		switch now := int64(time.Since(d.lim.Epoch())); {
		case err == nil && !d.exact:
			d.plan.add(&commitment{at: now, n: n})
		case err == nil:
			d.served[id] = now
		case errors.Is(err, ratelimit.ErrLimited):
			d.served[id] = -1
		}
	})
	synctest.Wait()
	switch w := (&pending{id: id, n: n, served: -1}); {
	case !d.exact:
	case d.plan.allows(n):
		d.plan.waiting = append(d.plan.waiting, w)
	default:
		d.plan.served = append(d.plan.served, w)
	}
}

// ask changes the state without asking the limits.
func (d *driver) ask(kind int, n int64) {
	p := d.plan
	switch kind {
	case 12, 13:
		d.lim.Charge(n)
		p.add(&commitment{at: p.now, n: n, asked: true})
	case 14, 15:
		d.lim.Credit(n)
		p.add(&commitment{at: p.now, n: -n, asked: true})
	case 16:
		if d.rand.IntN(3) == 0 {
			d.lim.Reset()
			p.add(&commitment{at: p.now, asked: true, reset: true})
			return
		}
		d.lim.Penalize(time.Duration(n * grain(d.limit())))
		p.add(&commitment{at: p.now, asked: true, empty: n * grain(d.limit())})
	case 17:
		grow := d.rand.Int64N(3) - 1
		c := d.lim.Config()
		for i := range c.Limits {
			c.Limits[i].N = 1 << d.rand.IntN(3) // units stay whole
			if c.Limits[i].Burst += grow; c.Limits[i].Burst < 1 {
				return
			}
		}
		if err := d.lim.Set(c); err != nil {
			panic(err)
		}
		p.limits = c.Limits
		p.add(&commitment{at: p.now, asked: true, grow: grow, rates: rates(p.limits)})
		for _, h := range d.held {
			h.c.final = h.c.final || h.c.at <= p.now
		}
	}
}

// compareServed compares the callers that have been served.
func (d *driver) compareServed() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.exact {
		return ""
	}
	for _, w := range d.plan.served {
		if got, ok := d.served[w.id]; !ok || got != w.served {
			return fmt.Sprintf("caller %d is served at %d (%v), want %d", w.id, got, ok, w.served)
		}
	}
	if len(d.served) != len(d.plan.served) {
		return fmt.Sprintf("%d callers are served, want %d", len(d.served), len(d.plan.served))
	}
	if got, want := d.waiting(), len(d.plan.waiting); got != want {
		return fmt.Sprintf("%d callers wait, want %d", got, want)
	}
	return ""
}

// differences runs schedules and returns the first few that differ.
func differences(t *testing.T, from uint64, count int, exact, asks bool, extra int64) (failed int, first string) {
	if raceEnabled {
		count = (count + 9) / 10
	}
	synctest.Test(t, func(t *testing.T) {
		for i := range count {
			d := newDriver(from+uint64(i), exact, extra)
			if diff := d.run(t.Context(), 20+i%40, asks); diff != "" {
				if failed++; first == "" || len(diff) < len(first) {
					first = fmt.Sprintf("seed %d: %s", from+uint64(i), diff)
				}
			}
		}
	})
	return failed, first
}

func TestPropertyMostGenerousSafeAnswer(t *testing.T) {
	// Oracle: plan. Half of the schedules have no charges and the like. For
	// these, the definition of a limit is checked too.
	for i, asks := range []bool{false, true} {
		if failed, first := differences(t, uint64(i*1e9), *schedules/2, true, asks, 0); failed > 0 {
			t.Errorf("charges %v: %d schedules differ, for example\n%s", asks, failed, first)
		}
	}
}

func TestPropertyNeverExceeds(t *testing.T) {
	// Oracle: the definition of a limit, with rates that are not whole units.
	if failed, first := differences(t, 2e9, *schedules/5, false, false, 0); failed > 0 {
		t.Errorf("%d schedules exceed a limit, for example\n%s", failed, first)
	}
}

func TestPlanBites(t *testing.T) {
	// A plan whose bursts are an event larger must differ.
	if failed, _ := differences(t, 3e9, 100, true, false, 1); failed < 5 {
		t.Errorf("%d of 100 schedules differ from a wrong plan, want 5 or more", failed)
	}
}
