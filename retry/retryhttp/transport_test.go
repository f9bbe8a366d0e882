package retryhttp_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

var errBoom = errors.New("boom")

// quick is a policy of n attempts without pauses.
func quick(n int) retry.Policy {
	return retry.Policy{MaxAttempts: n, Backoff: retry.Constant(0)}
}

// A server is a real one on the loopback interface that counts what it gets.
type server struct {
	*httptest.Server
	requests, conns atomic.Int32
}

func serve(t *testing.T, h http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		h(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// status answers with codes in turn, the last one repeated.
func status(codes ...int) http.HandlerFunc {
	var n atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		i := int(n.Add(1))
		w.WriteHeader(codes[min(i, len(codes))-1])
		fmt.Fprintf(w, "answer %d", i)
	}
}

// base is a transport of its own, whose connections end with the test.
func base(t *testing.T) *http.Transport {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func get(t *testing.T, rt http.RoundTripper, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return rt.RoundTrip(req)
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("reading the body: %v", err)
	}
	return string(b)
}

// tripper is a function as a transport, for what no server can show. Like a
// real one it closes the body.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	return f(r)
}

// response is a fake one.
func response(code int, body io.ReadCloser) *http.Response {
	return &http.Response{StatusCode: code, Body: body, Header: http.Header{}}
}

// A tracked body counts how often it is closed.
type tracked struct {
	io.Reader
	closed atomic.Int32
}

func track(s string) *tracked { return &tracked{Reader: strings.NewReader(s)} }

func (b *tracked) Close() error { b.closed.Add(1); return nil }

func TestDiscardedResponsesFreeTheirConnections(t *testing.T) {
	s := serve(t, status(503))
	tr := &retryhttp.Transport{Base: base(t), Policy: quick(4)}
	before := runtime.NumGoroutine()
	for range 10 {
		resp, err := get(t, tr, s.URL)
		if err != nil {
			t.Fatal(err)
		}
		text(t, resp)
	}
	if got, conns := s.requests.Load(), s.conns.Load(); got != 40 || conns != 1 {
		t.Errorf("requests, connections = %d, %d, want 40, 1", got, conns)
	}
	// One connection: two goroutines here, and two of the server.
	if got := runtime.NumGoroutine() - before; got > 6 {
		t.Errorf("goroutines added = %d, want those of one connection", got)
	}
}

func TestDrainIsBounded(t *testing.T) {
	t.Run("in bytes", func(t *testing.T) {
		read := 0
		endless := readerFunc(func(p []byte) (int, error) { read += len(p); return len(p), nil })
		body := &tracked{Reader: endless}
		discardOnce(t, body)
		if read > 128<<10 || body.closed.Load() == 0 {
			t.Errorf("read %d bytes, closed %d times, want about 64 KiB, once", read, body.closed.Load())
		}
	})
	t.Run("in time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, w := io.Pipe()
			defer w.Close()
			begin := time.Now()
			discardOnce(t, r)
			if got := time.Since(begin); got > time.Second {
				t.Errorf("waited %v for a body that does not come, want at most 1s", got)
			}
		})
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// discardOnce makes a call whose first response has this body.
func discardOnce(t *testing.T, body io.ReadCloser) {
	t.Helper()
	n := 0
	tr := &retryhttp.Transport{Policy: quick(2), Base: tripper(func(*http.Request) (*http.Response, error) {
		if n++; n == 1 {
			return response(503, body), nil
		}
		return response(200, http.NoBody), nil
	})}
	resp, err := get(t, tr, "http://example.com/")
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("RoundTrip = %v, %v, want 200", resp, err)
	}
}

