package detect

import (
	"hash/maphash"
	"slices"
	"time"
	"unicode/utf8"
)

// An event is a time of a key and a number. In Window and Sequence, the number
// counts the events of that time. In Distinct it is the hash of a value. In
// Leak, which has a single event per key, it is the level of the bucket.
type event struct {
	at int64 // Unix time in ns
	n  uint64
}

// An entry is the state of a key. The first event is stored in it, so that a
// key with one event, as most keys are, needs no slice.
type entry[K comparable] struct {
	key        K
	events     []event // by time
	one        [1]event
	quiet      int64 // no alert before this time
	blind      int64 // events up to this time may have been forgotten
	evidence   *[][]byte
	hash       uint32
	late       uint32 // late events, less the events in time since
	jumps      int32  // events in a row that are too early for a clock that was set back; negative before
	chain      int32  // the next in its bucket
	prev, next int32  // in the list, from the oldest on
}

const (
	pageSize  = 64 // entries that are allocated together and never move
	perKey    = 16 // events held for each of MaxKeys, on average
	maxWeight = 1 << 31
	maxEvents = 1 << 40 // at one time
	never     = -1 << 63
	maxTime   = 1 << 62 / 1000000000 * 1000000000
)

// A table holds the latest keys. It is a hash table with chains. Its entries
// are also in a list, in the order in which their keys fell silent. Entry 0 is
// the end of the list and of the chains, and has no key. Each table has its own
// seed, so that an attacker cannot choose keys that collide. A map beside the
// entries would hold each key twice, and an eviction would hash the key again.
//
// The table remembers the times of forgotten events. lost is the time of the
// latest event of any evicted or screened key. blind is the same for the events
// of an entry. An alert is not Exact if its window begins before that time.
type table[K comparable] struct {
	Config
	seed    maphash.Seed
	buckets []int32
	pages   [][]entry[K]
	made    int32 // entries, with entry 0
	free    int32 // the first entry without a key, chained
	keys    int
	held    int   // events of all keys
	most    int   // bound of the events of a key
	lost    int64 // time of the latest event of an evicted or screened key
	screen  *screen
	stats   Stats
}

// newTable panics with the error of Config.Validate.
func newTable[K comparable](c Config) table[K] {
	return tableOf[K](c.withDefaults())
}

// tableOf returns a table for a Config with its defaults.
func tableOf[K comparable](c Config) table[K] {
	t := table[K]{Config: c, seed: maphash.MakeSeed(), buckets: make([]int32, pageSize), lost: never}
	// Without an alert, a window has at most Limit events, and late events
	// reach MaxSkew back. Further events are dropped, and the alert is not
	// Exact.
	t.most = (t.Limit + 1) * int(2+min(t.MaxSkew/t.Per, 64))
	t.pages, t.made = [][]entry[K]{make([]entry[K], pageSize)}, 1
	return t
}

func (t *table[K]) at(i int32) *entry[K] { return &t.pages[i/pageSize][i%pageSize] }

// find returns the entry of key, or 0 if there is none.
func (t *table[K]) find(hash uint32, key K) int32 {
	i := t.buckets[hash&uint32(len(t.buckets)-1)]
	for i != 0 {
		e := t.at(i)
		if e.hash == hash && e.key == key {
			break
		}
		i = e.chain
	}
	return i
}

// known returns the entry of key, or nil if there is none.
func (t *table[K]) known(key K) *entry[K] {
	t.stats.Observed++
	if i := t.find(uint32(maphash.Comparable(t.seed, key)), key); i != 0 {
		return t.at(i)
	}
	return nil
}

// get returns the entry of key, which has an event at ns, as the latest entry,
// and makes it if necessary. A new entry is blind up to the latest eviction,
// which may have been of this key. If all keys of a full table are still in
// their windows, get returns nil until the key has occurred several times. A
// flood of keys that occur once therefore displaces no other key.
func (t *table[K]) get(key K, ns int64) *entry[K] {
	t.stats.Observed++
	full := maphash.Comparable(t.seed, key)
	hash := uint32(full)
	i := t.find(hash, key)
	if i != 0 {
		if e := t.at(i); e.next != 0 {
			t.unlink(e)
			t.link(i, e)
		}
		return t.at(i)
	}
	blind := t.lost
	if t.keys == t.MaxKeys {
		if t.crowded(ns) {
			if !t.occurs(full, ns) {
				t.stats.Screened++
				t.lost = max(t.lost, ns)
				return nil
			}
			t.lost = max(t.lost, ns) // the screened events
		}
		t.evict()
		blind = t.lost
	}
	return t.add(key, hash, blind)
}

