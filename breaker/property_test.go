package breaker_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/commands"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"github.com/redoubt-go/redoubt/breaker"
)

// checkProperty runs a property in a bubble, with a seed of its own each time.
func checkProperty(t *testing.T, name string, p gopter.Prop) {
	t.Helper()
	parameters := gopter.DefaultTestParametersWithSeed(time.Now().UnixNano())
	parameters.MinSuccessfulTests = 150
	if raceEnabled {
		parameters.MinSuccessfulTests = 50
	}
	synctest.Test(t, func(t *testing.T) {
		properties := gopter.NewProperties(parameters)
		properties.Property(name, p)
		properties.TestingRun(t)
	})
}

func genConfig() gopter.Gen {
	var all []any
	for _, v := range variants() {
		all = append(all, v)
	}
	return gen.OneConstOf(all...)
}

// genOp makes calls and passing time common, commands rare.
func genOp() gopter.Gen {
	weights := []opKind{allow, allow, allow, finish, finish, finish, call, call, call, call, call, call, advance, advance, advance, rest, trip}
	return gopter.CombineGens(gen.IntRange(0, 3*len(weights)+2), gen.UInt8()).Map(func(v []any) op {
		i, arg := v[0].(int), v[1].(uint8)
		if i < 3*len(weights) {
			return op{weights[i%len(weights)], arg}
		}
		return op{forceOpen + opKind(i-3*len(weights)), arg}
	})
}

func genOps() gopter.Gen { return gen.SliceOfN(150, genOp()) }

// A step is an op as a command of gopter.
type step struct{ op }

func (s step) Run(sut commands.SystemUnderTest) commands.Result { return sut.(*rig).do(s.op) }

func (s step) NextState(state commands.State) commands.State {
	m := state.(*oracle).clone()
	m.do(s.op)
	return m
}

func (step) PreCondition(commands.State) bool { return true }

func (s step) PostCondition(state commands.State, result commands.Result) *gopter.PropResult {
	if d := state.(*oracle).see().diff(result.(seen)); d != "" {
		return &gopter.PropResult{Status: gopter.PropFalse, Labels: []string{fmt.Sprint(s.op, ": ", d)}}
	}
	return &gopter.PropResult{Status: gopter.PropTrue}
}

// TestModel compares everything that can be observed with the oracle, after
// each command.
func TestModel(t *testing.T) {
	for i, cfg := range variants() {
		checkProperty(t, fmt.Sprint("variant ", i), commands.Prop(&commands.ProtoCommands{
			NewSystemUnderTestFunc: func(commands.State) commands.SystemUnderTest { return newRig(cfg) },
			InitialStateGen:        gen.Const(cfg).Map(func(cfg breaker.Config) *oracle { return &oracle{cfg: cfg} }),
			GenCommandFunc: func(commands.State) gopter.Gen {
				return genOp().Map(func(o op) commands.Command { return step{o} })
			},
		}))
	}
}

// TestNeverMoreThanProbes: of the calls admitted while the breaker is
// half-open, never more than Probes hold a place. The oracle is the
// configuration.
func TestNeverMoreThanProbes(t *testing.T) {
	checkProperty(t, "NeverMoreThanProbes", prop.ForAll(func(cfg breaker.Config, ops []op) string {
		r := newRig(cfg)
		for _, o := range ops {
			s := r.do(o)
			if n := s.Stats.Probes; n > cfg.Probes {
				return fmt.Sprintf("%d probes running after %v", n, o)
			}
		}
		return ""
	}, genConfig(), genOps()))
}

// TestLateResultsAreInert: a run in which late results are reported is like the
// run in which they are not. The oracle is that other run.
func TestLateResultsAreInert(t *testing.T) {
	checkProperty(t, "LateResultsAreInert", prop.ForAll(func(cfg breaker.Config, ops []op) string {
		cfg.ProbeTimeout = time.Hour // a report, late or not, is also an occasion to notice a lost probe
		m := &oracle{cfg: cfg}
		with, without := newRig(cfg), newRig(cfg)
		for _, o := range ops {
			late := o.kind == finish && len(m.calls) > 0 && m.calls[int(o.arg)%len(m.calls)].period != m.period
			m.do(o)
			a := with.do(o)
			b := without.see()
			switch {
			case late:
				i := int(o.arg) % len(without.calls)
				without.calls = slices.Delete(without.calls, i, i+1)
			case o.kind != advance && o.kind != rest:
				b = without.do(o)
			}
			if d := diffStats(b, a, func(s *breaker.Stats) { s.Late = 0 }); d != "" {
				return fmt.Sprint(o, ": ", d)
			}
		}
		return ""
	}, genConfig(), genOps()))
}

