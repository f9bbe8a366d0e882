package retryhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

var errCause = errors.New("the cause")

// contextOf returns the context of an attempt with a timeout, below the context
// parent, and the body that ends it.
func contextOf(t *testing.T, parent context.Context, timeout time.Duration) (context.Context, io.Closer) {
	t.Helper()
	var ctx context.Context
	tr := &retryhttp.Transport{Policy: quick(1), Base: tripper(func(r *http.Request) (*http.Response, error) {
		ctx = r.Context()
		return response(200, track("x")), nil
	})}
	tr.Policy.AttemptTimeout = timeout
	req, _ := http.NewRequestWithContext(parent, http.MethodGet, "http://example.com/", nil)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return ctx, resp.Body
}

// inAttempt calls f with the context of an attempt with a timeout of a second.
func inAttempt(t *testing.T, parent context.Context, f func(ctx context.Context)) {
	t.Helper()
	tr := &retryhttp.Transport{Policy: quick(1), Base: tripper(func(r *http.Request) (*http.Response, error) {
		f(r.Context())
		return nil, errBoom
	})}
	tr.Policy.AttemptTimeout = time.Second
	req, _ := http.NewRequestWithContext(parent, http.MethodGet, "http://example.com/", nil)
	tr.RoundTrip(req)
}

// ends describes how a context ends, directly and as the parent of others.
func ends(ctx context.Context) string {
	derived, cancel := context.WithCancel(ctx)
	defer cancel()
	timed, cancel := context.WithTimeout(context.WithValue(derived, errCause, 1), time.Hour)
	defer cancel()
	called := make(chan struct{})
	context.AfterFunc(ctx, func() { close(called) })
	for _, c := range []context.Context{ctx, derived, timed} {
		<-c.Done()
	}
	<-called
	return fmt.Sprint(ctx.Err(), ", ", context.Cause(ctx), "; ", timed.Err(), ", ", context.Cause(timed))
}

func TestContextOfAnAttempt(t *testing.T) {
	type ctxKey struct{}
	const late = "context deadline exceeded, retry: attempt timed out"
	t.Run("its deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			inAttempt(t, context.WithValue(t.Context(), ctxKey{}, "v"), func(ctx context.Context) {
				begin := time.Now()
				if end, ok := ctx.Deadline(); !ok || end.Sub(begin) != time.Second {
					t.Errorf("Deadline in %v, %t, want 1s", end.Sub(begin), ok)
				}
				if got := ctx.Value(ctxKey{}); got != "v" || ctx.Err() != nil || context.Cause(ctx) != nil {
					t.Errorf("Value, Err, Cause = %v, %v, %v before the end", got, ctx.Err(), context.Cause(ctx))
				}
				if got := ends(ctx); got != late+"; "+late || time.Since(begin) != time.Second {
					t.Errorf("ended with %s after %v, want %s for both after 1s", got, time.Since(begin), late)
				}
				if got := ends(ctx); got != late+"; "+late { // contexts derived after the end
					t.Errorf("ended with %s, want %s for both", got, late)
				}
				if got := ctx.Value(ctxKey{}); got != "v" {
					t.Errorf("Value after the end = %v, want v", got)
				}
			})
		})
	})
	t.Run("the caller's end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			parent, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second/2, func() { cancel(errCause) })
			inAttempt(t, parent, func(ctx context.Context) {
				const want = "context canceled, the cause"
				if got := ends(ctx); got != want+"; "+want {
					t.Errorf("ended with %s, want %s for both", got, want)
				}
			})
		})
	})
	t.Run("the caller's deadline is earlier or the same", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			parent, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCause)
			defer cancel()
			inAttempt(t, parent, func(ctx context.Context) {
				const want = "context deadline exceeded, the cause"
				if got := ends(ctx); got != want+"; "+want {
					t.Errorf("ended with %s, want %s for both", got, want)
				}
			})
		})
	})
	t.Run("the caller's end is seen at once", func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		inAttempt(t, parent, func(ctx context.Context) {
			cancel()
			if ctx.Err() != context.Canceled {
				t.Errorf("Err = %v right after the caller gave up, want %v", ctx.Err(), context.Canceled)
			}
		})
	})
	t.Run("the headers lift it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			parent, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			ctx, body := contextOf(t, parent, time.Second)
			if end, ok := ctx.Deadline(); !ok || time.Until(end) != time.Hour {
				t.Errorf("Deadline in %v, %t, want the caller's", time.Until(end), ok)
			}
			time.Sleep(time.Minute)
			if ctx.Err() != nil {
				t.Errorf("Err = %v after the headers, want nil", ctx.Err())
			}
			body.Close()
			if got := ends(ctx); got != "context canceled, context canceled; context canceled, context canceled" {
				t.Errorf("ended with %s, want canceled", got)
			}
		})
	})
	t.Run("derived contexts come and go", func(t *testing.T) {
		ctx, body := contextOf(t, t.Context(), time.Hour)
		var mu sync.Mutex
		called := 0
		var stops []func() bool
		for range 100 {
			stops = append(stops, context.AfterFunc(ctx, func() { mu.Lock(); called++; mu.Unlock() }))
		}
		for i, stop := range stops {
			if i%3 != 0 && (!stop() || stop()) {
				t.Error("stop = false, then true, want true, then false")
			}
		}
		body.Close()
		deadline := time.Now().Add(5 * time.Second)
		for time.Now().Before(deadline) {
			mu.Lock()
			done := called >= 34
			mu.Unlock()
			if done {
				break
			}
			time.Sleep(time.Millisecond)
		}
		mu.Lock()
		defer mu.Unlock()
		if called != 34 {
			t.Errorf("functions called = %d, want the 34 that were not stopped", called)
		}
	})
}

