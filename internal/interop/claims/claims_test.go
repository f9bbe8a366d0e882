package claims_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	masterminds "github.com/Masterminds/semver/v3"
	"github.com/cenkalti/backoff/v7"
	"github.com/maypok86/otter/v2"
	"github.com/nxadm/tail"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/logscan/follow"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/semver"
)

var errDown = errors.New("down")

// cenkalti/backoff exceeds its own longest pause by up to half.
func TestBackoffExceedsItsLongestPause(t *testing.T) {
	const most = 100 * time.Millisecond
	peer := backoff.NewExponentialBackOff()
	peer.MaxInterval = most
	own := retry.Exponential{Max: most}
	var longest, ownLongest time.Duration
	for n := range 1000 {
		longest = max(longest, peer.NextBackOff())
		ownLongest = max(ownLongest, own.Delay(retry.Step{Retry: n + 1, Rand: float64(n) / 1000}))
	}
	if longest < most*14/10 {
		t.Errorf("backoff pauses for %v at most with MaxInterval %v", longest, most)
	}
	if ownLongest > most {
		t.Errorf("redoubt pauses for %v with Max %v", ownLongest, most)
	}
}

// cenkalti/backoff sleeps into a deadline that the next attempt cannot meet.
func TestBackoffSleepsIntoTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := func(call func(context.Context)) time.Duration {
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			begin := time.Now()
			call(ctx)
			return time.Since(begin)
		}
		if d := took(func(ctx context.Context) {
			_, _ = backoff.Retry(ctx, func() (int, error) { return 0, errDown }, backoff.WithBackOff(backoff.NewConstantBackOff(time.Second)))
		}); d != 300*time.Millisecond {
			t.Errorf("backoff returns after %v", d)
		}
		if d := took(func(ctx context.Context) {
			policy := retry.Policy{Backoff: retry.Constant(time.Second)}
			err := policy.Do(ctx, func(context.Context) error { return errDown })
			if !errors.Is(err, errDown) {
				t.Errorf("redoubt returns %v, want the last error", err)
			}
		}); d != 0 {
			t.Errorf("redoubt returns after %v", d)
		}
	})
}

// sony/gobreaker drops the results of calls that take longer than its window:
// it stays closed however many of them fail.
func TestGobreakerDropsLongCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storm := func(call func(func() error)) {
			for range 10 {
				var group sync.WaitGroup
				for range 10 {
					group.Go(func() { call(func() error { time.Sleep(25 * time.Second); return errDown }) })
				}
				group.Wait()
			}
		}
		peer := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{Interval: 10 * time.Second})
		sent := 0
		var mu sync.Mutex
		storm(func(fn func() error) {
			_, _ = peer.Execute(func() (int, error) { mu.Lock(); sent++; mu.Unlock(); return 0, fn() })
		})
		if peer.State() != gobreaker.StateClosed || sent != 100 {
			t.Errorf("gobreaker is %v and has sent %d of 100 calls", peer.State(), sent)
		}
		own := breaker.New(breaker.Config{Window: 10 * time.Second})
		sent = 0
		storm(func(fn func() error) {
			_ = own.Do(context.Background(), func(context.Context) error { mu.Lock(); sent++; mu.Unlock(); return fn() })
		})
		if sent > 50 {
			t.Errorf("redoubt has sent %d of 100 calls", sent)
		}
	})
}

// sony/gobreaker waits forever for a probe that never reports.
func TestGobreakerWaitsForALostProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := func() error { return errDown }
		peer := gobreaker.NewTwoStepCircuitBreaker[int](gobreaker.Settings{Timeout: time.Second})
		own := breaker.New(breaker.Config{OpenFor: time.Second, Jitter: -1})
		for range 10 {
			if done, err := peer.Allow(); err == nil {
				done(fail())
			}
			_ = own.Do(context.Background(), func(context.Context) error { return fail() })
		}
		time.Sleep(2 * time.Second)
		if _, err := peer.Allow(); err != nil { // the probe, which is lost
			t.Fatalf("gobreaker admits no probe: %v", err)
		}
		for range 2 {
			if _, err := own.Allow(context.Background()); err != nil {
				t.Fatalf("redoubt admits no probe: %v", err)
			}
		}
		time.Sleep(24 * time.Hour)
		if _, err := peer.Allow(); err == nil {
			t.Error("gobreaker admits a call a day after the lost probe")
		}
		if err := own.Do(context.Background(), func(context.Context) error { return nil }); err != nil {
			t.Errorf("redoubt refuses a call a day after the lost probes: %v", err)
		}
	})
}

