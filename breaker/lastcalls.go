package breaker

// lastCalls is the count window.
type lastCalls struct {
	ring []uint8 // of present|bad|long
	next int
	sum  counts
}

const (
	present = 1 << iota
	bad
	long
)

func (l *lastCalls) push(failed, slow bool) {
	l.add(l.ring[l.next], ^uint64(0))
	v := uint8(present)
	if failed {
		v |= bad
	}
	if slow {
		v |= long
	}
	l.ring[l.next] = v
	l.add(v, 1)
	l.next = (l.next + 1) % len(l.ring)
}

// add adds n, which may be the two's complement of 1, to the sums a call contributes to.
func (l *lastCalls) add(v uint8, n uint64) {
	if v&present == 0 {
		return
	}
	if v&bad != 0 {
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
