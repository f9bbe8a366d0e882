package retryhttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/redoubt-go/redoubt/retry"
)

// A Hedge is an http.RoundTripper that sends an idempotent request a second
// time before the first has failed, and takes the first good answer. Others
// are sent once. Its fields must not change once it is in use.
//
// A status that is Retryable counts as a failure of its attempt, so that a
// server which is quick to refuse does not beat one that works. When there is
// no better answer it is returned.
type Hedge struct {
	// Base sends the attempts. nil means http.DefaultTransport.
	Base http.RoundTripper

	// Policy says how many and when. Its Discard is set by this transport,
	// which closes the responses nobody gets, and a nil Fatal means the errors
	// that are not Retryable.
	Policy retry.Hedge[*http.Response]

	// Idempotent reports whether req may be sent twice. nil means Idempotent.
	Idempotent func(req *http.Request) bool
}

var _ http.RoundTripper = (*Hedge)(nil)

// RoundTrip sends req, more than once if the answer is late.
//
// Errors: those of retry.Hedge; for a request sent once, that of the base
// transport.
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
			req.Body.Close() // no attempt has taken it, nor will one now
		}
		if s, ok := errors.AsType[*StatusError](err); ok && req.Context().Err() == nil {
			return s.resp, nil
		}
		return nil, err
	}
	lease(resp, cancel)
	return resp, nil
}

// answer makes a response that is Retryable an error that holds it, its body
// read into memory, since nobody may come to close it. A body too large for
// that is an answer like any other.
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
