package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/breaker"
)

// An op is one thing done to a breaker, or to its clock.
type op struct {
	kind opKind
	arg  uint8
}

type opKind uint8

const (
	allow   opKind = iota // ask for admission; the call runs on
	finish                // the call that arg selects ends; arg also selects the outcome
	call                  // a call from beginning to end, with the outcome that arg selects
	advance               // time passes, up to 2.5 s
	rest                  // much time passes, up to 25 s
	trip                  // Trip, for up to 2.5 s
	forceOpen
	forceClosed
	reset
	opKinds
)

func (o op) String() string {
	names := [...]string{"allow", "finish", "call", "advance", "rest", "trip", "forceOpen", "forceClosed", "reset"}
	return fmt.Sprintf("%s(%d)", names[o.kind], o.arg)
}

// outcome selects one, successes and failures being equally likely.
func (o op) outcome() breaker.Outcome {
	return [...]breaker.Outcome{breaker.OutcomeSuccess, breaker.OutcomeFailure, breaker.OutcomeSuccess, breaker.OutcomeFailure, breaker.OutcomeIgnored}[o.arg%5]
}

func (o op) duration() time.Duration {
	if o.kind == rest {
		return time.Duration(o.arg) * 100 * time.Millisecond
	}
	return time.Duration(o.arg) * 10 * time.Millisecond
}

// variants are the configurations under test, with all defaults written out
// and no chance in them.
func variants() []breaker.Config {
	base := breaker.Config{
		Name: "dep", Window: 10 * time.Second, MinCalls: 4, FailureRatio: 0.5, Consecutive: 3, SlowCall: -1, SlowRatio: 0.5,
		OpenFor: time.Second, MaxOpenFor: 8 * time.Second, Jitter: -1, Probes: 2, ProbeTimeout: 3 * time.Second,
	}
	count, slow, high, all := base, base, base, base
	count.WindowCalls = 6
	slow.SlowCall = 2 * time.Second
	high.MinCalls, high.Consecutive, high.Probes = 8, 3, 3
	all.SlowCall, all.Window, all.FailureRatio, all.MaxOpenFor, all.Probes = time.Second, 5*time.Second, -1, time.Second, 1
	return []breaker.Config{base, count, slow, high, all}
}

// A seen is all that can be observed after an op.
type seen struct {
	Result string // of an admission
	State  breaker.State
	Stats  breaker.Stats
	Events []string // so far
}

// diff is cmp.Diff, quick if there is no difference.
func (s seen) diff(got seen) string {
	if s.Result == got.Result && s.State == got.State && s.Stats == got.Stats && slices.Equal(s.Events, got.Events) {
		return ""
	}
	return cmp.Diff(s, got)
}

func eventText(k breaker.Kind, from, to breaker.State, reason string, d time.Duration) string {
	return fmt.Sprint(k, " ", from, " to ", to, ", ", reason, " ", d)
}

// measured is a context with which the breaker reads the clock at the start of
// each call, as it does not with context.Background().
var measured = context.WithoutCancel(context.Background())

// A rig is a breaker with its calls in flight.
type rig struct {
	b      *breaker.Breaker
	calls  []*breaker.Call
	twice  bool // report everything twice, with another outcome the second time
	result string
	events []string
}

func newRig(cfg breaker.Config) *rig {
	r := &rig{}
	cfg.OnEvent = func(_ context.Context, e breaker.Event) {
		r.events = append(r.events, eventText(e.Kind, e.From, e.To, e.Reason, e.OpenFor))
	}
	r.b = breaker.New(cfg)
	return r
}

func (r *rig) do(o op) seen {
	r.result = ""
	switch o.kind {
	case allow:
		r.allow()
	case finish:
		if len(r.calls) > 0 {
			i := int(o.arg) % len(r.calls)
			r.report(i, o.outcome())
		}
	case call:
		if r.allow() {
			r.report(len(r.calls)-1, o.outcome())
		}
	case advance, rest:
		time.Sleep(o.duration())
	case trip:
		r.b.Trip(o.duration(), errDown)
	case forceOpen:
		r.b.ForceOpen()
	case forceClosed:
		r.b.ForceClosed()
	case reset:
		r.b.Reset()
	}
	return r.see()
}

func (r *rig) see() seen {
	s := r.b.Stats()
	s.Hint, s.Reason = "", ""
	return seen{r.result, r.b.State(), s, r.events}
}

