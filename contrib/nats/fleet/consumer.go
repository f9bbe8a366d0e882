package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/logscan"
)

const (
	defaultLease    = 10 * time.Second
	minLease        = 100 * time.Millisecond
	defaultSnapshot = 10 * time.Second
	perLease        = 4  // heartbeats
	forgetAfter     = 10 // leases without a beat, until the key of a member is removed
)

// A State is the state of a partition, such as a detector of package detect or
// a struct of several. UnmarshalBinary replaces the state by the state that
// MarshalBinary has returned, perhaps in another process.
type State interface {
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// A ConsumerConfig describes a [Consumer] whose partitions have states of type
// S.
type ConsumerConfig[S State] struct {
	_ [0]func()

	// Name appears in events and [ConsumerStats]. It may be empty.
	Name string

	// JetStream is the context of JetStream. Its connection should reconnect
	// forever, see nats.MaxReconnects. Required.
	JetStream jetstream.JetStream

	// Stream is the name of the stream that contains the lines. Required.
	Stream string

	// Bucket is the name of a key-value bucket for leases and snapshots. It
	// must have no TTL. Groups may share it. Required.
	Bucket string

	// Prefix begins the subjects of the lines, as in [ShipperConfig]. Required.
	Prefix string

	// Partitions is the number of subjects, as in [ShipperConfig]. Required.
	Partitions int

	// Group is the name of the consumers that share the partitions. It consists
	// of letters, digits, - and _. Empty means "default".
	Group string

	// Parser finds the fields of each line. Lines that it refuses are counted
	// and skipped. Nil means that lines have no fields.
	Parser logscan.Parser

	// New returns the state of a partition without a snapshot. Required.
	New func(partition int) S

	// Handle adds a record to the state of its partition. It is called in the
	// order of the stream, by one goroutine for each partition. Its results,
	// such as alerts, must have left when it returns. If it returns an error,
	// or if the process ends, it is called again for the records after the
	// latest snapshot, with the state of that snapshot. Required.
	Handle func(ctx context.Context, state S, r Record) error

	// Lease is the time after which the partitions of a consumer that does not
	// answer are given to others. It should exceed the election of a leader.
	// Zero means 10 seconds. The least is 100 ms.
	Lease time.Duration

	// Snapshot is the time between two snapshots of a partition. Zero means 10
	// seconds. A negative value is invalid.
	Snapshot time.Duration

	// OnEvent may be nil. It is called synchronously, outside locks, after the
	// change that the event reports, in the order of the changes. It may call
	// back into this package and must not block.
	OnEvent func(context.Context, Event)
}

// Validate reports every field whose value is missing or out of range.
func (c ConsumerConfig[S]) Validate() error {
	var p problems
	p.add(c.JetStream == nil, "JetStream is missing")
	p.add(c.Stream == "", "Stream is missing")
	p.add(c.Bucket == "", "Bucket is missing")
	p.addLayout(c.Prefix, c.Partitions)
	p.add(c.Group != "" && !isToken(c.Group, ""), "Group is %q, want letters, digits, - and _", c.Group)
	p.add(c.New == nil, "New is missing")
	p.add(c.Handle == nil, "Handle is missing")
	p.add(c.Lease != 0 && c.Lease < minLease, "Lease is %v, want at least %v", c.Lease, minLease)
	p.add(c.Snapshot < 0, "Snapshot is %v, want at least 0 (10s)", c.Snapshot)
	return p.err()
}

// ConsumerStats is a snapshot of the counts of a [Consumer]. All counts only
// grow, except Members, Partitions and Unread, which describe the present.
type ConsumerStats struct {
	Name          string `json:"name"`           // ConsumerConfig.Name
	Handled       uint64 `json:"handled"`        // records for which Handle has returned nil
	HandledBytes  uint64 `json:"handled_bytes"`  // bytes of their lines
	Malformed     uint64 `json:"malformed"`      // lines that the parser has refused
	Foreign       uint64 `json:"foreign"`        // records of Shippers with other Partitions
	Acquired      uint64 `json:"acquired"`       // partitions acquired
	Released      uint64 `json:"released"`       // partitions handed over
	Lost          uint64 `json:"lost"`           // partitions lost to another consumer, perhaps
	Failed        uint64 `json:"failed"`         // errors, of Handle and others
	Gaps          uint64 `json:"gaps"`           // times that the stream has removed lines, perhaps unread
	Snapshots     uint64 `json:"snapshots"`      // snapshots stored
	SnapshotBytes uint64 `json:"snapshot_bytes"` // bytes of these snapshots
	Members       int64  `json:"members"`        // consumers of the group
	Partitions    int64  `json:"partitions"`     // partitions that this consumer owns
	Unread        int64  `json:"unread"`         // lines of these partitions that wait in the stream
}

// A Consumer handles the partitions of a stream, together with the other
// Consumers of its Group.
type Consumer[S State] struct {
	c        ConsumerConfig[S]
	reporter reporter

	handled, handledBytes, malformed, foreign, acquired, released, lost, failed, gaps, snapshots, snapshotBytes atomic.Uint64
	members, partitions, unread                                                                                 atomic.Int64
	warned                                                                                                      atomic.Bool // of foreign records
}

// NewConsumer returns a Consumer. It panics with the error of
// [ConsumerConfig.Validate].
func NewConsumer[S State](c ConsumerConfig[S]) *Consumer[S] {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	c.Group = cmp.Or(c.Group, "default")
	c.Lease = cmp.Or(c.Lease, defaultLease)
	c.Snapshot = cmp.Or(c.Snapshot, defaultSnapshot)
	return &Consumer[S]{c: c, reporter: reporter{name: c.Name, hook: c.OnEvent}}
}

// Stats returns the counts so far.
func (c *Consumer[S]) Stats() ConsumerStats {
	return ConsumerStats{
		Name: c.c.Name, Handled: c.handled.Load(), HandledBytes: c.handledBytes.Load(), Malformed: c.malformed.Load(),
		Foreign: c.foreign.Load(), Acquired: c.acquired.Load(), Released: c.released.Load(), Lost: c.lost.Load(),
		Failed: c.failed.Load(), Gaps: c.gaps.Load(), Snapshots: c.snapshots.Load(), SnapshotBytes: c.snapshotBytes.Load(),
		Members: c.members.Load(), Partitions: c.partitions.Load(), Unread: c.unread.Load(),
	}
}

// Run handles records until ctx is done. Then it stores the snapshots of its
// partitions and hands the partitions over, within Lease. The context of Handle
// is done later than ctx, when that time is over. Any number of loops may run
// at once; each of them is a member of the Group.
//
// Errors: the error of ctx; [nats.ErrConnectionClosed]. All other errors are
// events.
func (c *Consumer[S]) Run(ctx context.Context) error {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	g := &member[S]{
		Consumer: c, id: rand.Text(), run: ctx, ctx: hard, epoch: time.Now(),
		beats: map[string]beat{}, workers: map[int]*worker[S]{}, paused: map[int]time.Time{},
	}
	defer g.leave(cancel)
	tick := time.NewTicker(c.c.Lease / perLease)
	defer tick.Stop()
	for {
		if c.c.JetStream.Conn().IsClosed() {
			return fmt.Errorf("fleet: %w", nats.ErrConnectionClosed)
		}
		if ctx.Err() == nil {
			g.beat(ctx)
		}
		select {
		case <-ctx.Done():
			return ctxerr.New(ctx, "fleet: consumer")
		case <-tick.C:
		}
	}
}

// fail reports an error.
func (c *Consumer[S]) fail(ctx context.Context, part int, err error) {
	c.failed.Add(1)
	c.reporter.report(ctx, Event{Kind: KindFailed, Partition: part, Err: err})
}

// A member is one Run. It shows that it lives by writing its key in the bucket
// every quarter of a Lease. Members judge each other by their own clocks: a
// member is dead if its key does not change for a Lease.
type member[S State] struct {
	*Consumer[S]
	id    string
	run   context.Context // of Run
	ctx   context.Context // of the workers, which ends later
	epoch time.Time
	shelf *shelf // nil until the bucket was found
	until atomic.Int64
	beats map[string]beat

	workers map[int]*worker[S]
	paused  map[int]time.Time // partitions that have failed, until then
	wg      sync.WaitGroup
	failing string // the error of the last beat
}

// A beat is the latest change of the key of a member.
type beat struct {
	revision uint64
	at       time.Time // when this member has seen it
}

// owns reports whether no other member can believe that this member is dead:
// its key was written less than a Lease ago.
func (g *member[S]) owns() bool { return int64(time.Since(g.epoch)) < g.until.Load() }

// beat writes the key of the member, and acquires or releases partitions.
func (g *member[S]) beat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, g.c.Lease/2)
	defer cancel()
	err := g.share(ctx)
	if err == nil {
		g.failing = ""
	} else if text := err.Error(); text != g.failing && ctx.Err() != context.Canceled {
		g.failing = text
		g.fail(ctx, -1, err)
	}
}

