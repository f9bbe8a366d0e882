package retryhttp

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"time"
)

// A replay provides each attempt with its own body. The first attempt gets the
// caller's body. No body is rewound and sent again: the transport may still
// read it when the next attempt begins.
type replay struct {
	open     func() (io.ReadCloser, error) // opens a further body; nil if that is not possible
	next     io.ReadCloser                 // opened for the next attempt
	buffered bool                          // the caller's body was read ahead
}

// newReplay returns the bodies for req. It reads up to limit bytes of a body
// that cannot be opened again.
//
// Errors: the error of reading the body, which newReplay then closes.
func newReplay(req *http.Request, limit int64) (replay, error) {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return replay{open: noBody}, nil
	case req.GetBody != nil:
		return replay{open: req.GetBody, next: req.Body}, nil
	case limit <= 0:
		return replay{next: req.Body}, nil
	}
	limit = min(limit, math.MaxInt64-1)
	data, err := io.ReadAll(io.LimitReader(req.Body, limit+1))
	if err != nil {
		req.Body.Close()
		return replay{}, err
	}
	if int64(len(data)) > limit {
		rest := io.MultiReader(bytes.NewReader(data), req.Body)
		return replay{next: bodyOf{rest, req.Body}, buffered: true}, nil
	}
	req.Body.Close()
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	next, err := open()
	return replay{open: open, next: next, buffered: true}, err
}

func noBody() (io.ReadCloser, error) { return http.NoBody, nil }

// A bodyOf reads from its Reader and closes its Closer.
type bodyOf struct {
	io.Reader
	io.Closer
}

// rewind opens the body of the next attempt, and reports whether it could. The
// response of the last attempt is given up only after that: if rewind fails, it
// is the result of the call.
func (r *replay) rewind() bool {
	if r.open == nil {
		return false
	}
	next, err := r.open()
	if err != nil {
		return false
	}
	r.next = next
	return true
}

// take returns the body of this attempt, whose sender closes it.
func (r *replay) take() io.ReadCloser {
	b := r.next
	r.next = nil
	return b
}

// close closes a body that was opened but not sent.
func (r *replay) close() {
	if r.next != nil {
		r.next.Close()
	}
}

// The limits within which the body of a discarded response is read, so that its
// connection can be used again. Beyond them a new connection is cheaper.
const (
	discardBytes = 64 << 10
	discardTime  = 250 * time.Millisecond
)

// discard drains body within limits and closes it.
func discard(body io.ReadCloser) {
	if body != http.NoBody {
		// Close ends a Read that waits for the network.
		timer := time.AfterFunc(discardTime, func() { body.Close() })
		io.CopyN(io.Discard, body, discardBytes)
		timer.Stop()
	}
	body.Close()
}

// lease arranges for release to be called at the end of the body of resp.
func lease(resp *http.Response, release func()) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return // the body is a connection now, and ends with the context of the request
	}
	resp.Body = &leased{resp.Body, release}
}

// A leased body calls release once it is read to the end or closed.
type leased struct {
	io.ReadCloser
	release func()
}

func (l *leased) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if err != nil {
		l.release()
	}
	return n, err
}

func (l *leased) Close() error {
	err := l.ReadCloser.Close()
	l.release()
	return err
}
