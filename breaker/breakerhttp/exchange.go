package breakerhttp

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/internal/retryafter"
)

// flowing is the time for which a body must arrive to count as a success before
// its end.
const flowing = 5 * time.Second

// An exchange is a request and its response. It is also the body of the
// response, so that the end of the body is the end of the call. All that it
// needs is one allocation.
type exchange struct {
	call     *breaker.Call // &own, or the call of a pool
	own      breaker.Call
	classify func(*http.Response, error) breaker.Outcome
	req      *http.Request // of the caller
	upload   *upload       // nil if the body of req is not watched
	unsound  bool          // the length of the body of req is not its ContentLength

	resp   *http.Response
	body   io.ReadCloser // of resp, as base returned it
	answer time.Time     // when the header of resp arrived
}

// newExchange returns the exchange for req, and the request to send: a copy, if
// the body must be watched.
func newExchange(req *http.Request, classify func(*http.Response, error) breaker.Outcome) (*exchange, *http.Request) {
	if classify == nil {
		classify = Classify
	}
	if req.Body == nil || req.Body == http.NoBody {
		return &exchange{classify: classify, req: req, unsound: req.Body == nil && req.ContentLength > 0}, req
	}
	if n, ok := length(req.Body); ok {
		unsound := req.ContentLength > 0 && n >= 0 && n != req.ContentLength
		return &exchange{classify: classify, req: req, unsound: unsound}, req
	}
	u := &upload{copy: *req, body: req.Body, left: req.ContentLength, sized: req.ContentLength > 0}
	u.exchange = exchange{classify: classify, req: req, upload: u}
	u.copy.Body = u
	return &u.exchange, &u.copy
}

// roundTrip sends the request by base after the call has begun.
func (x *exchange) roundTrip(base http.RoundTripper, sent *http.Request) (*http.Response, error) {
	returned := false
	defer x.abandon(&returned, nil)
	resp, err := base.RoundTrip(sent)
	returned = true
	if err == nil && resp == nil {
		err = noResponse(base)
	}
	if err != nil {
		x.fail(nil, err)
		return resp, err
	}
	if resp.Request == sent {
		resp.Request = x.req
	}
	x.judge(resp)
	return resp, nil
}

// abandon ends the call if base or classify has panicked.
func (x *exchange) abandon(returned *bool, resp *http.Response) {
	if *returned {
		return
	}
	x.call.Report(breaker.OutcomeFailure)
	if resp != nil && resp.Body != nil {
		resp.Body.Close()
	}
}

// judge takes the header of resp.
func (x *exchange) judge(resp *http.Response) {
	reported := false
	defer x.abandon(&reported, resp)
	o := x.classify(resp, nil)
	reported = true
	switch {
	case o == breaker.OutcomeFailure:
		after, _ := retryafter.Parse(resp.Header, time.Now())
		x.call.Done(breaker.Mark(&statusError{resp.StatusCode, after}, breaker.OutcomeFailure))
	case o != breaker.OutcomeSuccess || resp.Body == nil || resp.Body == http.NoBody || bodiless(x.req, resp):
		x.call.Report(o)
	default:
		x.call.Answered()
		x.resp, x.body, x.answer = resp, resp.Body, time.Now()
		resp.Body = x
	}
}

// fail takes an error. If it is from reading the body, resp is not nil.
func (x *exchange) fail(resp *http.Response, err error) {
	judged := false
	defer x.abandon(&judged, nil)
	o := x.classify(resp, err)
	if o == breaker.OutcomeFailure && x.fault(err) {
		o = breaker.OutcomeIgnored
	}
	judged = true
	if o != breaker.OutcomeFailure {
		x.call.Report(o)
		return
	}
	x.call.Done(err)
}

// Read reads the body of the response.
func (x *exchange) Read(p []byte) (int, error) {
	n, err := x.body.Read(p)
	switch {
	case err == io.EOF, err == nil && n > 0 && time.Since(x.answer) >= flowing:
		x.call.Report(breaker.OutcomeSuccess)
	case err != nil:
		x.fail(x.resp, err)
	}
	return n, err
}

// Close closes the body of the response. It reports first, because a concurrent
// Read fails as soon as the body is closed.
func (x *exchange) Close() error {
	x.call.Report(breaker.OutcomeSuccess)
	return x.body.Close()
}

// bodiless reports whether the body of resp is not part of the answer: the
// connection of an upgrade, or a stream of events. It also reports true if the
// answer has no body. Over HTTP/2, resp.Body is not http.NoBody then, and
// programs often leave it open.
func bodiless(req *http.Request, resp *http.Response) bool {
	m, code := req.Method, resp.StatusCode
	if m == http.MethodConnect || m == http.MethodHead || code == http.StatusSwitchingProtocols ||
		code == http.StatusNoContent || code == http.StatusNotModified {
		return true
	}
	t := resp.Header.Get("Content-Type")
	if len(t) < len("text/event-stream") || t[0]|0x20 != 't' && t[0]|0x20 != 'm' {
		return false
	}
	t, _, _ = mime.ParseMediaType(t) // in lower case
	return t == "text/event-stream" || t == "multipart/x-mixed-replace"
}

// An upload is an exchange whose request has a body that may fail. It is also
// that body.
type upload struct {
	exchange
	copy   http.Request
	body   io.ReadCloser
	left   int64 // bytes of the ContentLength that have not been read
	sized  bool  // the ContentLength is known
	fault  atomic.Bool
	closed atomic.Bool
}

// Read reads the body of the request.
func (u *upload) Read(p []byte) (int, error) {
	n, err := u.body.Read(p)
	u.left -= int64(n)
	short := u.sized && err == io.EOF && u.left > 0
	if (short || err != nil && err != io.EOF) && !u.closed.Load() {
		u.exchange.upload.fault.Store(true)
	}
	return n, err
}

// Close closes the body of the request. Base calls it when it does not need the
// rest. A Read that fails after that is no fault.
func (u *upload) Close() error {
	u.closed.Store(true)
	return u.body.Close()
}

var (
	plain    = reflect.TypeOf(io.NopCloser(nil))
	writerTo = reflect.TypeOf(io.NopCloser(new(bytes.Reader)))
)

// length reports whether body need not be watched: it is in memory, as
// http.NewRequest makes it, or a file. net/http sends such bodies with fewer
// writes, but only if no other type surrounds them. The length is -1 for a
// file.
func length(body io.Reader) (int64, bool) {
	if t := reflect.TypeOf(body); t == plain || t == writerTo {
		body, _ = reflect.ValueOf(body).Field(0).Interface().(io.Reader)
	}
	switch b := body.(type) {
	case *bytes.Reader:
		return int64(b.Len()), true
	case *bytes.Buffer:
		return int64(b.Len()), true
	case *strings.Reader:
		return int64(b.Len()), true
	case *os.File:
		return -1, true
	}
	return 0, false
}