func TestContractOfRoundTripper(t *testing.T) {
	t.Run("exhaustion returns the response", func(t *testing.T) {
		s := serve(t, status(503))
		resp, err := get(t, &retryhttp.Transport{Base: base(t), Policy: quick(3)}, s.URL)
		if err != nil {
			t.Fatalf("error = %v, want the last response", err)
		}
		if got := text(t, resp); resp.StatusCode != 503 || got != "answer 3" {
			t.Errorf("response = %d %q, want 503 \"answer 3\"", resp.StatusCode, got)
		}
	})
	t.Run("request is unchanged, body closed once", func(t *testing.T) {
		for _, codes := range [][]int{{200}, {503, 200}, {503}} {
			s := serve(t, status(codes...))
			body := track("hello")
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL, body)
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("hello")), nil }
			req.Header.Set("X", "y")
			want := req.Clone(t.Context())
			tr := &retryhttp.Transport{Base: base(t), Policy: quick(3), AttemptHeader: "Attempt"}
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			text(t, resp)
			if req.Body != body || req.ContentLength != want.ContentLength {
				t.Errorf("%v: body of the request was replaced", codes)
			}
			if d := cmp.Diff(want.Header, req.Header); d != "" {
				t.Errorf("%v: header of the request (-want +got):\n%s", codes, d)
			}
			if got := body.closed.Load(); got != 1 {
				t.Errorf("%v: body closed %d times, want 1", codes, got)
			}
		}
	})
	t.Run("body is closed without an attempt", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, buffer := range []int64{0, 10} {
			body := track("hello")
			req, _ := http.NewRequestWithContext(ctx, http.MethodPut, "http://example.com/", body)
			_, err := (&retryhttp.Transport{MaxBuffer: buffer}).RoundTrip(req)
			if !errors.Is(err, context.Canceled) || body.closed.Load() != 1 {
				t.Errorf("error %v, body closed %d times, want %v, once", err, body.closed.Load(), context.Canceled)
			}
		}
	})
	t.Run("error of a single attempt is the base's", func(t *testing.T) {
		tr := &retryhttp.Transport{Base: tripper(func(*http.Request) (*http.Response, error) { return nil, errBoom })}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://example.com/", nil)
		if _, err := tr.RoundTrip(req); err != errBoom {
			t.Errorf("error = %v, want %v itself", err, errBoom)
		}
	})
	t.Run("cancelled in the attempt", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		body := track("x")
		tr := &retryhttp.Transport{Base: tripper(func(*http.Request) (*http.Response, error) {
			cancel()
			return response(503, body), nil
		})}
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/", nil)
		resp, err := tr.RoundTrip(req)
		if resp != nil || !errors.Is(err, context.Canceled) || body.closed.Load() != 1 {
			t.Errorf("RoundTrip = %v, %v, want nil, %v and the body closed", resp, err, context.Canceled)
		}
	})
	t.Run("cancelled in the pause", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		body := track("x")
		tr := &retryhttp.Transport{Base: tripper(func(*http.Request) (*http.Response, error) { return response(503, body), nil })}
		tr.Policy.OnEvent = func(context.Context, retry.Event) { cancel() }
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/", nil)
		resp, err := tr.RoundTrip(req)
		if resp != nil || !errors.Is(err, context.Canceled) || body.closed.Load() == 0 {
			t.Errorf("RoundTrip = %v, %v, want nil, %v and the body closed", resp, err, context.Canceled)
		}
	})
}

