package detect_test

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/logscan/detect"
)

// A machine is a detector of any kind, with strings as keys.
type machine interface {
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
	Stats() detect.Stats
}

// kinds make a detector and feed it with an event.
var kinds = []struct {
	name string
	make func(detect.Config) machine
	feed func(m machine, at time.Time, key string, n int, line []byte) (detect.Alert[string], bool)
}{
	{
		"window",
		func(c detect.Config) machine { return detect.NewWindow[string](c) },
		func(m machine, at time.Time, key string, n int, line []byte) (detect.Alert[string], bool) {
			return m.(*detect.Window[string]).Observe(at, key, n%3, line)
		},
	},
	{
		"leak",
		func(c detect.Config) machine { return detect.NewLeak[string](c) },
		func(m machine, at time.Time, key string, n int, line []byte) (detect.Alert[string], bool) {
			return m.(*detect.Leak[string]).Observe(at, key, n%3, line)
		},
	},
	{
		"distinct",
		func(c detect.Config) machine { return detect.NewDistinct[string](c) },
		func(m machine, at time.Time, key string, n int, line []byte) (detect.Alert[string], bool) {
			return m.(*detect.Distinct[string]).Observe(at, key, fmt.Append(nil, n), line)
		},
	},
	{
		"sequence",
		func(c detect.Config) machine { return detect.NewSequence[string](c) },
		func(m machine, at time.Time, key string, n int, line []byte) (detect.Alert[string], bool) {
			s := m.(*detect.Sequence[string])
			if n%5 == 0 {
				return s.Succeed(at, key, line)
			}
			s.Fail(at, key, n%3, line)
			return detect.Alert[string]{}, false
		},
	},
}

// checkRestored feeds random events to a detector, and the same events to a
// detector that is restored from its snapshot again and again. The oracle is
// the first detector. skip leaves out that event of the second.
func checkRestored(kind int, seed uint64, skip int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	k := kinds[kind]
	c := detect.Config{Limit: 1 + r.IntN(4), Per: time.Minute, MaxKeys: 2 + r.IntN(8), Evidence: r.IntN(4) - 1, MaxSkew: time.Duration(r.IntN(3)-1) * time.Second}
	whole := k.make(c)
	parts := k.make(c)
	if b, err := whole.MarshalBinary(); err != nil || parts.UnmarshalBinary(b) != nil {
		return fmt.Sprint("the empty snapshot: ", err)
	}
	at := noon
	for i := range 200 {
		if r.IntN(10) == 0 {
			b, err := parts.MarshalBinary()
			if parts = k.make(c); err != nil || parts.UnmarshalBinary(b) != nil {
				return fmt.Sprintf("event %d: not restored", i)
			}
		}
		at = at.Add(time.Duration(r.IntN(30000)-2000) * time.Millisecond)
		key, n, line := fmt.Sprint("k", r.IntN(6)), r.IntN(9), fmt.Append(nil, "line ", i)
		want, wantOK := k.feed(whole, at, key, n, line)
		if i == skip {
			continue
		}
		if got, ok := k.feed(parts, at, key, n, line); ok != wantOK || got.String() != want.String() || got.Exact != want.Exact {
			if whole.Stats().Screened == 0 {
				return fmt.Sprintf("event %d: got %v %v, want %v %v", i, got, ok, want, wantOK)
			}
		}
	}
	if whole.Stats().Screened > 0 { // keys without a place begin again
		return ""
	}
	got, _ := parts.MarshalBinary()
	if want, _ := whole.MarshalBinary(); !bytes.Equal(got, want) {
		return fmt.Sprintf("got snapshot %x, want %x", got, want)
	}
	return ""
}

func TestRestoredDetectorIsEqual(t *testing.T) {
	for i, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			checkProperty(t, 300, func(seed uint64) string { return checkRestored(i, seed, -1) })
			checkBites(t, 300, func(seed uint64) string { return checkRestored(i, seed, 100) })
		})
	}
}