// add makes the entry of a key that has none, as the latest entry.
func (t *table[K]) add(key K, hash uint32, blind int64) *entry[K] {
	if t.keys == len(t.buckets) {
		t.grow()
	}
	i := t.room()
	e := t.at(i)
	e.key, e.hash, e.quiet, e.blind, e.late, e.jumps = key, hash, never, blind, 0, -1
	b := &t.buckets[hash&uint32(len(t.buckets)-1)]
	e.chain, *b = *b, i
	t.link(i, e)
	t.keys++
	return e
}

// crowded reports whether the key that fell silent first may still have an
// event in a window.
func (t *table[K]) crowded(ns int64) bool {
	e := t.at(t.at(0).next)
	n := len(e.events)
	return n > 0 && e.events[n-1].at > ns-int64(t.Per)-int64(t.MaxSkew)
}

// occurs counts an event of a key without an entry. It reports whether the key
// has had enough events for an entry: half of the tolerated number, and at most
// three.
func (t *table[K]) occurs(hash uint64, ns int64) bool {
	if t.screen == nil {
		t.screen = newScreen(t.MaxKeys, ns)
	}
	t.screen.age(ns, int64(t.Per))
	return t.screen.add(hash) >= uint64(min(t.Limit/2+1, 3))
}

// room returns an entry for a new key: an evicted entry, or the next entry of
// the last page.
func (t *table[K]) room() int32 {
	if i := t.free; i != 0 {
		t.free = t.at(i).chain
		return i
	}
	i := t.made
	if i%pageSize == 0 {
		t.pages = append(t.pages, make([]entry[K], pageSize))
	}
	t.made++
	e := t.at(i)
	e.events = e.one[:0]
	return i
}

// grow doubles the buckets.
func (t *table[K]) grow() {
	t.buckets = make([]int32, 2*len(t.buckets))
	for i := t.at(0).next; i != 0; i = t.at(i).next {
		e := t.at(i)
		b := &t.buckets[e.hash&uint32(len(t.buckets)-1)]
		e.chain, *b = *b, i
	}
}

// evict forgets the key that has been silent for the longest time. It frees the
// slice of its events: most keys have one event, and the slices of all keys
// that had many would add up.
func (t *table[K]) evict() {
	i := t.at(0).next
	e := t.at(i)
	if n := len(e.events); n > 0 {
		t.lost = max(t.lost, e.events[n-1].at)
		t.held -= n
	}
	e.events = e.one[:0]
	if e.evidence != nil {
		*e.evidence = (*e.evidence)[:0]
	}
	b := &t.buckets[e.hash&uint32(len(t.buckets)-1)]
	for *b != i {
		b = &t.at(*b).chain
	}
	*b = e.chain
	t.unlink(e)
	var zero K
	e.key, e.chain, t.free = zero, t.free, i
	t.keys--
	t.stats.Evicted++
}

func (t *table[K]) unlink(e *entry[K]) {
	t.at(e.prev).next = e.next
	t.at(e.next).prev = e.prev
}

func (t *table[K]) link(i int32, e *entry[K]) {
	ends := t.at(0)
	e.prev, e.next = ends.prev, 0
	t.at(e.prev).next = i
	ends.prev = i
}

// late reports whether at is too early for e, and counts it. If most events are
// late, the known events are of a clock that was ahead: they are forgotten, and
// the cooldown with them. Otherwise a line with a wrong year would protect its
// key until that year. From then on, a few events of such a clock are late as
// well, until they come in a row.
func (t *table[K]) late(e *entry[K], at int64) bool {
	n := len(e.events)
	if n == 0 {
		e.late = 0
		return false
	}
	switch ahead := at - e.events[n-1].at; {
	case ahead > int64(t.MaxSkew) && e.jumps >= 0:
		if e.jumps++; int(e.jumps) <= t.Limit+1 {
			t.stats.Late++
			return true
		}
		e.jumps = -1
		return false
	case -ahead <= int64(t.MaxSkew):
		e.late -= min(e.late, 1)
		e.jumps = min(e.jumps, 0)
		return false
	}
	t.stats.Late++
	if e.late++; int(e.late) <= t.Limit+1 {
		return true
	}
	t.held -= n
	e.blind = e.events[n-1].at
	e.events, e.late, e.jumps, e.quiet = e.events[:0], 0, 0, never
	return false
}

