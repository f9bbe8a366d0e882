package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A board publishes the present state of a run, and at the end the last state.
type board struct {
	now  func() state
	done chan struct{} // closed when last is set

	once sync.Once
	last state
}

func newBoard(now func() state) *board { return &board{now: now, done: make(chan struct{})} }

func (b *board) finish(s state) {
	b.once.Do(func() {
		b.last = s
		close(b.done)
	})
}

func (b *board) state() state {
	select {
	case <-b.done:
		return b.last
	default:
		return b.now()
	}
}

// serve shows the board on ln until stop is called.
func serve(ln net.Listener, b *board) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{
		Handler:           b.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second, // a stream of events extends it
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	go server.Serve(ln)
	return func() {
		cancel() // ends the streams
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	}
}

func (b *board) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", b.answer)
	mux.HandleFunc("GET /live.js", func(w http.ResponseWriter, r *http.Request) {
		secure(w, "text/javascript; charset=utf-8")
		io.WriteString(w, liveJS)
	})
	return mux
}

func secure(w http.ResponseWriter, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Security-Policy", policy())
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept")
}

// answer sends the state in the form that the client accepts: a page for
// browsers, JSON for programs, text for curl.
func (b *board) answer(w http.ResponseWriter, r *http.Request) {
	accept := r.Header.Get("Accept")
	wants := func(kind string) bool { return strings.Contains(accept, kind) }
	switch {
	case wants("text/event-stream"):
		b.stream(w, r)
	case wants("text/html"):
		var buf bytes.Buffer
		if err := page(&buf, b.state(), true); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		secure(w, "text/html; charset=utf-8")
		buf.WriteTo(w)
	case wants("application/json"):
		secure(w, "application/json")
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		encoder.Encode(b.state())
	default:
		secure(w, "text/plain; charset=utf-8")
		io.WriteString(w, text(b.state()))
	}
}

// stream sends the changing part of the page, twice a second and at the end.
func (b *board) stream(w http.ResponseWriter, r *http.Request) {
	secure(w, "text/event-stream")
	control := http.NewResponseController(w)
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		s, kind := b.state(), "state"
		if s.Done {
			kind = "end"
		}
		var buf bytes.Buffer
		if err := fragment(&buf, s); err != nil {
			return
		}
		data, err := json.Marshal(buf.String()) // a single line, as the data of an event must be
		if err != nil {
			return
		}
		control.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, data); err != nil || control.Flush() != nil || s.Done {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-b.done:
		case <-ticker.C:
		}
	}
}
