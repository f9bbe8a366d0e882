package breakerhttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

var quiet = log.New(io.Discard, "", 0)

const soon = 60 * time.Millisecond

// An ordeal is an exchange and its outcome.
type ordeal struct {
	name  string
	serve http.HandlerFunc                        // the server over HTTP/1 and HTTP/2
	conn  func(net.Conn)                          // or a server that speaks for itself
	base  func(*http.Transport) http.RoundTripper // changes the transport
	req   func(*http.Request)                     // changes the request, a GET
	do    func(*http.Client, *http.Request)       // sends the request; nil means do
	proto int                                     // the only version of HTTP; 0 means both
	want  breaker.Outcome
}

// do sends req, reads the body and closes it.
func do(c *http.Client, req *http.Request) {
	resp, err := c.Do(req)
	if err != nil {
		return
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// forget sends req and does not close the body of the response.
func forget(c *http.Client, req *http.Request) { c.Do(req) }

func healthy(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	io.WriteString(w, "well")
}

// unhurried is healthy after a moment, in which the client notices that its
// body goes on.
func unhurried(w http.ResponseWriter, r *http.Request) {
	time.Sleep(soon)
	healthy(w, r)
}

// hang answers nothing until the client has gone.
func hang(_ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// stall begins an answer and does not end it.
func stall(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, "begin")
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// post makes req a POST with a body that is not in memory.
func post(body func() io.Reader, length int64) func(*http.Request) {
	return func(req *http.Request) {
		req.Method, req.Body, req.ContentLength, req.GetBody = http.MethodPost, io.NopCloser(body()), length, nil
	}
}

func memory(text string) func() io.Reader {
	return func() io.Reader { return strings.NewReader(text) }
}

func hidden(text string) func() io.Reader {
	return func() io.Reader { return iotest.OneByteReader(strings.NewReader(text)) }
}

// failing reads text and then an error.
func failing(text string) func() io.Reader {
	return func() io.Reader {
		return io.MultiReader(strings.NewReader(text), iotest.ErrReader(errors.New("disk on fire")))
	}
}

func timeout(d time.Duration) func(*http.Client, *http.Request) {
	return func(c *http.Client, req *http.Request) {
		c.Timeout = d
		do(c, req)
	}
}

func deadline(c *http.Client, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), soon)
	defer cancel()
	do(c, req.WithContext(ctx))
}

func canceled(c *http.Client, req *http.Request) {
	ctx, cancel := context.WithCancel(req.Context())
	time.AfterFunc(soon, cancel)
	do(c, req.WithContext(ctx))
}

func attempt(c *http.Client, req *http.Request) {
	ctx, cancel := context.WithCancelCause(req.Context())
	time.AfterFunc(soon, func() { cancel(fmt.Errorf("attempt: %w", context.DeadlineExceeded)) })
	do(c, req.WithContext(ctx))
}

// legacy cancels as old clients do, by a deprecated field.
func legacy(c *http.Client, req *http.Request) {
	cancel := make(chan struct{})
	time.AfterFunc(soon, func() { close(cancel) })
	reflect.ValueOf(req).Elem().FieldByName("Cancel").Set(reflect.ValueOf(cancel).Convert(reflect.TypeFor[<-chan struct{}]()))
	do(c, req)
}

// direct passes req to the transport, without the checks of http.Client.
func direct(c *http.Client, req *http.Request) { exchange(c.Transport, req) }

func respond(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(code)
	}
}

const (
	success = breaker.OutcomeSuccess
	failure = breaker.OutcomeFailure
	ignored = breaker.OutcomeIgnored
)

