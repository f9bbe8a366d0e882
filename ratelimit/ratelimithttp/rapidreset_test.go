package ratelimithttp_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
)

// abandoned returns a handler that is limited to 5 requests per hour and that
// serves a request only after its client has cancelled it. It reports each
// answer on done.
func abandoned(c ratelimithttp.Config, served *atomic.Int64, done chan<- struct{}) http.Handler {
	inner := ratelimithttp.Middleware(c)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		inner.ServeHTTP(w, r)
		done <- struct{}{}
	})
}

// gates returns configurations that a cancelled request must not get past, and
// how many requests each serves.
func gates() map[string]struct {
	ratelimithttp.Config
	serves int64
} {
	// stubborn fails with the error of the context of the request, although
	// Middleware gave it another one.
	var current context.Context
	stubborn := ratelimithttp.Config{
		Key: func(r *http.Request) (string, bool) { current = r.Context(); return "", true },
		Store: storeFunc(func(context.Context, string, int64) (ratelimit.Decision, error) {
			return ratelimit.Decision{}, current.Err()
		}),
		ServeOnError: true,
	}
	return map[string]struct {
		ratelimithttp.Config
		serves int64
	}{
		"local":    {ratelimithttp.Config{Key: oneKey, Store: local(ratelimit.PerHour(5)), ServeOnError: true}, 5},
		"stubborn": {stubborn, 0},
	}
}

// The pattern of CVE-2023-44487: HEADERS and RST_STREAM in one write. A request
// that the client resets at once counts like every other request.
func TestRapidReset(t *testing.T) {
	for name, gate := range gates() {
		t.Run(name, func(t *testing.T) {
			var served atomic.Int64
			done := make(chan struct{})
			server := httptest.NewUnstartedServer(abandoned(gate.Config, &served, done))
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetUnencryptedHTTP2(true)
			server.Start()
			defer server.Close()
			conn := dialHTTP2(t, server.Listener.Addr().String())
			const requests = 1000
			for i := range requests {
				id := uint32(2*i + 1)
				conn.write(append(frame(frameHeaders, endStream|endHeaders, id, request), frame(frameReset, 0, id, []byte{0, 0, 0, 8})...))
				<-done
			}
			if got := served.Load(); got != gate.serves {
				t.Errorf("served %d of %d requests that were reset, want %d", got, requests, gate.serves)
			}
		})
	}
}

// The same over HTTP/1.1, if a handler in front of the limit takes longer than
// the client waits.
func TestImpatientClients(t *testing.T) {
	for name, gate := range gates() {
		t.Run(name, func(t *testing.T) {
			var served atomic.Int64
			done := make(chan struct{})
			server := httptest.NewServer(abandoned(gate.Config, &served, done))
			defer server.Close()
			const requests = 100
			for range requests {
				conn, err := net.Dial("tcp", server.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				conn.Close()
				<-done
			}
			if got := served.Load(); got != gate.serves {
				t.Errorf("served %d of %d requests whose clients had gone, want %d", got, requests, gate.serves)
			}
		})
	}
}

// Frames of HTTP/2 (RFC 9113) and the header block of GET http://a/ in the
// static table of HPACK (RFC 7541).
const (
	frameHeaders, frameReset, frameSettings = 1, 3, 4
	endStream, endHeaders, ack              = 1, 4, 1
)

var request = []byte{0x82, 0x86, 0x84, 0x41, 1, 'a'}

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	head := []byte{0, byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(head, stream), payload...)
}

type http2Conn struct {
	t    *testing.T
	conn net.Conn
}

// dialHTTP2 opens a connection by prior knowledge and answers the settings of
// the server. It discards the responses.
func dialHTTP2(t *testing.T, addr string) *http2Conn {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &http2Conn{t, conn}
	c.write(append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(frameSettings, 0, 0, nil)...))
	settled := make(chan error, 1)
	go func() {
		head := make([]byte, 9)
		for {
			if _, err := io.ReadFull(conn, head); err != nil {
				return
			}
			payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
			if _, err := io.ReadFull(conn, payload); err != nil {
				return
			}
			if head[3] == frameSettings && head[4]&ack != 0 {
				settled <- nil
			}
			if head[3] == 7 { // GOAWAY
				settled <- errors.New("the server closes the connection: " + string(bytes.ToValidUTF8(payload[8:], nil)))
			}
		}
	}()
	if err := <-settled; err != nil {
		t.Fatal(err)
	}
	c.write(frame(frameSettings, ack, 0, nil))
	return c
}

func (c *http2Conn) write(b []byte) {
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}
