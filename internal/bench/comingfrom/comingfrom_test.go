// Package comingfrom compiles the calls of other libraries that
// docs/coming-from.md translates, and shows the behavior that differs.
package comingfrom

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	msemver "github.com/Masterminds/semver/v3"
	"github.com/cenkalti/backoff/v7"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/adaptivethrottler"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/fallback"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/maypok86/otter/v2"
	"github.com/nxadm/tail"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"
)

func TestGobreaker(t *testing.T) {
	fn := func() (string, error) { return "page", nil }
	cb := gobreaker.NewCircuitBreaker[string](gobreaker.Settings{Name: "users"})
	_, _ = cb.Execute(fn)
	two := gobreaker.NewTwoStepCircuitBreaker[string](gobreaker.Settings{})
	done, err := two.Allow()
	done(err)
	_ = gobreaker.Settings{MaxRequests: 1}
	_ = gobreaker.Settings{Interval: time.Minute}
	_ = gobreaker.Settings{Timeout: time.Minute}
	_ = gobreaker.Settings{ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures > 5 }}
	_ = gobreaker.Settings{IsSuccessful: func(err error) bool { return err == nil }}
	_ = gobreaker.Settings{IsExcluded: func(err error) bool { return false }}
	_ = gobreaker.Settings{OnStateChange: func(name string, from, to gobreaker.State) {}}
	_ = errors.Is(err, gobreaker.ErrOpenState)
	_ = errors.Is(err, gobreaker.ErrTooManyRequests)
	_ = cb.State()
	_ = cb.Counts()

	for n := 1; n <= 6; n++ {
		_, _ = cb.Execute(func() (string, error) { return "", io.EOF })
		if open := cb.State() == gobreaker.StateOpen; open != (n == 6) {
			t.Errorf("open %v after %d failures, want it after 6", open, n)
		}
	}
}

func TestBackoff(t *testing.T) {
	ctx := t.Context()
	errBusy := errors.New("busy")
	op := func() (string, error) { return "", errBusy }
	b := backoff.NewExponentialBackOff()
	_ = b.NextBackOff()
	_ = backoff.WithMaxElapsedTime(15 * time.Minute)
	_ = backoff.WithBackOff(backoff.NewConstantBackOff(time.Second))
	_ = backoff.WithNotify(func(error, time.Duration) {})
	_ = backoff.Permanent(errBusy)
	_ = backoff.RetryAfter(30*time.Second, errBusy)
	ticker := backoff.NewTicker(b)
	ticker.Stop()
	_, err := backoff.Retry(ctx, op, backoff.WithMaxTries(5), backoff.WithBackOff(backoff.NewConstantBackOff(0)))
	if e := backoff.AsRetryError(err); e == nil || errors.Is(err, backoff.ErrPermanent) {
		t.Errorf("got %v", err)
	}

	// MaxInterval does not bound the pause.
	b = backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = time.Minute, time.Minute
	longest := time.Duration(0)
	for range 1000 {
		longest = max(longest, b.NextBackOff())
	}
	if longest <= time.Minute {
		t.Errorf("the longest pause is %v, want more than MaxInterval", longest)
	}
}

func TestRate(t *testing.T) {
	ctx := t.Context()
	at, n := time.Now(), 2
	lim := rate.NewLimiter(33.3, 10)
	_ = rate.NewLimiter(rate.Every(time.Second), 1)
	_ = rate.NewLimiter(rate.Inf, 0)
	_ = lim.Allow()
	_ = lim.AllowN(at, n)
	_ = lim.Wait(ctx)
	_ = lim.WaitN(ctx, n)
	r := lim.Reserve()
	_ = r.OK()
	_ = r.Delay()
	r.Cancel()
	lim.SetLimit(50)
	lim.SetBurst(20)
	_ = lim.Limit()
	_ = lim.Burst()
	_ = lim.Tokens()
	sometimes := rate.Sometimes{Interval: time.Minute}
	sometimes.Do(func() {})
	_ = map[string]*rate.Limiter{}
	if rate.NewLimiter(5, 0).Allow() {
		t.Error("a burst of 0 admits an event")
	}
}

func TestLRU(t *testing.T) {
	fn := func(string, int) {}
	k, v := "k", 1
	c, err := lru.New[string, int](128)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = lru.NewWithEvict(128, fn)
	e := expirable.NewLRU(128, fn, time.Minute)
	_ = c.Add(k, v)
	_, _ = c.Get(k)
	_, _ = c.Peek(k)
	_ = c.Contains(k)
	_, _ = c.ContainsOrAdd(k, v)
	_, _, _ = c.PeekOrAdd(k, v)
	_ = c.Remove(k)
	_, _, _ = c.GetOldest()
	_, _, _ = c.RemoveOldest()
	_ = c.Keys()
	_ = c.Values()
	_ = c.Len()
	_ = c.Resize(64)
	c.Purge()
	_, _ = lru.New2Q[string, int](128)
	e.Add(k, v)
}