func TestSnapshotOfAnotherDetectorIsRefused(t *testing.T) {
	c := detect.Config{Limit: 3, Per: time.Minute}
	w := detect.NewWindow[string](c)
	w.Observe(noon, "k", 1, []byte("line"))
	b, err := w.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	other := c
	other.Limit = 4
	named := c
	named.Name = "logins"
	tests := []struct {
		name string
		into encoding.BinaryUnmarshaler
		b    []byte
		want error
	}{
		{"same", detect.NewWindow[string](c), b, nil},
		{"another name", detect.NewWindow[string](named), b, nil},
		{"another limit", detect.NewWindow[string](other), b, detect.ErrSnapshot},
		{"another kind", detect.NewLeak[string](c), b, detect.ErrSnapshot},
		{"another version", detect.NewWindow[string](c), append([]byte{'W', 2}, b[2:]...), detect.ErrSnapshot},
		{"another key", detect.NewWindow[netip.Addr](c), b, detect.ErrSnapshot},
		{"zero value", new(detect.Window[string]), b, detect.ErrSnapshot},
		{"empty", detect.NewWindow[string](c), nil, detect.ErrSnapshot},
		{"longer", detect.NewWindow[string](c), append(bytes.Clone(b), 0), detect.ErrSnapshot},
	}
	for i := range b {
		tests = append(tests, struct {
			name string
			into encoding.BinaryUnmarshaler
			b    []byte
			want error
		}{fmt.Sprint("first bytes: ", i), detect.NewWindow[string](c), b[:i], detect.ErrSnapshot})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := w.Stats()
			if err := tt.into.UnmarshalBinary(tt.b); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			checkEqual(t, w.Stats(), before)
		})
	}
	if err := w.UnmarshalBinary(b[:len(b)-1]); err == nil || w.Stats().Keys != 1 {
		t.Errorf("got %v and %d keys, want an error and the state as before", err, w.Stats().Keys)
	}
}

func TestKeysOfSnapshots(t *testing.T) {
	checkKey(t, "", "k")
	checkKey(t, netip.Addr{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1%eth0"))
	checkKey(t, netip.Prefix{}, netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64"))
	checkKey[int8](t, 0, -128, 127)
	checkKey[uint64](t, 0, 1<<64-1)
	type name string
	checkKey[name](t, "n")
	w := detect.NewWindow[[2]int](detect.Config{Limit: 1, Per: time.Minute})
	w.Observe(noon, [2]int{1, 2}, 1)
	if _, err := w.MarshalBinary(); err == nil {
		t.Error("got a snapshot of keys without a binary form")
	}
}

func checkKey[K comparable](t *testing.T, keys ...K) {
	t.Helper()
	c := detect.Config{Limit: 1, Per: time.Minute}
	w := detect.NewWindow[K](c)
	for _, key := range keys {
		w.Observe(noon, key, 1)
	}
	b, err := w.MarshalBinary()
	if err != nil {
		t.Errorf("%T: %v", keys[0], err)
	}
	again := detect.NewWindow[K](c)
	if err := again.UnmarshalBinary(b); err != nil {
		t.Errorf("%T: %v", keys[0], err)
	}
	for _, key := range keys {
		if a, ok := again.Observe(noon, key, 1); !ok || a.Key != key || a.Count != 2 {
			t.Errorf("%v: got %v %v, want a count of 2", key, a, ok)
		}
	}
}

// A key that is larger than its type is not cut.
func TestIntegerKeyMustFit(t *testing.T) {
	c := detect.Config{Limit: 1, Per: time.Minute}
	w := detect.NewWindow[int64](c)
	w.Observe(noon, 300, 1)
	b, err := w.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if err := detect.NewWindow[int8](c).UnmarshalBinary(b); !errors.Is(err, detect.ErrSnapshot) {
		t.Errorf("got %v, want %v", err, detect.ErrSnapshot)
	}
}

// Bytes that are accepted as a snapshot are a state that has a snapshot, which
// is accepted as well.
func FuzzSnapshot(f *testing.F) {
	c := detect.Config{Limit: 2, Per: time.Minute, MaxKeys: 4}
	heads := map[string][]byte{}
	for i, k := range kinds {
		m := k.make(c)
		b, _ := m.MarshalBinary()
		heads[k.name] = b[:len(b)-7] // five counts, the time and the number of keys
		if len(b)-7 < 2 {
			f.Fatal("short snapshot")
		}
		for j := range 40 {
			k.feed(m, noon.Add(time.Duration(j)*time.Second), fmt.Sprint(j%3), j, []byte("line"))
		}
		b, _ = m.MarshalBinary()
		f.Add(i, b[len(heads[k.name]):])
	}
	f.Fuzz(func(t *testing.T, kind int, tail []byte) {
		k := kinds[uint(kind)%uint(len(kinds))]
		m, again := k.make(c), k.make(c)
		if err := m.UnmarshalBinary(append(bytes.Clone(heads[k.name]), tail...)); err != nil {
			return
		}
		b, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		if b2, _ := again.MarshalBinary(); !bytes.Equal(b, b2) {
			t.Fatalf("got %x, want %x", b2, b)
		}
		for j := range 20 {
			k.feed(m, noon.Add(time.Duration(j)*time.Second), fmt.Sprint(j%7), j, []byte("line"))
		}
	})
}
