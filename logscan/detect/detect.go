package detect

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"
)

const (
	defaultMaxKeys = 1 << 16
	maxLimit       = 1 << 16
)

// A Config says when a detector raises an alert.
type Config struct {
	_ [0]func()

	// Limit is how many are tolerated in Per; one more is an alert. Zero: the
	// first is an alert. At most 65536.
	Limit int

	// Per is the length of the window: at time t it is (t-Per, t]. Required.
	Per time.Duration

	// Cooldown is for how long after an alert its key raises no other. The
	// default is Per; negative means none.
	Cooldown time.Duration

	// MaxSkew is how much earlier than the latest event of its key an event may
	// be; what is earlier is counted as Stats.Late and otherwise ignored. The
	// default is Per; negative means that events must come in order.
	MaxSkew time.Duration

	// MaxKeys is the most keys held. The default is 65536. There is no
	// unlimited: less than zero means the default. The size of a key, where it
	// is a string, is for the caller to bound.
	MaxKeys int
}

// Validate reports all that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if c.Limit < 0 || c.Limit > maxLimit {
		errs = append(errs, fmt.Errorf("detect: Limit %d is not between 0 and %d", c.Limit, maxLimit))
	}
	if c.Per <= 0 {
		errs = append(errs, errors.New("detect: Per is required"))
	}
	return errors.Join(errs...)
}

// withDefaults panics with the error of Validate.
func (c Config) withDefaults() Config {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	if c.Cooldown == 0 {
		c.Cooldown = c.Per
	}
	if c.MaxSkew == 0 {
		c.MaxSkew = c.Per
	}
	c.MaxSkew = max(c.MaxSkew, 0)
	if c.MaxKeys <= 0 {
		c.MaxKeys = defaultMaxKeys
	}
	return c
}

// An Alert tells that a key has exceeded the limit.
type Alert[K comparable] struct {
	Key   K         // who
	Count int       // how many in the window, as far as they are held: always more than Limit
	First time.Time // the earliest of them
	Last  time.Time // the latest of them
	Exact bool      // false: events may have been forgotten, so that Count is a lower bound
}

// String returns a line for people, in which the key is quoted, and cut at 64 bytes.
func (a Alert[K]) String() string {
	key := fmt.Sprint(a.Key)
	return fmt.Sprintf("%q: %d from %s to %s", key[:min(len(key), 64)], a.Count, a.First.Format(time.RFC3339), a.Last.Format(time.RFC3339))
}

// Stats are the counts of a detector.
type Stats struct {
	Observed uint64 `json:"observed"` // calls of Observe, Fail and Succeed
	Alerts   uint64 `json:"alerts"`   // alerts raised
	Late     uint64 `json:"late"`     // events older than MaxSkew allows, ignored
	Evicted  uint64 `json:"evicted"`  // keys forgotten for want of room
	Keys     int    `json:"keys"`     // keys held now
}

// An event of a key: when, and how many or which value.
type event struct {
	at int64 // Unix time in ns
	n  uint64
}

// An entry is what is held of a key.
type entry[K comparable] struct {
	key        K
	events     []event // by time
	quiet      int64   // no alert before this time
	blind      int64   // events up to this time may have been forgotten
	prev, next int32   // in the list, from the oldest on
}

// A table holds the latest keys. Entry 0 is the ends of the list.
type table[K comparable] struct {
	Config
	index   map[K]int32
	entries []entry[K]
	lost    int64 // latest event of an evicted key
	stats   Stats
}

const never = -1 << 63

func newTable[K comparable](c Config) table[K] {
	return table[K]{Config: c.withDefaults(), index: map[K]int32{}, entries: make([]entry[K], 1), lost: never}
}

// get returns the entry of key, made when there is none, as the latest.
func (t *table[K]) get(key K) *entry[K] {
	t.stats.Observed++
	i, ok := t.index[key]
	switch {
	case ok:
		t.unlink(i)
	case len(t.index) < t.MaxKeys:
		i = int32(len(t.entries))
		t.entries = append(t.entries, entry[K]{})
	default:
		i = t.evict()
	}
	if !ok {
		e := &t.entries[i]
		*e = entry[K]{key: key, events: e.events[:0], quiet: never, blind: t.lost}
		t.index[key] = i
	}
	t.link(i)
	return &t.entries[i]
}