func TestFreshBodies(t *testing.T) {
	t.Run("seeker at an offset", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "body")
		if err := os.WriteFile(name, []byte("12345rest of it"), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Seek(5, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		got := bodies(t, file, 1<<10, 503, 200)
		if d := cmp.Diff([]string{"rest of it", "rest of it"}, got); d != "" {
			t.Errorf("bodies (-want +got):\n%s", d)
		}
	})
	tests := []struct {
		name   string
		body   io.Reader
		buffer int64
		want   []string
	}{
		{"GetBody", strings.NewReader("hello"), 0, []string{"hello", "hello", "hello"}},
		{"no GetBody", track("hello"), 0, []string{"hello"}},
		{"buffered", track("hello"), 5, []string{"hello", "hello", "hello"}},
		{"any size", track("hello"), math.MaxInt64, []string{"hello", "hello", "hello"}},
		{"too large for the buffer", track("hello"), 4, []string{"hello"}},
		{"nil", nil, 0, []string{"", "", ""}},
		{"NoBody", http.NoBody, 0, []string{"", "", ""}},
		{"empty", strings.NewReader(""), 0, []string{"", "", ""}},
		{"empty, unknown length", track(""), 9, []string{"", "", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := bodies(t, tt.body, tt.buffer, 503, 503, 200)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("bodies (-want +got):\n%s", d)
			}
			if b, ok := tt.body.(*tracked); ok && b.closed.Load() != 1 {
				t.Errorf("body closed %d times, want 1", b.closed.Load())
			}
		})
	}
	t.Run("GetBody fails", func(t *testing.T) {
		s := serve(t, status(503, 200))
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL, strings.NewReader("x"))
		req.GetBody = func() (io.ReadCloser, error) { return nil, errBoom }
		resp, err := (&retryhttp.Transport{Base: base(t), Policy: quick(3)}).RoundTrip(req)
		if err != nil {
			t.Fatalf("error = %v, want the response there is", err)
		}
		if got := text(t, resp); resp.StatusCode != 503 || got != "answer 1" {
			t.Errorf("response = %d %q, want 503 \"answer 1\"", resp.StatusCode, got)
		}
	})
	t.Run("reading the body fails", func(t *testing.T) {
		body := &tracked{Reader: readerFunc(func([]byte) (int, error) { return 0, errBoom })}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, serve(t, status(200)).URL, body)
		_, err := (&retryhttp.Transport{MaxBuffer: 9, Base: base(t), Policy: quick(3)}).RoundTrip(req)
		if !errors.Is(err, errBoom) || body.closed.Load() != 1 {
			t.Errorf("error %v, body closed %d times, want %v, once", err, body.closed.Load(), errBoom)
		}
	})
}

// bodies sends a PUT and returns what the server read of each attempt.
func bodies(t *testing.T, body io.Reader, buffer int64, codes ...int) []string {
	t.Helper()
	var mu sync.Mutex
	var got []string
	answer := status(codes...)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		got = append(got, string(b))
		mu.Unlock()
		answer(w, r)
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	tr := &retryhttp.Transport{Base: base(t), Policy: quick(5), MaxBuffer: buffer}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	text(t, resp)
	mu.Lock()
	defer mu.Unlock()
	return got
}

func TestOnlyIdempotentRequests(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errBoom}
	reset := &net.OpError{Op: "read", Err: errBoom}
	key := func(name string) http.Header { return http.Header{name: nil} }
	tests := []struct {
		method string
		header http.Header
		code   int
		err    error
		want   int // attempts of 3
	}{
		{"", nil, 503, nil, 3},
		{"GET", nil, 503, nil, 3},
		{"HEAD", nil, 503, nil, 3},
		{"OPTIONS", nil, 503, nil, 3},
		{"TRACE", nil, 503, nil, 3},
		{"PUT", nil, 503, nil, 3},
		{"DELETE", nil, 503, nil, 3},
		{"POST", nil, 503, nil, 1},
		{"PATCH", nil, 503, nil, 1},
		{"get", nil, 503, nil, 1},
		{"POST", http.Header{"Idempotency-Key": {"k"}}, 503, nil, 3},
		{"POST", key("Idempotency-Key"), 503, nil, 3},
		{"POST", key("X-Idempotency-Key"), 503, nil, 3},
		{"POST", nil, 0, reset, 1},
		{"POST", nil, 0, fmt.Errorf("x: %w", dial), 3},
		{"POST", nil, 0, refused{}, 3},
		{"POST", nil, 0, &net.OpError{Op: "proxyconnect", Err: errBoom}, 3},
		{"POST", nil, 0, &net.OpError{Op: "proxyconnect", Err: dial}, 3},
		{"POST", nil, 0, fmt.Errorf("x: %w", &net.OpError{Op: "write", Err: dial}), 3},
		{"GET", nil, 0, reset, 3},
		{"GET", nil, 404, nil, 1},
	}
	for _, tt := range tests {
		n := 0
		tr := &retryhttp.Transport{Policy: quick(3), Base: tripper(func(*http.Request) (*http.Response, error) {
			if n++; tt.err != nil {
				return nil, tt.err
			}
			return response(tt.code, http.NoBody), nil
		})}
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://example.com/", nil)
		req.Method = tt.method
		if tt.header != nil {
			req.Header = tt.header
		}
		tr.RoundTrip(req)
		if n != tt.want {
			t.Errorf("%q %v, status %d, error %v: %d attempts, want %d", tt.method, tt.header, tt.code, tt.err, n, tt.want)
		}
	}
}

