package witness

import (
	"slices"
	"time"
)

// Stats contains the counters of a [Client].
type Stats struct {
	Name         string `json:"name"`         // of the client
	Checkpoints  uint64 `json:"checkpoints"`  // submitted to the witnesses
	Cosigned     uint64 `json:"cosigned"`     // cosigned by a quorum
	Requests     uint64 `json:"requests"`     // sent
	Cosignatures uint64 `json:"cosignatures"` // received and valid
	Failures     uint64 `json:"failures"`     // witnesses without a cosignature for a checkpoint
	Conflicts    uint64 `json:"conflicts"`    // failures that match ErrConflict
}

// Stats returns the counters.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// A Status is the state of a witness, as a [Client] knows it.
type Status struct {
	Witness string    // name in the policy
	Size    uint64    // records of the last checkpoint that it cosigned
	Time    time.Time // when it cosigned that checkpoint, by its clock
	Err     error     // failure after that; nil if there is none
}

// Status returns the states of the witnesses, in the order of the policy. A
// quorum hides the failure of a single witness from Anchor, but not from this
// method.
func (c *Client) Status() []Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.states)
}