// insert adds an event in its place. If counts, it adds it to an event of the
// same time. It drops the events that no window of a later event can contain.
func (t *table[K]) insert(e *entry[K], ev event, counts bool) {
	i, before := len(e.events), len(e.events)
	for i > 0 && e.events[i-1].at > ev.at {
		i--
	}
	if counts && i > 0 && e.events[i-1].at == ev.at {
		e.events[i-1].n = min(e.events[i-1].n+ev.n, maxEvents)
		return
	}
	e.events = slices.Insert(e.events, i, ev)
	n := len(e.events)
	old := after(e.events, e.events[n-1].at-int64(t.Per)-int64(t.MaxSkew))
	if over := n - t.most; over > old {
		old = over
		e.blind = max(e.blind, e.events[old-1].at)
	}
	if old > 0 {
		e.events = slices.Delete(e.events, 0, old)
	}
	t.held += len(e.events) - before
	for t.held > t.most && t.held/perKey >= t.MaxKeys && t.keys > 1 {
		t.evict() // not e, which is the latest
	}
}

// after returns the index of the first event after at.
func after(events []event, at int64) int {
	lo, hi := 0, len(events)
	for lo < hi {
		if mid := (lo + hi) / 2; events[mid].at > at {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// note keeps the latest pieces of evidence of e. It reuses the arrays of
// dropped pieces.
func (t *table[K]) note(e *entry[K], pieces [][]byte) {
	if len(pieces) == 0 || t.Evidence < 0 {
		return
	}
	if e.evidence == nil {
		e.evidence = new([][]byte)
	}
	held := *e.evidence
	for _, p := range pieces[max(0, len(pieces)-t.Evidence):] {
		switch n := len(held); {
		case n == t.Evidence:
			first := held[0]
			copy(held, held[1:])
			held[n-1] = first
		case n < cap(held):
			held = held[:n+1]
		default:
			held = append(held, nil)
		}
		last := &held[len(held)-1]
		*last = append((*last)[:0], cutEvidence(p)...)
	}
	*e.evidence = held
}

// cutEvidence returns the first evidenceSize bytes of p, or up to four fewer:
// it splits no character.
func cutEvidence(p []byte) []byte {
	n := min(len(p), evidenceSize)
	for n < len(p) && n > evidenceSize-utf8.UTFMax && !utf8.RuneStart(p[n]) {
		n--
	}
	return p[:n]
}

// check raises an alert if a window that contains the event at ns has too many
// events. A late event may complete the window of an earlier event. If counts,
// an event counts n times, otherwise once.
func (t *table[K]) check(e *entry[K], ns int64, counts bool) (Alert[K], bool) {
	weight := func(ev event) uint64 {
		if counts {
			return ev.n
		}
		return 1
	}
	in, per := e.events, int64(t.Per)
	first, count := after(in, ns-per), uint64(0)
	for i := first; i < len(in) && in[i].at-ns < per; i++ {
		for ; in[first].at <= in[i].at-per; first++ {
			count -= weight(in[first])
		}
		count += weight(in[i])
		if in[i].at < ns || i+1 < len(in) && in[i+1].at == in[i].at {
			continue
		}
		if a, ok := t.alert(e, in[i].at, in[i].at-per, count, in[first:i+1]); ok {
			return a, true
		}
	}
	return Alert[K]{}, false
}

// alert raises an alert unless the key is in its cooldown. Events after since
// matter for the count.
func (t *table[K]) alert(e *entry[K], at, since int64, count uint64, in []event) (Alert[K], bool) {
	if count <= uint64(t.Limit) || at < e.quiet {
		return Alert[K]{}, false
	}
	if t.Cooldown > 0 {
		e.quiet = at + int64(t.Cooldown)
	}
	t.stats.Alerts++
	a := Alert[K]{Name: t.Name, Key: e.key, Count: int(min(count, 1<<31-1)), Exact: since >= e.blind}
	a.First, a.Last = time.Unix(0, at).UTC(), time.Unix(0, at).UTC()
	if len(in) > 0 {
		a.First, a.Last = time.Unix(0, in[0].at).UTC(), time.Unix(0, in[len(in)-1].at).UTC()
	}
	if e.evidence != nil {
		for _, piece := range *e.evidence {
			a.Evidence = append(a.Evidence, string(piece))
		}
	}
	return a, true
}

// snapshot returns the counts so far.
func (t *table[K]) snapshot() Stats {
	s := t.stats
	s.Name, s.Keys = t.Name, t.keys
	return s
}

// nanos returns the Unix time of t in ns. It moves times that are 146 years or
// more from 1970 to that distance, which leaves room for sums.
func nanos(t time.Time) int64 {
	switch s := t.Unix(); {
	case s >= maxTime/1e9:
		return maxTime
	case s <= -maxTime/1e9:
		return -maxTime
	}
	return t.UnixNano()
}

// weight returns the number of events for the argument n of Observe.
func weight(n int) uint64 { return uint64(min(max(n, 1), maxWeight-1)) }