// No end of an attempt leaves anything registered with the caller's context.
func TestAttemptsLeaveNothingWithTheCaller(t *testing.T) {
	parent := &counted{Context: t.Context(), done: make(chan struct{})}
	conn := func() io.ReadCloser { c, _ := net.Pipe(); return c }
	tests := map[string]func(r *http.Request) (*http.Response, error){
		"answer":   func(*http.Request) (*http.Response, error) { return response(200, track("x")), nil },
		"no body":  func(*http.Request) (*http.Response, error) { return response(200, http.NoBody), nil },
		"nil body": func(*http.Request) (*http.Response, error) { return response(200, nil), nil },
		"error":    func(*http.Request) (*http.Response, error) { return nil, errBoom },
		"nothing":  func(*http.Request) (*http.Response, error) { return nil, nil },
		"upgrade":  func(*http.Request) (*http.Response, error) { return response(101, conn()), nil },
		"panic":    func(*http.Request) (*http.Response, error) { panic(errBoom) },
		"refusal":  func(*http.Request) (*http.Response, error) { return response(503, track("x")), nil },
	}
	for name, f := range tests {
		watch := tripper(func(r *http.Request) (*http.Response, error) {
			r.Context().Done()
			return f(r)
		})
		tr := &retryhttp.Transport{Base: watch, Policy: quick(2)}
		tr.Policy.AttemptTimeout = time.Hour
		for kind, rt := range map[string]http.RoundTripper{"transport": tr, "hedge": &retryhttp.Hedge{Base: watch}} {
			func() {
				defer func() { _ = recover() }()
				req, _ := http.NewRequestWithContext(parent, http.MethodGet, "http://example.com/", nil)
				if resp, err := rt.RoundTrip(req); err == nil && resp.Body != nil {
					resp.Body.Close()
				}
			}()
			if got := parent.registered(); got != 0 {
				t.Errorf("%s, %s: %d registered with the caller's context, want 0", kind, name, got)
			}
		}
	}
}

func TestLiftedDeadlineDoesNotEnd(t *testing.T) {
	if err := retryhttp.ExpireAfterLift(); err != nil {
		t.Errorf("err = %v, want nil", err)
	}
}

// A response that has no body need not be closed, over HTTP/2 neither.
func TestNoBodyLeavesNothingWithTheCaller(t *testing.T) {
	parent := &counted{Context: t.Context(), done: make(chan struct{})}
	tr := &retryhttp.Transport{Policy: quick(1)}
	tr.Policy.AttemptTimeout = time.Hour
	for _, tt := range []struct {
		method string
		status int
	}{{http.MethodHead, 200}, {http.MethodGet, 204}, {http.MethodGet, 304}} {
		tr.Base = tripper(func(r *http.Request) (*http.Response, error) {
			r.Context().Done()
			return response(tt.status, track("")), nil
		})
		req, _ := http.NewRequestWithContext(parent, tt.method, "http://example.com/", nil)
		if _, err := tr.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		if got := parent.registered(); got != 0 {
			t.Errorf("%s, %d: %d registered with the caller's context, want 0", tt.method, tt.status, got)
		}
		parent.n = 0
	}
}

// A counted context counts the functions that wait for its end.
type counted struct {
	context.Context
	done chan struct{}
	mu   sync.Mutex
	n    int
}

func (c *counted) Done() <-chan struct{} { return c.done }

func (c *counted) AfterFunc(func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return sync.OnceValue(func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.n--
		return true
	})
}

// registered returns the number of functions once it is 0, or after a second.
func (c *counted) registered() int {
	for deadline := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		n := c.n
		c.mu.Unlock()
		if n == 0 || time.Now().After(deadline) {
			return n
		}
	}
}

// An attempt that AttemptTimeout ended is retried, whatever the transport
// returns.
func TestTimeoutIsRetriedWhateverIsReturned(t *testing.T) {
	for name, f := range map[string]func(ctx context.Context) error{
		"error of the context":   func(ctx context.Context) error { return ctx.Err() },
		"cause of the context":   context.Cause,
		"context of a middleman": func(ctx context.Context) error { return fmt.Errorf("x: %w", merged(ctx)) },
		"both":                   func(ctx context.Context) error { return errors.Join(merged(ctx), context.Cause(ctx)) },
		"another error":          func(context.Context) error { return errBoom },
	} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			tr := &retryhttp.Transport{Policy: quick(2), Base: tripper(func(r *http.Request) (*http.Response, error) {
				if n++; n == 2 {
					return response(200, http.NoBody), nil
				}
				<-r.Context().Done()
				return nil, f(r.Context())
			})}
			var texts []string
			tr.Policy.AttemptTimeout = time.Second
			tr.Policy.OnEvent = func(_ context.Context, e retry.Event) {
				if e.Err != nil {
					texts = append(texts, e.Err.Error())
					if !errors.Is(e.Err, retry.ErrAttemptTimeout) || !errors.Is(e.Err, context.DeadlineExceeded) {
						t.Errorf("%s: error %v, want one that matches %v", name, e.Err, retry.ErrAttemptTimeout)
					}
				}
			}
			if resp, err := get(t, tr, "http://example.com/"); err != nil || resp.StatusCode != 200 || n != 2 {
				t.Errorf("%s: RoundTrip = %v, %v after %d attempts, want 200 after 2", name, resp, err, n)
			}
			if got := strings.Count(strings.Join(texts, ""), "timed out"); name != "both" && got != 1 {
				t.Errorf("%s: texts %q, want the timeout once", name, texts)
			}
		})
	}
}

// merged returns the error of a context that was cancelled with ctx.
func merged(ctx context.Context) error {
	other, cancel := context.WithCancel(context.Background())
	defer context.AfterFunc(ctx, cancel)()
	<-other.Done()
	return other.Err()
}