func TestOtter(t *testing.T) {
	ctx := t.Context()
	c := otter.Must(&otter.Options[string, int]{MaximumSize: 10_000})
	weigh := func(string, int) uint32 { return 1 }
	_ = &otter.Options[string, int]{MaximumWeight: 1 << 20, Weigher: weigh}
	_ = &otter.Options[string, int]{ExpiryCalculator: otter.ExpiryWriting[string, int](time.Minute)}
	_ = &otter.Options[string, int]{ExpiryCalculator: otter.ExpiryAccessing[string, int](time.Minute)}
	_ = &otter.Options[string, int]{RefreshCalculator: otter.RefreshWriting[string, int](time.Minute)}
	k, v := "k", 1
	loader := otter.LoaderFunc[string, int](func(context.Context, string) (int, error) { return 0, otter.ErrNotFound })
	bulk := otter.BulkLoaderFunc[string, int](func(context.Context, []string) (map[string]int, error) { return nil, nil })
	_, _ = c.GetIfPresent(k)
	_, _ = c.Set(k, v)
	_, _ = c.SetIfAbsent(k, v)
	c.SetExpiresAfter(k, time.Minute)
	_, err := c.Get(ctx, "other", loader)
	_, _ = c.BulkGet(ctx, []string{k}, bulk)
	_ = c.Refresh(ctx, k, loader)
	_, _ = c.Compute(k, func(old int, found bool) (int, otter.ComputeOp) { return old + 1, otter.WriteOp })
	_, _ = c.Invalidate(k)
	c.InvalidateAll()
	_ = c.EstimatedSize()
	_ = c.Stats()
	_ = c.StopAllGoroutines()
	if !errors.Is(err, otter.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestMasterminds(t *testing.T) {
	v, err := msemver.NewVersion("v1.2")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = msemver.StrictNewVersion("1.2.3")
	c, err := msemver.NewConstraint(">=1.2, <2 || 3.x")
	if err != nil {
		t.Fatal(err)
	}
	w := msemver.New(1, 2, 3, "", "")
	_ = c.Check(v)
	_, _ = c.Validate(v)
	_ = v.LessThan(w)
	_ = v.Equal(w)
	slices.SortFunc(msemver.Collection{w, v}, (*msemver.Version).Compare)
	_ = v.IncMinor()
	_, _ = v.SetPrerelease("rc.1")
	_, _ = v.SetMetadata("b7")
	_ = v.Prerelease()
	_ = v.Metadata()
	_ = v.Original()

	next := msemver.MustParse("1.2.0-rc.1").IncMinor()
	if next.String() != "1.3.0" {
		t.Errorf("IncMinor of a pre-release gave %v", next)
	}
	if msemver.MustParse("1.0.0-99999999999999999999").Compare(msemver.MustParse("1.0.0-100000000000000000000")) != 1 {
		t.Error("long numbers compare as numbers")
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(path, []byte("a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := tail.Config{Follow: true, ReOpen: true}
	_ = tail.Config{Location: &tail.SeekInfo{Whence: io.SeekEnd}}
	_ = tail.Config{Location: &tail.SeekInfo{Offset: 4096}}
	_ = tail.Config{Poll: true}
	_ = tail.Config{MaxLineSize: 1 << 20}
	_ = tail.Config{CompleteLines: true}
	config.Logger = tail.DiscardingLogger
	f, err := tail.TailFile(path, config)
	if err != nil {
		t.Fatal(err)
	}
	for line := range f.Lines {
		if line.Text == "a" && line.Err == nil {
			break
		}
	}
	_, _ = f.Tell()
	_ = f.Stop()
	f.Cleanup()
}

func TestFailsafe(t *testing.T) {
	errBusy := errors.New("busy")
	fn := func() (string, error) { return "page", nil }
	retryPolicy := retrypolicy.NewWithDefaults[string]()
	breaker := circuitbreaker.NewWithDefaults[string]()
	got, err := failsafe.With[string](retryPolicy, breaker).Get(fn)
	if got != "page" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	_ = retrypolicy.NewBuilder[string]().WithMaxRetries(3).WithBackoff(time.Second, time.Minute)
	_ = retrypolicy.NewBuilder[string]().HandleErrors(errBusy)
	_ = retrypolicy.NewBuilder[string]().AbortOnErrors(errBusy)
	_ = circuitbreaker.NewBuilder[string]().WithFailureRateThreshold(0.2, 10, time.Minute)
	_ = circuitbreaker.NewBuilder[string]().WithDelay(time.Minute)
	_ = circuitbreaker.NewBuilder[string]().WithSuccessThreshold(5)
	_ = adaptivethrottler.NewWithDefaults[string]()
	_ = ratelimiter.NewSmooth[string](100, time.Second)
	_ = ratelimiter.NewBursty[string](100, time.Second)
	_ = bulkhead.New[string](10)
	_ = adaptivelimiter.NewWithDefaults[string]()
	_ = timeout.New[string](time.Second)
	_ = hedgepolicy.NewWithDelay[string](100 * time.Millisecond)
	_ = hedgepolicy.NewWithDelayQuantile[string](0.95, 100, 10)
	_ = fallback.NewWithResult("old page")
	_ = budget.New()
	_ = &http.Client{Transport: failsafehttp.NewRoundTripper(nil, failsafehttp.NewRetryPolicyBuilder().Build())}
}
