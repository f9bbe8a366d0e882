package retryhttp

import (
	"bytes"
	"io"
	"math"
	"net/http"
)

// A replay gives each attempt a body of its own. The caller's body goes to the
// first one. None is ever rewound and sent again: the transport may still be
// reading it when the next attempt begins.
type replay struct {
	open     func() (io.ReadCloser, error) // another body; nil if there is none to be had
	next     io.ReadCloser                 // opened for the next attempt
	buffered bool                          // the caller's body was read ahead
}

// newReplay looks at the body of req, and reads up to limit bytes of one that
// cannot be had again.
//
// Errors: that of reading the body, which is closed then.
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

// bodyOf reads from one and closes another.
type bodyOf struct {
	io.Reader
	io.Closer
}

// rewind opens the body of the next attempt, and reports whether there is one.
// It is done before the response is given up, which is all there is to return
// if it fails.
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

// close closes a body that was opened and not sent.
func (r *replay) close() {
	if r.next != nil {
		r.next.Close()
	}
}
