package rueidisclient

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

const (
	slots       = 16384
	slotsMaxAge = time.Minute
	slotsWait   = time.Second // for the table of slots
)

// sharded is a client of a cluster. The table of slots only groups keys by
// their servers: an old table does not send a command to a wrong server.
type sharded struct {
	client
	table atomic.Pointer[table]
	next  atomic.Int64 // when the table is to be refreshed, in nanoseconds since 1970
}

// A table contains the name of the server of each slot.
type table [slots]string

// Shard implements redoubtredis.Sharded.
func (s *sharded) Shard(key string) string {
	now := time.Now().UnixNano()
	if next := s.next.Load(); now > next && s.next.CompareAndSwap(next, now+int64(2*slotsWait)) {
		go s.refresh()
	}
	if t := s.table.Load(); t != nil {
		return t[slotOf(key)]
	}
	return ""
}

// refresh asks a server for the table.
func (s *sharded) refresh() {
	ctx, cancel := context.WithTimeout(context.Background(), slotsWait)
	defer cancel()
	v, err := s.c.Do(ctx, s.c.B().ClusterSlots().Build()).ToAny()
	if err != nil {
		return
	}
	s.table.Store(parse(v))
	s.next.Store(time.Now().Add(slotsMaxAge).UnixNano())
}

// parse returns the table of a reply to CLUSTER SLOTS: a list of the first
// slot, the last slot, and the servers that have these, the master first.
func parse(v any) *table {
	t := new(table)
	ranges, _ := v.([]any)
	for _, r := range ranges {
		fields, _ := r.([]any)
		if len(fields) < 3 {
			continue
		}
		first, _ := fields[0].(int64)
		last, _ := fields[1].(int64)
		master, _ := fields[2].([]any)
		if len(master) < 2 {
			continue
		}
		name := fmt.Sprint(master[0], ":", master[1])
		for slot := max(0, first); slot <= min(last, slots-1); slot++ {
			t[slot] = name
		}
	}
	return t
}

// slotOf returns the slot of a key: the CRC-16 (XMODEM) of its hash tag.
func slotOf(key string) uint16 {
	if _, after, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(after, "}"); ok && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc % slots
}