func ordeals(t *testing.T) []ordeal {
	file := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	opened := func(req *http.Request) {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		req.Method, req.Body, req.ContentLength = http.MethodPost, f, 4
	}
	changed := func(f func(*http.Transport)) func(*http.Transport) http.RoundTripper {
		return func(tr *http.Transport) http.RoundTripper {
			tr = tr.Clone()
			f(tr)
			return tr
		}
	}
	dial := func(err error) func(*http.Transport) http.RoundTripper {
		return changed(func(tr *http.Transport) {
			tr.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, err }
		})
	}
	fake := func(resp *http.Response, err error) func(*http.Transport) http.RoundTripper {
		return func(*http.Transport) http.RoundTripper {
			return trip(func(*http.Request) (*http.Response, error) { return resp, err })
		}
	}
	shut := breaker.New(breaker.Config{})
	shut.ForceOpen()
	ok := "HTTP/1.1 200 OK\r\n"
	list := []ordeal{
		// Well.
		{name: "answer", serve: healthy, want: success},
		{name: "answer to a HEAD, not closed", serve: healthy, do: forget, req: func(r *http.Request) { r.Method = http.MethodHead }, want: success},
		{name: "no body, not closed", serve: respond(204), do: forget, want: success},
		{name: "answer to a HEAD", serve: healthy, req: func(r *http.Request) { r.Method = http.MethodHead }, want: success},
		{name: "answer to an upload", serve: healthy, req: post(hidden("text"), 4), want: success},
		{name: "answer to an upload of unknown length", serve: healthy, req: post(hidden("text"), -1), want: success},
		{name: "long answer", serve: func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1<<20)) }, want: success},
		{name: "answer without length until the connection ends", conn: answer("HTTP/1.0 200 OK\r\n\r\nwell"), want: success},
		{name: "body closed unread", serve: stall, do: func(c *http.Client, req *http.Request) {
			if resp, err := c.Do(req); err == nil {
				resp.Body.Close()
			}
		}, want: success},
		{name: "redirect not followed", serve: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, do: direct, want: success},
		{name: "stream of events that breaks", serve: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "Text/Event-Stream; charset=utf-8")
			io.WriteString(w, "data: 1\n\n")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, want: success},

		// The fault of the caller: nothing is sent, or not as it should be.
		{name: "line end in a header value", serve: healthy, req: func(r *http.Request) { r.Header.Set("X-User", "a\nb") }, want: ignored},
		{name: "space in a header name", serve: healthy, req: func(r *http.Request) { r.Header["X User"] = []string{"a"} }, want: ignored},
		{name: "line end in a trailer", serve: healthy, req: func(r *http.Request) {
			post(hidden("text"), -1)(r)
			r.Trailer = http.Header{"X-Sum": {"a\nb"}}
		}, want: ignored},
		{name: "no header map", serve: healthy, req: func(r *http.Request) { r.Header = nil }, do: direct, want: ignored},
		{name: "unknown scheme", serve: healthy, req: func(r *http.Request) { r.URL.Scheme = "foo" }, want: ignored},
		{name: "invalid method", serve: healthy, req: func(r *http.Request) { r.Method = "GET IT" }, want: ignored},
		{name: "no host", serve: healthy, req: func(r *http.Request) { r.URL.Host = "" }, do: direct, want: ignored},
		{name: "invalid Host", serve: healthy, proto: 2, req: func(r *http.Request) { r.Host = "a\"b" }, want: ignored},
		{name: "header field that HTTP/2 does not allow", serve: healthy, proto: 2, req: func(r *http.Request) { r.Header.Set("Connection", "sideways") }, want: ignored},
		{name: "control character in the URL", conn: answer(ok + "\r\n"), req: func(r *http.Request) { r.URL.RawQuery = "a\x01b" }, want: ignored},
		{name: "impossible port", conn: answer(ok + "\r\n"), req: func(r *http.Request) { r.URL.Host = "127.0.0.1:99999" }, want: ignored},
		{name: "length without a body", conn: answer(ok + "\r\n"), req: func(r *http.Request) { r.ContentLength, r.Body = 5, nil }, do: direct, want: ignored},
		{name: "body in memory shorter than its length", serve: healthy, req: post(memory("text"), 9), want: ignored},
		{name: "body in memory longer than its length", serve: unhurried, req: post(func() io.Reader { return bytes.NewBufferString("text") }, 3), want: ignored},
		{name: "body shorter than its length", serve: healthy, req: post(hidden("text"), 9), want: ignored},
		{name: "body longer than its length", serve: unhurried, req: post(hidden("text"), 3), want: ignored},
		{name: "body that cannot be read", serve: healthy, req: post(failing(""), -1), want: ignored},
		{name: "body that breaks", serve: healthy, req: post(failing("text"), 9), want: ignored},
		{name: "body that breaks, of unknown length", serve: healthy, req: post(failing("text"), -1), want: ignored},
		{name: "file that cannot be read", serve: healthy, req: opened, want: ignored},
		{name: "body that breaks after the answer began", serve: func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				panic(http.ErrAbortHandler)
			}
		}, req: post(func() io.Reader { return &slow{failing("text")()} }, -1), want: ignored},
		{name: "refused by another guard", serve: healthy, base: func(tr *http.Transport) http.RoundTripper { return guarded(shut, tr) }, want: ignored},

		// The caller gives up.
		{name: "canceled before the answer", serve: hang, do: canceled, want: ignored},
		{name: "canceled by Request.Cancel", serve: hang, do: legacy, want: ignored},
		{name: "canceled in the body", serve: stall, do: canceled, want: ignored},
		{name: "Client.Timeout before the answer", serve: hang, do: timeout(soon), want: failure},
		{name: "Client.Timeout in an upload", serve: hang, req: post(hidden("text"), 4), do: timeout(soon), want: failure},
		{name: "Client.Timeout in the body", serve: stall, do: timeout(soon), want: failure},
		{name: "deadline before the answer", serve: hang, do: deadline, want: failure},
		{name: "deadline in the body", serve: stall, do: deadline, want: failure},
		{name: "timeout of an attempt", serve: hang, do: attempt, want: failure},

		// The fault of the server or of the way to it.
		{name: "accepts and closes", conn: func(net.Conn) {}, want: failure},
		{name: "closes after the request", conn: readHeader, want: failure},
		{name: "resets", conn: func(c net.Conn) { readHeader(c); reset(c) }, want: failure},
		{name: "closes in an upload", conn: func(c net.Conn) { readHeader(c); reset(c) }, req: post(memory(strings.Repeat("x", 1<<24)), -1), want: failure},
		{name: "not HTTP", conn: answer("SSH-2.0-OpenSSH_9.6\r\n"), want: failure},
		{name: "header cut", conn: answer(ok + "Content-Len"), want: failure},
		{name: "malformed header", conn: answer(ok + "no colon\r\n\r\n"), want: failure},
		{name: "header too large", conn: answer(ok + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"), base: changed(func(tr *http.Transport) { tr.MaxResponseHeaderBytes = 1 << 12 }), want: failure},
		{name: "two lengths", conn: answer(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), want: failure},
		{name: "only informational answers", conn: answer(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 3)), want: failure},
		{name: "body cut", conn: answer(ok + "Content-Length: 9\r\n\r\nwell"), want: failure},
		{name: "chunks cut", conn: answer(ok + "Transfer-Encoding: chunked\r\n\r\n4\r\nwell\r\n"), want: failure},
		{name: "malformed chunk", conn: answer(ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nwell\r\n"), want: failure},
		{name: "reset in the body", conn: func(c net.Conn) { answer(ok + "Content-Length: 9\r\n\r\nwell")(c); time.Sleep(soon); reset(c) }, want: failure},
		{name: "handler aborts", serve: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: failure},
		{name: "handler aborts in the body", serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Write(make([]byte, 1<<16))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, want: failure},
		{name: "compressed body is broken", serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "this is not gzip")
		}, want: failure},
		{name: "ResponseHeaderTimeout", serve: hang, base: changed(func(tr *http.Transport) { tr.ResponseHeaderTimeout = soon }), want: failure},
		{name: "TLS on a plain port", serve: healthy, base: changed(func(tr *http.Transport) { tr.TLSClientConfig = nil }), req: func(r *http.Request) { r.URL.Scheme = "https" }, want: failure},
		{name: "name unknown", serve: healthy, base: dial(&net.OpError{Op: "dial", Err: &net.DNSError{Name: "h", IsNotFound: true}}), want: failure},
		{name: "connect times out", serve: healthy, base: dial(&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}), want: failure},
		{name: "no listener", serve: healthy, req: func(r *http.Request) { r.URL.Host = "127.0.0.1:1" }, want: failure},
		{name: "proxy fails", serve: healthy, base: changed(func(tr *http.Transport) {
			tr.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "127.0.0.1:1"})
		}), want: failure},
		{name: "canceled, but not by the caller", serve: healthy, base: fake(nil, context.Canceled), want: failure},
		{name: "neither response nor error", serve: healthy, base: fake(nil, nil), want: failure},
	}
	for code, want := range map[int]breaker.Outcome{
		200: success, 204: success, 304: success, 404: success, 405: success, 406: success, 409: success, 410: success,
		412: success, 416: success, 422: success, 423: success, 424: success,
		400: ignored, 401: ignored, 402: ignored, 403: ignored, 407: ignored, 408: ignored, 411: ignored, 413: ignored,
		414: ignored, 415: ignored, 417: ignored, 421: ignored, 425: ignored, 426: ignored, 428: ignored, 429: ignored,
		431: ignored, 451: ignored, 499: ignored, 501: ignored, 505: ignored, 510: ignored,
		500: failure, 502: failure, 503: failure, 504: failure, 507: failure, 508: failure, 520: failure, 522: failure, 529: failure, 599: failure,
	} {
		list = append(list, ordeal{name: fmt.Sprint("status ", code), serve: respond(code), want: want})
	}
	return list
}

