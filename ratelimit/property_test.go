package ratelimit_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/ratelimit"
	"golang.org/x/time/rate"
)

// model is the oracle: a bucket that counts its tokens in exact rational
// numbers.
type model struct {
	rate, burst, tokens *big.Rat // rate in events per nanosecond
	last                int64    // in nanoseconds
}

func newModel(l ratelimit.Limit) *model {
	burst := new(big.Rat).SetInt64(l.Burst)
	return &model{rate: big.NewRat(l.N, int64(l.Per)), burst: burst, tokens: burst}
}

// at advances m to ns, which must not be earlier than before, and returns its
// tokens.
func (m *model) at(ns int64) *big.Rat {
	back := new(big.Rat).Mul(m.rate, new(big.Rat).SetInt64(ns-m.last))
	back.Add(back, m.tokens)
	if back.Cmp(m.burst) > 0 {
		back = m.burst
	}
	m.tokens, m.last = back, ns
	return m.tokens
}

func (m *model) take(n int64) { m.tokens = new(big.Rat).Sub(m.tokens, new(big.Rat).SetInt64(n)) }

// step is a request, Gap nanoseconds after the previous request.
type step struct{ Gap, N int64 }

// scenario is a limit and requests for it. The gaps are about as long as the
// events of the requests need to come back.
type scenario struct {
	Limit ratelimit.Limit
	Steps []step
}

func (s scenario) String() string { return fmt.Sprintf("%v %v", s.Limit, s.Steps) }

// limitGen makes limits of all sizes: from 1 per 100 days to 16 per nanosecond.
func limitGen() gopter.Gen {
	return gopter.CombineGens(gen.Int64(), gen.OneConstOf(int64(1), int64(1e3), int64(1e6), int64(1e9)), gen.Float64Range(0, 53)).
		Map(func(v []any) ratelimit.Limit {
			random := rand.New(rand.NewPCG(uint64(v[0].(int64)), 0))
			per := int64(math.Exp2(v[2].(float64)))
			n := int64(math.Exp2(random.Float64() * math.Log2(min(16*float64(per), 1<<40))))
			if random.IntN(2) == 0 {
				per = max(n/16, v[1].(int64)) // round periods too
			}
			return ratelimit.Per(max(n, 1), time.Duration(max(per, 1))).WithBurst(1 + random.Int64N(20))
		})
}

func scenarioGen() gopter.Gen {
	return gopter.CombineGens(limitGen(), gen.Int64()).Map(func(v []any) scenario {
		s := scenario{Limit: v[0].(ratelimit.Limit)}
		random := rand.New(rand.NewPCG(uint64(v[1].(int64)), 1))
		event := float64(s.Limit.Per) / float64(s.Limit.N)
		for range 60 {
			s.Steps = append(s.Steps, step{int64(event * random.ExpFloat64() * 2), 1 + random.Int64N(3)})
		}
		return s
	})
}

// gcd returns the greatest common divisor of a and b.
func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// disagreement returns how lim differs from the model of s.Limit at instants
// that are whole units, where both must agree on every decision.
func disagreement(lim *ratelimit.Limiter, s scenario) string {
	m, ns := newModel(s.Limit), int64(0)
	// Per nanoseconds are N<<Frac units, so whole units meet whole nanoseconds
	// once in grid.
	grid := int64(s.Limit.Per) / gcd(int64(s.Limit.Per), s.Limit.N<<lim.Frac())
	for i, step := range s.Steps {
		ns += (step.Gap + grid - 1) / grid * grid
		if ns > 1<<33 && grid > 1 {
			break // rounding up the rate may show from here on; the next property goes on
		}
		want := m.at(ns).Cmp(new(big.Rat).SetInt64(step.N)) >= 0
		if want {
			m.take(step.N)
		}
		if got := lim.AllowAt(lim.Epoch().Add(time.Duration(ns)), step.N); got != want {
			return fmt.Sprintf("step %d at %d: admitted %v, want %v", i, ns, got, want)
		}
	}
	return ""
}

func TestPropertyEqualsTheModel(t *testing.T) {
	// Oracle: model.
	checkProperty(t, 300, prop.ForAll(func(s scenario) string {
		return disagreement(ratelimit.New(s.Limit), s)
	}, scenarioGen()))
}

