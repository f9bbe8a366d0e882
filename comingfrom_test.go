package redoubt_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/follow"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
	"github.com/redoubt-go/redoubt/semver"
)

// TestComingFromIsCompiled looks for the code of docs/coming-from.md in the
// tests below, and in a test of internal/bench with the other libraries.
func TestComingFromIsCompiled(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(text)), " ")
	}
	page, err := os.ReadFile("docs/coming-from.md")
	if err != nil {
		t.Fatal(err)
	}
	code := []string{read("internal/bench/comingfrom/comingfrom_test.go"), read("comingfrom_test.go")}
	snippet := regexp.MustCompile("`([^`]+)`")
	rows := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")
		if len(cells) < 4 || strings.HasPrefix(strings.TrimSpace(cells[1]), "---") {
			continue
		}
		rows++
		for i, cell := range cells[1:3] {
			for _, m := range snippet.FindAllStringSubmatch(strings.ReplaceAll(cell, "\x00", "|"), -1) {
				if !strings.Contains(code[i], m[1]) {
					t.Errorf("column %d: %s is not compiled", i+1, m[1])
				}
			}
		}
	}
	if rows < 60 {
		t.Errorf("got %d rows", rows)
	}
}

func TestComingFromGobreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		logger := slog.New(slog.DiscardHandler)
		fetch := func(context.Context) (string, error) { return "page", nil }
		fn := func() (string, error) { return "page", nil }
		errBad := errors.New("bad request")

		b := breaker.New(breaker.Config{Name: "users"})
		_, _ = breaker.Do(ctx, b, fetch)
		_, _ = breaker.Do(ctx, b, redoubt.Func(fn))
		call, err := b.Allow(ctx)
		call.Done(err)
		_ = breaker.Config{Probes: 1}
		_ = breaker.Config{Window: time.Minute}
		same := breaker.New(breaker.Config{OpenFor: time.Minute, MaxOpenFor: -1, Jitter: -1})
		_ = breaker.Config{FailureRatio: 0.6, MinCalls: 10}
		_ = breaker.Config{TripIf: func(s breaker.Stats) bool { return s.Consecutive > 5 }}
		_ = breaker.Mark(errBad, breaker.OutcomeSuccess)
		_ = breaker.Mark(errBad, breaker.OutcomeIgnored)
		_ = breaker.Config{OnEvent: breaker.Log(logger)}
		_ = errors.Is(err, breaker.ErrOpen)
		_ = b.State()
		_ = b.Stats()

		// Without a call for long, 5 failures in a row open; there, it takes 6.
		for n := 1; ; n++ {
			same.Do(ctx, func(context.Context) error { return io.EOF })
			if same.State() == breaker.StateOpen {
				if n != 5 {
					t.Errorf("opened after %d failures, want 5", n)
				}
				break
			}
		}
		if d := same.Stats().RetryAfter.Round(time.Second); d != time.Minute {
			t.Errorf("open for %v, want a minute", d)
		}
		// A call that its caller gave up is no failure.
		gone, cancel := context.WithCancel(ctx)
		_ = b.Do(gone, func(ctx context.Context) error { cancel(); return ctx.Err() })
		if s := b.Stats(); s.Failures != 0 || s.Ignored != 1 {
			t.Errorf("got %d failures, %d ignored", s.Failures, s.Ignored)
		}
	})
}

func TestComingFromBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		err := errors.New("busy")
		n := 0
		op := func() (string, error) { n++; return "", err }
		fetch := func(context.Context) (string, error) { n++; return "", err }
		first := time.Now()

		policy := retry.Policy{}
		_, got := retry.Do(ctx, policy, fetch)
		_, _ = retry.Do(ctx, policy, redoubt.Func(op))
		_ = retry.Policy{MaxAttempts: 5}
		_ = retry.Policy{MaxAttempts: retry.Unlimited, MaxElapsed: 15 * time.Minute}
		_ = retry.Policy{Backoff: retry.Constant(time.Second)}
		old := retry.Exponential{Base: 500 * time.Millisecond, Factor: 1.5, Max: time.Minute, Jitter: retry.Spread(0.5)}
		_ = retry.Policy{OnEvent: retry.Log(nil)}
		_ = retry.Permanent(err)
		_ = retry.After(30*time.Second, err)
		for n, ctx := range policy.Attempts(ctx, &err) {
			_, _, err = n, ctx, errors.New("busy")
		}
		_, _ = policy.Next(1, first, err)
		e, _ := errors.AsType[*retry.Error](got)
		_ = errors.Is(err, retry.ErrPermanent)

		// The zero policy makes three attempts.
		if e.Attempts != 3 || n != 6 {
			t.Errorf("got %d attempts, %d calls", e.Attempts, n)
		}
		// Max holds with jitter.
		for range 1000 {
			if d := old.Delay(retry.Step{Retry: 50, Rand: 0.999}); d > time.Minute {
				t.Fatalf("a pause of %v", d)
			}
		}
		// A pause that does not fit before the deadline does not begin.
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, got = retry.Do(ctx, retry.Policy{Backoff: retry.Constant(time.Second)}, fetch)
		if time.Since(start) != 0 || !errors.Is(got, context.DeadlineExceeded) {
			t.Errorf("got %v after %v", got, time.Since(start))
		}
	})
}

func TestComingFromRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		at := time.Now()
		lim := ratelimit.New(ratelimit.Rate(33.3, 10))
		_ = ratelimit.New(ratelimit.Every(time.Second))
		_ = ratelimit.New(ratelimit.Inf())
		none := ratelimit.New(ratelimit.PerSecond(5).WithBurst(ratelimit.NoBurst))
		_ = lim.Allow()
		_ = lim.AllowAt(at, 2)
		_ = lim.Wait(ctx)
		_ = lim.WaitN(ctx, 2)
		_ = lim.Pace(ctx, 100)
		r := lim.Reserve(1)
		_ = r.OK()
		_ = r.Delay()
		r.Cancel()
		c := lim.Config()
		c.Limits[0] = ratelimit.PerSecond(50)
		_ = lim.Set(c)
		_ = lim.Config().Limits[0].Burst
		_ = lim.Tokens()
		_ = ratelimit.New(ratelimit.Every(time.Minute)).Allow()
		perUser := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerMinute(60)})
		_ = perUser.Allow("alice")

		// A burst of 0 is the burst of N.
		if !ratelimit.New(ratelimit.PerSecond(5).WithBurst(0)).AllowN(5) || none.Allow() {
			t.Error("want a burst of 5, and no burst")
		}
		// While a caller waits, Allow refuses.
		one := ratelimit.New(ratelimit.Every(time.Second))
		one.Allow()
		go one.Wait(ctx)
		synctest.Wait()
		if one.Allow() {
			t.Error("Allow overtook a caller that waits")
		}
		time.Sleep(time.Second)
	})
}

func TestComingFromLRU(t *testing.T) {
	var left []cache.Cause
	c := cache.New(cache.Config[string, int]{Capacity: 128, Eviction: cache.LRU})
	_ = cache.Config[string, int]{Capacity: 128}.Validate()
	_ = cache.Config[string, int]{OnEvent: func(_ context.Context, e cache.Event[string, int]) { left = append(left, e.Cause) }}
	_ = cache.New(cache.Config[string, int]{Capacity: 128, TTL: time.Minute})
	k, v := "k", 1
	c.Set(k, v)
	_, _ = c.Get(k)
	_, _ = c.Peek(k)
	_, _ = c.Swap(k, v)
	_, loaded := c.GetOrSet(k, v)
	_ = c.Delete(k)
	for k := range c.All() {
		c.GetAndDelete(k)
		break
	}
	_ = slices.Collect(c.Keys())
	_ = c.Len()
	config := c.Config()
	config.Capacity = 64
	_ = c.SetConfig(config)
	_ = c.Capacity()
	c.Clear()
	if !loaded {
		t.Error("GetOrSet stored a value over another")
	}

	// A value that is replaced is reported, too.
	d := cache.New(cache.Config[string, int]{Capacity: 1, OnEvent: func(_ context.Context, e cache.Event[string, int]) { left = append(left, e.Cause) }})
	d.Set("a", 1)
	d.Set("a", 2)
	d.Set("b", 1)
	if !slices.Equal(left, []cache.Cause{cache.CauseReplaced, cache.CauseEvicted}) {
		t.Errorf("got %v", left)
	}
}

