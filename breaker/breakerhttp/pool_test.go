package breakerhttp_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/breaker/breakerhttp"
)

func endpoints(origins ...string) *breaker.Pool[string] {
	return breaker.NewPool(breaker.PoolConfig[string]{Endpoints: origins, Ordered: true})
}

// TestPoolServers sends requests to two real servers, of which the first breaks
// all its answers.
func TestPoolServers(t *testing.T) {
	bad, base := server(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "9")
		io.WriteString(w, "half")
	}), false)
	good, _ := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprint(w, r.Host, " ", r.URL, " ", string(body))
	}), false)
	p := &breakerhttp.Pool{Base: base, Endpoints: endpoints(bad, good)}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: p}
	host := strings.TrimPrefix(good, "http://")
	for _, name := range []string{"", "virtual.example.com"} {
		for range 10 {
			var got []byte
			var err error
			var resp *http.Response
			for range 2 { // a retry
				req := request(t, "https://api.example.com/a?b=c")
				req.Body, req.ContentLength = io.NopCloser(hidden("text")()), 4
				if name != "" {
					req.Host = name
				}
				if resp, err = client.Do(req); err != nil {
					continue
				}
				got, err = io.ReadAll(resp.Body)
				resp.Body.Close()
				if req.URL.Host != "api.example.com" {
					t.Fatalf("the request of the caller goes to %s now", req.URL)
				}
				if err == nil {
					break
				}
			}
			want := host
			if name != "" {
				want = name
			}
			if err != nil || string(got) != want+" /a?b=c text" || resp.Request.URL.Host != host {
				t.Fatalf("got %q, %v; want the second server to answer for %s", got, err, want)
			}
		}
	}
	s := p.Endpoints.Stats()
	if s.Ejected != 1 || s.Running != 0 || s.FailedOpen != 0 {
		t.Errorf("stats %+v, want the first server ejected", s)
	}
}

func TestPoolRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := breaker.PoolConfig[string]{Endpoints: []string{"http://a", "http://b"}, MaxEjected: 1}
		p := &breakerhttp.Pool{Base: status(500), Endpoints: breaker.NewPool(cfg)}
		for range 20 {
			exchange(p, request(t, "http://h"))
		}
		req, sent := request(t, "http://h"), &body{Reader: strings.NewReader("x")}
		req.Body = sent
		_, err := p.RoundTrip(req)
		var e *breaker.OpenError
		if !errors.As(err, &e) || e.Name != "http://a" && e.Name != "http://b" || !sent.closed {
			t.Errorf("error %v, closed %v; want a refusal with the name of an endpoint", err, sent.closed)
		}
		p.Base = status(200)
		time.Sleep(time.Minute)
		for range 20 {
			if _, err := exchange(p, request(t, "http://h")); err != nil {
				t.Errorf("after the outage: %v", err)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestPoolValidate(t *testing.T) {
	for _, p := range []*breakerhttp.Pool{
		{},
		{Endpoints: endpoints("example.com")},
		{Endpoints: endpoints("ftp://example.com")},
		{Endpoints: endpoints("https://")},
		{Endpoints: endpoints("https://example.com/path")},
		{Endpoints: endpoints("https://user@example.com")},
	} {
		sent := &body{Reader: strings.NewReader("x")}
		req := request(t, "http://h")
		req.Body = sent
		if _, err := p.RoundTrip(req); err == nil || err.Error() != p.Validate().Error() || !sent.closed {
			t.Errorf("RoundTrip %v, Validate %v, closed %v; want the same error", err, p.Validate(), sent.closed)
		}
		if p.Endpoints != nil && p.Endpoints.Stats().Running != 0 {
			t.Error("a call still runs")
		}
	}
	if _, err := (&breakerhttp.Pool{}).RoundTrip(&http.Request{}); err == nil {
		t.Error("no error without a URL")
	}
	closed := &closer{}
	(&breakerhttp.Pool{Base: closed}).CloseIdleConnections()
	(&breakerhttp.Transport{Base: closed}).CloseIdleConnections()
	checkEqual(t, closed.n, 2)
}

// A closer counts calls of CloseIdleConnections.
type closer struct {
	trip
	n int
}

func (c *closer) CloseIdleConnections() { c.n++ }
