package retry_test

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

const forever = time.Duration(math.MaxInt64)

// delays yields the delays of one call, without end.
func delays(b retry.Backoff, rnd func() float64) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		s := retry.Step{Retry: 1, Rand: rnd()}
		for ; ; s = (retry.Step{Retry: s.Retry + 1, Prev: s.Prev, Rand: rnd()}) {
			if s.Prev = b.Delay(s); !yield(s.Prev) {
				return
			}
		}
	}
}

// schedule returns the first n delays of b, every draw being u.
func schedule(b retry.Backoff, n int, u float64) []time.Duration {
	var ds []time.Duration
	for d := range delays(b, func() float64 { return u }) {
		if ds = append(ds, d); len(ds) == n {
			break
		}
	}
	return ds
}

func TestExtremeSettings(t *testing.T) {
	none := retry.None
	tests := []struct {
		name  string
		b     retry.Backoff
		retry int
		want  time.Duration
	}{
		{"grows", retry.Exponential{Base: 1, Jitter: none}, 11, 1024},
		{"62 doublings", retry.Exponential{Base: 1, Jitter: none}, 63, 1 << 62},
		{"63 doublings", retry.Exponential{Base: 1, Jitter: none}, 64, forever},
		{"all doublings", retry.Exponential{Base: 1, Jitter: none}, math.MaxInt, forever},
		{"at the limit", retry.Exponential{Base: 3, Max: 100, Jitter: none}, 7, 100},
		{"factor 1", retry.Exponential{Base: 5, Factor: 1, Jitter: none}, math.MaxInt, 5},
		{"factor below 1", retry.Exponential{Base: 5, Factor: .1, Jitter: none}, 9, 5},
		{"factor negative", retry.Exponential{Base: 5, Factor: -3, Jitter: none}, 9, 5},
		{"factor NaN", retry.Exponential{Base: 5, Factor: math.NaN(), Jitter: none}, 2, 10},
		{"factor Inf", retry.Exponential{Base: 5, Factor: math.Inf(1), Max: 70, Jitter: none}, 2, 70},
		{"factor Inf at first", retry.Exponential{Base: 5, Factor: math.Inf(1), Jitter: none}, 1, 5},
		{"factor -Inf", retry.Exponential{Base: 5, Factor: math.Inf(-1), Jitter: none}, 3, 5},
		{"factor 3", retry.Exponential{Base: 5, Factor: 3, Jitter: none}, 3, 45},
		{"base 0", retry.Exponential{Jitter: none}, 2, 200 * time.Millisecond},
		{"base negative", retry.Exponential{Base: -1, Max: 9, Jitter: none}, 99, 0},
		{"base above limit", retry.Exponential{Base: 9, Max: 5, Jitter: none}, 1, 5},
		{"retry 0", retry.Exponential{Base: 9, Jitter: none}, 0, 9},
		{"retry negative", retry.Exponential{Base: 9, Jitter: none}, math.MinInt, 9},
		{"saturates above 2^63", retry.Exponential{Base: forever, Factor: 1.5, Jitter: none}, 2, forever},
		{"constant negative", retry.Constant(-1), 1, 0},
		{"sequence", retry.Sequence{1, 2, 3}, 2, 2},
		{"sequence repeats", retry.Sequence{1, 2, 3}, math.MaxInt, 3},
		{"sequence empty", retry.Sequence{}, 1, 0},
		{"sequence negative", retry.Sequence{-1}, 1, 0},
	}
	for _, tt := range tests {
		if got := tt.b.Delay(retry.Step{Retry: tt.retry, Rand: .5}); got != tt.want {
			t.Errorf("%s: Delay = %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestCapBeforeJitter(t *testing.T) {
	for name, j := range map[string]retry.Jitter{"full": retry.Full, "equal": retry.Equal, "spread": retry.Spread(.2)} {
		b := retry.Exponential{Base: time.Second, Max: time.Minute, Jitter: j}
		rnd := rand.New(rand.NewPCG(1, 2))
		seen := map[time.Duration]bool{}
		for range 2000 {
			seen[b.Delay(retry.Step{Retry: 50, Rand: rnd.Float64()})] = true
		}
		if len(seen) < 1999 {
			t.Errorf("%s: %d different delays of 2000 at the limit, want all", name, len(seen))
		}
	}
}

func TestSpreadWithoutAtom(t *testing.T) {
	const limit = 1000 * time.Second
	b := retry.Exponential{Base: time.Second, Max: limit, Jitter: retry.Spread(.2)}
	rnd := rand.New(rand.NewPCG(3, 4))
	xs := sample(100_000, func() time.Duration {
		return b.Delay(retry.Step{Retry: 50, Rand: rnd.Float64()})
	})
	// Oracle: the uniform distribution on the part of the interval below Max.
	checkUniform(t, xs, limit*8/10, limit)
}

func TestDecorrelatedWithoutAtom(t *testing.T) {
	const limit = 20 * time.Second
	rnd := rand.New(rand.NewPCG(5, 6))
	xs := steps(retry.Decorrelated{Base: time.Second, Max: limit}, rnd, 100_000)
	if got := atom(xs, limit); got > 1e-3 {
		t.Errorf("part of the delays at the limit = %.4f, want at most 0.001", got)
	}
	// Oracle: the recurrence, drawn by another generator.
	other := rand.New(rand.NewPCG(7, 8))
	prev := float64(time.Second)
	want := sample(100_000, func() time.Duration {
		prev = float64(time.Second) + other.Float64()*(min(3*prev, float64(limit))-float64(time.Second))
		return time.Duration(prev)
	})
	if d := distance(xs, want); d > .01 {
		t.Errorf("distance to the recurrence = %.4f, want at most 0.01", d)
	}
}

func TestDrawsAtTheEdges(t *testing.T) {
	b := retry.Exponential{Base: 8 * time.Second, Max: 8 * time.Second}
	tests := []struct {
		u    float64
		want time.Duration
	}{
		{0, 0},
		{math.Copysign(0, -1), 0},
		{math.Nextafter(1, 0), 8*time.Second - 1},
		{1, 8*time.Second - 1},
		{math.Inf(1), 8*time.Second - 1},
		{-1, 0},
		{math.NaN(), 0},
		{.25, 2 * time.Second},
	}
	for _, tt := range tests {
		if got := b.Delay(retry.Step{Retry: 1, Rand: tt.u}); got != tt.want {
			t.Errorf("Delay with draw %v = %v, want %v", tt.u, got, tt.want)
		}
	}
	b.Min = time.Second
	if got := b.Delay(retry.Step{Retry: 1}); got != time.Second {
		t.Errorf("Delay with Min = %v, want 1s", got)
	}
	b.Min = time.Hour
	if got := b.Delay(retry.Step{Retry: 1}); got != 8*time.Second {
		t.Errorf("Delay with Min above Max = %v, want 8s", got)
	}
}

// TestFloorKeepsTheJitter: a Min above the ceiling does not bring all callers
// back at the same time, and is kept.
func TestFloorKeepsTheJitter(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name      string
		b         retry.Exponential
		low, high time.Duration
	}{
		{"above the ceiling", retry.Exponential{Min: s}, s, 2 * s},
		{"at the ceiling", retry.Exponential{Base: s, Min: s}, s, 2 * s},
		{"below the ceiling", retry.Exponential{Base: 4 * s, Min: s}, s, 4 * s},
		{"just below the ceiling", retry.Exponential{Base: s + 1, Min: s}, s, 2 * s},
		{"near Max", retry.Exponential{Min: 3 * s, Max: 4 * s}, 3 * s, 4 * s},
		{"equal", retry.Exponential{Min: s, Jitter: retry.Equal}, s, 2 * s},
		{"spread", retry.Exponential{Min: 8 * s, Jitter: retry.Spread(.2)}, 8 * s, 12 * s},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(12, uint64(i)))
			checkUniform(t, sample(10_000, func() time.Duration {
				return tt.b.Delay(retry.Step{Retry: 1, Rand: rnd.Float64()})
			}), tt.low, tt.high)
		})
	}
	none := retry.Exponential{Min: s, Jitter: retry.None}
	checkEqual(t, schedule(none, 5, .5), []time.Duration{s, s, s, s, 1600 * time.Millisecond})
	off := retry.Exponential{Base: -1, Min: s}
	checkEqual(t, schedule(off, 2, .5), []time.Duration{0, 0})
}

