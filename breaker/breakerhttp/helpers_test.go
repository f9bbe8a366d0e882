package breakerhttp_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/breaker/breakerhttp"
)

// A trip is a round-tripper made of a function.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// status answers with a status code, header fields and a body.
func status(code int, header ...string) trip {
	return func(req *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader("body")), Request: req}, nil
	}
}

func config() breaker.Config {
	return breaker.Config{Name: "dep", MinCalls: 4, Consecutive: -1, OpenFor: time.Second, Jitter: -1}
}

func guarded(b *breaker.Breaker, base http.RoundTripper) *breakerhttp.Transport {
	return &breakerhttp.Transport{Base: base, Gate: breakerhttp.One(b)}
}

// A body records that it was closed.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

func request(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// exchange sends req, reads the body of the response and closes it.
func exchange(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp, err
}

// counted returns the outcomes of all calls.
func counted(b *breaker.Breaker) map[breaker.Outcome]uint64 {
	s, m := b.Stats(), map[breaker.Outcome]uint64{}
	for o, n := range [...]uint64{s.Successes, s.Failures, s.Ignored} {
		if n > 0 {
			m[breaker.Outcome(o)] = n
		}
	}
	return m
}

func checkEqual[T any](t *testing.T, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// server returns the URL of a server with handler h, and a transport for it.
func server(t *testing.T, h http.Handler, http2 bool) (string, *http.Transport) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = quiet
	if http2 {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s.URL, s.Client().Transport.(*http.Transport)
}

// script returns the URL of a server that serves each connection by f and then
// closes it.
func script(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// answer reads the header of a request and writes text.
func answer(text string) func(net.Conn) {
	return func(c net.Conn) {
		readHeader(c)
		io.WriteString(c, text)
	}
}

// readHeader reads the header of a request.
func readHeader(c net.Conn) {
	var got strings.Builder
	buf := make([]byte, 1)
	for !strings.HasSuffix(got.String(), "\r\n\r\n") {
		if _, err := c.Read(buf); err != nil {
			return
		}
		got.Write(buf)
	}
}

// reset closes c so that the peer receives a reset.
func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}
