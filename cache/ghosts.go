package cache

// Ghosts remember the hashes of recently evicted keys, except those that have
// returned. They are a ring of recent evictions, with a hash table over the
// slots that are still ghosts.
type ghosts struct {
	ring        []ghost  // its length is a power of two; eviction n is in slot n%len
	heads       []uint32 // of the hash chains: a slot+1, or 0
	oldest, end uint32   // the ring contains the evictions from oldest to before end
	len         int      // the number of ghosts among them
}

type ghost struct {
	hash uint32
	next uint32 // the next slot+1 of its chain, 0, or noGhost
}

const noGhost = 1<<32 - 1

func (g *ghosts) slot(number uint32) uint32 { return number & uint32(len(g.ring)-1) }

// head returns the head of the chain of a hash.
func (g *ghosts) head(hash uint32) *uint32 { return &g.heads[hash&uint32(len(g.heads)-1)] }

// add records an eviction, and forgets all evictions before the last limit.
func (g *ghosts) add(hash uint32, limit int) {
	if len(g.ring) > 64 && len(g.ring) > 8*limit { // the cache has shrunk
		*g = ghosts{}
	}
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

// take removes the ghost of a hash and reports whether there was a ghost. Age
// is the number of evictions since its own.
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

// unlink removes slot i from its chain, if it is still a ghost.
func (g *ghosts) unlink(i uint32) {
	if g.ring[i].next == noGhost {
		return
	}
	link := g.head(g.ring[i].hash)
	for *link != i+1 {
		link = &g.ring[*link-1].next
	}
	*link = g.ring[i].next
	g.ring[i].next = noGhost
	g.len--
}

func (g *ghosts) grow() {
	old := *g
	*g = ghosts{ring: make([]ghost, max(8, 2*len(old.ring))), heads: make([]uint32, max(8, 2*len(old.ring))), oldest: old.oldest, end: old.oldest}
	for ; g.end != old.end; g.end++ {
		slot := old.ring[old.slot(g.end)]
		if slot.next != noGhost {
			head := g.head(slot.hash)
			slot.next = *head
			*head = g.slot(g.end) + 1
			g.len++
		}
		g.ring[g.slot(g.end)] = slot
	}
}