// x/time/rate can exceed its limit under contention: a goroutine that takes the
// time before another, and the lock after it, sets the clock of the limiter
// back, and the time between is paid out twice.
func TestRateExceedsItsLimit(t *testing.T) {
	begin := time.Now()
	const perSecond, burst, seconds = 1000, 100, 10
	peer := rate.NewLimiter(perSecond, burst)
	own := ratelimit.New(ratelimit.PerSecond(perSecond).WithBurst(burst))
	var admitted, ownAdmitted int
	for i := range seconds * 1000 { // each millisecond, two goroutines whose times differ by 2 ms
		for _, at := range []time.Duration{2 * time.Millisecond, 0} {
			now := begin.Add(time.Duration(i)*time.Millisecond + at)
			for range 2 {
				if peer.AllowN(now, 1) {
					admitted++
				}
				if own.AllowAt(now, 1) {
					ownAdmitted++
				}
			}
		}
	}
	const bound = burst + perSecond*seconds + 2
	if admitted < bound*3/2 {
		t.Errorf("x/time/rate admits %d events, at most %d are allowed", admitted, bound)
	}
	if ownAdmitted > bound {
		t.Errorf("redoubt admits %d events, at most %d are allowed", ownAdmitted, bound)
	}
}

// In x/time/rate a canceled wait does not move other waiters up.
func TestRateDoesNotMoveWaitersUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := func(wait func(context.Context) error) time.Duration {
			ctx, cancel := context.WithCancel(context.Background())
			var group sync.WaitGroup
			_ = wait(context.Background())
			group.Go(func() { _ = wait(ctx) })
			synctest.Wait()
			begin := time.Now()
			var took time.Duration
			group.Go(func() { _ = wait(context.Background()); took = time.Since(begin) })
			synctest.Wait()
			cancel()
			group.Wait()
			return took
		}
		if d := second(rate.NewLimiter(1, 1).Wait); d != 2*time.Second {
			t.Errorf("the second waiter of x/time/rate waits for %v", d)
		}
		if d := second(ratelimit.New(ratelimit.PerSecond(1).WithBurst(1)).Wait); d != time.Second {
			t.Errorf("the second waiter of redoubt waits for %v", d)
		}
	})
}

// otter exceeds its size in a burst of writes.
func TestOtterExceedsItsSize(t *testing.T) {
	const size = 1000
	burst := func(set func(int), length func() int) (most int) {
		var group sync.WaitGroup
		for g := range 64 {
			group.Go(func() {
				for i := range 2000 {
					set(g*2000 + i)
				}
			})
		}
		done := make(chan struct{})
		go func() { group.Wait(); close(done) }()
		for {
			most = max(most, length())
			select {
			case <-done:
				return max(most, length())
			default:
				runtime.Gosched()
			}
		}
	}
	peer := otter.Must(&otter.Options[int, int]{MaximumSize: size})
	most := 0
	for range 20 {
		if most = burst(func(k int) { peer.Set(k, k) }, peer.EstimatedSize); most > size {
			break
		}
	}
	if most <= size {
		t.Errorf("otter contains %d entries at most, its size is %d", most, size)
	}
	own := cache.New(cache.Config[int, int]{Capacity: size})
	if most := burst(func(k int) { own.Set(k, k) }, own.Len); most > size {
		t.Errorf("redoubt contains %d entries, its capacity is %d", most, size)
	}
}

