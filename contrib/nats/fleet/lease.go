package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	leaseVersion = 1
	maxChunk     = 512 << 10 // bytes of a value in the bucket
	chunkRoom    = 1 << 10   // of a message, for its subject and headers
	maxChunks    = 1 << 14
)

// A lease is the value of a partition in the bucket. It is only replaced by
// compare-and-set, so the owner, the snapshot and its place change in one step.
type lease struct {
	Version int    `json:"version"`
	Owner   string `json:"owner,omitempty"` // the member; empty if released
	Stream  int64  `json:"stream"`          // when the stream was created, in ns since 1970
	Seq     uint64 `json:"seq"`             // the last record that the snapshot contains
	Seen    uint64 `json:"seen"`            // no later record was unread up to here
	Data    uint64 `json:"data"`            // name of the chunks of the snapshot; 0 if there is none
	Chunks  int    `json:"chunks"`
	Sum     string `json:"sum,omitempty"` // SHA-256 of the snapshot
}

// errLease is returned for a value that another version has written.
var errLease = errors.New("not a lease of this version")

func parseLease(b []byte) (lease, error) {
	var l lease
	if err := json.Unmarshal(b, &l); err != nil || l.Version != leaseVersion || l.Chunks < 0 || l.Chunks > maxChunks || l.Seen < l.Seq {
		return lease{}, errLease
	}
	return l, nil
}

// errLost means that another consumer owns a partition, or may own it.
var errLost = errors.New("another consumer owns the partition, or may own it")

// A shelf is the part of a bucket that belongs to a group. These are its keys:
//
//	GROUP.live.member.ID       written again and again by each consumer
//	GROUP.live.part.N          the lease of a partition
//	GROUP.data.N.NAME.CHUNK    a part of a snapshot
type shelf struct {
	js    jetstream.JetStream
	kv    jetstream.KeyValue
	group string
}

func (s *shelf) memberKey(id string) string { return s.group + ".live.member." + id }
func (s *shelf) leaseKey(part int) string   { return fmt.Sprintf("%s.live.part.%d", s.group, part) }
func (s *shelf) subject(key string) string  { return "$KV." + s.kv.Bucket() + "." + key }
func (s *shelf) dataPrefix(part int) string { return fmt.Sprintf("%s.data.%d.", s.group, part) }
func (s *shelf) stream() (name string)      { return "KV_" + s.kv.Bucket() }
func (s *shelf) chunkKey(part int, data uint64, chunk int) string {
	return fmt.Sprintf("%s%d.%d", s.dataPrefix(part), data, chunk)
}

// A view is the state of a group: the revision of each member, and the leases.
type view struct {
	members   map[string]uint64
	leases    map[int]lease
	revisions map[int]uint64 // of the leases
	bad       map[int]error  // leases of another version
}

// look reads the state of the group.
func (s *shelf) look(ctx context.Context) (view, error) {
	v := view{members: map[string]uint64{}, leases: map[int]lease{}, revisions: map[int]uint64{}, bad: map[int]error{}}
	w, err := s.kv.Watch(ctx, s.group+".live.>", jetstream.IgnoreDeletes())
	if err != nil {
		return v, err
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case e, ok := <-w.Updates():
			if !ok {
				return v, errors.New("the bucket was closed")
			}
			if e == nil {
				return v, nil
			}
			key := strings.TrimPrefix(e.Key(), s.group+".live.")
			if id, ok := strings.CutPrefix(key, "member."); ok {
				v.members[id] = e.Revision()
			} else if n, ok := strings.CutPrefix(key, "part."); ok {
				if part, err := strconv.Atoi(n); err == nil {
					v.revisions[part] = e.Revision()
					if v.leases[part], err = parseLease(e.Value()); err != nil {
						v.bad[part] = err
					}
				}
			}
		}
	}
}

// replace writes a lease if revision is still its latest; 0 means that there is
// none. Any error means that the partition may be lost.
func (s *shelf) replace(ctx context.Context, part int, l lease, revision uint64) (uint64, error) {
	l.Version = leaseVersion
	b, err := json.Marshal(l)
	if err != nil {
		return 0, err
	}
	return s.kv.Update(ctx, s.leaseKey(part), b, revision)
}

// write stores a snapshot under a new name.
func (s *shelf) write(ctx context.Context, part int, l *lease, name uint64, snapshot []byte) error {
	size := max(min(maxChunk, int(s.js.Conn().MaxPayload())-chunkRoom), 1)
	l.Data, l.Chunks = name, 0
	sum := sha256.Sum256(snapshot)
	l.Sum = hex.EncodeToString(sum[:])
	for ; len(snapshot) > 0; l.Chunks++ {
		n := min(size, len(snapshot))
		if l.Chunks == maxChunks {
			return fmt.Errorf("snapshot is too large for %d values of %d bytes", maxChunks, size)
		}
		if _, err := s.kv.Put(ctx, s.chunkKey(part, name, l.Chunks), snapshot[:n]); err != nil {
			return err
		}
		snapshot = snapshot[n:]
	}
	return nil
}

// read returns the snapshot of a lease.
func (s *shelf) read(ctx context.Context, part int, l lease) ([]byte, error) {
	var snapshot []byte
	for i := range l.Chunks {
		e, err := s.kv.Get(ctx, s.chunkKey(part, l.Data, i))
		if err != nil {
			return nil, fmt.Errorf("snapshot: %w", err)
		}
		snapshot = append(snapshot, e.Value()...)
	}
	if sum := sha256.Sum256(snapshot); hex.EncodeToString(sum[:]) != l.Sum {
		return nil, errors.New("snapshot: its SHA-256 differs")
	}
	return snapshot, nil
}

// sweep removes the snapshots of a partition that are older than a name. Later
// names belong to a successor.
func (s *shelf) sweep(ctx context.Context, part int, name uint64) error {
	stream, err := s.js.Stream(ctx, s.stream())
	if err != nil {
		return err
	}
	prefix := s.subject(s.dataPrefix(part))
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(prefix+">"))
	if err != nil {
		return err
	}
	old := map[uint64]bool{}
	for subject := range info.State.Subjects {
		text, _, _ := strings.Cut(strings.TrimPrefix(subject, prefix), ".")
		if n, err := strconv.ParseUint(text, 10, 64); err == nil && n < name {
			old[n] = true
		}
	}
	for n := range old {
		if err := stream.Purge(ctx, jetstream.WithPurgeSubject(fmt.Sprintf("%s%d.>", prefix, n))); err != nil {
			return err
		}
	}
	return nil
}

// remove removes the key of a member that has ended.
func (s *shelf) remove(ctx context.Context, id string) error {
	stream, err := s.js.Stream(ctx, s.stream())
	if err != nil {
		return err
	}
	return stream.Purge(ctx, jetstream.WithPurgeSubject(s.subject(s.memberKey(id))))
}
