package detect

import (
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"reflect"
)

// ErrSnapshot is returned by UnmarshalBinary for bytes that are not a snapshot
// of a detector of the same kind, version and [Config].
var ErrSnapshot = errors.New("detect: not a snapshot of this kind, version and Config")

// snapshotVersion is the second byte of a snapshot; see docs/logscan.md.
const snapshotVersion = 1

// marshal returns the snapshot of a detector. Equal states have equal
// snapshots. The keys are in the order in which they fell silent.
func (t *table[K]) marshal(kind byte, seed []byte) ([]byte, error) {
	b := append(t.header(kind), seed...)
	for _, n := range []uint64{t.stats.Observed, t.stats.Alerts, t.stats.Late, t.stats.Evicted, t.stats.Screened} {
		b = binary.AppendUvarint(b, n)
	}
	b = appendTime(b, t.lost)
	b = binary.AppendUvarint(b, uint64(t.keys))
	for i := t.at(0).next; i != 0; i = t.at(i).next {
		e := t.at(i)
		key, err := marshalKey(e.key)
		if err != nil {
			return nil, err
		}
		b = append(binary.AppendUvarint(b, uint64(len(key))), key...)
		b = appendTime(appendTime(b, e.quiet), e.blind)
		b = binary.AppendUvarint(b, uint64(e.late))
		b = binary.AppendVarint(b, int64(e.jumps))
		b = binary.AppendUvarint(b, uint64(len(e.events)))
		for _, ev := range e.events {
			b = binary.AppendUvarint(appendTime(b, ev.at), ev.n)
		}
		var evidence [][]byte
		if e.evidence != nil {
			evidence = *e.evidence
		}
		b = binary.AppendUvarint(b, uint64(len(evidence)))
		for _, piece := range evidence {
			b = append(binary.AppendUvarint(b, uint64(len(piece))), piece...)
		}
	}
	return b, nil
}

// header returns the first bytes of a snapshot: the kind, the version and the
// Config without its Name.
func (t *table[K]) header(kind byte) []byte {
	b := []byte{kind, snapshotVersion}
	for _, n := range []int64{
		int64(t.Limit), int64(t.Per), int64(t.Cooldown), int64(t.MaxSkew), int64(t.MaxKeys), int64(t.Evidence),
	} {
		b = binary.AppendVarint(b, n)
	}
	return b
}

// unmarshal returns a table with the Config of t and the state of a snapshot,
// and copies the seed. t does not change.
func (t *table[K]) unmarshal(kind byte, b, seed []byte) (*table[K], error) {
	if t.buckets == nil {
		return nil, fmt.Errorf("%w: the detector was not made by its constructor", ErrSnapshot)
	}
	header := t.header(kind)
	if len(b) < len(header)+len(seed) || string(b[:len(header)]) != string(header) {
		return nil, ErrSnapshot
	}
	d := &decoder{b: b[len(header)+copy(seed, b[len(header):]):]}
	n := tableOf[K](t.Config)
	n.stats = Stats{Observed: d.uint(), Alerts: d.uint(), Late: d.uint(), Evicted: d.uint(), Screened: d.uint()}
	n.lost = d.time()
	for range d.count(t.MaxKeys) {
		key, ok := unmarshalKey[K](d.bytes(len(d.b)))
		hash := uint32(maphash.Comparable(n.seed, key))
		if d.bad || !ok || n.find(hash, key) != 0 {
			return nil, ErrSnapshot
		}
		if !n.restore(d, kind, n.add(key, hash, never)) {
			return nil, ErrSnapshot
		}
	}
	if d.bad || len(d.b) > 0 || n.held > n.most && n.held/perKey >= n.MaxKeys && n.keys > 1 {
		return nil, ErrSnapshot
	}
	return &n, nil
}

// restore reads the state of a key. It reports whether a detector of this kind
// can have the state.
func (t *table[K]) restore(d *decoder, kind byte, e *entry[K]) bool {
	e.quiet, e.blind = d.time(), d.time()
	late, jumps := d.uint(), d.int()
	if late > uint64(t.Limit)+1 || jumps < -1 || jumps > int64(t.Limit)+1 {
		return false
	}
	e.late, e.jumps = uint32(late), int32(jumps)
	most := t.most
	if kind == 'L' {
		most = 1
	}
	for range d.count(most) {
		ev := event{d.time(), d.uint()}
		if k := len(e.events); k > 0 && (ev.at < e.events[k-1].at || ev.at == e.events[k-1].at && kind != 'D') {
			return false
		}
		switch kind {
		case 'W', 'S':
			d.bad = d.bad || ev.n < 1 || ev.n > maxEvents
		case 'L':
			d.bad = d.bad || ev.n > uint64(t.Per)
		}
		if d.bad || ev.at > maxTime || ev.at < -maxTime {
			return false
		}
		e.events = append(e.events, ev)
	}
	t.held += len(e.events)
	for range d.count(max(t.Evidence, 0)) {
		piece := d.bytes(evidenceSize)
		if d.bad {
			return false
		}
		t.note(e, [][]byte{piece})
	}
	return !d.bad
}

