package ratelimit_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	fsbulkhead "github.com/failsafe-go/failsafe-go/bulkhead"
	fslimiter "github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/go-chi/httprate"
	sethlimiter "github.com/sethvargo/go-limiter"
	sethhttp "github.com/sethvargo/go-limiter/httplimit"
	sethstore "github.com/sethvargo/go-limiter/memorystore"
	"github.com/throttled/throttled/v2"
	throttledmem "github.com/throttled/throttled/v2/store/memstore"
	"github.com/ulule/limiter/v3"
	ululehttp "github.com/ulule/limiter/v3/drivers/middleware/stdlib"
	ululemem "github.com/ulule/limiter/v3/drivers/store/memory"
	uber "go.uber.org/ratelimit"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
)

var bg = context.Background()

// Limits that a benchmark does not reach, and one that is used up by its first
// event.
const (
	plenty = 1_000_000_000
	little = 1
)

// An impl is one implementation: make returns a function that takes one event,
// or one of key i, and says whether it may happen.
type impl struct {
	name string
	make func(n int64, per time.Duration) func(i int) bool
}

func redoubt(n int64, per time.Duration) func(int) bool {
	l := ratelimit.New(ratelimit.Per(n, per))
	return func(int) bool { return l.Allow() }
}

func xtime(n int64, per time.Duration) func(int) bool {
	l := rate.NewLimiter(rate.Limit(float64(n)/per.Seconds()), int(n))
	return func(int) bool { return l.Allow() }
}

func failsafe(n int64, per time.Duration) func(int) bool {
	l := fslimiter.NewBursty[any](uint(n), per)
	return func(int) bool { return l.TryAcquirePermit() }
}

var single = []impl{
	{"redoubt", redoubt},
	{"xtime", xtime},
	{"failsafe", failsafe},
	{"throttled", func(n int64, per time.Duration) func(int) bool {
		f := throttledKeys(n, per)
		return func(int) bool { return f(0) }
	}},
	{"sethvargo", func(n int64, per time.Duration) func(int) bool {
		f := sethvargo(n, per)
		return func(int) bool { return f(0) }
	}},
	{"ulule", func(n int64, per time.Duration) func(int) bool {
		f := ulule(n, per)
		return func(int) bool { return f(0) }
	}},
}

// keys are the same for all, made beforehand.
var keys = func() []string {
	all := make([]string, 1<<16)
	for i := range all {
		all[i] = "user-" + strconv.Itoa(i)
	}
	return all
}()

func redoubtKeys(n int64, per time.Duration) func(int) bool {
	k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.Per(n, per), MaxKeys: 2 * len(keys)})
	return func(i int) bool { return k.Allow(keys[i&(len(keys)-1)]) }
}

func mapXtime(n int64, per time.Duration) func(int) bool {
	var mu sync.Mutex
	all := make(map[string]*rate.Limiter)
	return func(i int) bool {
		key := keys[i&(len(keys)-1)]
		mu.Lock()
		l := all[key]
		if l == nil {
			l = rate.NewLimiter(rate.Limit(float64(n)/per.Seconds()), int(n))
			all[key] = l
		}
		mu.Unlock()
		return l.Allow()
	}
}

func throttledKeys(n int64, per time.Duration) func(int) bool {
	store, err := throttledmem.NewCtx(len(keys))
	if err != nil {
		panic(err)
	}
	l, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{MaxRate: throttled.PerDuration(int(min(n, 1e9)), per), MaxBurst: int(min(n, 1e9)) - 1})
	if err != nil {
		panic(err)
	}
	return func(i int) bool {
		limited, _, err := l.RateLimitCtx(bg, keys[i&(len(keys)-1)], 1)
		return err == nil && !limited
	}
}

func sethStore(n int64, per time.Duration) limiter2 {
	s, err := sethstore.New(&sethstore.Config{Tokens: uint64(n), Interval: per})
	if err != nil {
		panic(err)
	}
	return s
}

type limiter2 = sethlimiter.Store

