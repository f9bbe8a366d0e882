package main

// Links are doubly linked lists of small numbers.
type links struct{ next, prev []int32 }

// newLinks returns links of the numbers below n, with this many lists.
func newLinks(n, lists int) *links {
	return &links{make([]int32, n+lists), make([]int32, n+lists)}
}

// A list is a queue of numbers, the newest in front.
type list struct {
	*links
	head int32
	len  int
}

func (l *links) list(head int) *list {
	l.next[head], l.prev[head] = int32(head), int32(head)
	return &list{l, int32(head), 0}
}

func (l *list) push(i int32) {
	next := l.next[l.head]
	l.next[i], l.prev[i] = next, l.head
	l.prev[next], l.next[l.head] = i, i
	l.len++
}

func (l *list) remove(i int32) {
	prev, next := l.prev[i], l.next[i]
	l.next[prev], l.prev[next] = next, prev
	l.len--
}

func (l *list) oldest() int32 { return l.prev[l.head] }

func (l *list) pop() int32 {
	i := l.oldest()
	l.remove(i)
	return i
}

// An lru evicts the key that was used least recently.
type lru struct {
	present  []bool
	order    *list
	capacity int
}

func newLRU(n, capacity int) policy {
	return &lru{make([]bool, n), newLinks(n, 1).list(n), capacity}
}

func (c *lru) Access(k uint32) (hit bool) {
	if hit = c.present[k]; hit {
		c.order.remove(int32(k))
	} else if c.order.len >= c.capacity {
		c.present[c.order.pop()] = false
	}
	c.present[k] = true
	c.order.push(int32(k))
	return hit
}

// An arc is the Adaptive Replacement Cache of Megiddo and Modha (FAST 2003),
// figure 4.
type arc struct {
	where          []uint8 // the index of the list of a key plus 1, or 0
	t1, t2, b1, b2 *list
	c              int
	p              float64
}

func newARC(n, capacity int) policy {
	l := newLinks(n, 4)
	return &arc{make([]uint8, n), l.list(n), l.list(n + 1), l.list(n + 2), l.list(n + 3), capacity, 0}
}

func (a *arc) list(where uint8) *list { return [...]*list{a.t1, a.t2, a.b1, a.b2}[where-1] }

func (a *arc) move(k int32, to uint8) {
	if from := a.where[k]; from != 0 {
		a.list(from).remove(k)
	}
	if a.where[k] = to; to != 0 {
		a.list(to).push(k)
	}
}

func (a *arc) replace(inB2 bool) {
	if n := float64(a.t1.len); n > 0 && (n > a.p || inB2 && n == a.p) {
		a.move(a.t1.oldest(), 3)
	} else {
		a.move(a.t2.oldest(), 4)
	}
}

func (a *arc) Access(key uint32) bool {
	k := int32(key)
	switch a.where[k] {
	case 1, 2:
		a.move(k, 2)
		return true
	case 3:
		a.p = min(a.p+max(1, float64(a.b2.len)/float64(a.b1.len)), float64(a.c))
		a.replace(false)
		a.move(k, 2)
		return false
	case 4:
		a.p = max(a.p-max(1, float64(a.b1.len)/float64(a.b2.len)), 0)
		a.replace(true)
		a.move(k, 2)
		return false
	}
	if a.t1.len+a.b1.len == a.c {
		if a.t1.len < a.c {
			a.move(a.b1.oldest(), 0)
			a.replace(false)
		} else {
			a.move(a.t1.oldest(), 0)
		}
	} else if all := a.t1.len + a.t2.len + a.b1.len + a.b2.len; all >= a.c {
		if all == 2*a.c {
			a.move(a.b2.oldest(), 0)
		}
		a.replace(false)
	}
	a.move(k, 1)
	return false
}

// An s3fifo is S3-FIFO (Yang and others, SOSP 2023) with a small queue of a
// tenth of the capacity.
type s3fifo struct {
	where                  []uint8 // 1 small, 2 main, 3 ghost, or 0
	uses                   []uint8
	small, main, ghost     *list
	capacity, smallAtLeast int
}

func newS3FIFO(n, capacity int) policy {
	l := newLinks(n, 3)
	return &s3fifo{make([]uint8, n), make([]uint8, n), l.list(n), l.list(n + 1), l.list(n + 2), capacity, max(1, capacity/10)}
}

func (c *s3fifo) Access(key uint32) bool {
	k := int32(key)
	if w := c.where[k]; w == 1 || w == 2 {
		c.uses[k] = min(c.uses[k]+1, 3)
		return true
	}
	for c.small.len+c.main.len >= c.capacity {
		c.evict()
	}
	c.uses[k] = 0
	if c.where[k] == 3 {
		c.ghost.remove(k)
		c.where[k] = 2
		c.main.push(k)
	} else {
		c.where[k] = 1
		c.small.push(k)
	}
	return false
}

func (c *s3fifo) evict() {
	if c.small.len < c.smallAtLeast && c.main.len > 0 {
		c.evictMain()
		return
	}
	for c.small.len > 0 {
		k := c.small.pop()
		if c.uses[k] > 1 {
			c.where[k], c.uses[k] = 2, 0
			if c.main.push(k); c.main.len > c.capacity-c.smallAtLeast {
				c.evictMain()
			}
			continue
		}
		if c.ghost.len >= c.capacity-c.smallAtLeast && c.ghost.len > 0 {
			c.where[c.ghost.pop()] = 0
		}
		c.where[k] = 3
		c.ghost.push(k)
		return
	}
}

func (c *s3fifo) evictMain() {
	for c.main.len > 0 {
		k := c.main.pop()
		if c.uses[k] == 0 {
			c.where[k] = 0
			return
		}
		c.uses[k]--
		c.main.push(k)
	}
}
