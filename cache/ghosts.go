package cache

// Ghosts are the hashes of the latest evictions from a queue, but of those that have come back: a ring of all the latest
// evictions, and hash chains through those slots of it that are ghosts still.
type ghosts struct {
	ring        []ghost  // a power of two long; eviction number n is in slot n%len
	heads       []uint32 // of the chains: a slot+1, or 0
	oldest, end uint32   // the numbers of the evictions in the ring are from oldest to before end
	len         int      // how many of them are ghosts
}

type ghost struct {
	hash uint32
	next uint32 // the next slot+1 of its chain, 0, or gone
}

const gone = 1<<32 - 1

func (g *ghosts) slot(number uint32) uint32 { return number & uint32(len(g.ring)-1) }

// head returns where the chain of a hash begins.
func (g *ghosts) head(hash uint32) *uint32 { return &g.heads[hash&uint32(len(g.heads)-1)] }

// add notes an eviction, and forgets those before the last limit.
func (g *ghosts) add(hash uint32, limit int) {
	for int(g.end-g.oldest) >= limit {
		g.unlink(g.slot(g.oldest))
		g.oldest++
	}
	if int(g.end-g.oldest) == len(g.ring) {
		g.grow()
	}
	i, head := g.slot(g.end), g.head(hash)
	g.ring[i] = ghost{hash, *head}
	*head = i + 1
	g.end++
	g.len++
}

// take removes a ghost. It returns how many evictions ago it was, 0 being the last.
func (g *ghosts) take(hash uint32) (age int, ok bool) {
	if g.len == 0 {
		return 0, false
	}
	for at := *g.head(hash); at != 0; at = g.ring[at-1].next {
		if i := at - 1; g.ring[i].hash == hash {
			g.unlink(i)
			return int(g.slot(g.end - 1 - i)), true
		}
	}
	return 0, false
}

// unlink makes the slot no ghost any more, if it is one.
func (g *ghosts) unlink(i uint32) {
	if g.ring[i].next == gone {
		return
	}
	link := g.head(g.ring[i].hash)
	for *link != i+1 {
		link = &g.ring[*link-1].next
	}
	*link = g.ring[i].next
	g.ring[i].next = gone
	g.len--
}

func (g *ghosts) grow() {
	old := *g
	*g = ghosts{ring: make([]ghost, max(8, 2*len(old.ring))), heads: make([]uint32, max(8, 2*len(old.ring))), oldest: old.oldest, end: old.oldest}
	for ; g.end != old.end; g.end++ {
		slot := old.ring[old.slot(g.end)]
		if slot.next != gone {
			head := g.head(slot.hash)
			slot.next = *head
			*head = g.slot(g.end) + 1
			g.len++
		}
		g.ring[g.slot(g.end)] = slot
	}
}
