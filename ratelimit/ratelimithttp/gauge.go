package ratelimithttp

import "time"

// A gauge is a copy of a quota of a server.
//
// A token bucket is copied as GCRA: full is the instant at which the bucket is
// whole again. The copy is exact as long as no other client uses the quota,
// because a bucket in use depends only on the number of events. Each response
// bounds it from below and above.
//
// Other quotas have so many events left until their reset.
type gauge struct {
	name string
	seq  int64 // of the last request whose response was learned

	every  time.Duration // between two events of a token bucket; 0 means another quota
	burst  int64
	full   time.Time
	slack  float64 // the part of every by which the time of a request in the network may vary
	slower float64 // the part of every that is added because other clients use the quota too

	left  int64 // events, without the requests after the first count requests
	count int64 // requests sent when left was learned
	most  int64 // the largest known number of events left
	units bool  // the events are no requests
	reset time.Time
}

const (
	maxDebt     = time.Duration(1 << 61)
	usualJitter = float64(10 * time.Millisecond)
	leastSlack  = 1. / 32
	mostSlack   = 1. / 2
	mostSlower  = 1 << 10
	recovery    = 1. / 4096 // of slack and slower, for each response
)

// learn takes over a quota from the response to a request. Of sent requests so
// far, open others are still in progress.
func (g *gauge) learn(q Quota, from ticket, now time.Time, open, sent int64, refused bool) {
	switch {
	case !refused || g.every == 0 || q.Remaining > 0:
		g.slack = max(g.slack*(1-recovery), leastSlack)
		g.slower *= 1 - recovery
	case g.slack < mostSlack:
		g.slack *= 2
	default:
		g.slower = min(2*g.slower+1./16, mostSlower)
	}
	if from.seq < g.seq || q.Remaining < 0 {
		return // an older response, or nothing to learn
	}
	g.seq = from.seq
	var every time.Duration
	if q.Burst > 0 && q.Limit > 0 && q.Unit == "" {
		every = q.Window / time.Duration(q.Limit)
	}
	if every == 0 {
		g.every, g.left, g.count, g.units = 0, q.Remaining, sent, q.Unit != ""
		if !g.units {
			g.left -= open
		}
		g.most = max(g.most, q.Limit, q.Remaining)
		if g.reset = now; q.Reset > 0 {
			g.reset = now.Add(min(q.Reset, maxPause))
		}
		return
	}
	known := g.every == every && g.burst == q.Burst
	g.every, g.burst = every, q.Burst
	used := max(q.Burst-q.Remaining, 0)
	// The server has counted none or all of the open requests, and the next
	// event is due at once or after every.
	most := from.at.Add(g.time(used+open) + g.jitter())
	least := from.at.Add(g.time(used - 1 + sent - from.seq))
	switch {
	case !known, from.alone && from.seq == sent && g.full.After(most):
		g.full = most
	case least.After(g.full): // other clients use the quota too
		g.full = least.Add(every + g.jitter())
	}
}

// failed takes back a request that got no response, and so may not have been
// counted.
func (g *gauge) failed() {
	g.full = g.full.Add(-g.every)
	g.left++
}

// time returns the time in which n events of a token bucket come back.
func (g *gauge) time(n int64) time.Duration {
	return time.Duration(min(n, int64(maxDebt/g.every))) * g.every
}

// jitter returns the time by which requests may arrive later than others. A
// larger burst can compensate for more.
func (g *gauge) jitter() time.Duration {
	more := min(float64(g.every)*float64(g.burst-1)/4, usualJitter*g.slack/leastSlack)
	return time.Duration(g.slack*float64(g.every) + more)
}

// send counts a request. If the bucket is whole, its debt begins when the
// request arrives.
func (g *gauge) send(now time.Time) {
	if g.every > 0 {
		g.full = later(g.full, now.Add(g.jitter())).Add(g.every)
	}
}

// remaining returns the events that are left after sent requests.
func (g *gauge) remaining(sent int64) int64 {
	if g.units {
		return g.left
	}
	return g.left - (sent - g.count)
}

// empty reports whether nothing is sent before the reset.
func (g *gauge) empty(sent int64) bool { return g.every == 0 && g.remaining(sent) <= 0 }

// next returns when a request may be sent before which n others are sent. last
// is the time of the last request.
func (g *gauge) next(now, last time.Time, sent, n int64) time.Time {
	if g.every > 0 {
		at := g.full.Add(g.time(n+1) - g.time(g.burst))
		if g.slower > 0 {
			at = later(at, last.Add(time.Duration(g.slower*float64(g.every))))
		}
		if at.Sub(now) > maxPause {
			at = now.Add(maxPause)
		}
		return at
	}
	left := g.reset.Sub(now)
	if left <= 0 {
		return time.Time{}
	}
	rest := g.remaining(sent)
	if rest <= 0 || rest <= n && !g.units {
		return g.reset
	}
	if spent := 1 - 2*float64(rest)/float64(g.most); spent > 0 && !g.units {
		return last.Add(time.Duration(float64(left) / float64(rest) * spent))
	}
	return time.Time{}
}

// whole returns when the quota is whole again, as far as that is known.
func (g *gauge) whole() time.Time {
	if g.every > 0 {
		return g.full
	}
	return g.reset
}