func TestModelBites(t *testing.T) {
	// A limiter with a burst of one event more, or with half of the rate, must
	// differ from the model.
	burst, rate := 0, 0
	for range 100 {
		sample, _ := scenarioGen().Sample()
		s := sample.(scenario)
		if disagreement(ratelimit.New(s.Limit.WithBurst(s.Limit.Burst+1)), s) != "" {
			burst++
		}
		slow := s.Limit
		slow.Per *= 2
		if disagreement(ratelimit.New(slow), s) != "" {
			rate++
		}
	}
	if burst < 10 || rate < 10 {
		t.Errorf("the model shows %d of 100 wrong bursts and %d of 100 wrong rates, want 10 or more", burst, rate)
	}
}

func TestPropertyNeverOffByMoreThanAUnit(t *testing.T) {
	// Oracle: model. It follows the limiter if the tokens are within a unit and
	// a half of the events asked for.
	checkProperty(t, 500, prop.ForAll(func(s scenario, start int64) string {
		lim, m, ns := ratelimit.New(s.Limit), newModel(s.Limit), start%(1<<55)
		m.last = ns
		slack := new(big.Rat).SetFrac(big.NewInt(3), new(big.Int).Lsh(big.NewInt(2), lim.Frac()))
		for i, step := range s.Steps {
			ns += step.Gap
			over := new(big.Rat).Sub(m.at(ns), new(big.Rat).SetInt64(step.N))
			got := lim.AllowAt(lim.Epoch().Add(time.Duration(ns)), step.N)
			if want := over.Sign() >= 0; got != want && new(big.Rat).Abs(over).Cmp(slack) > 0 {
				return fmt.Sprintf("step %d at %d: admitted %v, want %v with %v tokens over", i, ns, got, want, over.FloatString(3))
			}
			if got {
				m.take(step.N)
			}
		}
		return ""
	}, scenarioGen(), gen.Int64()))
}

// event is an admission of n events at the instant the caller captured.
type event struct{ at, n int64 }

// excess returns by how much the busiest stretch of time exceeds burst + rate ×
// time, times Per. Oracle: the definition of a limit, over all pairs of
// admissions; a stretch is two nanoseconds longer than its ends are apart, for
// the rounding of either.
func excess(l ratelimit.Limit, admitted []event) int64 {
	slices.SortFunc(admitted, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	worst, sum, low := int64(math.MinInt64), int64(0), int64(math.MaxInt64)
	for _, e := range admitted {
		low = min(low, sum*int64(l.Per)-e.at*l.N) // a stretch may begin with e
		sum += e.n
		worst = max(worst, sum*int64(l.Per)-e.at*l.N-low)
	}
	return worst - l.Burst*int64(l.Per) - 2*l.N
}

func TestPropertyConformsInAnyOrder(t *testing.T) {
	limits := gen.OneConstOf(ratelimit.PerSecond(1000).WithBurst(20), ratelimit.PerSecond(333).WithBurst(7),
		ratelimit.Per(7, 13*time.Millisecond), ratelimit.PerSecond(1_000_003).WithBurst(3))
	checkProperty(t, 25, prop.ForAll(func(l ratelimit.Limit, seed int64, both bool) string {
		lim := ratelimit.New(l)
		if both { // the other way through the code; the second limit never decides
			lim = ratelimit.New(l, ratelimit.PerSecond(1e9))
		}
		admitted := make([][]event, 8)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for g := range admitted {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(seed), uint64(g)))
				gap := int64(l.Per) / l.N
				<-start
				for i := range 2000 { // all advance about alike, but captured instants are up to ten events old
					at := (int64(i)/4-random.Int64N(10))*gap + random.Int64N(gap)
					n := 1 + random.Int64N(3)
					if lim.AllowAt(lim.Epoch().Add(time.Duration(at)), n) {
						admitted[g] = append(admitted[g], event{at, n})
					}
				}
			})
		}
		close(start)
		wg.Wait()
		all := slices.Concat(admitted...)
		if over := excess(l, all); over > 0 {
			return fmt.Sprintf("%d admissions exceed the limit by %v events", len(all), float64(over)/float64(l.Per))
		}
		if len(all) < 10 {
			return fmt.Sprintf("only %d admissions", len(all))
		}
		return ""
	}, limits, gen.Int64(), gen.Bool()))
}

