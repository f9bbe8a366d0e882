package breaker

// lastCalls is a window of the last calls, however old.
type lastCalls struct {
	ring []uint8 // of present, failed and long
	next int
	sum  counts
}

const (
	present = 1 << iota
	failed
	long
)

func (l *lastCalls) push(o Outcome, slow bool) {
	l.add(l.ring[l.next], ^uint64(0))
	v := uint8(present)
	if o == OutcomeFailure {
		v |= failed
	}
	if slow {
		v |= long
	}
	l.ring[l.next] = v
	l.add(v, 1)
	l.next = (l.next + 1) % len(l.ring)
}

// add adds n to the sums that a call contributes to. n may be the two's
// complement of 1.
func (l *lastCalls) add(v uint8, n uint64) {
	if v&present == 0 {
		return
	}
	if v&failed != 0 {
		l.sum[failure] += n
	} else {
		l.sum[success] += n
	}
	if v&long != 0 {
		l.sum[slow] += n
	}
}

func (l *lastCalls) clear() {
	clear(l.ring)
	l.sum = counts{}
}