func (g *member[S]) share(ctx context.Context) error {
	if g.shelf == nil {
		kv, err := g.c.JetStream.KeyValue(ctx, g.c.Bucket)
		if err != nil {
			return fmt.Errorf("bucket: %w", err)
		}
		if status, err := kv.Status(ctx); err != nil {
			return fmt.Errorf("bucket: %w", err)
		} else if status.TTL() > 0 {
			return fmt.Errorf("bucket: its TTL is %v, want none: it would forget snapshots", status.TTL())
		}
		g.shelf = &shelf{js: g.c.JetStream, kv: kv, group: g.c.Group}
	}
	sent := time.Since(g.epoch)
	if _, err := g.shelf.kv.Put(ctx, g.shelf.memberKey(g.id), nil); err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	g.until.Store(int64(sent + g.c.Lease))
	v, err := g.shelf.look(ctx)
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	v.members[g.id] = max(v.members[g.id], 1)
	alive := g.meet(ctx, v.members)
	g.reap(v)

	g.Consumer.members.Store(int64(len(alive)))
	rank, _ := slices.BinarySearch(alive, g.id)
	quota := g.c.Partitions / len(alive)
	if rank < g.c.Partitions%len(alive) {
		quota++
	}
	for _, part := range slices.Sorted(maps.Keys(g.workers))[min(quota, len(g.workers)):] {
		g.workers[part].stop()
	}
	// Members begin at different partitions, so that they seldom meet.
	for i := range g.c.Partitions {
		part := (i + rank*g.c.Partitions/len(alive)) % g.c.Partitions
		if len(g.workers) >= quota {
			break
		}
		if g.workers[part] != nil || time.Now().Before(g.paused[part]) {
			continue
		}
		l := v.leases[part]
		if err := v.bad[part]; err != nil {
			g.paused[part] = time.Now().Add(g.c.Lease)
			g.fail(ctx, part, err)
			continue
		}
		if slices.Contains(alive, l.Owner) && l.Owner != g.id {
			continue
		}
		l.Owner = g.id
		revision, err := g.shelf.replace(ctx, part, l, v.revisions[part])
		if err != nil {
			continue // another member was faster, or the next beat looks again
		}
		g.start(part, l, revision)
	}
	return nil
}