func TestExcessBites(t *testing.T) {
	// One event too many anywhere must show.
	l := ratelimit.PerSecond(10).WithBurst(3)
	fine := []event{{0, 3}, {1e8, 1}, {2e8, 1}, {5e8, 3}}
	if got := excess(l, fine); got > 0 {
		t.Errorf("excess %d, want none", got)
	}
	if got := excess(l, append(fine, event{3e8, 1}, event{35e7, 1})); got <= 0 {
		t.Errorf("excess %d, want some", got)
	}
}

func TestPropertySplitInvariance(t *testing.T) {
	// Oracle: the limiter itself. Events that are admitted together are also
	// admitted in parts, and leave the same state.
	checkProperty(t, 200, prop.ForAll(func(s scenario, a int64) string {
		whole, parts := ratelimit.New(s.Limit), ratelimit.New(s.Limit)
		ns := int64(0)
		for i, step := range s.Steps {
			ns += step.Gap
			n := step.N + a
			at, at2 := whole.Epoch().Add(time.Duration(ns)), parts.Epoch().Add(time.Duration(ns))
			if !whole.AllowAt(at, n) {
				continue
			}
			if !parts.AllowAt(at2, a) || !parts.AllowAt(at2, step.N) {
				return fmt.Sprintf("step %d: %d admitted at once, but not as %d and %d", i, n, a, step.N)
			}
			if whole.Word() != parts.Word() {
				return fmt.Sprintf("step %d: state %d in parts, want %d", i, parts.Word(), whole.Word())
			}
		}
		return ""
	}, scenarioGen(), gen.Int64Range(0, 5)))
}

func TestPropertyRetryAfterIsTight(t *testing.T) {
	// Oracle: the limiter itself, a nanosecond before and at the time it named.
	synctest.Test(t, func(t *testing.T) {
		checkProperty(t, 200, prop.ForAll(func(s scenario, second bool) string {
			lim := ratelimit.New(s.Limit)
			if second {
				lim = ratelimit.New(s.Limit, ratelimit.PerSecond(7).WithBurst(30))
			}
			for i, step := range s.Steps {
				time.Sleep(time.Duration(step.Gap))
				d := lim.Take(step.N)
				if d.OK || !d.Retryable {
					continue
				}
				time.Sleep(d.RetryAfter - 1)
				if early := lim.Take(step.N); early.OK || early.RetryAfter != 1 {
					return fmt.Sprintf("step %d: 1 ns before %v: %+v", i, d.RetryAfter, early)
				}
				if time.Sleep(time.Nanosecond); !lim.AllowN(step.N) {
					return fmt.Sprintf("step %d: refused after %v", i, d.RetryAfter)
				}
			}
			return ""
		}, scenarioGen(), gen.Bool()))
	})
}

func TestPropertySeveralLimitsAreTheirIntersection(t *testing.T) {
	// Oracle: one model for each limit; events are taken from all or from none.
	// Instants are whole seconds, at which all limits have whole units.
	limits := []ratelimit.Limit{
		ratelimit.PerSecond(3).WithBurst(8), ratelimit.Per(7, 2*time.Second).WithBurst(5), ratelimit.Every(time.Second).WithBurst(20),
	}
	checkProperty(t, 200, prop.ForAll(func(gaps, ns []int64) string {
		lim, at := ratelimit.New(limits...), int64(0)
		var models []*model
		for _, l := range limits {
			models = append(models, newModel(l))
		}
		for i := range min(len(gaps), len(ns)) {
			at += gaps[i] * 2e9
			n, want := ns[i], true
			for _, m := range models {
				want = want && m.at(at).Cmp(new(big.Rat).SetInt64(n)) >= 0
			}
			for _, m := range models {
				if want {
					m.take(n)
				}
			}
			if got := lim.AllowAt(lim.Epoch().Add(time.Duration(at)), n); got != want {
				return fmt.Sprintf("step %d: admitted %v, want %v", i, got, want)
			}
		}
		return ""
	}, gen.SliceOfN(40, gen.Int64Range(0, 2)), gen.SliceOfN(40, gen.Int64Range(1, 6))))
}