func (r *rig) report(i int, o breaker.Outcome) {
	c := r.calls[i]
	r.calls = slices.Delete(r.calls, i, i+1)
	c.Report(o)
	if r.twice {
		c.Report((o + 1) % 3)
		c.Done(errDown)
	}
}

func (r *rig) allow() bool {
	c, err := r.b.Allow(measured)
	var refusal *breaker.OpenError
	if errors.As(err, &refusal) {
		r.result = fmt.Sprint(refusal.State, " ", refusal.RetryAfter())
		return false
	}
	r.calls = append(r.calls, c)
	r.result = "admitted"
	return true
}

// An oracle is a breaker as simple as can be: it keeps every call of the
// present period and counts when asked.
type oracle struct {
	cfg           breaker.Config
	now           time.Duration
	state         breaker.State
	since, until  time.Duration // of the period; until is since if it has no end
	period        int
	log           []logged
	run           int
	runSince      time.Duration
	outage        time.Duration
	lastOpen      time.Duration
	refused       uint64 // rejected calls at the last opening
	reopened      bool   // by a probe
	places        []time.Duration
	passed        int
	ramp          ramp
	shadowed      bool
	shadowedUntil time.Duration
	calls         []running
	begun, ended  int // calls of the period
	older, newer  mark
	quiet         mark          // when a tenth with a success last ended
	rotated       time.Duration // the tenth to which the breaker has rotated its window
	opening       breaker.Stats // the window that opened it
	usual         time.Duration
	samples       int
	totals        breaker.Stats // its counters
	result        string
	events        []string
}

type logged struct {
	at           time.Duration
	failed, slow bool
}

type running struct {
	period int
	start  time.Duration
}

type mark struct {
	at        time.Duration
	begun     int
	successes uint64
}

type ramp struct {
	limit           float64
	running, wanted int
	lowest          time.Duration
	end, grown, cut time.Duration
	last            time.Duration
	busy            float64
	failing         bool
}

// took takes the duration of a success.
func (r *ramp) took(d, usual time.Duration) {
	if r.lowest == 0 || d < r.lowest {
		r.lowest = d
	}
	r.busy -= r.busy / 8
	if d > 3*usual && d > r.lowest+r.lowest/8 {
		r.busy += 0.125
	}
}

func (m *oracle) clone() *oracle {
	c := *m
	c.log, c.places, c.calls, c.events = slices.Clone(m.log), slices.Clone(m.places), slices.Clone(m.calls), slices.Clone(m.events)
	return &c
}

func (m *oracle) do(o op) {
	m.result = ""
	switch o.kind {
	case advance, rest:
		m.now += o.duration()
		return
	case finish:
		if len(m.calls) == 0 {
			return
		}
	}
	m.settle()
	switch o.kind {
	case allow:
		m.allow()
	case finish:
		m.finish(int(o.arg)%len(m.calls), o.outcome())
	case call:
		if m.allow() {
			m.finish(len(m.calls)-1, o.outcome())
		}
	case trip:
		m.trip(o.duration())
	case forceOpen:
		m.force(breaker.StateForcedOpen)
	case forceClosed:
		m.force(breaker.StateForcedClosed)
	case reset:
		m.outage, m.lastOpen = 0, 0
		if m.state == breaker.StateClosed {
			m.begin(breaker.StateClosed, 0)
		} else {
			m.move(breaker.StateClosed, 0, "reset")
		}
	}
}

func (m *oracle) see() seen {
	s := seen{Result: m.result, State: m.state, Events: m.events}
	st := m.totals
	st.Name, st.StateFor, st.Probes, st.Usual = m.cfg.Name, m.now-m.since, len(m.places), m.usual
	if m.remembers() {
		st.OutageFor = m.now - m.outage
	}
	if m.state == breaker.StateOpen {
		st.RetryAfter = max(0, m.until-m.now)
	}
	if m.until > m.since && m.now >= m.until {
		st.StateFor = m.now - m.until
		s.State = breaker.StateHalfOpen
		if m.state != breaker.StateOpen {
			s.State = breaker.StateClosed
		}
	}
	if s.State == breaker.StateRecovering {
		st.Limit = int(m.ramp.limit)
	}
	w := m.opening
	if m.state != breaker.StateOpen {
		w = m.figures()
	}
	st.State, st.WindowCalls, st.WindowFailures, st.WindowSlow, st.Overdue, st.Consecutive = s.State, w.WindowCalls, w.WindowFailures, w.WindowSlow, w.Overdue, w.Consecutive
	s.Stats = st
	return s
}

