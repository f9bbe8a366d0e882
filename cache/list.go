package cache

// A list is a queue of entries, the newest in front.
type list[K comparable, V any] struct {
	ring   *node[K, V] // a sentinel: ring.next is the newest entry, ring.prev the oldest
	len    int
	weight int64 // of the entries
}

func newList[K comparable, V any]() list[K, V] {
	ring := new(node[K, V])
	ring.prev, ring.next = ring, ring
	return list[K, V]{ring: ring}
}

// oldest returns the last entry, or nil.
func (l *list[K, V]) oldest() *node[K, V] {
	if l.len == 0 {
		return nil
	}
	return l.ring.prev
}

func (l *list[K, V]) push(n *node[K, V]) {
	n.prev, n.next = l.ring, l.ring.next
	n.prev.next, n.next.prev = n, n
	l.len++
	l.weight += int64(n.weight())
}

func (l *list[K, V]) remove(n *node[K, V]) {
	n.prev.next, n.next.prev = n.next, n.prev
	n.prev, n.next = nil, nil
	l.len--
	l.weight -= int64(n.weight())
}

// renew moves n to the front.
func (l *list[K, V]) renew(n *node[K, V]) {
	if l.ring.next != n {
		l.remove(n)
		l.push(n)
	}
}

// replace puts n in the place of old.
func (l *list[K, V]) replace(old, n *node[K, V]) {
	n.prev, n.next = old.prev, old.next
	n.prev.next, n.next.prev = n, n
	old.prev, old.next = nil, nil
	l.weight += int64(n.weight()) - int64(old.weight())
}

// appendTo appends the entries to nodes, the oldest first.
func (l *list[K, V]) appendTo(nodes []*node[K, V]) []*node[K, V] {
	for n := l.ring.prev; n != l.ring; n = n.prev {
		nodes = append(nodes, n)
	}
	return nodes
}