// otter needs a goroutine to expire entries that are not used.
func TestOtterExpiresWithAGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	peer := otter.Must(&otter.Options[int, int]{MaximumSize: 10, ExpiryCalculator: otter.ExpiryWriting[int, int](time.Minute)})
	peer.Set(1, 1)
	if now := runtime.NumGoroutine(); now <= before {
		t.Error("otter runs no goroutine")
	}
	peer.StopAllGoroutines()
	before = runtime.NumGoroutine()
	own := cache.New(cache.Config[int, int]{Capacity: 10, TTL: time.Minute})
	own.Set(1, 1)
	if now := runtime.NumGoroutine(); now > before {
		t.Error("redoubt runs a goroutine")
	}
}

// A log that a handler of log/slog writes to a file does not notice that the
// file was altered or removed.
func TestSlogDoesNotNoticeAnAlteredFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	handler := slog.NewJSONHandler(file, nil)
	write := func() error {
		return handler.Handle(context.Background(), slog.NewRecord(time.Now(), slog.LevelInfo, "deleted", 0))
	}
	if err := errors.Join(write(), os.Truncate(name, 10), write(), os.Remove(name), write()); err != nil {
		t.Errorf("slog notices: %v", err)
	}

	dir := filepath.Join(t.TempDir(), "ledger")
	log, err := ledger.Open(context.Background(), dir, ledger.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	record := func() error {
		return log.WriteEvents(context.Background(), []*audit.Event{{Time: time.Now(), Action: "delete", Outcome: audit.Success}})
	}
	if err := record(); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(segments) != 1 {
		t.Fatalf("segments %v, %v", segments, err)
	}
	if err := os.Truncate(segments[0], 10); err != nil {
		t.Fatal(err)
	}
	if err := record(); err == nil {
		t.Error("the ledger writes to a file that was cut")
	}
}

// nxadm/tail loses lines when a file rotates.
func TestTailLosesLinesOfARotatingFile(t *testing.T) {
	for _, impl := range []string{"nxadm", "redoubt"} {
		t.Run(impl, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "app.log")
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			lines := make(chan struct{}, 1<<20)
			if impl == "redoubt" {
				f := follow.Follower{Path: name, Poll: 20 * time.Millisecond}
				go func() {
					for _, err := range f.Records(ctx) {
						if err == nil {
							lines <- struct{}{}
						}
					}
				}()
			} else {
				f, err := tail.TailFile(name, tail.Config{Follow: true, ReOpen: true, Logger: tail.DiscardingLogger})
				if err != nil {
					t.Fatal(err)
				}
				defer f.Cleanup()
				defer func() { _ = f.Stop() }()
				go func() {
					for range f.Lines {
						lines <- struct{}{}
					}
				}()
			}
			time.Sleep(200 * time.Millisecond) // until the follower is at the file
			const rotations, each = 20, 500
			for r := range rotations {
				file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				for i := range each {
					fmt.Fprintf(file, "rotation %d line %d\n", r, i)
				}
				if err := errors.Join(file.Close(), os.Rename(name, fmt.Sprintf("%s.%d", name, r+1))); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(name, []byte("the end\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			const all = rotations*each + 1
			got, quiet := 0, 2*time.Second
			if impl == "redoubt" {
				quiet = 20 * time.Second // it delivers all, if the machine lets it
			}
			for got < all {
				select {
				case <-lines:
					got++
					continue
				case <-time.After(quiet):
				}
				break
			}
			if lost := all - got; (lost > 0) != (impl == "nxadm") {
				t.Errorf("%d of %d lines are lost", lost, all)
			}
		})
	}
}

// Masterminds/semver compares pre-release numbers beyond 64 bits as texts.
func TestMastermindsComparesLargeNumbersAsTexts(t *testing.T) {
	const less, more = "1.0.0-99999999999999999999", "1.0.0-100000000000000000000"
	if masterminds.MustParse(less).LessThan(masterminds.MustParse(more)) {
		t.Errorf("Masterminds orders %s before %s", less, more)
	}
	if !semver.MustParse(less).Less(semver.MustParse(more)) {
		t.Errorf("redoubt does not order %s before %s", less, more)
	}
}
