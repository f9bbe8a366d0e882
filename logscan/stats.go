package logscan

import "sync"

// A Counters adds up the work of scans. The zero value is ready. Any number of
// scanners may share a Counters. It must not be copied.
type Counters struct {
	// Name becomes [Stats].Name. Set it before the first scan.
	Name string

	mu    sync.Mutex
	stats Stats
}

// Stats is a snapshot of a [Counters]. The counts only grow, and Records =
// Delivered + Prefiltered + Malformed holds in every snapshot.
type Stats struct {
	Name         string `json:"name"`          // Counters.Name
	Inputs       uint64 `json:"inputs"`        // inputs begun, and errors of Inputs
	Failed       uint64 `json:"failed"`        // inputs that ended with an InputError
	ReadBytes    uint64 `json:"read_bytes"`    // bytes read from inputs, as stored
	DecodedBytes uint64 `json:"decoded_bytes"` // bytes after decompression
	Records      uint64 `json:"records"`       // lines found; joined lines count once
	Delivered    uint64 `json:"delivered"`     // records delivered to the loop
	Prefiltered  uint64 `json:"prefiltered"`   // records without any text of Require
	Malformed    uint64 `json:"malformed"`     // records that the parser refused
	Cut          uint64 `json:"cut"`           // records longer than MaxLine, except prefiltered ones
	CutBytes     uint64 `json:"cut_bytes"`     // bytes that the cut records lost
	Joined       uint64 `json:"joined"`        // lines that a Joiner appended to a record
}

// Stats returns the counts so far. A running scan adds its counts each time it
// reads from an input, about every 64 KiB, and when it ends.
func (c *Counters) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Name = c.Name
	return s
}

func (c *Counters) add(d Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.stats
	s.Inputs += d.Inputs
	s.Failed += d.Failed
	s.ReadBytes += d.ReadBytes
	s.DecodedBytes += d.DecodedBytes
	s.Records += d.Records
	s.Delivered += d.Delivered
	s.Prefiltered += d.Prefiltered
	s.Malformed += d.Malformed
	s.Cut += d.Cut
	s.CutBytes += d.CutBytes
	s.Joined += d.Joined
}
