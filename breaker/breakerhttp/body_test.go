package breakerhttp_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/breaker/breakerhttp"
)

// A flow is a body that takes pause for each of n bytes, and then ends with
// err.
type flow struct {
	n     int
	pause time.Duration
	err   error
}

func (f *flow) Read(p []byte) (int, error) {
	time.Sleep(f.pause)
	if f.n == 0 {
		return 0, f.err
	}
	f.n--
	p[0] = 'x'
	return 1, nil
}

func (*flow) Close() error { return nil }

// flowing answers at once with a body of n bytes.
func flowing(n int, pause time.Duration, err error) trip {
	return func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: &flow{n, pause, err}, Request: req}, nil
	}
}

// TestLongBodiesAreNotSlow downloads bodies of minutes beside short answers.
// The breaker must neither take them for slow nor for hanging.
func TestLongBodiesAreNotSlow(t *testing.T) {
	for _, slowCall := range []time.Duration{0, time.Second} {
		t.Run(slowCall.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breaker.New(breaker.Config{SlowCall: slowCall})
				for range 100 {
					exchange(guarded(b, flowing(1, 10*time.Millisecond, io.EOF)), request(t, "http://h"))
				}
				for i := range 200 {
					go exchange(guarded(b, flowing(40, 10*time.Second, io.EOF)), request(t, "http://h"))
					time.Sleep(time.Second)
					if b.State() != breaker.StateClosed {
						t.Fatalf("after %d downloads: %+v", i, b.Stats())
					}
				}
				time.Sleep(10 * time.Minute)
				s := b.Stats()
				if s.Successes != 300 || s.Slow != 0 || s.Usual > 20*time.Millisecond {
					t.Errorf("stats %+v, want 300 successes, none slow", s)
				}
			})
		})
	}
}

// TestLongBodiesClose shows that a breaker closes while the bodies of its
// probes still arrive, and that their end counts for nothing.
func TestLongBodiesClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(config())
		b.Trip(time.Second, nil)
		time.Sleep(time.Second)
		for range 2 {
			go exchange(guarded(b, flowing(60, time.Second, io.ErrUnexpectedEOF)), request(t, "http://h"))
		}
		time.Sleep(6 * time.Second)
		if got := b.State(); got != breaker.StateClosed {
			t.Errorf("state %v, want the probes to have succeeded", got)
		}
		time.Sleep(2 * time.Minute)
		checkEqual(t, counted(b), map[breaker.Outcome]uint64{success: 2})
	})
}

// TestShortBodiesDecide shows that a probe whose body breaks does not close a
// breaker.
func TestShortBodiesDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(config())
		b.Trip(time.Second, nil)
		time.Sleep(time.Second)
		if _, err := exchange(guarded(b, flowing(3, time.Second, io.ErrUnexpectedEOF)), request(t, "http://h")); err != io.ErrUnexpectedEOF {
			t.Errorf("error %v, want that of the body", err)
		}
		if got := b.State(); got != breaker.StateOpen {
			t.Errorf("state %v, want open", got)
		}
	})
}

// A blocking body fails as soon as it is closed, and before Close returns.
type blocking chan struct{}

func (b blocking) Read([]byte) (int, error) { <-b; return 0, http.ErrBodyReadAfterClose }

func (b blocking) Close() error { close(b); synctest.Wait(); return nil }

// TestCloseDuringRead shows that a Read that fails because the caller closes
// the body is no failure.
func TestCloseDuringRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(config())
		resp, err := guarded(b, trip(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: blocking(make(chan struct{})), Request: req}, nil
		})).RoundTrip(request(t, "http://h"))
		if err != nil {
			t.Fatal(err)
		}
		go resp.Body.Read(make([]byte, 1))
		synctest.Wait()
		resp.Body.Close()
		synctest.Wait()
		checkEqual(t, counted(b), map[breaker.Outcome]uint64{success: 1})
	})
}

// TestBodyClosedByBase shows that a body of a request that fails after base has
// closed it is no fault of the caller.
func TestBodyClosedByBase(t *testing.T) {
	b := breaker.New(config())
	req := request(t, "http://h")
	req.Body = &flow{0, 0, errors.New("closed")}
	exchange(guarded(b, trip(func(req *http.Request) (*http.Response, error) {
		req.Body.Close()
		req.Body.Read(make([]byte, 1))
		return nil, errors.New("connection reset")
	})), req)
	checkEqual(t, counted(b), map[breaker.Outcome]uint64{failure: 1})
}

func TestNilBody(t *testing.T) {
	b := breaker.New(config())
	resp, err := guarded(b, trip(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Request: req}, nil
	})).RoundTrip(request(t, "http://h"))
	if err != nil || resp.Body != nil {
		t.Errorf("response %v, error %v; want it without a body", resp, err)
	}
	checkEqual(t, counted(b), map[breaker.Outcome]uint64{success: 1})
}

