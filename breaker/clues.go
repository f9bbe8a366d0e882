package breaker

import (
	"fmt"
	"strings"
	"time"
)

// clues are counts that point at values of a Config that do not fit.
type clues struct {
	given      streak // calls given up by their callers
	impatient  int    // deadlines shorter than a success usually takes
	belowSlow  int    // calls that expired before SlowCall
	lateProbes int    // probes that succeeded after ProbeTimeout
	idle       int    // open periods that refused nothing
	busy       int    // other open periods
}

// enough is the number of cases from which a clue is a hint.
const enough = 5

// note returns the clues of b, to be changed.
func (b *Breaker) note() *clues {
	if b.clues == nil {
		b.clues = new(clues)
	}
	return b.clues
}

func (c *clues) gaveUp(g gaveUp, slowCall, ran time.Duration) {
	if g == impatient {
		c.impatient++
	}
	if g == expired && slowCall > 0 && ran < slowCall {
		c.belowSlow++
	}
}

func (c *clues) openedFor(refused uint64) {
	if refused == 0 {
		c.idle++
	} else {
		c.busy++
	}
}

// hint returns a sentence for each clue, or "". slow is the number of slow
// calls.
func (c *clues) hint(cfg *Config, usual time.Duration, slow uint64) string {
	if c == nil {
		return ""
	}
	var hints []string
	if c.belowSlow >= enough && slow == 0 {
		hints = append(hints, fmt.Sprintf("SlowCall is %v, but callers give up earlier", cfg.SlowCall))
	}
	if c.lateProbes > 0 && cfg.ProbeTimeout > 0 {
		hints = append(hints, fmt.Sprintf("ProbeTimeout is %v, but probes that take longer succeed", cfg.ProbeTimeout))
	}
	if c.impatient >= enough {
		hints = append(hints, fmt.Sprintf("deadlines of callers are shorter than a success, which takes %v", usual.Round(time.Microsecond)))
	}
	if c.idle >= enough && c.idle > c.busy {
		hints = append(hints, "calls are rarer than open periods, which refuse nothing")
	}
	return strings.Join(hints, "; ")
}