// refused is the error of a guard that did not send the request.
type refused struct{}

func (refused) Error() string  { return "refused" }
func (refused) Rejected() bool { return true }

func TestAttemptTimeoutEndsWithTheHeaders(t *testing.T) {
	t.Run("body outlives it", func(t *testing.T) {
		release := make(chan struct{})
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-release
			io.WriteString(w, "late body")
		})
		tr := &retryhttp.Transport{Base: base(t), Policy: quick(1)}
		tr.Policy.AttemptTimeout = 500 * time.Millisecond
		resp, err := get(t, tr, s.URL)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(600 * time.Millisecond)
		close(release)
		if got := text(t, resp); got != "late body" {
			t.Errorf("body = %q, want \"late body\"", got)
		}
	})
	t.Run("slow headers are retried", func(t *testing.T) {
		var n atomic.Int32
		hang := make(chan struct{})
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1 {
				<-hang
			}
			io.WriteString(w, "second")
		})
		defer close(hang)
		tr := &retryhttp.Transport{Base: base(t), Policy: quick(2)}
		tr.Policy.AttemptTimeout = 250 * time.Millisecond
		resp, err := get(t, tr, s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, resp); got != "second" {
			t.Errorf("body = %q, want \"second\"", got)
		}
	})
	t.Run("Client.Timeout is a deadline", func(t *testing.T) {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(503)
		})
		client := &http.Client{Transport: &retryhttp.Transport{Base: base(t)}, Timeout: 5 * time.Second}
		begin := time.Now()
		resp, err := client.Get(s.URL)
		if err != nil || resp.StatusCode != 503 {
			t.Fatalf("Get = %v, %v, want the 503", resp, err)
		}
		resp.Body.Close()
		if got := time.Since(begin); got > 4*time.Second {
			t.Errorf("returned after %v, want at once", got)
		}
	})
}

func TestContextEndsWithTheBody(t *testing.T) {
	for _, end := range []string{"EOF", "Close", "error"} {
		var ctx context.Context
		tr := &retryhttp.Transport{Base: tripper(func(r *http.Request) (*http.Response, error) {
			ctx = r.Context()
			if end == "error" {
				return nil, retry.Permanent(errBoom)
			}
			return response(200, track("x")), nil
		})}
		tr.Policy.AttemptTimeout = time.Hour
		resp, err := get(t, tr, "http://example.com/")
		switch {
		case err != nil:
		case ctx.Err() != nil:
			t.Errorf("%s: context ended before the body", end)
		case end == "EOF":
			io.ReadAll(resp.Body)
		default:
			resp.Body.Close()
		}
		if ctx.Err() == nil {
			t.Errorf("%s: context did not end with the body", end)
		}
	}
}

func TestResponseAfterTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := track("x")
		tr := &retryhttp.Transport{Policy: quick(1), Base: tripper(func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Minute)
			return response(200, body), nil
		})}
		tr.Policy.AttemptTimeout = time.Second
		_, err := get(t, tr, "http://example.com/")
		if !errors.Is(err, retry.ErrAttemptTimeout) || body.closed.Load() != 1 {
			t.Errorf("error %v, body closed %d times, want %v, once", err, body.closed.Load(), retry.ErrAttemptTimeout)
		}
	})
}

func TestAllAttemptsTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := tripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		})
		tr := &retryhttp.Transport{Base: hang, Policy: quick(2)}
		tr.Policy.AttemptTimeout = time.Second
		_, err := get(t, tr, "http://example.com/")
		if !errors.Is(err, retry.ErrAttemptTimeout) || !errors.Is(err, retry.ErrExhausted) {
			t.Errorf("error = %v, want exhausted by timeouts", err)
		}
	})
}