// A slow reader waits a moment before each Read.
type slow struct{ io.Reader }

func (s *slow) Read(p []byte) (int, error) { time.Sleep(soon); return s.Reader.Read(p) }

// TestOutcomes runs each ordeal against real servers, over HTTP/1 and HTTP/2.
func TestOutcomes(t *testing.T) {
	for _, o := range ordeals(t) {
		for proto := 1; proto <= 2; proto++ {
			if o.serve == nil && proto == 2 || o.proto != 0 && o.proto != proto {
				continue
			}
			t.Run(fmt.Sprint(o.name, "/", proto), func(t *testing.T) {
				t.Parallel()
				var url string
				tr := &http.Transport{}
				if o.serve != nil {
					url, tr = server(t, o.serve, proto == 2)
				} else {
					url = script(t, o.conn)
				}
				defer tr.CloseIdleConnections()
				var rt http.RoundTripper = tr
				if o.base != nil {
					rt = o.base(tr)
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
				if err != nil {
					t.Fatal(err)
				}
				if o.req != nil {
					o.req(req)
				}
				send := do
				if o.do != nil {
					send = o.do
				}
				b := breaker.New(breaker.Config{})
				send(&http.Client{Transport: guarded(b, rt), Timeout: 10 * time.Second}, req)
				checkEqual(t, counted(b), map[breaker.Outcome]uint64{o.want: 1})
			})
		}
	}
}