// diffStats compares states and figures after taking away what may differ.
func diffStats(want, got seen, without func(*breaker.Stats)) string {
	without(&want.Stats)
	without(&got.Stats)
	if want.Stats == got.Stats {
		return ""
	}
	return cmp.Diff(want.Stats, got.Stats)
}

// TestDoneIdempotent: reporting every call three times, with other outcomes, is
// like reporting it once. The oracle is the run with one report.
func TestDoneIdempotent(t *testing.T) {
	checkProperty(t, "DoneIdempotent", prop.ForAll(func(cfg breaker.Config, ops []op) string {
		once, often := newRig(cfg), newRig(cfg)
		often.twice = true
		for _, o := range ops {
			want := once.do(o)
			got := often.see()
			if o.kind != advance && o.kind != rest {
				got = often.do(o)
			}
			got.Result = want.Result
			if d := want.diff(got); d != "" {
				return fmt.Sprint(o, ": ", d)
			}
		}
		return ""
	}, genConfig(), genOps()))
}

// TestIgnoredIsIdentity: ignored calls between all others change nothing. The
// oracle is the run without them. While recovering an ignored call takes up its
// share like any other, so none are made then.
func TestIgnoredIsIdentity(t *testing.T) {
	checkProperty(t, "IgnoredIsIdentity", prop.ForAll(func(cfg breaker.Config, ops []op) string {
		cfg.ProbeTimeout = time.Hour // a call is also an occasion to notice a lost probe
		cfg.SlowCall = -1            // or calls that hang
		with, without := newRig(cfg), newRig(cfg)
		ignored, rejected := 0, uint64(0)
		for _, o := range ops {
			s := with.b.Stats()
			vacant := s.State == breaker.StateHalfOpen && s.Probes == 0 && s.Rejected == rejected
			rejected = s.Rejected
			if s.State == breaker.StateClosed || s.State == breaker.StateForcedClosed || vacant {
				if c, err := with.b.Allow(bg); err == nil {
					c.Done(breaker.Mark(errDown, breaker.OutcomeIgnored))
					ignored++
				}
			}
			want := without.do(o)
			got := with.see()
			if o.kind != advance && o.kind != rest {
				got = with.do(o)
			}
			if d := diffStats(want, got, incidental); d != "" {
				return fmt.Sprint(o, ": ", d)
			}
		}
		return ""
	}, genConfig(), genOps()))
}

// incidental takes away what an ignored call may change: it is counted, and if
// it is the first after an open period it fixes when the half-open one began,
// to which the tenths of the window are aligned.
func incidental(s *breaker.Stats) {
	s.StateFor, s.Ignored, s.Rejected = 0, 0, 0
	if s.State == breaker.StateHalfOpen || s.State == breaker.StateOpen {
		s.WindowCalls, s.WindowFailures, s.WindowSlow, s.Overdue, s.Consecutive = 0, 0, 0, 0, 0
	}
}

// TestNeverWedges: from wherever it is, with a dependency that is well again, a
// breaker closes within the longest open period, ProbeTimeout and twice the
// last open period together. The oracle is that bound.
func TestNeverWedges(t *testing.T) {
	checkProperty(t, "NeverWedges", prop.ForAll(func(cfg breaker.Config, ops []op) string {
		r := newRig(cfg)
		for _, o := range ops {
			r.do(o)
		}
		if s := r.b.State(); s == breaker.StateForcedOpen || s == breaker.StateForcedClosed {
			r.b.Reset()
		}
		const every = 20 * time.Millisecond
		longestTrip := op{trip, 255}.duration()
		bound := max(cfg.MaxOpenFor, longestTrip) + cfg.ProbeTimeout + 2*max(cfg.MaxOpenFor, longestTrip) + 20*every
		for waited := time.Duration(0); r.b.State() != breaker.StateClosed; waited += every {
			if waited > bound {
				return fmt.Sprintf("not closed after %v: %+v", waited, r.b.Stats())
			}
			succeed(r.b)
			time.Sleep(every)
		}
		return ""
	}, genConfig(), genOps()))
}