// evict forgets the key that has been silent for longest.
func (t *table[K]) evict() int32 {
	i := t.entries[0].next
	e := &t.entries[i]
	if n := len(e.events); n > 0 {
		t.lost = max(t.lost, e.events[n-1].at)
	}
	if cap(e.events) > 4 { // most keys have few; do not keep the room of one that had many
		e.events = nil
	}
	t.unlink(i)
	delete(t.index, e.key)
	t.stats.Evicted++
	return i
}

func (t *table[K]) unlink(i int32) {
	e := &t.entries[i]
	t.entries[e.prev].next = e.next
	t.entries[e.next].prev = e.prev
}

func (t *table[K]) link(i int32) {
	last := t.entries[0].prev
	t.entries[i].prev, t.entries[i].next = last, 0
	t.entries[last].next = i
	t.entries[0].prev = i
}

// late reports whether at is too early for e, and counts it.
func (t *table[K]) late(e *entry[K], at int64) bool {
	n := len(e.events)
	if n == 0 || e.events[n-1].at-at <= int64(t.MaxSkew) {
		return false
	}
	t.stats.Late++
	return true
}

// insert adds an event in its place, and drops those that no window of a coming
// event can hold. More than most cannot be of use: without an alert, Limit is
// the most in any window, and late events reach MaxSkew back.
func (t *table[K]) insert(e *entry[K], ev event) {
	i := len(e.events)
	for i > 0 && e.events[i-1].at > ev.at {
		i--
	}
	e.events = slices.Insert(e.events, i, ev)
	most := (t.Limit + 1) * int(2+min(t.MaxSkew/t.Per, 64))
	old, horizon := 0, e.events[len(e.events)-1].at-int64(t.Per)-int64(t.MaxSkew)
	for old < len(e.events)-1 && (e.events[old].at <= horizon || len(e.events)-old > most) {
		old++
	}
	e.events = slices.Delete(e.events, 0, old)
}

// window returns the events of e in (end-Per, end].
func (t *table[K]) window(e *entry[K], end int64) []event {
	find := func(at int64) int {
		i, _ := slices.BinarySearchFunc(e.events, at+1, func(ev event, at int64) int { return cmp.Compare(ev.at, at) })
		return i
	}
	return e.events[find(end-int64(t.Per)):find(end)]
}

// alert raises an alert unless the key is in its cooldown.
func (t *table[K]) alert(e *entry[K], at int64, count uint64, in []event) (Alert[K], bool) {
	if count <= uint64(t.Limit) || at < e.quiet {
		return Alert[K]{}, false
	}
	if t.Cooldown > 0 {
		e.quiet = at + int64(t.Cooldown)
	}
	t.stats.Alerts++
	a := Alert[K]{Key: e.key, Count: int(min(count, 1<<31-1)), First: time.Unix(0, at).UTC(), Last: time.Unix(0, at).UTC(), Exact: at-int64(t.Per) >= e.blind}
	if len(in) > 0 {
		a.First, a.Last = time.Unix(0, in[0].at).UTC(), time.Unix(0, in[len(in)-1].at).UTC()
	}
	return a, true
}

// Stats returns the counts so far.
func (t *table[K]) snapshot() Stats {
	s := t.stats
	s.Keys = len(t.index)
	return s
}

// sum is the number of events, each as often as it says.
func sum(in []event) (n uint64) {
	for _, ev := range in {
		n += ev.n
	}
	return n
}

// A Window raises an alert when a key has more than Limit events in Per.
type Window[K comparable] struct{ t table[K] }

// NewWindow returns a Window. It panics with the error of Config.Validate.
func NewWindow[K comparable](c Config) *Window[K] { return &Window[K]{newTable[K](c)} }

// Observe counts n events of key at time at and reports whether that makes more
// than Limit in a window that holds it. Events may come late, by MaxSkew. n below
// 1 counts as 1. The years 1678 to 2262 can be told apart.
func (w *Window[K]) Observe(at time.Time, key K, n int) (Alert[K], bool) {
	e, ns := w.t.get(key), at.UnixNano()
	if w.t.late(e, ns) {
		return Alert[K]{}, false
	}
	w.t.insert(e, event{ns, uint64(max(n, 1))})
	// A late event may complete the window of one that came before it.
	for i := len(e.events) - 1; i >= 0 && e.events[i].at >= ns; i-- {
		end := e.events[i].at
		if end-ns >= int64(w.t.Per) {
			continue
		}
		in := w.t.window(e, end)
		if a, ok := w.t.alert(e, end, sum(in), in); ok {
			return a, true
		}
	}
	return Alert[K]{}, false
}

