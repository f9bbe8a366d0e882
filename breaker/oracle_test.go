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

// variants are the configurations under test, with all defaults written out and no chance in them.
func variants() []breaker.Config {
	base := breaker.Config{
		Name: "dep", Window: 10 * time.Second, MinCalls: 4, FailureRatio: 0.5, Consecutive: 3, SlowRatio: 0.5,
		OpenFor: time.Second, MaxOpenFor: 8 * time.Second, Jitter: -1, Probes: 2, ProbeTimeout: 3 * time.Second,
	}
	count, slow, ramp, all := base, base, base, base
	count.WindowCalls = 6
	slow.SlowCall = 2 * time.Second
	ramp.RampUp, ramp.MinCalls, ramp.Consecutive = 4*time.Second, 8, -1
	all.SlowCall, all.RampUp, all.Window, all.FailureRatio, all.MaxOpenFor = time.Second, 5*time.Second, 5*time.Second, -1, time.Second
	return []breaker.Config{base, count, slow, ramp, all}
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

func (r *rig) see() seen { return seen{r.result, r.b.State(), r.b.Stats(), r.events} }

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
	c, err := r.b.Allow(bg)
	var refusal *breaker.OpenError
	if errors.As(err, &refusal) {
		r.result = fmt.Sprint(refusal.State, " ", refusal.RetryAfter())
		return false
	}
	r.calls = append(r.calls, c)
	r.result = "admitted"
	return true
}

// An oracle is a breaker as simple as can be: it keeps every call of the present period and counts when asked.
type oracle struct {
	cfg           breaker.Config
	now           time.Duration
	state         breaker.State
	since, until  time.Duration // the period; until is since if it has no end
	period        int
	log           []logged
	run           int
	lastFailure   time.Duration
	openings      int
	lastOpen      time.Duration
	probes        []time.Duration
	passed        int
	credit        float64
	shadowed      bool
	shadowedUntil time.Duration
	calls         []running
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

func (m *oracle) clone() *oracle {
	c := *m
	c.log, c.probes, c.calls, c.events = slices.Clone(m.log), slices.Clone(m.probes), slices.Clone(m.calls), slices.Clone(m.events)
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
		m.openings, m.lastOpen = 0, 0
		if m.state == breaker.StateClosed {
			m.begin(breaker.StateClosed, m.now, 0)
		} else {
			m.move(breaker.StateClosed, m.now, 0, "reset")
		}
	}
}