func sethvargo(n int64, per time.Duration) func(int) bool {
	s := sethStore(n, per)
	return func(i int) bool {
		_, _, _, ok, err := s.Take(bg, keys[i&(len(keys)-1)])
		return err == nil && ok
	}
}

func ulule(n int64, per time.Duration) func(int) bool {
	l := limiter.New(ululemem.NewStore(), limiter.Rate{Period: per, Limit: n})
	return func(i int) bool {
		c, err := l.Get(bg, keys[i&(len(keys)-1)])
		return err == nil && !c.Reached
	}
}

var keyed = []impl{
	{"redoubt", redoubtKeys}, {"map+xtime", mapXtime}, {"throttled", throttledKeys}, {"sethvargo", sethvargo}, {"ulule", ulule},
}

// each runs f for every implementation, after checking that it admits or
// refuses as it should.
func each(b *testing.B, impls []impl, n int64, per time.Duration, want bool, f func(*testing.B, func(int) bool)) {
	for _, im := range impls {
		b.Run("impl="+im.name, func(b *testing.B) {
			allow := im.make(n, per)
			if !allow(0) || allow(0) != want {
				b.Fatalf("the second event: want %v", want)
			}
			b.ReportAllocs()
			f(b, allow)
		})
	}
}

func serial(b *testing.B, allow func(int) bool) {
	for b.Loop() {
		allow(0)
	}
}

func parallel(b *testing.B, allow func(int) bool) {
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			allow(0)
		}
	})
}

// uniform goes through all keys, hot uses one of 8.
func uniform(b *testing.B, allow func(int) bool) { spread(b, allow, len(keys)-1) }
func hot(b *testing.B, allow func(int) bool)     { spread(b, allow, 7) }

func spread(b *testing.B, allow func(int) bool, mask int) {
	var seed atomic.Int64
	b.RunParallel(func(p *testing.PB) {
		for i := int(seed.Add(7919)); p.Next(); i += 31 {
			allow(i & mask)
		}
	})
}

// All of these: one event of a limit of a billion an hour; every one is
// admitted.
func BenchmarkAllowHit(b *testing.B)         { each(b, single, plenty, time.Hour, true, serial) }
func BenchmarkAllowHitParallel(b *testing.B) { each(b, single, plenty, time.Hour, true, parallel) }

// All of these: one event of a limit of one an hour that is used up; every one
// is refused.
func BenchmarkAllowDeny(b *testing.B) { each(b, single, little, time.Hour, false, serial) }

func BenchmarkAllowDenyParallel(b *testing.B) { each(b, single, little, time.Hour, false, parallel) }

// 65536 string keys in turn, or 8 of them, each with a limit of a billion an
// hour.
func BenchmarkKeyedUniformParallel(b *testing.B) { each(b, keyed, plenty, time.Hour, true, uniform) }
func BenchmarkKeyedHotParallel(b *testing.B)     { each(b, keyed, plenty, time.Hour, true, hot) }

// BenchmarkWaitReady waits where there is nothing to wait for.
// uber-go/ratelimit at 1e9 per second never sleeps for more than a nanosecond.
func BenchmarkWaitReady(b *testing.B) {
	ours, x := ratelimit.New(ratelimit.Per(plenty, time.Hour)), rate.NewLimiter(plenty/3600., plenty)
	u, fs := uber.New(plenty), fslimiter.NewBursty[any](plenty, time.Hour)
	for _, im := range []struct {
		name string
		wait func()
	}{
		{"redoubt", func() { _ = ours.Wait(bg) }},
		{"xtime", func() { _ = x.Wait(bg) }},
		{"uber", func() { u.Take() }},
		{"failsafe", func() { _ = fs.AcquirePermit(bg) }},
	} {
		b.Run("impl="+im.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				im.wait()
			}
		})
	}
}