// Stats returns the counts so far.
func (w *Window[K]) Stats() Stats { return w.t.snapshot() }

// A Distinct raises an alert when a key has more than Limit different values in
// Per, such as user names tried from one address. Values are told apart by a hash
// of 64 bits with a seed of its own.
type Distinct[K comparable] struct {
	t    table[K]
	seed maphash.Seed
}

// NewDistinct returns a Distinct. It panics with the error of Config.Validate.
func NewDistinct[K comparable](c Config) *Distinct[K] {
	return &Distinct[K]{newTable[K](c), maphash.MakeSeed()}
}

// Observe notes that key had value at time at, and reports whether that makes
// more than Limit different ones.
func (d *Distinct[K]) Observe(at time.Time, key K, value []byte) (Alert[K], bool) {
	e, ns := d.t.get(key), at.UnixNano()
	if d.t.late(e, ns) {
		return Alert[K]{}, false
	}
	h := maphash.Bytes(d.seed, value)
	i := slices.IndexFunc(e.events, func(ev event) bool { return ev.n == h })
	if i >= 0 { // its latest time counts
		ns = max(ns, e.events[i].at)
		e.events = slices.Delete(e.events, i, i+1)
	}
	d.t.insert(e, event{ns, h})
	end := e.events[len(e.events)-1].at
	in := d.t.window(e, end)
	return d.t.alert(e, end, uint64(len(in)), in)
}

// Stats returns the counts so far.
func (d *Distinct[K]) Stats() Stats { return d.t.snapshot() }

// A Leak raises an alert when the bucket of a key overflows: it holds Limit events
// and leaks Limit per Per. It is the generic cell rate algorithm (ITU-T I.371).
type Leak[K comparable] struct{ t table[K] }

// NewLeak returns a Leak. It panics with the error of Config.Validate, and when
// Limit is zero: such a bucket holds nothing.
func NewLeak[K comparable](c Config) *Leak[K] {
	if c.Limit == 0 {
		c.Limit = -1
	}
	return &Leak[K]{newTable[K](c)}
}

// Observe pours n events of key into its bucket at time at, and reports whether
// it overflows. What overflows is not kept. n below 1 counts as 1. The Count of
// the alert is what the bucket would hold.
func (l *Leak[K]) Observe(at time.Time, key K, n int) (Alert[K], bool) {
	e, ns := l.t.get(key), at.UnixNano()
	if l.t.late(e, ns) {
		return Alert[K]{}, false
	}
	if len(e.events) == 0 {
		e.events = append(e.events, event{at: ns, n: 0})
	}
	last := &e.events[0] // n is the level then, in parts of an event that take 1 ns to leak
	part := max(int64(l.t.Per)/int64(l.t.Limit), 1)
	full := uint64(part) * uint64(l.t.Limit)
	level := last.n - min(last.n, uint64(max(ns-last.at, 0)))
	level += min(uint64(max(n, 1)), 1<<31-1) * uint64(part)
	last.at = max(last.at, ns)
	last.n = min(level, full)
	if level <= full {
		return Alert[K]{}, false
	}
	return l.t.alert(e, ns, (level+uint64(part)-1)/uint64(part), nil)
}

// Stats returns the counts so far.
func (l *Leak[K]) Stats() Stats { return l.t.snapshot() }

// A Sequence raises an alert when a key succeeds after more than Limit failures
// in Per: a password that was found.
type Sequence[K comparable] struct{ t table[K] }

// NewSequence returns a Sequence. It panics with the error of Config.Validate.
func NewSequence[K comparable](c Config) *Sequence[K] { return &Sequence[K]{newTable[K](c)} }

// Fail notes n failures of key at time at; n below 1 counts as 1.
func (s *Sequence[K]) Fail(at time.Time, key K, n int) {
	e, ns := s.t.get(key), at.UnixNano()
	if !s.t.late(e, ns) {
		s.t.insert(e, event{ns, uint64(max(n, 1))})
	}
}

// Succeed reports whether the success of key at time at follows more than Limit
// failures. They are then forgotten.
func (s *Sequence[K]) Succeed(at time.Time, key K) (Alert[K], bool) {
	e, ns := s.t.get(key), at.UnixNano()
	in := s.t.window(e, ns)
	a, ok := s.t.alert(e, ns, sum(in), in)
	if ok {
		e.events = e.events[:0]
	}
	return a, ok
}

// Stats returns the counts so far.
func (s *Sequence[K]) Stats() Stats { return s.t.snapshot() }