func TestClassification(t *testing.T) {
	url := func(u string) *http.Request { return httptest.NewRequest("GET", u, nil) }
	ok := url("http://example.com/")
	header := func(name, value string) *http.Request {
		r := url("http://example.com/")
		r.Header = http.Header{name: {value}}
		return r
	}
	scheme := url("http://example.com/")
	scheme.URL.Scheme = "ftp"
	host := url("http://example.com/")
	host.URL.Host = ""
	errs := []struct {
		req  *http.Request
		err  error
		want bool
	}{
		{ok, errBoom, true},
		{ok, io.ErrUnexpectedEOF, true},
		{ok, context.Canceled, false},
		{ok, context.DeadlineExceeded, true},
		{ok, &tls.CertificateVerificationError{Err: errBoom}, false},
		{ok, tls.RecordHeaderError{Msg: "x"}, false},
		{ok, &net.OpError{Op: "remote error", Err: errBoom}, false}, // a TLS alert
		{ok, &net.OpError{Op: "local error", Err: errBoom}, false},
		{ok, &net.OpError{Op: "read", Err: errBoom}, true},
		{ok, (*net.OpError)(nil), true},
		{ok, fmt.Errorf("x: %w", x509.UnknownAuthorityError{}), false},
		{ok, x509.HostnameError{Certificate: &x509.Certificate{}}, false},
		{ok, x509.CertificateInvalidError{}, false},
		{ok, x509.SystemRootsError{}, false},
		{ok, &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, false},
		{ok, &net.DNSError{IsTemporary: true}, true},
		{ok, &net.DNSError{IsNotFound: true, IsTemporary: true}, true},
		{ok, &net.DNSError{IsTimeout: true}, true},
		{ok, errors.New("tls: failed to verify certificate: x509"), true}, // texts do not count
		{scheme, errBoom, false},
		{host, errBoom, false},
		{&http.Request{}, errBoom, false},
		{header("Bad Name", "x"), errBoom, false},
		{header("", "x"), errBoom, false},
		{header("Name", "x\ny"), errBoom, false},
		{header("Name", "x\ty é"), errBoom, true},
		{ok, retry.Permanent(errBoom), false},
	}
	for _, tt := range errs {
		if got := retryhttp.Retryable(tt.req, nil, tt.err); got != tt.want {
			t.Errorf("Retryable(%v) = %t, want %t", tt.err, got, tt.want)
		}
	}
	var codes []int
	for code := 100; code < 600; code++ {
		if retryhttp.Retryable(ok, &http.Response{StatusCode: code}, nil) {
			codes = append(codes, code)
		}
	}
	if d := cmp.Diff([]int{408, 425, 429, 500, 502, 503, 504}, codes); d != "" {
		t.Errorf("codes retried (-want +got):\n%s", d)
	}
	if retryhttp.Retryable(ok, nil, nil) {
		t.Error("Retryable without response and error = true, want false")
	}
}