// BenchmarkReserveCancel reserves an event that may happen at once, and cancels
// it.
func BenchmarkReserveCancel(b *testing.B) {
	ours, x := ratelimit.New(ratelimit.Per(plenty, time.Hour)), rate.NewLimiter(plenty/3600., plenty)
	b.Run("impl=redoubt", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ours.Reserve(1).Cancel()
		}
	})
	b.Run("impl=xtime", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			x.Reserve().Cancel()
		}
	})
}

// BenchmarkKeyedMemory gives each of 65536 keys one event and measures the heap
// a key, the keys themselves not counted.
func BenchmarkKeyedMemory(b *testing.B) {
	impls := append([]impl{{"redoubt-tight", func(n int64, per time.Duration) func(int) bool {
		k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.Per(n, per), MaxKeys: len(keys)})
		return func(i int) bool { return k.Allow(keys[i&(len(keys)-1)]) }
	}}}, keyed...)
	for _, im := range impls {
		b.Run("impl="+im.name, func(b *testing.B) {
			for b.Loop() {
				before := heap()
				allow := im.make(1000, time.Hour)
				for i := range keys {
					allow(i)
				}
				b.ReportMetric(float64(heap()-before)/float64(len(keys)), "heapB/key")
				runtime.KeepAlive(allow)
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkBulkhead acquires one of ten places and releases it, with room for
// all.
func BenchmarkBulkhead(b *testing.B) {
	ours, sem := bulkhead.New(bulkhead.Config{Limit: 10}), semaphore.NewWeighted(10)
	adaptive, fs := bulkhead.New(bulkhead.Config{Limit: 10, Adaptive: true}), fsbulkhead.New[any](10)
	impls := []struct {
		name string
		call func()
	}{
		{"redoubt", func() {
			if p, err := ours.Acquire(bg); err == nil {
				p.Release()
			}
		}},
		{"redoubt-adaptive", func() {
			if p, err := adaptive.Acquire(bg); err == nil {
				p.Done(nil)
			}
		}},
		{"xsync-semaphore", func() {
			if sem.Acquire(bg, 1) == nil {
				sem.Release(1)
			}
		}},
		{"failsafe", func() {
			if fs.AcquirePermit(bg) == nil {
				fs.ReleasePermit()
			}
		}},
	}
	for _, im := range impls {
		b.Run("serial/impl="+im.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				im.call()
			}
		})
		b.Run("parallel/impl="+im.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					im.call()
				}
			})
		})
	}
}

// handlers limit one client address to n requests an hour, with header fields.
func handlers(n int64) map[string]http.Handler {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	store, _ := throttledmem.NewCtx(1000)
	gcra, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{MaxRate: throttled.PerHour(int(n)), MaxBurst: int(n) - 1})
	if err != nil {
		panic(err)
	}
	th := throttled.HTTPRateLimiterCtx{RateLimiter: gcra, VaryBy: &throttled.VaryBy{RemoteAddr: true}}
	seth, err := sethhttp.NewMiddleware(sethStore(n, time.Hour), sethhttp.IPKeyFunc())
	if err != nil {
		panic(err)
	}
	return map[string]http.Handler{
		"redoubt": ratelimithttp.Middleware(ratelimithttp.Config{
			Store: ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(n)})),
			Key:   ratelimithttp.ByIP(ratelimithttp.ClientIP()),
		})(ok),
		"throttled": th.RateLimit(ok),
		"sethvargo": seth.Handle(ok),
		"ulule":     ululehttp.NewMiddleware(limiter.New(ululemem.NewStore(), limiter.Rate{Period: time.Hour, Limit: n})).Handler(ok),
		"httprate":  httprate.LimitBy(int(n), time.Hour, remoteIP)(ok),
	}
}

// remoteIP is what httprate recommends as the key where clients connect
// directly.
func remoteIP(r *http.Request) (string, error) {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	return httprate.CanonicalizeIP(ip), err
}