func TestPropertyWaitersAreServedAsSoonAsTheModelAllows(t *testing.T) {
	// Oracle: model. Each caller is served at the first instant, not before the
	// caller ahead of it, at which the tokens are available. A token comes back
	// in a quarter of a second.
	checkProperty(t, 60, prop.ForAll(func(ns []int64, burst int64) string {
		limit := ratelimit.PerSecond(4).WithBurst(burst)
		m, at := newModel(limit), int64(0)
		var got, want []turn
		for i, n := range ns {
			for m.at(at).Cmp(new(big.Rat).SetInt64(n)) < 0 {
				at += 25e7
			}
			m.take(n)
			want = append(want, turn{i, time.Duration(at)})
		}
		synctest.Test(t, func(t *testing.T) {
			served := line(t, ratelimit.New(limit), []context.Context{t.Context()}, ns...)
			time.Sleep(time.Hour)
			got = served()
		})
		// Those that need not wait are all served at the instant 0, in any
		// order of their goroutines.
		slices.SortStableFunc(got, func(a, b turn) int { return a.Caller - b.Caller })
		if !slices.Equal(got, want) {
			return fmt.Sprintf("served %v, want %v", got, want)
		}
		return ""
	}, gen.SliceOfN(20, gen.Int64Range(1, 5)), gen.Int64Range(5, 9)))
}

// limiter contains the methods that golang.org/x/time/rate.Limiter shares with
// this package.
type limiter interface {
	AllowN(t time.Time, n int) bool
	TokensAt(t time.Time) float64
	WaitN(ctx context.Context, n int) error
}

// adapter gives a Limiter the methods of golang.org/x/time/rate.
type adapter struct{ *ratelimit.Limiter }

func (a adapter) AllowN(t time.Time, n int) bool { return a.AllowAt(t, int64(n)) }

func (a adapter) WaitN(ctx context.Context, n int) error { return a.Limiter.WaitN(ctx, int64(n)) }

// TokensAt ignores its argument, which must be the present.
func (a adapter) TokensAt(time.Time) float64 { return a.Tokens() }

var _ limiter = (*rate.Limiter)(nil)

func TestDifferentialXTime(t *testing.T) {
	// Oracle: golang.org/x/time/rate on one goroutine. Rates and instants are
	// binary fractions, in which its floating point is exact.
	const tick = time.Second / 64
	checkProperty(t, 100, prop.ForAll(func(perSecond, burst int, seed int64) string {
		var failure string
		synctest.Test(t, func(t *testing.T) {
			perSecond = 1 << perSecond
			pair := []limiter{
				rate.NewLimiter(rate.Limit(perSecond), burst),
				adapter{ratelimit.New(ratelimit.PerSecond(int64(perSecond)).WithBurst(int64(burst)))},
			}
			random := rand.New(rand.NewPCG(uint64(seed), 2))
			for i := range 100 {
				time.Sleep(time.Duration(random.IntN(20)) * tick)
				n, wait := random.IntN(burst+2), random.IntN(3) == 0
				var results [2]string
				for j, lim := range pair {
					ok := !wait && lim.AllowN(time.Now(), n)
					results[j] = fmt.Sprint(ok, lim.TokensAt(time.Now()))
				}
				if wait { // in turn, from the same state
					start := time.Now()
					var wg sync.WaitGroup
					for j, lim := range pair {
						wg.Go(func() {
							err := lim.WaitN(t.Context(), n)
							results[j] = fmt.Sprint(err == nil, time.Since(start))
						})
					}
					wg.Wait()
				}
				if results[0] != results[1] {
					failure = fmt.Sprintf("step %d: %d of burst %d, wait %v: got %s, want %s", i, n, burst, wait, results[1], results[0])
					return
				}
			}
		})
		return failure
	}, gen.IntRange(0, 6), gen.IntRange(1, 12), gen.Int64()))
}