func (m *oracle) figures() breaker.Stats {
	w := m.window()
	return breaker.Stats{
		WindowCalls: len(w), WindowFailures: count(w, logged.isFailed), WindowSlow: count(w, logged.isSlow),
		Overdue: m.overdue(), Consecutive: m.run,
	}
}

func (l logged) isFailed() bool { return l.failed }
func (l logged) isSlow() bool   { return l.slow }

func count(w []logged, is func(logged) bool) (n int) {
	for _, l := range w {
		if is(l) {
			n++
		}
	}
	return n
}

// window is the calls of the period that are not forgotten.
func (m *oracle) window() []logged {
	if n := m.cfg.WindowCalls; n > 0 {
		return m.log[max(0, len(m.log)-n):]
	}
	var w []logged
	for _, l := range m.log {
		if m.tenth(l.at) > m.tenth(m.now)-10 {
			w = append(w, l)
		}
	}
	return w
}

func (m *oracle) tenth(at time.Duration) time.Duration { return (at - m.since) / (m.cfg.Window / 10) }

func (m *oracle) mark() mark { return mark{m.now, m.begun, m.totals.Successes} }

// rotate is called when the breaker looks at the clock with its lock held.
func (m *oracle) rotate() bool {
	if m.tenth(m.now) == m.rotated {
		return false
	}
	end := m.since + (m.rotated+1)*(m.cfg.Window/10)
	m.rotated = m.tenth(m.now)
	if m.totals.Successes != m.quiet.successes {
		m.quiet = mark{at: end, successes: m.totals.Successes}
	}
	if m.now-m.newer.at >= max(0, m.cfg.SlowCall)/2 {
		m.older, m.newer = m.newer, m.mark()
	}
	return true
}

func (m *oracle) overdue() int {
	if m.cfg.SlowCall < 0 || m.now-m.older.at < m.cfg.SlowCall || m.newer.at == m.older.at || m.state == breaker.StateHalfOpen {
		return 0
	}
	if m.now-m.quiet.at < m.cfg.SlowCall || m.quiet.successes != m.totals.Successes {
		return 0
	}
	return max(0, m.older.begun-m.ended)
}

func (m *oracle) settle() {
	if m.state == breaker.StateRecovering && m.now >= m.until {
		m.events = append(m.events, eventText(breaker.KindTransition, m.state, breaker.StateClosed, "recovered", 0))
		m.state = breaker.StateClosed
	}
}

func (m *oracle) judged() bool {
	return m.state == breaker.StateClosed || m.state == breaker.StateForcedClosed || m.state == breaker.StateRecovering
}

func (m *oracle) allow() bool {
	switch {
	case m.state == breaker.StateForcedOpen || m.state == breaker.StateOpen && m.now < m.until:
		return m.admitted(false)
	case m.state == breaker.StateOpen:
		m.move(breaker.StateHalfOpen, 0, "open period over")
	}
	// In the same tenth, a closed breaker does not look for overdue calls.
	if rotated := m.rotate(); m.judged() && (rotated || m.state == breaker.StateRecovering) && m.overdue() > 0 {
		m.judge()
	}
	switch m.state {
	case breaker.StateClosed, breaker.StateForcedClosed:
		return m.admitted(true)
	case breaker.StateHalfOpen:
		m.places = slices.DeleteFunc(m.places, func(at time.Duration) bool { return at <= m.now-m.cfg.ProbeTimeout })
		most := m.cfg.Probes
		if m.reopened && m.passed == 0 {
			most = 1
		}
		if m.passed+len(m.places) < most {
			m.places = append(m.places, m.now)
			return m.admitted(true)
		}
	case breaker.StateRecovering:
		r := &m.ramp
		full := func() bool {
			if r.limit >= 1 {
				return r.running >= int(r.limit)
			}
			return r.running > 0 || float64(m.now-r.end)*r.limit < (1-r.limit)*float64(r.last)
		}
		wait := full()
		if silence := m.now - r.grown; wait {
			if !r.failing && silence >= max(m.cfg.OpenFor/4, r.lowest/4) && m.now-r.end <= 2*r.lowest {
				r.limit, r.grown, wait = 2*r.limit, m.now, false
			} else if silence >= m.cfg.ProbeTimeout {
				r.running, r.grown, wait = r.running-1, m.now, false
			}
		}
		if !wait {
			r.running++
			return m.admitted(true)
		}
		r.wanted = min(r.wanted+1, max(1, int(r.limit)))
		m.until = m.now + 2*m.lastOpen
	}
	return m.admitted(false)
}

