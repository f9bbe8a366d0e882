package breaker

import "time"

// A hang notices calls that run too long while nothing succeeds. It compares
// the calls that had begun at an earlier time with the calls that have ended by
// now. So it needs no list of running calls, and a call costs one addition
// more.
type hang struct {
	older, newer tally
	successes    uint64        // when a tenth of the window last ended
	since        time.Duration // when a tenth with a success last ended
	gap          time.Duration // average time between successes before, 0 if unknown
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

// listen is called when the tenth of the window that ended at end has been
// current for the last time.
func (b *Breaker) listen(p *period, now, end time.Duration) {
	if b.hang == nil {
		b.hang = newHang(p.base)
	}
	h, t := b.hang, b.tally(now)
	if n := t.successes - h.successes; n > 0 {
		gap := max(1, (end-h.since)/time.Duration(n))
		if h.gap > 0 {
			gap = h.gap + (gap-h.gap)/4
		}
		h.successes, h.since, h.gap = t.successes, end, gap
	}
	if now-h.newer.at >= b.hangLimit()/2 {
		h.older, h.newer = h.newer, t
	}
}

func newHang(t tally) *hang { return &hang{older: t, newer: t, successes: t.successes, since: t.at} }

// overdue counts the running calls that began before h.older, which is at least
// hangLimit ago. Other calls have ended since then, so the result may be too
// small, but not too large. It is 0 in these cases:
//
//   - A call has succeeded within hangLimit or, without SlowCall, within the
//     time in which five calls used to succeed.
//   - No tenth has ended between h.older and now. So a process that was stopped
//     does not take its own pause for a hang.
func (b *Breaker) overdue(p *period, now time.Duration) int {
	h, limit := b.hang, b.hangLimit()
	if h == nil || limit == 0 || p.now() == StateHalfOpen || h.newer.at == h.older.at {
		return 0
	}
	silence, c := limit, b.cfg.Load()
	if c.SlowCall == 0 {
		if h.gap == 0 {
			return 0 // nothing has succeeded yet
		}
		silence = max(limit, 5*h.gap)
	}
	if now-h.since < silence || now-h.older.at < limit || b.meter.total(success) != h.successes {
		return 0
	}
	return b.running(p, h.older)
}

// running is the least number of calls of p that had begun by then, run now,
// and have no answer.
func (b *Breaker) running(p *period, then tally) int {
	return max(0, int(then.started-p.base.started)-int(b.meter.ended()-p.base.ended)-int(p.answers.Load()))
}