// TestUpgrade shows that the connection of an upgrade works, and that the
// upgrade counts as soon as it is made.
func TestUpgrade(t *testing.T) {
	url := script(t, func(c net.Conn) {
		answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")(c)
		line, _ := bufio.NewReader(c).ReadString('\n')
		io.WriteString(c, line)
	})
	req := request(t, url)
	req.Method = http.MethodGet
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	b := breaker.New(config())
	resp, err := guarded(b, &http.Transport{}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, counted(b), map[breaker.Outcome]uint64{success: 1})
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("the body is a %T, want one that can be written", resp.Body)
	}
	io.WriteString(conn, "hello\n")
	got, _ := io.ReadAll(conn)
	conn.Close()
	checkEqual(t, string(got), "hello\n")
	checkEqual(t, counted(b), map[breaker.Outcome]uint64{success: 1})
}

// TestClassifySeesBodies shows that Classify judges the errors of bodies, with
// the response.
func TestClassifySeesBodies(t *testing.T) {
	b := breaker.New(config())
	rt := guarded(b, status(200, "X-Part", "1"))
	rt.Base = flowing(1, 0, errors.New("odd"))
	rt.Classify = func(resp *http.Response, err error) breaker.Outcome {
		if resp.StatusCode == 200 && err != nil {
			return breaker.OutcomeIgnored
		}
		return breakerhttp.Classify(resp, err)
	}
	exchange(rt, request(t, "http://h"))
	checkEqual(t, counted(b), map[breaker.Outcome]uint64{ignored: 1})
}

func TestPanics(t *testing.T) {
	boom := func(*http.Response, error) breaker.Outcome { panic("boom") }
	answer := &body{Reader: strings.NewReader("x")}
	tests := map[string]*breakerhttp.Transport{
		"base":                   {Base: trip(func(*http.Request) (*http.Response, error) { panic("boom") })},
		"base exits":             {Base: trip(func(*http.Request) (*http.Response, error) { runtime.Goexit(); return nil, nil })},
		"Classify of a response": {Base: trip(func(*http.Request) (*http.Response, error) { return &http.Response{Body: answer}, nil }), Classify: boom},
		"Classify of an error":   {Base: trip(func(*http.Request) (*http.Response, error) { return nil, io.EOF }), Classify: boom},
	}
	for name, rt := range tests {
		t.Run(name, func(t *testing.T) {
			b := breaker.New(config())
			rt.Gate = breakerhttp.One(b)
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { recover() }()
				rt.RoundTrip(request(t, "http://h"))
			}()
			<-done
			checkEqual(t, counted(b), map[breaker.Outcome]uint64{failure: 1})
		})
	}
	if !answer.closed {
		t.Error("the body of the response leaks if Classify panics")
	}
}

func TestNoURL(t *testing.T) {
	b := breaker.New(config())
	for _, rt := range []*breakerhttp.Transport{guarded(b, status(200)), {}} {
		sent := &body{Reader: strings.NewReader("x")}
		_, err := rt.RoundTrip(&http.Request{Body: sent})
		if err == nil || !sent.closed {
			t.Errorf("error %v, closed %v; want an error and the body closed", err, sent.closed)
		}
	}
	checkEqual(t, counted(b), map[breaker.Outcome]uint64{})
}

// TestNeutralCodesDecideNothing shows a dependency that is down behind a front
// that answers most requests itself.
func TestNeutralCodesDecideNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{Jitter: -1})
		sent, n := 0, 0
		rt := guarded(b, trip(func(req *http.Request) (*http.Response, error) {
			sent++
			if n%5 < 3 {
				return status(http.StatusUnauthorized)(req)
			}
			return status(http.StatusInternalServerError)(req)
		}))
		for n = range 1000 {
			exchange(rt, request(t, "http://h"))
			time.Sleep(100 * time.Millisecond)
		}
		if sent > 150 {
			t.Errorf("%d of 1000 requests were sent to a dead engine: %+v", sent, b.Stats())
		}
	})
}

// TestAllocations compares with the same exchanges without a breaker.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	base := trip(func(req *http.Request) (*http.Response, error) {
		if req.Body != nil {
			io.Copy(io.Discard, req.Body)
		}
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("body")), Request: req}, nil
	})
	g := breaker.NewGroup(breaker.GroupConfig[string]{})
	gates := map[string]func(*http.Request) breaker.Gate{
		"One": breakerhttp.One(breaker.New(breaker.Config{})), "PerHost": breakerhttp.PerHost(g),
	}
	bodies := map[string]func() io.ReadCloser{
		"GET":    func() io.ReadCloser { return nil },
		"memory": func() io.ReadCloser { return io.NopCloser(strings.NewReader("text")) },
		"reader": func() io.ReadCloser { return &flow{4, 0, io.EOF} },
	}
	for gate, f := range gates {
		for name, body := range bodies {
			t.Run(gate+" "+name, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				req := request(t, "https://example.com/").WithContext(ctx)
				req.ContentLength = 4
				run := func(rt http.RoundTripper) float64 {
					return testing.AllocsPerRun(500, func() {
						if req.Body = body(); req.Body == nil {
							req.ContentLength = 0
						}
						exchange(rt, req)
					})
				}
				want := 1.0
				if gate == "PerHost" {
					want = 2 // the key of the group
				}
				if got := run(&breakerhttp.Transport{Base: base, Gate: f}) - run(base); got != want {
					t.Errorf("%v allocations, want %v", got, want)
				}
			})
		}
	}
}