func (m *oracle) admitted(ok bool) bool {
	if ok {
		m.result = "admitted"
		m.calls = append(m.calls, running{m.period, m.now})
		m.begun++
		return true
	}
	m.totals.Rejected++
	retry := time.Duration(0)
	if m.state == breaker.StateOpen {
		retry = m.until - m.now
	}
	m.result = fmt.Sprint(m.state, " ", retry)
	return false
}

// learn moves usual towards d, by a quarter at most for the first successes. A
// hash of the time chooses among later successes.
func (m *oracle) learn(d time.Duration) {
	d = max(1, min(d, time.Hour))
	step := time.Duration(4)
	closed := m.state == breaker.StateClosed || m.state == breaker.StateForcedClosed
	switch {
	case m.samples < 32 && (closed || m.usual == 0):
		m.samples++
	case uint64(m.now+1)*0x9e3779b97f4a7c15>>60 != 0:
		return
	default:
		step = 16
	}
	switch {
	case m.usual == 0:
		m.usual = d
	case d > m.usual:
		m.usual = min(d, m.usual+m.usual/step+1)
	default:
		m.usual = max(d, m.usual-m.usual/step)
	}
}

func (m *oracle) finish(i int, o breaker.Outcome) {
	c := m.calls[i]
	m.calls = slices.Delete(m.calls, i, i+1)
	if c.period != m.period {
		m.totals.Late++
		return
	}
	if o == breaker.OutcomeSuccess {
		m.learn(m.now - c.start)
	}
	m.rotate()
	m.ended++
	slow := m.cfg.SlowCall > 0 && m.now-c.start >= m.cfg.SlowCall
	switch o {
	case breaker.OutcomeIgnored:
		m.totals.Ignored++
	case breaker.OutcomeFailure:
		m.totals.Failures++
		if m.run++; m.run == 1 {
			m.runSince = m.now
		}
	default:
		m.totals.Successes++
		m.run = 0
	}
	if o != breaker.OutcomeIgnored {
		m.log = append(m.log, logged{m.now, o == breaker.OutcomeFailure, slow})
		if slow {
			m.totals.Slow++
		}
	}
	switch m.state {
	case breaker.StateHalfOpen:
		m.probed(c, o, slow)
		return
	case breaker.StateRecovering:
		m.recovering(c, o)
	}
	if o != breaker.OutcomeIgnored {
		m.judge()
	}
}

func (m *oracle) probed(c running, o breaker.Outcome, slow bool) {
	i := slices.Index(m.places, c.start)
	if i >= 0 {
		m.places = slices.Delete(m.places, i, i+1)
	}
	switch {
	case o == breaker.OutcomeIgnored:
	case o == breaker.OutcomeFailure && (i >= 0 || m.passed == 0):
		m.open(0, "probe failed")
	case o == breaker.OutcomeFailure:
	case slow && (i >= 0 || m.passed == 0):
		m.open(0, "probe slow")
	case slow:
	default:
		m.ramp.took(max(1, m.now-c.start), 0)
		m.ramp.end, m.ramp.grown, m.ramp.last = m.now, m.now, m.now-c.start
		if m.passed++; m.passed < m.cfg.Probes {
			return
		}
		if m.totals.Rejected-m.refused <= 2*uint64(m.cfg.Probes) {
			m.move(breaker.StateClosed, 0, "probes succeeded")
			return
		}
		r, bears := m.ramp, m.cfg.Probes+m.begun-m.ended
		m.move(breaker.StateRecovering, 2*m.lastOpen, "probes succeeded")
		m.ramp = r
		m.ramp.limit, m.ramp.cut = float64(bears), m.now
	}
}

func (m *oracle) recovering(c running, o breaker.Outcome) {
	r := &m.ramp
	r.running = max(0, r.running-1)
	if o == breaker.OutcomeIgnored {
		return
	}
	r.end, r.grown, r.last, r.failing = m.now, m.now, m.now-c.start, o == breaker.OutcomeFailure
	if r.failing {
		m.until = m.now + 2*m.lastOpen
		if c.start >= r.cut {
			r.limit, r.cut, r.wanted = max(1.0/16, r.limit/2), m.now, 0
		}
		return
	}
	r.took(max(1, m.now-c.start), m.usual)
	if r.busy > 0.5 {
		m.until = m.now + 2*m.lastOpen
	}
	if r.wanted > 0 {
		r.wanted--
		if r.busy <= 0.5 {
			r.limit += min(r.limit, 1)
		} else {
			r.limit += min(r.limit, 1/r.limit) / 16
		}
	}
}