// discard is a ResponseWriter that keeps the header only.
type discard struct {
	header http.Header
	code   int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(code int)        { d.code = code }

func benchHTTP(b *testing.B, n int64, want int) {
	all := handlers(n)
	for _, name := range []string{"redoubt", "throttled", "sethvargo", "ulule", "httprate"} {
		b.Run("impl="+name, func(b *testing.B) {
			r, w := httptest.NewRequest(http.MethodGet, "/", nil), &discard{header: http.Header{}}
			all[name].ServeHTTP(w, r)
			w.code = 200
			if all[name].ServeHTTP(w, r); w.code != want {
				b.Fatalf("second request: status %d, want %d", w.code, want)
			}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				all[name].ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkHTTPAdmit serves requests of one address by an empty handler;
// BenchmarkHTTPDeny refuses them.
func BenchmarkHTTPAdmit(b *testing.B) { benchHTTP(b, plenty, http.StatusOK) }
func BenchmarkHTTPDeny(b *testing.B)  { benchHTTP(b, little, http.StatusTooManyRequests) }

// BenchmarkStorm has 1000 callers wait at 1000 a second, of whom 900 give up
// after 20 ms, and measures when the last of the others is served, in relation
// to the ideal: one a millisecond with no gaps.
func BenchmarkStorm(b *testing.B) {
	storm := func(wait func(context.Context) error) float64 {
		doomed, cancel := context.WithCancel(bg)
		defer cancel()
		var wg sync.WaitGroup
		var served atomic.Int64
		start := time.Now()
		for i := range 1000 {
			ctx := doomed
			if i%10 == 9 {
				ctx = bg
			}
			wg.Go(func() {
				if wait(ctx) == nil {
					served.Add(1)
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		cancel()
		wg.Wait()
		return time.Since(start).Seconds() * 1000 / float64(served.Load())
	}
	for name, wait := range map[string]func() func(context.Context) error{
		"redoubt": func() func(context.Context) error {
			l := ratelimit.New(ratelimit.PerSecond(1000).WithBurst(1))
			return l.Wait
		},
		"xtime": func() func(context.Context) error { return rate.NewLimiter(1000, 1).Wait },
	} {
		b.Run("impl="+name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(storm(wait()), "x-ideal")
			}
		})
	}
}

// BenchmarkOverAdmission lets goroutines take events at captured instants, some
// of them late, and divides what they got by the bound, burst + rate × time. A
// goroutine that the scheduler leaves behind is late by more; it can be given
// less than the bound, never more.
func BenchmarkOverAdmission(b *testing.B) {
	const perSecond, burst = 3_000_000, 100
	start := time.Now()
	for name, allow := range map[string]func() func(time.Time) bool{
		"redoubt": func() func(time.Time) bool {
			l := ratelimit.New(ratelimit.PerSecond(perSecond).WithBurst(burst))
			return func(t time.Time) bool { return l.AllowAt(t, 1) }
		},
		"xtime": func() func(time.Time) bool {
			l := rate.NewLimiter(perSecond, burst)
			return func(t time.Time) bool { return l.AllowN(t, 1) }
		},
	} {
		b.Run("impl="+name, func(b *testing.B) {
			for b.Loop() {
				try := allow()
				var n atomic.Int64
				var wg sync.WaitGroup
				for g := range 4 {
					wg.Go(func() {
						for i := range 100_000 { // all span 100 ms; each is up to 20 µs late
							at := time.Duration(i)*time.Microsecond - time.Duration((i*7919+g*104729)%20_000)
							if try(start.Add(max(at, 0))) {
								n.Add(1)
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(n.Load())/(burst+perSecond/10), "admitted/bound")
			}
		})
	}
}

// TestSameAdmissions checks what the benchmarks hold fixed: of a limit of ten
// an hour all admit exactly ten of 1000.
func TestSameAdmissions(t *testing.T) {
	for _, im := range append(append([]impl{}, single...), keyed...) {
		allow, n := im.make(10, time.Hour), 0
		for range 1000 {
			if allow(0) {
				n++
			}
		}
		if n != 10 {
			t.Errorf("%s admits %d, want 10", im.name, n)
		}
	}
}
