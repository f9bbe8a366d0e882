package breaker

import "time"

// A hang notices calls that run too long while nothing succeeds. It compares
// the calls that had begun at an earlier time with the calls that have ended by
// now. So it needs no list of running calls, and a call costs one addition
// more.
type hang struct {
	older, newer tally
	flow         int // successes in the window when there were some last
}

// A tally is the number of calls at some time.
type tally struct {
	at        time.Duration
	started   uint64
	ended     uint64
	successes uint64
}

// tally counts the calls until now.
func (b *Breaker) tally(now time.Duration) tally {
	return tally{at: now, started: b.meter.total(started), ended: b.meter.ended(), successes: b.meter.total(success)}
}

// hangLimit is the duration from which a running call runs too long: SlowCall
// or, without it, three times the longest of the latest successes. It is 0 if
// unknown or off.
func (b *Breaker) hangLimit() time.Duration {
	c := b.cfg.Load()
	if c.SlowCall != 0 {
		return max(0, c.SlowCall)
	}
	longest := time.Duration(b.pace.longest.Load())
	if longest == 0 {
		return 0
	}
	return max(3*longest, c.Window/tenths)
}

// listen is called when a tenth of the window has ended, which contained so
// many successes.
func (b *Breaker) listen(p *period, now time.Duration, successes int) {
	if b.hang == nil {
		b.hang = &hang{older: p.base, newer: p.base}
	}
	h, t := b.hang, b.tally(now)
	if successes > 0 && t.successes != h.newer.successes {
		h.flow = successes
	}
	if now-h.newer.at >= b.hangLimit()/2 {
		h.older, h.newer = h.newer, t
	}
}

// overdue counts the running calls that began before h.older, which is at least
// hangLimit ago. Other calls have ended since then, so the result may be too
// small, but not too large. It is 0 in these cases:
//
//   - A call has succeeded since then.
//   - No tenth has ended between then and now. So a process that was stopped
//     does not take its own pause for a hang.
//   - SlowCall is 0, and the silence is not longer than the time in which five
//     calls used to succeed.
func (b *Breaker) overdue(p *period, now time.Duration) int {
	h, limit := b.hang, b.hangLimit()
	if h == nil || limit == 0 || p.now() == StateHalfOpen {
		return 0
	}
	c, silence := b.cfg.Load(), now-h.older.at
	switch {
	case silence < limit, h.newer.at == h.older.at, b.meter.total(success) != h.older.successes:
		return 0
	case c.SlowCall == 0 && float64(h.flow)*float64(silence) < 5*float64(c.Window):
		return 0
	}
	return b.running(p, h.older)
}

// running is the least number of calls of p that had begun by then and run now.
func (b *Breaker) running(p *period, then tally) int {
	return max(0, int(then.started-p.base.started)-int(b.meter.ended()-p.base.ended))
}