// judge applies the rules.
func (m *oracle) judge() {
	f, c := m.figures(), m.cfg
	over := f.Overdue
	calls, run := f.WindowCalls+over, f.Consecutive+over
	failing := "consecutive failures"
	if over > f.Consecutive {
		failing = "hanging calls"
	}
	share := func(n int) float64 { return float64(n) / float64(calls) }
	reason := ""
	switch enough := calls >= c.MinCalls; {
	case enough && c.FailureRatio > 0 && share(f.WindowFailures) >= c.FailureRatio:
		reason = "failure ratio"
	case enough && c.FailureRatio > 0 && share(f.WindowFailures+over) >= c.FailureRatio:
		reason = failing
	case m.state == breaker.StateRecovering && run >= max(5, c.Consecutive) && run >= int(m.ramp.limit):
		reason = failing
	case run >= c.Consecutive && (!enough || c.FailureRatio < 0):
		reason = failing
	case run >= c.Consecutive && run >= c.MinCalls/2 && (over > 0 || run > 0 && m.now-m.runSince >= c.Window/10):
		reason = failing
	case enough && c.SlowCall > 0 && share(f.WindowSlow+over) >= c.SlowRatio:
		reason = "slow calls"
	}
	if m.state != breaker.StateForcedClosed {
		if reason != "" {
			m.open(0, reason)
		}
		return
	}
	if reason != "" && !m.shadowed {
		m.shadowed, m.shadowedUntil = true, m.now+m.cfg.OpenFor
		m.events = append(m.events, eventText(breaker.KindShadow, breaker.StateClosed, breaker.StateOpen, reason, m.cfg.OpenFor))
	}
	if reason == "" && m.shadowed && m.now >= m.shadowedUntil {
		m.shadowed = false
		m.events = append(m.events, eventText(breaker.KindShadow, breaker.StateOpen, breaker.StateClosed, "window recovered", 0))
	}
}

func (m *oracle) trip(d time.Duration) {
	switch {
	case m.state == breaker.StateForcedOpen || m.state == breaker.StateForcedClosed:
	case m.state == breaker.StateOpen && m.now < m.until:
		if d > m.until-m.now {
			opening := m.opening
			m.begin(breaker.StateOpen, d)
			m.opening, m.lastOpen = opening, d
		}
	default:
		m.open(d, "tripped")
	}
}

func (m *oracle) force(s breaker.State) {
	if m.state != s {
		m.move(s, 0, "forced")
	}
}

func (m *oracle) remembers() bool {
	closed := m.state == breaker.StateClosed || m.state == breaker.StateRecovering
	return m.lastOpen > 0 && !(closed && m.now-m.since >= m.lastOpen)
}

func (m *oracle) open(d time.Duration, reason string) {
	if !m.remembers() {
		m.outage = m.now
	}
	m.reopened = m.state == breaker.StateHalfOpen && reason != "tripped"
	m.totals.Openings++
	if d <= 0 {
		d = min(max(m.cfg.OpenFor, (m.now-m.outage)/40), m.cfg.MaxOpenFor)
	}
	m.lastOpen, m.refused = d, m.totals.Rejected
	opening := m.figures()
	m.move(breaker.StateOpen, d, reason)
	m.opening = opening
}

func (m *oracle) move(to breaker.State, d time.Duration, reason string) {
	if m.shadowed {
		m.events = append(m.events, eventText(breaker.KindShadow, breaker.StateOpen, breaker.StateClosed, reason, 0))
	}
	openFor := d
	if to != breaker.StateOpen {
		openFor = 0
	}
	m.events = append(m.events, eventText(breaker.KindTransition, m.state, to, reason, openFor))
	m.begin(to, d)
}

func (m *oracle) begin(s breaker.State, d time.Duration) {
	m.state, m.since, m.until, m.rotated = s, m.now, m.now+d, 0
	m.period++
	m.log, m.run, m.places, m.passed, m.shadowed, m.ramp = nil, 0, nil, 0, false, ramp{}
	m.begun, m.ended = 0, 0
	m.older = m.mark()
	m.newer, m.quiet = m.older, m.older
}