// TestRetryAfterHonest: a refused call that comes back at the time named is
// admitted, and one that comes a nanosecond early is not. The oracle is the
// hint itself.
func TestRetryAfterHonest(t *testing.T) {
	checkProperty(t, "RetryAfterHonest", prop.ForAll(func(cfg breaker.Config, ops []op) string {
		r := newRig(cfg)
		for _, o := range ops {
			r.do(o)
			if r.b.State() != breaker.StateOpen || o.arg%4 != 0 {
				continue
			}
			d := r.b.Stats().RetryAfter
			time.Sleep(d - 1)
			if r.allow() || r.result != "open 1ns" {
				return fmt.Sprintf("%v, a nanosecond before the end of %v", r.result, d)
			}
			time.Sleep(time.Nanosecond)
			if !r.allow() {
				return fmt.Sprintf("%v, at the end of %v", r.result, d)
			}
		}
		return ""
	}, genConfig(), genOps()))
}

// TestWindowEqualsBruteForce: the figures of the window are those of a list of
// all calls, of which the ones in the present tenth and the nine before it are
// counted. The oracle is that list.
func TestWindowEqualsBruteForce(t *testing.T) {
	checkProperty(t, "WindowEqualsBruteForce", prop.ForAll(func(ops []op, tenth int64) string {
		cfg := breaker.Config{Window: time.Duration(tenth)*10 + 7, FailureRatio: -1, Consecutive: -1}
		b := breaker.New(cfg)
		start := time.Now()
		type ended struct {
			tenth  time.Duration
			failed bool
		}
		var list []ended
		for _, o := range ops {
			if o.kind == advance || o.kind == rest {
				time.Sleep(o.duration())
			}
			now := time.Since(start) / time.Duration(tenth)
			if o.kind == call && o.outcome() == breaker.OutcomeFailure {
				fail(b)
				list = append(list, ended{now, true})
			} else if o.kind == call {
				succeed(b)
				list = append(list, ended{now, false})
			}
			calls, failures := 0, 0
			for _, e := range list {
				if e.tenth > now-10 {
					calls++
					if e.failed {
						failures++
					}
				}
			}
			if s := b.Stats(); s.WindowCalls != calls || s.WindowFailures != failures {
				return fmt.Sprintf("%d failures of %d calls, want %d of %d", s.WindowFailures, s.WindowCalls, failures, calls)
			}
		}
		return ""
	}, genOps(), gen.Int64Range(1, int64(time.Second))))
}

// TestBackoffFollowsTheOutage: an opening lasts a 40th of the time since the
// outage began, at least OpenFor and at most MaxOpenFor. The outage ends when
// the breaker has been closed for as long as the last opening. The oracle is
// the list of openings.
func TestBackoffFollowsTheOutage(t *testing.T) {
	checkProperty(t, "BackoffFollowsTheOutage", prop.ForAll(func(spells []uint16) string {
		cfg := steady()
		b := breaker.New(cfg)
		last, spell, begun := time.Duration(0), time.Duration(0), time.Now()
		for _, s := range spells {
			if spell >= last {
				begun = time.Now()
			}
			b.Trip(0, nil)
			d := b.Stats().RetryAfter
			if want := min(cfg.MaxOpenFor, max(cfg.OpenFor, time.Since(begun)/40)); d != want {
				return fmt.Sprintf("open for %v after %v and a closed spell of %v, want %v", d, last, spell, want)
			}
			time.Sleep(d)
			repeat(cfg.Probes, succeed, b)
			last, spell = d, time.Duration(s)*time.Millisecond/8
			time.Sleep(spell)
		}
		return ""
	}, gen.SliceOf(gen.UInt16())))
}

