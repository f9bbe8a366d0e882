package retryhttp

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// A replay provides each attempt with its own body. The first attempt gets the
// caller's body. No body is rewound and sent again: the transport may still
// read it when the next attempt begins.
type replay struct {
	open     func() (io.ReadCloser, error) // opens a further body; nil if that is not possible
	next     io.ReadCloser                 // opened for the next attempt
	recorder *recorder                     // the source of all bodies, if the caller's has no GetBody
}

// newReplay returns the bodies for req. Up to limit bytes of a body that cannot
// be opened again are kept.
func newReplay(req *http.Request, limit int64) replay {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return replay{open: noBody}
	case req.GetBody != nil:
		return replay{open: req.GetBody, next: req.Body}
	case limit <= 0 || req.ContentLength > limit:
		return replay{next: req.Body}
	}
	rec := &recorder{source: req.Body, limit: limit, open: 1}
	r := replay{open: rec.reader, recorder: rec}
	r.rewind()
	return r
}

func noBody() (io.ReadCloser, error) { return http.NoBody, nil }

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

// close closes a body that was opened but not sent, and the recorder.
func (r *replay) close() {
	if r.next != nil {
		r.next.Close()
	}
	if r.recorder != nil {
		r.recorder.release()
	}
}

var errTooLong = errors.New("retryhttp: the request body is longer than MaxBuffer")

// A recorder keeps the bytes that the attempts read of a body, so that a
// further attempt can send them again. It reads no more than the attempts ask
// for. A read of the source runs on its own goroutine: closing the body of an
// attempt must end the Read of that attempt, but not the read of the source.
type recorder struct {
	source io.ReadCloser
	limit  int64

	mu    sync.Mutex
	data  []byte        // read of source, up to limit
	chunk []byte        // the last read of source
	pos   int           // bytes read of source
	end   error         // of source
	more  chan struct{} // closed at the end of the running read; nil if there is none
	open  int           // readers, and the call itself
}

// reader opens a further body.
func (rec *recorder) reader() (io.ReadCloser, error) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.pos > len(rec.data) {
		return nil, errTooLong
	}
	rec.open++
	return &recording{rec: rec, closed: make(chan struct{})}, nil
}

// release closes the source once no reader and no call needs it.
func (rec *recorder) release() {
	rec.mu.Lock()
	rec.open--
	last := rec.open == 0
	rec.mu.Unlock()
	if last {
		rec.source.Close()
	}
}

// copy copies the bytes from offset n on. If they must be read first, it
// returns a channel that is closed after the read.
func (rec *recorder) copy(p []byte, n int) (k int, more chan struct{}, err error) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	switch start := rec.pos - len(rec.chunk); {
	case n < len(rec.data):
		return copy(p, rec.data[n:]), nil, nil
	case n < start:
		return 0, nil, errTooLong // an earlier attempt read on
	case n < rec.pos:
		return copy(p, rec.chunk[n-start:]), nil, nil
	case rec.end != nil:
		return 0, nil, rec.end
	case rec.more == nil:
		rec.more = make(chan struct{})
		go rec.read(len(p))
	}
	return 0, rec.more, nil
}

// read reads the source once.
func (rec *recorder) read(size int) {
	chunk := make([]byte, size)
	k, err := rec.source.Read(chunk)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.chunk, rec.pos, rec.end = chunk[:k], rec.pos+k, err
	if int64(rec.pos) <= rec.limit {
		rec.data = append(rec.data, rec.chunk...)
	}
	close(rec.more)
	rec.more = nil
}

// A recording is a body that a recorder provides.
type recording struct {
	rec    *recorder
	n      int // bytes read
	once   sync.Once
	closed chan struct{}
}

func (r *recording) Read(p []byte) (int, error) {
	for len(p) > 0 {
		select {
		case <-r.closed:
			return 0, http.ErrBodyReadAfterClose
		default:
		}
		k, more, err := r.rec.copy(p, r.n)
		if r.n += k; k > 0 || err != nil {
			return k, err
		}
		select {
		case <-more:
		case <-r.closed:
		}
	}
	return 0, nil
}

func (r *recording) Close() error {
	r.once.Do(func() {
		close(r.closed)
		r.rec.release()
	})
	return nil
}

// The limits within which the body of a discarded response is read, so that its
// connection can be used again. Beyond them a new connection is cheaper.
const (
	discardBytes = 64 << 10
	discardTime  = 250 * time.Millisecond
)

// discard drains the body of resp within limits and closes it.
func discard(resp *http.Response) {
	if resp.Body == nil {
		return
	}
	if resp.Body != http.NoBody {
		// Close ends a Read that waits for the network.
		timer := time.AfterFunc(discardTime, func() { resp.Body.Close() })
		io.CopyN(io.Discard, resp.Body, discardBytes)
		timer.Stop()
	}
	resp.Body.Close()
}
