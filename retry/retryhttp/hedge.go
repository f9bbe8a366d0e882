package retryhttp

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/retry"
)

// A Hedge is an http.RoundTripper that sends an idempotent request again before
// the first attempt has failed, and takes the first good answer (hedged
// requests). Other requests are sent once. Its fields must not change after the
// first request.
//
// A response that is Retryable counts as a failure of its attempt, so that a
// server that refuses quickly does not win. If there is no better response, it
// is returned. A response with a body of more than 64 KiB always counts as an
// answer.
type Hedge struct {
	// Base sends the attempts. Nil means http.DefaultTransport.
	Base http.RoundTripper

	// Policy decides how many attempts start and when. The transport sets its
	// Discard, to close responses that are not returned. A nil Fatal means
	// errors that are not Retryable.
	Policy retry.Hedge[*http.Response]

	// Idempotent reports whether req may be sent twice. Nil means Idempotent.
	Idempotent func(req *http.Request) bool
}

var _ http.RoundTripper = (*Hedge)(nil)

// RoundTrip sends req, more than once if the answer is late.
//
// Errors: as for retry.Hedge.Do; for a request that is sent once, the error of
// Base.
func (h *Hedge) RoundTrip(req *http.Request) (*http.Response, error) {
	body := req.Body != nil && req.Body != http.NoBody
	if body && req.GetBody == nil || !idempotent(h.Idempotent, req) {
		return base(h.Base).RoundTrip(req)
	}
	p := h.Policy
	p.Discard = func(resp *http.Response) { resp.Body.Close() }
	if p.Fatal == nil {
		p.Fatal = func(err error) bool { return !is[*StatusError](err) && !Retryable(req, nil, err) }
	}
	var sent atomic.Int32
	resp, cancel, err := p.DoCancel(req.Context(), func(ctx context.Context) (*http.Response, error) {
		r := req.WithContext(ctx)
		if sent.Add(1) > 1 && body {
			var err error
			if r.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		return answer(base(h.Base).RoundTrip(r))
	})
	if err != nil {
		if body && sent.Add(1) == 1 {
			req.Body.Close() // no attempt has taken it or will
		}
		if s, ok := errtree.Find[*StatusError](err); ok && req.Context().Err() == nil {
			return s.resp, nil
		}
		return nil, err
	}
	lease(resp, cancel)
	return resp, nil
}

// Validate reports every setting of Policy that is out of range.
func (h *Hedge) Validate() error { return h.Policy.Validate() }

// CloseIdleConnections closes the idle connections of Base, if it can.
// http.Client.CloseIdleConnections calls it.
func (h *Hedge) CloseIdleConnections() { closeIdle(h.Base) }

// answer turns a response that is Retryable into an error that contains it. The
// body is read into memory, since the response may never be closed. A response
// whose body is too large for that remains an answer.
func answer(resp *http.Response, err error) (*http.Response, error) {
	if err != nil || !Retryable(nil, resp, nil) {
		return resp, err
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, discardBytes+1))
	if err == nil && len(data) > discardBytes {
		resp.Body = bodyOf{io.MultiReader(bytes.NewReader(data), resp.Body), resp.Body}
		return resp, nil
	}
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return nil, newStatusError(resp)
}