func TestComingFromOtter(t *testing.T) {
	ctx := t.Context()
	c := cache.New(cache.Config[string, int]{Capacity: 10_000})
	weigh := func(_ string, v int) uint32 { return uint32(v) }
	_ = cache.New(cache.Config[string, int]{MaxWeight: 1 << 20, Weigh: weigh})
	_ = cache.New(cache.Config[string, int]{Capacity: 10_000, TTL: time.Minute})
	_ = cache.New(cache.Config[string, int]{Capacity: 10_000, IdleTTL: time.Minute})
	_ = cache.New(cache.Config[string, int]{Capacity: 10_000, Refresh: time.Minute})
	k, v := "k", 1
	load := func(context.Context, string) (int, error) { return 0, cache.ErrNotFound }
	loadAll := func(context.Context, []string) (map[string]int, error) { return nil, nil }
	_, _ = c.Get(k)
	_, _ = c.Swap(k, v)
	_, _ = c.GetOrSet(k, v)
	c.SetTTL(k, v, time.Minute)
	_, err := c.GetOrLoad(ctx, "other", load)
	_, _ = c.GetOrLoadMany(ctx, []string{k}, loadAll)
	_, _ = c.Reload(ctx, k, load)
	_, _ = c.Update(k, func(old int, ok bool) (int, cache.Op) { return old + 1, cache.Write })
	_ = c.Delete(k)
	c.Clear()
	_ = c.Len()
	_ = c.Stats().HitRatio()
	_ = c.Restore(c.Entries())
	if !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestComingFromMasterminds(t *testing.T) {
	v, err := semver.Tolerant.Parse("v1.2")
	_, _ = semver.Parse("1.2.3")
	r, err2 := semver.Helm.ParseRange(">=1.2, <2 || 3.x")
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	w := semver.New(1, 2, 3)
	_ = r.Contains(v)
	_ = r.Check(v)
	_ = v.Less(w)
	_ = v.Compare(w) == 0
	vs := []semver.Version{w, v}
	slices.SortFunc(vs, semver.Version.Compare)
	_, _ = r.Max(slices.Values(vs))
	_ = v.Bump(semver.Minor)
	_, _ = v.WithPrerelease("rc.1")
	_, _ = v.WithBuild("b7")
	_ = v.Prerelease()
	_ = v.Build()
	_ = r.Intersect(semver.MustParseRange("^1.4")).IsEmpty()

	if got := semver.MustParse("1.2.0-rc.1").Bump(semver.Minor); got != semver.New(1, 2, 0) {
		t.Errorf("Bump of a pre-release gave %v", got)
	}
	if semver.MustParse("1.0.0-99999999999999999999").Compare(semver.MustParse("1.0.0-100000000000000000000")) != -1 {
		t.Error("long numbers compare as texts")
	}
}

func TestComingFromTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(path, []byte("a\nb\nunfinished"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	logger := slog.New(slog.DiscardHandler)
	var checkpoint follow.Checkpoint
	f := follow.Follower{Path: path}
	_ = follow.Follower{Path: path, AtEnd: true}
	_ = follow.Follower{Path: path, From: &checkpoint}
	_ = follow.Follower{Path: path, Poll: 100 * time.Millisecond}
	_ = follow.Follower{Path: path, Scanner: logscan.Scanner{MaxLine: 1 << 20}}
	_ = follow.Follower{Path: path, OnEvent: follow.Log(logger)}
	f.StopAtEOF = true
	var lines []string
	for rec, err := range f.Records(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(rec.Line))
		checkpoint = rec.Checkpoint()
	}
	if !slices.Equal(lines, []string{"a", "b"}) {
		t.Errorf("got %q, want the lines that have an end", lines)
	}
}

func TestComingFromFailsafe(t *testing.T) {
	ctx := t.Context()
	errBusy := errors.New("busy")
	fn := func(context.Context) (string, error) { return "page", nil }
	alt := func(context.Context, error) (string, error) { return "old page", nil }
	policy := retry.Policy{MaxAttempts: 3}
	b := breaker.New(breaker.Config{})

	_, _ = retry.Wrap(policy, breaker.Wrap(b, fn))(ctx)
	_ = retry.Policy{MaxAttempts: 4, Backoff: retry.Exponential{Base: time.Second, Max: time.Minute}}
	_ = retry.Policy{RetryIf: retry.On(errBusy)}
	_ = retry.Policy{RetryIf: retry.On(errBusy).Not()}
	_ = breaker.Config{FailureRatio: 0.2, MinCalls: 10, Window: time.Minute}
	_ = breaker.Config{OpenFor: time.Minute}
	_ = breaker.Config{Probes: 5}
	_ = breaker.NewThrottle(breaker.ThrottleConfig{})
	_ = ratelimit.New(ratelimit.PerSecond(100).WithBurst(1))
	_ = ratelimit.New(ratelimit.PerSecond(100))
	_ = bulkhead.New(bulkhead.Config{Limit: 10, MaxQueue: -1})
	_ = bulkhead.New(bulkhead.Config{Adaptive: true})
	_ = retry.Policy{AttemptTimeout: time.Second}
	_, _ = retry.Hedge[string]{Delay: 100 * time.Millisecond}.Do(ctx, fn)
	_ = retry.Hedge[string]{Latency: &retry.Latency{P: 0.95}}
	_ = breaker.Fallback(fn, alt)
	_ = retry.Policy{Budget: &retry.TokenBudget{}}
	_ = cache.Memoize(cache.Config[string, string]{Capacity: 1000}, func(ctx context.Context, _ string) (string, error) { return fn(ctx) })
	_ = &http.Client{Transport: &retryhttp.Transport{Policy: policy}}
}
