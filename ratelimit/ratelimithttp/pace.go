package ratelimithttp

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/internal/retryafter"
)

// A host is the knowledge of a Transport about a host, and the queue of the
// requests that wait for it.
type host struct {
	name string

	mu       sync.Mutex
	sent     int64         // requests sent
	open     int64         // of these in progress
	last     time.Time     // when the last request was sent
	known    bool          // a request has ended
	until    time.Time     // the end of the last pause
	paused   time.Duration // the length of the last wait that nothing was sent in
	gap      time.Duration // between requests after a pause; 0 means none
	refusals int           // without Retry-After, in a row
	gauges   []gauge
	queue    []*waiting
}

// A waiting is a request in the queue. It is woken when it is the first, and
// when its host changes.
type waiting struct{ wake chan struct{} }

// A ticket is a request that was sent.
type ticket struct {
	seq   int64
	at    time.Time
	alone bool // no other request was in progress
}

const (
	maxGauges   = 8
	firstAlone  = time.Second      // the longest wait for the response to the first request
	leastGap    = time.Millisecond // between requests after a pause
	mostGap     = time.Second      // the same
	gapsInPause = 16               // the first gap is this part of the pause
	maxBackoff  = time.Minute      // after refusals without Retry-After
)

// wait waits until a request may be sent. If count is true, it counts the
// request.
func (h *host) wait(b bound, count bool) (ticket, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if err := b.exceeded(h.name, now, h.next(now, int64(len(h.queue)))); err != nil {
		return ticket{}, err
	}
	if len(h.queue) == 0 && !h.soon(now, b).After(now) {
		return h.send(now, count), nil
	}
	w := &waiting{make(chan struct{}, 1)}
	h.queue = append(h.queue, w)
	defer h.leave(w)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now = time.Now()
		until, at := b.late, h.until
		if h.queue[0] == w {
			until, at = h.soon(now, b), h.next(now, 0)
		}
		if err := b.exceeded(h.name, now, at); err != nil {
			return ticket{}, err
		}
		if !until.After(now) {
			if h.queue[0] == w {
				return h.send(now, count), nil
			}
			return ticket{}, refusal(h.name, max(h.next(now, 0).Sub(now), 1))
		}
		h.mu.Unlock()
		timer.Reset(until.Sub(now))
		select {
		case <-w.wake:
		case <-timer.C:
		case <-b.ctx.Done():
		}
		h.mu.Lock()
	}
}

func (h *host) leave(w *waiting) {
	i := slices.Index(h.queue, w)
	h.queue = slices.Delete(h.queue, i, i+1)
	if i == 0 {
		h.wake()
	}
}

// wake lets the first request of the queue look again.
func (h *host) wake() {
	if len(h.queue) > 0 {
		select {
		case h.queue[0].wake <- struct{}{}:
		default:
		}
	}
}

// send counts a request, if count is true.
func (h *host) send(now time.Time, count bool) ticket {
	if !count {
		return ticket{}
	}
	h.sent++
	h.open++
	if h.paused > 0 {
		h.gap, h.paused = min(max(h.paused/gapsInPause, leastGap), mostGap), 0
	}
	if h.gap == leastGap && len(h.queue) <= 1 {
		h.gap = 0
	}
	h.last = now
	for i := range h.gauges {
		h.gauges[i].send(now)
	}
	return ticket{h.sent, now, h.open == 1}
}

// soon returns when the next request may be sent, as next does. A request that
// may wait long enough also waits for the response to the first request.
func (h *host) soon(now time.Time, b bound) time.Time {
	at := h.next(now, 0)
	if h.known || h.sent == 0 {
		return at
	}
	alone := h.last.Add(firstAlone)
	if deadline, ok := b.ctx.Deadline(); alone.After(b.late) || ok && !deadline.After(alone) || alone.Before(at) {
		return at
	}
	return alone
}

// next returns when a request may be sent before which n others are sent.
func (h *host) next(now time.Time, n int64) time.Time {
	at := h.until
	if h.gap > 0 {
		at = later(at, h.last.Add(h.gap))
	}
	for i := range h.gauges {
		g := &h.gauges[i]
		t := g.next(now, h.last, h.sent, n)
		if n == 0 && g.empty(h.sent) && t.After(now) {
			h.paused = t.Sub(now)
		}
		at = later(at, t)
	}
	return at
}

// free returns when the host binds nothing anymore: its pause is over, its
// quotas are whole, and nothing waits.
func (h *host) free(now time.Time) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := later(h.until, h.last.Add(firstAlone))
	for i := range h.gauges {
		at = later(at, h.gauges[i].whole())
	}
	if len(h.queue) > 0 {
		at = later(at, now.Add(maxPause))
	}
	return at
}

// failed counts the end of a request without a response.
func (h *host) failed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known = true
	h.open--
	for i := range h.gauges {
		h.gauges[i].failed()
	}
	h.wake()
}

// obey learns from the response to a request.
func (h *host) obey(sent ticket, resp *http.Response, quotas []Quota) {
	empty := slices.ContainsFunc(quotas, func(q Quota) bool { return q.Remaining == 0 })
	now := time.Now()
	after, wait := retryafter.Parse(resp.Header, now)
	refused := false
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		refused = true
	case http.StatusForbidden:
		refused = wait || empty
	case http.StatusServiceUnavailable, 529:
		refused = wait
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known = true
	h.open--
	fresh := !sent.at.Before(h.until) // sent after the last pause
	for _, q := range quotas {
		if refused && wait && q.Remaining == 0 && q.Burst == 0 {
			q.Reset = after // takes precedence
		}
		h.gauge(q).learn(q, sent, now, h.open, h.sent, refused)
	}
	switch {
	case refused && wait:
		h.pause(now, after)
	case refused && empty:
		// The quota that is empty knows when to go on.
	case refused && fresh:
		h.pause(now, min(time.Second<<min(h.refusals, 6), maxBackoff))
		h.refusals++
	case !refused && fresh:
		h.refusals = 0
		if h.gap > 0 {
			h.gap = max(h.gap/2, leastGap)
		}
	}
	h.wake()
}

// pause lets nothing be sent for d.
func (h *host) pause(now time.Time, d time.Duration) {
	until := now.Add(min(d, maxPause))
	if !until.After(h.until) {
		return
	}
	h.until, h.paused = until, until.Sub(now)
	for _, w := range h.queue { // some can give up at once
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// gauge returns the gauge of a quota. It does not keep the gauges of quotas
// after the first maxGauges.
func (h *host) gauge(q Quota) *gauge {
	name := q.Name[:min(len(q.Name), maxName)] // the rest is of no use, and a host could make it long
	for i := range h.gauges {
		if h.gauges[i].name == name {
			return &h.gauges[i]
		}
	}
	if len(h.gauges) == maxGauges {
		return new(gauge)
	}
	h.gauges = append(h.gauges, gauge{name: strings.Clone(name)})
	return &h.gauges[len(h.gauges)-1]
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