func TestJitterOutOfRange(t *testing.T) {
	for j, want := range map[retry.Jitter]time.Duration{7: 1000, -7: 1000, retry.Jitter(math.Inf(1)): 1000, retry.Jitter(math.NaN()): 500} {
		got := retry.Exponential{Base: 1000, Jitter: j}.Delay(retry.Step{Retry: 1, Rand: .5})
		checkEqual(t, got, want)
	}
}

func TestStateIsPerCall(t *testing.T) {
	b := retry.Decorrelated{Base: time.Second, Max: time.Minute}
	checkEqual(t, schedule(b, 20, .4), schedule(b, 20, .4))
}

// TestDistributions compares each jitter with the uniform distribution on its
// interval, at a ceiling below the limit.
func TestDistributions(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name      string
		j         retry.Jitter
		low, high time.Duration
	}{
		{"full", retry.Full, 0, 4 * s},
		{"equal", retry.Equal, 2 * s, 4 * s},
		{"spread", retry.Spread(.25), 3 * s, 5 * s},
		{"spread of 1", retry.Spread(1), 0, 8 * s},
		{"spread above 1", retry.Spread(7), 0, 8 * s},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(9, uint64(i)))
			b := retry.Exponential{Base: s, Jitter: tt.j}
			xs := sample(100_000, func() time.Duration {
				return b.Delay(retry.Step{Retry: 3, Rand: rnd.Float64()})
			})
			checkUniform(t, xs, tt.low, tt.high)
		})
	}
	for _, f := range []float64{0, -1, math.NaN()} {
		b := retry.Exponential{Base: s, Jitter: retry.Spread(f)}
		if got := b.Delay(retry.Step{Retry: 1, Rand: .9}); got != s {
			t.Errorf("Spread(%v): Delay = %v, want %v", f, got, s)
		}
	}
}

