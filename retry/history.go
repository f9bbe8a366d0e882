package retry

// kept is the number of errors that an Error remembers.
const kept = 8

// A history holds the error of the first attempt and the errors of the last
// seven, so that a call without a limit needs bounded memory.
type history [kept]error

// slot returns the place of attempt n, counted from 1.
func slot(n int) int {
	if n == 1 {
		return 0
	}
	return 1 + (n-2)%(kept-1)
}

// add records the error of attempt n.
func (h *history) add(n int, err error) { h[slot(n)] = err }

// all yields the numbers and errors kept of n attempts.
func (h *history) all(n int, yield func(int, error) bool) {
	if !yield(1, h[0]) {
		return
	}
	for i := max(2, n-kept+2); 0 < i && i <= n; i++ {
		if !yield(i, h[slot(i)]) {
			return
		}
	}
}