func TestRealErrors(t *testing.T) {
	secure := httptest.NewUnstartedServer(status(200))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	plain := serve(t, status(200))
	tests := map[string]string{
		"unknown authority": secure.URL,
		"not TLS":           strings.Replace(plain.URL, "http:", "https:", 1),
		"scheme":            "gopher://example.com/",
	}
	for name, url := range tests {
		n := 0
		tr := &retryhttp.Transport{Policy: quick(3), Base: base(t)}
		tr.Policy.OnEvent = func(_ context.Context, e retry.Event) { n = e.Attempt }
		_, err := get(t, tr, url)
		if err == nil || n != 1 {
			t.Errorf("%s: error %v after %d attempts, want an error after 1", name, err, n)
		}
	}
	// A server that demands a certificate of its clients.
	demanding := httptest.NewUnstartedServer(status(200))
	demanding.Config.ErrorLog = log.New(io.Discard, "", 0)
	demanding.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	demanding.StartTLS()
	defer demanding.Close()
	n := 0
	tr := &retryhttp.Transport{Policy: quick(3), Base: tripper(func(r *http.Request) (*http.Response, error) {
		n++
		return demanding.Client().Transport.RoundTrip(r)
	})}
	if _, err := get(t, tr, demanding.URL); err == nil || n != 1 {
		t.Errorf("without a client certificate: error %v after %d attempts, want an error after 1", err, n)
	}
	// A port where nobody listens: not sent, so that even a POST is retried.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	l.Close()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader([]byte("x")))
	_, err = (&retryhttp.Transport{Policy: quick(3), Base: base(t)}).RoundTrip(req)
	if e, ok := errors.AsType[*retry.Error](err); !ok || e.Attempts != 3 {
		t.Errorf("refused POST: error %v, want one after 3 attempts", err)
	}
}

func TestSharedConnectionsStay(t *testing.T) {
	s := serve(t, status(503))
	shared := &idleCounter{RoundTripper: base(t)}
	ctx, cancel := context.WithCancel(t.Context())
	tr := &retryhttp.Transport{Base: shared, Policy: retry.Policy{Backoff: retry.Constant(time.Hour)}}
	tr.Policy.OnEvent = func(context.Context, retry.Event) { cancel() }
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if _, err := tr.RoundTrip(req); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
	resp, err := get(t, shared, s.URL)
	if err != nil {
		t.Fatal(err)
	}
	text(t, resp)
	if shared.closed != 0 || s.conns.Load() != 1 {
		t.Errorf("CloseIdleConnections called %d times, %d connections, want 0, 1", shared.closed, s.conns.Load())
	}
}

type idleCounter struct {
	http.RoundTripper
	closed int
}

func (c *idleCounter) CloseIdleConnections() { c.closed++ }

func TestAttemptHeaderAndEvents(t *testing.T) {
	var seen []string
	answer := status(503, 429, 200)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Attempt"))
		answer(w, r)
	})
	var events []string
	tr := &retryhttp.Transport{Base: base(t), Policy: quick(5), AttemptHeader: "Attempt"}
	tr.Policy.OnEvent = func(_ context.Context, e retry.Event) { events = append(events, fmt.Sprint(e.Kind, e.Attempt, e.Err)) }
	resp, err := get(t, tr, s.URL)
	if err != nil {
		t.Fatal(err)
	}
	text(t, resp)
	if d := cmp.Diff([]string{"", "2", "3"}, seen); d != "" {
		t.Errorf("attempt headers (-want +got):\n%s", d)
	}
	want := []string{
		"retry 1 retryhttp: 503 Service Unavailable",
		"retry 2 retryhttp: 429 Too Many Requests",
		"done 3 <nil>",
	}
	if d := cmp.Diff(want, events); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}

func TestOwnIdempotent(t *testing.T) {
	n := 0
	tr := &retryhttp.Transport{
		Policy: quick(3), AttemptHeader: "Attempt",
		Idempotent: func(r *http.Request) bool { return r.Method == http.MethodPost },
		RetryIf:    func(_ *http.Request, resp *http.Response, _ error) bool { return resp.StatusCode == 404 },
		Base: tripper(func(r *http.Request) (*http.Response, error) {
			if n++; n > 1 && r.Header.Get("Attempt") != fmt.Sprint(n) {
				t.Errorf("header of attempt %d = %v", n, r.Header)
			}
			return response(404, http.NoBody), nil
		}),
	}
	req := &http.Request{Method: http.MethodPost, URL: &url.URL{Scheme: "http", Host: "example.com"}}
	if resp, err := tr.RoundTrip(req); err != nil || resp.StatusCode != 404 || n != 3 {
		t.Errorf("RoundTrip = %v, %v after %d attempts, want 404 after 3", resp, err, n)
	}
}

func TestRetryAfterSetsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		tr := &retryhttp.Transport{Base: tripper(func(*http.Request) (*http.Response, error) {
			resp := response(503, http.NoBody)
			if n++; n == 2 {
				resp.StatusCode = 200
			}
			resp.Header.Set("Retry-After", "7")
			return resp, nil
		})}
		tr.Policy.Rand = func() float64 { return 0 }
		begin := time.Now()
		resp, err := get(t, tr, "http://example.com/")
		if err != nil || resp.StatusCode != 200 || time.Since(begin) != 7*time.Second {
			t.Errorf("RoundTrip = %v, %v after %v, want 200 after 7s", resp, err, time.Since(begin))
		}
	})
}

// The drain of a response takes time: no attempt starts at MaxElapsed or later,
// and no response is returned whose body is gone.
func TestMaxElapsedAfterTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var starts []time.Duration
		tr := &retryhttp.Transport{
			Policy: retry.Policy{Backoff: retry.Constant(100 * time.Millisecond), MaxElapsed: 300 * time.Millisecond},
			Base: tripper(func(*http.Request) (*http.Response, error) {
				starts = append(starts, time.Since(begin))
				stalled, _ := io.Pipe()
				return response(503, stalled), nil
			}),
		}
		resp, err := get(t, tr, "http://example.com/")
		if resp != nil || !errors.Is(err, retry.ErrElapsed) || len(starts) != 1 {
			t.Errorf("RoundTrip = %v, %v, attempts at %v, want %v after one", resp, err, starts, retry.ErrElapsed)
		}
		if e, ok := errors.AsType[*retryhttp.StatusError](err); !ok || e.StatusCode != 503 {
			t.Errorf("error = %v, want one with the 503", err)
		}
	})
}

func TestRefusalsOfPolicy(t *testing.T) {
	// A budget, a filter and a hint can each end a call early: with the
	// response there is.
	tests := map[string]retry.Policy{
		"budget": {Budget: &retry.TokenBudget{Burst: -1}},
		"filter": {RetryIf: retry.On(errBoom)},
		"hint":   {MaxRetryAfter: 1},
	}
	for name, policy := range tests {
		n := 0
		tr := &retryhttp.Transport{Policy: policy, Base: tripper(func(*http.Request) (*http.Response, error) {
			n++
			resp := response(503, http.NoBody)
			resp.Header.Set("Retry-After", "1")
			return resp, nil
		})}
		resp, err := get(t, tr, "http://example.com/")
		if err != nil || resp.StatusCode != 503 || n != 1 {
			t.Errorf("%s: RoundTrip = %v, %v after %d attempts, want the 503 after 1", name, resp, err, n)
		}
	}
}

// The error of the first attempt is passed on, a later one is counted.
func TestErrorsThatAreNotRetried(t *testing.T) {
	for n := range 2 {
		tr := &retryhttp.Transport{Policy: quick(3), Base: tripper(func(*http.Request) (*http.Response, error) {
			if n--; n >= 0 {
				return nil, errBoom
			}
			return nil, x509.UnknownAuthorityError{}
		})}
		sent := n + 1
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/", nil)
		_, err := tr.RoundTrip(req)
		_, same := err.(x509.UnknownAuthorityError)
		e, counted := err.(*retry.Error)
		if same != (sent == 1) || counted == same || counted && e.Attempts != sent {
			t.Errorf("%d attempts: err = %T %v", sent, err, err)
		}
	}
}

func TestStatusErrorLogValue(t *testing.T) {
	tr := &retryhttp.Transport{Policy: quick(2), Base: tripper(func(*http.Request) (*http.Response, error) {
		resp := response(503, http.NoBody)
		resp.Header.Set("Retry-After", "90")
		return resp, nil
	})}
	var got error
	tr.Policy.OnEvent = func(_ context.Context, e retry.Event) { got = e.Err }
	get(t, tr, "http://example.com/")
	e, ok := got.(*retryhttp.StatusError)
	if !ok || e.Header.Get("Retry-After") != "90" || e.LogValue().String() != "[status=503 retry_after=1m30s]" {
		t.Errorf("error = %v, want a *StatusError with its header and its pause", got)
	}
}
