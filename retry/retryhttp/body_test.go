package retryhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

// A body that stalls does not hold a call beyond its context, with MaxBuffer or
// without, over HTTP/2. Over HTTP/1 net/http itself waits for the body.
func TestStalledRequestBody(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	for _, buffer := range []int64{0, 1 << 20} {
		pr, pw := io.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		req, _ := http.NewRequestWithContext(ctx, http.MethodPut, s.URL, pr)
		begin := time.Now()
		_, err := (&retryhttp.Transport{Base: s.Client().Transport, MaxBuffer: buffer}).RoundTrip(req)
		if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took > 5*time.Second {
			t.Errorf("MaxBuffer %d: %v after %v, want %v after 0.1s", buffer, err, took, context.DeadlineExceeded)
		}
		// The source is closed: a writer does not block.
		if _, err := pw.Write([]byte("x")); err == nil {
			t.Errorf("MaxBuffer %d: the body is open after the call", buffer)
		}
		cancel()
	}
}

// A body is read only as far as the attempts read it, and each attempt gets all
// of it.
func TestRecordedBody(t *testing.T) {
	t.Run("read on by the second attempt", func(t *testing.T) {
		body := track("hello world")
		var got []string
		tr := &retryhttp.Transport{Policy: quick(3), MaxBuffer: 11, Base: tripper(func(r *http.Request) (*http.Response, error) {
			n := []int64{5, 2, 100}[len(got)]
			b, _ := io.ReadAll(io.LimitReader(r.Body, n))
			got = append(got, string(b))
			return response([]int{503, 503, 200}[len(got)-1], http.NoBody), nil
		})}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://example.com/", body)
		if resp, err := tr.RoundTrip(req); err != nil || resp.StatusCode != 200 {
			t.Fatalf("RoundTrip = %v, %v, want 200", resp, err)
		}
		if s := strings.Join(got, "|"); s != "hello|he|hello world" || body.closed.Load() != 1 {
			t.Errorf("bodies = %q, closed %d times, want three, once", s, body.closed.Load())
		}
	})
	t.Run("not read", func(t *testing.T) {
		var read atomic.Int32
		body := &tracked{Reader: readerFunc(func(p []byte) (int, error) { read.Add(1); return 0, io.EOF })}
		tr := &retryhttp.Transport{Policy: quick(3), MaxBuffer: 9, Base: tripper(func(r *http.Request) (*http.Response, error) {
			return nil, errBoom
		})}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://example.com/", body)
		if _, err := tr.RoundTrip(req); !errors.Is(err, errBoom) || read.Load() != 0 || body.closed.Load() != 1 {
			t.Errorf("error %v, %d reads, closed %d times, want %v, 0, once", err, read.Load(), body.closed.Load(), errBoom)
		}
	})
	t.Run("known to be too long", func(t *testing.T) {
		body := track("hello")
		tr := &retryhttp.Transport{Policy: quick(3), MaxBuffer: 4, Base: tripper(func(r *http.Request) (*http.Response, error) {
			if r.Body != body {
				t.Errorf("body is a %T, want the caller's", r.Body)
			}
			return response(503, http.NoBody), nil
		})}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://example.com/", body)
		req.ContentLength = 5
		tr.RoundTrip(req)
	})
	// An attempt may still read its body when the next one begins.
	t.Run("read by two attempts", func(t *testing.T) {
		const tooLong = "retryhttp: the request body is longer than MaxBuffer"
		for _, tt := range []struct {
			limit int64
			reads int // of the first attempt after its end
			want  string
		}{
			{6, 1, "hello! <nil>"},
			{6, 2, "hello! <nil>"},
			{3, 1, "hello! <nil>"},
			{3, 2, "he " + tooLong},
		} {
			parts := []string{"he", "llo", "!"}
			body := track("")
			body.Reader = readerFunc(func(p []byte) (int, error) {
				if len(parts) == 0 {
					return 0, io.EOF
				}
				part := parts[0]
				parts = parts[1:]
				return copy(p, part), nil
			})
			var first io.ReadCloser
			var got string
			tr := &retryhttp.Transport{Policy: quick(2), MaxBuffer: tt.limit, Base: tripperKeeps(func(r *http.Request) (*http.Response, error) {
				if first == nil {
					first = r.Body
					io.ReadFull(first, make([]byte, 2))
					return nil, errBoom
				}
				for range tt.reads {
					first.Read(make([]byte, 9))
				}
				first.Close()
				b, err := io.ReadAll(r.Body)
				r.Body.Close()
				got = fmt.Sprint(string(b), " ", err)
				return response(200, http.NoBody), nil
			})}
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://example.com/", body)
			if tr.RoundTrip(req); got != tt.want || body.closed.Load() != 1 {
				t.Errorf("MaxBuffer %d, %d reads: the second attempt read %q, closed %d times, want %q, once",
					tt.limit, tt.reads, got, body.closed.Load(), tt.want)
			}
		}
	})
	t.Run("no read after the close", func(t *testing.T) {
		tr := &retryhttp.Transport{MaxBuffer: 9, Base: tripperKeeps(func(r *http.Request) (*http.Response, error) {
			r.Body.Close()
			r.Body.Close()
			if n, err := r.Body.Read(make([]byte, 9)); n != 0 || err != http.ErrBodyReadAfterClose {
				t.Errorf("Read = %d, %v, want 0, %v", n, err, http.ErrBodyReadAfterClose)
			}
			return response(200, http.NoBody), nil
		})}
		body := track("hello")
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://example.com/", body)
		tr.RoundTrip(req)
		if body.closed.Load() != 1 {
			t.Errorf("body closed %d times, want once", body.closed.Load())
		}
	})
}

// tripperKeeps is a tripper that does not close the body.
type tripperKeeps func(*http.Request) (*http.Response, error)

func (f tripperKeeps) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
