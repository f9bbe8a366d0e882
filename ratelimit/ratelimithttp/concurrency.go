package ratelimithttp

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
)

// ConcurrencyConfig configures [Concurrency].
type ConcurrencyConfig struct {
	// Acquire acquires the places that a request needs, usually by Acquire or
	// AcquireN of a *bulkhead.Bulkhead, or returns an error; required. The
	// context gives the priority of the request.
	Acquire func(*http.Request) (Permit, error)
	// Failure returns the error that a status of the handler means to the
	// Permit, or nil for a success. If it is nil, every status is a success,
	// and the handler gets the ResponseWriter of the server itself.
	Failure func(status int) error
	// Refuse answers a request that is not served, with the error of Acquire.
	// Retry-After is set. Nil means [WriteError].
	Refuse func(http.ResponseWriter, *http.Request, error)
}

// A Permit holds the places of a request, as a *bulkhead.Permit does. Only the
// first call of a method has an effect.
type Permit interface {
	// Release returns the places.
	Release()
	// Done returns the places, and measures the request as a success or as a
	// failure.
	Done(err error)
}

// Validate returns an error that joins all problems of c.
func (c ConcurrencyConfig) Validate() error {
	if c.Acquire == nil {
		return errors.New("ratelimithttp: Acquire is missing")
	}
	return nil
}

// Concurrency returns a function that calls a handler with a Permit. It answers
// a request without a Permit with status 503 and Retry-After. If the handler
// panics or the client has gone, it releases the Permit. Concurrency panics
// with the error of [ConcurrencyConfig.Validate], if any.
func Concurrency(c ConcurrencyConfig) func(http.Handler) http.Handler {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, next) })
	}
}

func (c *ConcurrencyConfig) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	p, err := c.Acquire(r)
	if err != nil {
		refuse(w, r, err, c.Refuse)
		return
	}
	defer p.Release() // no effect after Done
	if c.Failure == nil {
		if next.ServeHTTP(w, r); r.Context().Err() == nil {
			p.Done(nil)
		}
		return
	}
	o := &observer{ResponseWriter: w, status: http.StatusOK}
	if next.ServeHTTP(o, r); r.Context().Err() == nil && !o.hijacked {
		p.Done(c.Failure(o.status))
	}
}

// An observer is a ResponseWriter that remembers the status.
type observer struct {
	http.ResponseWriter
	status          int
	wrote, hijacked bool
}

// Unwrap is called by [http.ResponseController].
func (o *observer) Unwrap() http.ResponseWriter { return o.ResponseWriter }

func (o *observer) WriteHeader(status int) {
	if !o.wrote && (status < 100 || status > 199 || status == http.StatusSwitchingProtocols) {
		o.status, o.wrote = status, true
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *observer) Write(b []byte) (int, error) {
	o.wrote = true
	return o.ResponseWriter.Write(b)
}

// ReadFrom implements [io.ReaderFrom].
func (o *observer) ReadFrom(r io.Reader) (int64, error) {
	o.wrote = true
	return io.Copy(o.ResponseWriter, r)
}

// Flush implements [http.Flusher].
func (o *observer) Flush() {
	o.wrote = true
	_ = http.NewResponseController(o.ResponseWriter).Flush()
}

// Hijack implements [http.Hijacker].
func (o *observer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(o.ResponseWriter).Hijack()
	o.hijacked = o.hijacked || err == nil
	return conn, rw, err
}