func (m *oracle) see() seen {
	s := seen{Result: m.result, State: m.state, Events: m.events}
	st := m.totals
	st.Name, st.StateFor, st.Consecutive, st.Probes, st.Backoff = m.cfg.Name, m.now-m.since, m.run, len(m.probes), m.openings
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
	w := m.window()
	st.State, st.WindowCalls, st.WindowFailures, st.WindowSlow, st.Overdue = s.State, len(w), count(w, logged.isFailed), count(w, logged.isSlow), m.overdue()
	s.Stats = st
	return s
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

// overdue counts calls that run for SlowCall or longer since the end of the tenth they began in.
func (m *oracle) overdue() (n int) {
	if m.cfg.SlowCall <= 0 || m.state == breaker.StateHalfOpen {
		return 0
	}
	for _, c := range m.calls {
		end := m.since + (m.tenth(c.start)+1)*(m.cfg.Window/10)
		if c.period == m.period && end <= m.now-m.cfg.SlowCall {
			n++
		}
	}
	return n
}

func (m *oracle) settle() {
	if m.state == breaker.StateHalfOpen && len(m.probes) > 0 && m.now >= m.probes[0]+m.cfg.ProbeTimeout {
		m.open(m.probes[0]+m.cfg.ProbeTimeout, 0, "probe timeout")
	}
	if m.state == breaker.StateRecovering && m.now >= m.until {
		m.events = append(m.events, eventText(breaker.KindTransition, m.state, breaker.StateClosed, "ramp over", 0))
		m.state = breaker.StateClosed
	}
}

func (m *oracle) allow() bool {
	if m.state == breaker.StateOpen && m.now >= m.until {
		m.move(breaker.StateHalfOpen, m.now, 0, "open period over")
	}
	if m.cfg.SlowCall > 0 && (m.state == breaker.StateClosed || m.state == breaker.StateForcedClosed || m.state == breaker.StateRecovering) {
		m.judge()
	}
	ok := false
	switch m.state {
	case breaker.StateClosed, breaker.StateForcedClosed:
		ok = true
	case breaker.StateHalfOpen:
		if ok = m.passed+len(m.probes) < m.cfg.Probes; ok {
			m.probes = append(m.probes, m.now)
		}
	case breaker.StateRecovering:
		m.credit += m.share()
		if ok = m.credit >= 1; ok {
			m.credit--
		}
	}
	if !ok {
		m.totals.Rejected++
		retry := time.Duration(0)
		if m.state == breaker.StateOpen {
			retry = m.until - m.now
		}
		m.result = fmt.Sprint(m.state, " ", retry)
		return false
	}
	m.result = "admitted"
	m.calls = append(m.calls, running{m.period, m.now})
	return true
}

func (m *oracle) share() float64 {
	return max(0.05, min(1, float64(m.now-m.since)/float64(m.cfg.RampUp)))
}

func (m *oracle) finish(i int, o breaker.Outcome) {
	c := m.calls[i]
	m.calls = slices.Delete(m.calls, i, i+1)
	if c.period != m.period {
		m.totals.Late++
		return
	}
	slow := m.cfg.SlowCall > 0 && m.now-c.start >= m.cfg.SlowCall
	if m.state == breaker.StateHalfOpen {
		i := slices.Index(m.probes, c.start)
		m.probes = slices.Delete(m.probes, i, i+1)
	}
	if o == breaker.OutcomeIgnored {
		m.totals.Ignored++
		return
	}
	m.log = append(m.log, logged{m.now, o == breaker.OutcomeFailure, slow})
	if slow {
		m.totals.Slow++
	}
	if o == breaker.OutcomeFailure {
		m.totals.Failures++
		if m.now-m.lastFailure > m.cfg.MaxOpenFor {
			m.run = 0
		}
		m.run++
		m.lastFailure = m.now
	} else {
		m.totals.Successes++
		m.run = 0
	}
	switch {
	case m.state != breaker.StateHalfOpen:
		m.judge()
	case o == breaker.OutcomeFailure:
		m.open(m.now, 0, "probe failed")
	case slow:
		m.open(m.now, 0, "probe slow")
	default:
		m.pass()
	}
}

func (m *oracle) pass() {
	if m.passed++; m.passed < m.cfg.Probes {
		return
	}
	if m.cfg.RampUp > 0 {
		m.move(breaker.StateRecovering, m.now, m.cfg.RampUp, "probes succeeded")
	} else {
		m.move(breaker.StateClosed, m.now, 0, "probes succeeded")
	}
}

// judge applies the rules, always.
func (m *oracle) judge() {
	w, over := m.window(), m.overdue()
	calls, failures, slow := len(w), count(w, logged.isFailed), count(w, logged.isSlow)
	need := m.cfg.MinCalls
	if m.state == breaker.StateRecovering {
		for need > 3 && float64(need-1) >= m.share()*float64(m.cfg.MinCalls) {
			need--
		}
	}
	reason := ""
	switch {
	case m.cfg.FailureRatio > 0 && calls >= need && float64(failures)/float64(calls) >= m.cfg.FailureRatio:
		reason = "failure ratio"
	case m.cfg.Consecutive > 0 && m.run >= m.cfg.Consecutive && (calls < need || m.cfg.FailureRatio < 0):
		reason = "consecutive failures"
	case m.cfg.SlowCall > 0 && calls+over >= need && float64(slow+over)/float64(calls+over) >= m.cfg.SlowRatio:
		reason = "slow calls"
	}
	if m.state != breaker.StateForcedClosed {
		if reason != "" {
			m.open(m.now, 0, reason)
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
			m.begin(breaker.StateOpen, m.now, d)
		}
	default:
		m.open(m.now, d, "tripped")
	}
}

func (m *oracle) force(s breaker.State) {
	if m.state != s {
		m.move(s, m.now, 0, "forced")
	}
}

func (m *oracle) open(at, d time.Duration, reason string) {
	if (m.state == breaker.StateClosed || m.state == breaker.StateRecovering) && at-m.since >= m.lastOpen {
		m.openings = 0
	}
	m.openings++
	m.totals.Openings++
	if d <= 0 {
		d = min(m.cfg.OpenFor<<min(m.openings-1, 20), m.cfg.MaxOpenFor)
	}
	m.lastOpen = d
	m.move(breaker.StateOpen, at, d, reason)
}

func (m *oracle) move(to breaker.State, at, d time.Duration, reason string) {
	if m.shadowed {
		m.events = append(m.events, eventText(breaker.KindShadow, breaker.StateOpen, breaker.StateClosed, reason, 0))
	}
	openFor := d
	if to != breaker.StateOpen {
		openFor = 0
	}
	m.events = append(m.events, eventText(breaker.KindTransition, m.state, to, reason, openFor))
	m.begin(to, at, d)
}

func (m *oracle) begin(s breaker.State, at, d time.Duration) {
	m.state, m.since, m.until, m.credit = s, at, at+d, 0
	if s == breaker.StateRecovering {
		m.credit = 1
	}
	m.period++
	m.log, m.run, m.probes, m.passed, m.shadowed = nil, 0, nil, 0, false
}
