package breaker

import "time"

// figures are the numbers that the rules look at.
type figures struct {
	calls    int  // successes and failures in the window
	failures int  // failures in the window
	slow     int  // slow calls in the window
	overdue  int  // running calls that run too long while nothing succeeds
	run      int  // failures since the last success
	lasting  bool // the run has lasted for a tenth of the window
	given    int  // calls given up by their callers for longer than a window, while nothing succeeded
}

// judge returns the reason to open a breaker, or "". A call that runs too long
// while nothing succeeds counts as a failure that has not ended yet. If limit
// > 0, the breaker recovers and limit calls may run.
func judge(c *Config, f figures, limit int) string {
	calls, bad, run := f.calls+f.overdue, f.failures+f.overdue, f.run+f.overdue
	failing := "consecutive failures"
	if f.overdue > f.run {
		failing = "hanging calls"
	}
	switch {
	case c.FailureRatio > 0 && calls >= c.MinCalls && quotient(f.failures, calls) >= c.FailureRatio:
		return "failure ratio"
	case c.FailureRatio > 0 && calls >= c.MinCalls && quotient(bad, calls) >= c.FailureRatio:
		return failing
	case limit > 0 && run >= max(c.Consecutive, 5) && run >= limit:
		return failing
	case c.Consecutive > 0 && run >= c.Consecutive && (calls < c.MinCalls || c.FailureRatio < 0):
		return failing
	case c.Consecutive > 0 && run >= max(c.Consecutive, c.MinCalls/2) && (f.lasting || f.overdue > 0):
		return failing // too many and for too long to be chance
	case c.SlowCall > 0 && c.SlowRatio > 0 && calls >= c.MinCalls && quotient(f.slow+f.overdue, calls) >= c.SlowRatio:
		return "slow calls"
	case f.given >= c.MinCalls:
		return "calls given up"
	}
	return ""
}

// quotient returns part/all. The quotient is rounded correctly. So it equals a
// FailureRatio written as the same fraction, and no smaller share does.
func quotient(part, all int) float64 { return float64(part) / float64(all) }

// A streak counts events of which no success interrupts. Successes leave no
// trace but their number, so a streak remembers how many there were.
type streak struct {
	n         int
	since     time.Duration // of the first event
	successes uint64        // total at the last event
}

// add counts an event at now, when there were so many successes in total.
func (s *streak) add(successes uint64, now time.Duration) {
	if s.n = s.length(successes) + 1; s.n == 1 {
		s.since = now
	}
	s.successes = successes
}

// length is the number of events since the last success.
func (s *streak) length(successes uint64) int {
	if s.successes != successes {
		return 0
	}
	return s.n
}