// TestTransitionsFormAPath: each event begins where the one before ended, and
// the last ends in the state that is. The oracle is the path.
func TestTransitionsFormAPath(t *testing.T) {
	checkProperty(t, "TransitionsFormAPath", prop.ForAll(func(cfg breaker.Config, ops []op) string {
		r := newRig(cfg)
		for _, o := range ops {
			r.do(o)
		}
		for _, kind := range []string{"transition ", "shadow "} {
			at := "closed"
			for _, e := range r.events {
				path, found := strings.CutPrefix(e, kind)
				from, to, _ := strings.Cut(path, " to ")
				if found && from != at {
					return fmt.Sprintf("%q after %v", e, at)
				}
				if found {
					at, _, _ = strings.Cut(to, ",")
				}
			}
			s := r.b.State()
			expired := at == "open" && s == breaker.StateHalfOpen || at == "recovering" && s == breaker.StateClosed
			if kind == "transition " && at != s.String() && !expired {
				return fmt.Sprintf("the events end in %v, the state is %v", at, s)
			}
		}
		return ""
	}, genConfig(), genOps()))
}

// TestTotalsConserve: every call admitted and reported is counted exactly once,
// and every refusal. The oracle is a count kept here.
func TestTotalsConserve(t *testing.T) {
	checkProperty(t, "TotalsConserve", prop.ForAll(func(cfg breaker.Config, ops []op) string {
		r := newRig(cfg)
		admitted, refused, openings := 0, 0, 0
		for _, o := range ops {
			switch s := r.do(o); {
			case s.Result == "admitted":
				admitted++
			case s.Result != "":
				refused++
			}
		}
		for _, e := range r.events {
			if strings.HasPrefix(e, "transition") && strings.Contains(e, " to open") {
				openings++
			}
		}
		s := r.b.Stats()
		ended := int(s.Successes + s.Failures + s.Ignored + s.Late)
		if ended != admitted-len(r.calls) || int(s.Rejected) != refused || int(s.Openings) != openings {
			return fmt.Sprintf("%+v, want %d ended, %d refused, %d openings", s, admitted-len(r.calls), refused, openings)
		}
		return ""
	}, genConfig(), genOps()))
}

// propStats compares a breaker whose Stats are read all the time, at times of
// their own, with one whose Stats are not.
func propStats() gopter.Prop {
	return prop.ForAll(func(cfg breaker.Config, ops []op) string {
		watched, alone := newRig(cfg), newRig(cfg)
		for _, o := range ops {
			if o.kind == advance || o.kind == rest {
				for range 3 {
					time.Sleep(o.duration() / 3)
					watched.b.Stats()
				}
				continue
			}
			watched.b.Stats()
			watched.do(o)
			alone.do(o)
			if watched.result != alone.result || !slices.Equal(watched.events, alone.events) {
				return fmt.Sprintf("%v: %s and %s; %v and %v", o, watched.result, alone.result, watched.events, alone.events)
			}
		}
		return ""
	}, genConfig(), genOps())
}

// TestOracleBites: the oracle notices a breaker that differs from it in a
// single value.
func TestOracleBites(t *testing.T) {
	changes := map[string]func(*breaker.Config){
		"Window":       func(c *breaker.Config) { c.Window += c.Window / 10 },
		"MinCalls":     func(c *breaker.Config) { c.MinCalls++ },
		"FailureRatio": func(c *breaker.Config) { c.FailureRatio += 0.1 },
		"Consecutive":  func(c *breaker.Config) { c.Consecutive++ },
		"OpenFor":      func(c *breaker.Config) { c.OpenFor++ },
		"MaxOpenFor":   func(c *breaker.Config) { c.MaxOpenFor = c.OpenFor },
		"Probes":       func(c *breaker.Config) { c.Probes++ },
		"ProbeTimeout": func(c *breaker.Config) { c.ProbeTimeout /= 2 },
		"SlowCall":     func(c *breaker.Config) { c.SlowCall *= 2 },
		"SlowRatio":    func(c *breaker.Config) { c.SlowRatio /= 2 },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(1, 2))
				for range 3000 {
					for _, cfg := range variants() {
						changed := cfg
						change(&changed)
						r, m := newRig(changed), &oracle{cfg: cfg}
						for range 100 {
							o := op{[]opKind{allow, finish, call, call, advance, rest}[rng.IntN(6)], uint8(rng.IntN(256))}
							m.do(o)
							if m.see().diff(r.do(o)) != "" {
								return
							}
						}
					}
				}
				t.Error("no difference found")
			})
		})
	}
}