// meet notes the beats of all members and returns those that live, in order.
func (g *member[S]) meet(ctx context.Context, members map[string]uint64) (alive []string) {
	now := time.Now()
	for id, revision := range members {
		if b, ok := g.beats[id]; !ok || b.revision != revision {
			g.beats[id] = beat{revision, now}
		}
	}
	for id, b := range g.beats {
		_, ok := members[id]
		switch silent := now.Sub(b.at); {
		case id == g.id || ok && silent < g.c.Lease:
			alive = append(alive, id)
		case !ok:
			delete(g.beats, id)
		case silent > forgetAfter*g.c.Lease:
			_ = g.shelf.remove(ctx, id)
		}
	}
	slices.Sort(alive)
	return alive
}

// reap forgets workers that have ended, and stops workers whose partition
// another member owns.
func (g *member[S]) reap(v view) {
	for part, w := range g.workers {
		select {
		case <-w.done:
			delete(g.workers, part)
			if w.err != nil {
				g.paused[part] = time.Now().Add(g.c.Lease / perLease)
			}
		default:
			if l := v.leases[part]; l.Owner != g.id && v.revisions[part] > w.acquired {
				w.lost.Store(true)
			}
		}
	}
}

// start handles a partition that was acquired.
func (g *member[S]) start(part int, l lease, revision uint64) {
	w := &worker[S]{member: g, part: part, lease: l, revision: revision, acquired: revision, done: make(chan struct{})}
	w.fetching, w.stop = context.WithCancel(g.run)
	g.workers[part] = w
	g.Consumer.partitions.Add(1)
	g.wg.Go(w.run)
}

// leave hands over all partitions and removes the key of the member.
func (g *member[S]) leave(cancel context.CancelFunc) {
	for _, w := range g.workers {
		w.stop()
	}
	late := time.AfterFunc(g.c.Lease, cancel)
	g.wg.Wait()
	late.Stop()
	if g.shelf != nil {
		ctx, done := context.WithTimeout(context.WithoutCancel(g.ctx), g.c.Lease)
		defer done()
		_ = g.shelf.remove(ctx, g.id) // otherwise it is dead after a Lease
	}
	g.Consumer.members.Store(0)
}