// A decoder reads a snapshot. bad is set, and stays set, if there are fewer
// bytes than requested. All further numbers are then 0.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || d.bad {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	u := d.uint() // as binary.Varint
	return int64(u>>1) ^ -int64(u&1)
}

// appendTime appends a varint plus 1, so that never is a 0.
func appendTime(b []byte, ns int64) []byte {
	return binary.AppendUvarint(b, uint64(ns<<1^ns>>63)+1)
}

func (d *decoder) time() int64 {
	u := d.uint() - 1
	return int64(u>>1) ^ -int64(u&1)
}

// count reads the number of the items that follow. Each of them takes a byte or
// more, so memory for them is in proportion to the input.
func (d *decoder) count(most int) int {
	n := d.uint()
	if n > uint64(len(d.b)) || n > uint64(most) {
		d.bad = true
		return 0
	}
	return int(n)
}

// bytes reads a number and as many bytes.
func (d *decoder) bytes(most int) []byte {
	n := d.count(most)
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

// marshalKey returns the bytes of a key.
func marshalKey[K comparable](key K) ([]byte, error) {
	if m, ok := any(key).(encoding.BinaryMarshaler); ok {
		return m.MarshalBinary()
	}
	switch v := reflect.ValueOf(key); {
	case v.Kind() == reflect.String:
		return []byte(v.String()), nil
	case v.CanInt():
		return binary.AppendVarint(nil, v.Int()), nil
	case v.CanUint():
		return binary.AppendUvarint(nil, v.Uint()), nil
	}
	return nil, fmt.Errorf("detect: a key of type %T has no binary form", key)
}

// unmarshalKey is the opposite of marshalKey.
func unmarshalKey[K comparable](b []byte) (key K, ok bool) {
	if m, is := any(&key).(encoding.BinaryUnmarshaler); is {
		return key, m.UnmarshalBinary(b) == nil
	}
	d := &decoder{b: b}
	switch v := reflect.ValueOf(&key).Elem(); {
	case v.Kind() == reflect.String:
		v.SetString(string(b))
		return key, true
	case v.CanInt():
		n := d.int()
		v.SetInt(n)
		ok = v.Int() == n
	case v.CanUint():
		n := d.uint()
		v.SetUint(n)
		ok = v.Uint() == n
	}
	return key, ok && !d.bad && len(d.b) == 0
}

// MarshalBinary returns a snapshot of w. Detectors in the same state have the
// same snapshot. The keys must be strings or integers, or implement
// [encoding.BinaryMarshaler] and [encoding.BinaryUnmarshaler], as the types of
// net/netip do. A snapshot does not contain how often keys without a place have
// occurred: after UnmarshalBinary, such keys begin again.
//
// Errors: the error of a key without a binary form.
func (w *Window[K]) MarshalBinary() ([]byte, error) { return w.t.marshal('W', nil) }

// UnmarshalBinary replaces the state of w by the state in a snapshot. w must
// come from [NewWindow], with the same Config. Only the Name may differ.
//
// Errors: [ErrSnapshot]; w does not change.
func (w *Window[K]) UnmarshalBinary(b []byte) error { return load(&w.t, 'W', b, nil) }

// MarshalBinary returns a snapshot of l, as [Window.MarshalBinary] does.
//
// Errors: the error of a key without a binary form.
func (l *Leak[K]) MarshalBinary() ([]byte, error) { return l.t.marshal('L', nil) }

// UnmarshalBinary replaces the state of l, as [Window.UnmarshalBinary] does.
//
// Errors: [ErrSnapshot]; l does not change.
func (l *Leak[K]) UnmarshalBinary(b []byte) error { return load(&l.t, 'L', b, nil) }

// MarshalBinary returns a snapshot of d, as [Window.MarshalBinary] does. It
// contains the secret seed of the hashes, and no values.
//
// Errors: the error of a key without a binary form.
func (d *Distinct[K]) MarshalBinary() ([]byte, error) { return d.t.marshal('D', d.seed[:]) }

// UnmarshalBinary replaces the state of d, as [Window.UnmarshalBinary] does.
//
// Errors: [ErrSnapshot]; d does not change.
func (d *Distinct[K]) UnmarshalBinary(b []byte) error { return load(&d.t, 'D', b, d.seed[:]) }

// MarshalBinary returns a snapshot of s, as [Window.MarshalBinary] does.
//
// Errors: the error of a key without a binary form.
func (s *Sequence[K]) MarshalBinary() ([]byte, error) { return s.t.marshal('S', nil) }

// UnmarshalBinary replaces the state of s, as [Window.UnmarshalBinary] does.
//
// Errors: [ErrSnapshot]; s does not change.
func (s *Sequence[K]) UnmarshalBinary(b []byte) error { return load(&s.t, 'S', b, nil) }

// load replaces t and seed if b is a snapshot.
func load[K comparable](t *table[K], kind byte, b, seed []byte) error {
	found := make([]byte, len(seed))
	n, err := t.unmarshal(kind, b, found)
	if err == nil {
		*t = *n
		copy(seed, found)
	}
	return err
}