// TestKnownSchedules compares with the formulas other implementations give.
func TestKnownSchedules(t *testing.T) {
	// cenkalti/backoff: interval*1.5^n, spread by half, below its limit.
	backoff := retry.Exponential{Base: 500 * time.Millisecond, Factor: 1.5, Jitter: retry.Spread(.5)}
	// AWS SDK 2026: u*min(2^n*50ms, 20s).
	aws := retry.Exponential{Base: 50 * time.Millisecond, Max: 20 * time.Second}
	// gRFC A6: min(initial*multiplier^n, max), spread by a fifth.
	grpc := retry.Exponential{Base: time.Second, Max: time.Minute, Factor: 1.6, Jitter: retry.Spread(.2)}
	for _, u := range []float64{0, .3, .75, .999} {
		for n := range 8 {
			c := 500e6 * math.Pow(1.5, float64(n))
			near(t, fmt.Sprint("backoff ", n, u), backoff.Delay(retry.Step{Retry: n + 1, Rand: u}), c*.5+u*c)
			c = min(50e6*math.Pow(2, float64(n)), 20e9)
			near(t, fmt.Sprint("aws ", n, u), aws.Delay(retry.Step{Retry: n + 1, Rand: u}), u*c)
			c = min(1e9*math.Pow(1.6, float64(n)), 60e9)
			near(t, fmt.Sprint("grpc ", n, u), grpc.Delay(retry.Step{Retry: n + 1, Rand: u}), c*.8+u*c*.4)
		}
	}
}

func near(t *testing.T, name string, got time.Duration, want float64) {
	t.Helper()
	if math.Abs(float64(got)-want) > 10 {
		t.Errorf("%s: Delay = %d, want %.0f", name, got, want)
	}
}

func TestDefaultBackoff(t *testing.T) {
	p := retry.Policy{MaxAttempts: retry.Unlimited, Rand: func() float64 { return .5 }}
	var got []time.Duration
	for n := range 9 {
		d, err := p.Next(n+1, time.Time{}, errBoom)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d/time.Millisecond)
	}
	checkEqual(t, got, []time.Duration{50, 100, 200, 400, 800, 1600, 3200, 5000, 5000})
}

// sample returns n values of f.
func sample(n int, f func() time.Duration) []time.Duration {
	xs := make([]time.Duration, n)
	for i := range xs {
		xs[i] = f()
	}
	return xs
}

// steps returns n successive delays of one call of b.
func steps(b retry.Backoff, rnd *rand.Rand, n int) []time.Duration {
	xs := make([]time.Duration, 0, n)
	for d := range delays(b, rnd.Float64) {
		if xs = append(xs, d); len(xs) == n {
			break
		}
	}
	return xs
}

// atom returns the part of xs that is exactly at.
func atom(xs []time.Duration, at time.Duration) float64 {
	n := 0
	for _, x := range xs {
		if x == at {
			n++
		}
	}
	return float64(n) / float64(len(xs))
}

// checkUniform is the test of Kolmogorov and Smirnov, at the level 0.001.
func checkUniform(t *testing.T, xs []time.Duration, low, high time.Duration) {
	t.Helper()
	slices.Sort(xs)
	if xs[0] < low || xs[len(xs)-1] >= high {
		t.Errorf("range = [%v, %v], want within [%v, %v)", xs[0], xs[len(xs)-1], low, high)
	}
	worst := 0.0
	for i, x := range xs {
		f := float64(x-low) / float64(high-low)
		worst = max(worst, math.Abs(f-float64(i)/float64(len(xs))))
	}
	if limit := 1.95 / math.Sqrt(float64(len(xs))); worst > limit {
		t.Errorf("distance to the uniform distribution = %.5f, want at most %.5f", worst, limit)
	}
}

// distance is the largest difference of the distributions of two samples.
func distance(a, b []time.Duration) float64 {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	worst, j := 0.0, 0
	for i, x := range a {
		for j < len(b) && b[j] <= x {
			j++
		}
		worst = max(worst, math.Abs(float64(i+1)/float64(len(a))-float64(j)/float64(len(b))))
	}
	return worst
}
