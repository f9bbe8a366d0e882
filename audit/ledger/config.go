package ledger

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// A SyncPolicy decides when written events are forced to the disk. It is a
// constant or the result of [SyncEvery].
type SyncPolicy int64

// The policies.
const (
	// SyncAlways acknowledges events after an fsync. The default.
	SyncAlways SyncPolicy = 0
	// SyncNever never calls fsync. Events survive a crash of the program, but
	// not of the machine. After a crash of the machine, a sealed log may look
	// tampered with, because a signature may survive without its records.
	SyncNever SyncPolicy = -1
)

// SyncEvery acknowledges events when they are written, and syncs them at most d
// later. A crash of the machine loses at most the events of the last d. The
// least d is 1 millisecond.
func SyncEvery(d time.Duration) SyncPolicy { return SyncPolicy(d) }

// file syncs a file.
func (s SyncPolicy) file(f file) error {
	if s == SyncNever {
		return nil
	}
	return f.Sync()
}

// Defaults of [Config].
const (
	defaultMaxSize         = 64 << 20
	defaultCheckpointEvery = 1024
	defaultCheckpointDelay = time.Second
)

// Config configures a [Ledger].
type Config struct {
	_ [0]func() // not comparable, so that fields can be added

	// Name identifies the ledger in Stats. Empty means the origin.
	Name string

	// Origin names the log in its first line and in its checkpoints, such as
	// "example.com/billing". It contains at most 128 bytes, without spaces,
	// control characters and "+". Empty means the name of the Signer. Without a
	// Signer, it means "ledger" for a new log and the origin of an existing
	// log.
	Origin string

	// Sync decides when events are forced to the disk. Zero means SyncAlways.
	Sync SyncPolicy

	// MaxSize is the size in bytes after which the next event starts a new
	// segment. Zero means 64 MiB. Negative means no limit.
	MaxSize int64

	// MaxAge is the age after which the next event starts a new segment. Zero
	// or negative means no limit.
	MaxAge time.Duration

	// Retain is the number of segments that are kept. It needs a Signer: an
	// older segment is removed when a checkpoint covers the header of the
	// oldest remaining segment. Zero or negative means that all segments are
	// kept.
	Retain int

	// Signer seals the log with checkpoints. Nil writes no checkpoints. Then
	// only heads that are kept in another place reveal a log that was rewritten
	// or cut.
	//
	// A Signer continues only its own log: Open fails unless Mark, signed by
	// Signer or Previous, agrees with the log.
	Signer *Signer

	// Previous is the signer that Signer replaces. Both sign the first
	// checkpoint after Open, as a change of keys in [VerifyConfig.Keys]
	// requires. It has no effect if Signer has signed the last checkpoint.
	Previous *Signer

	// Mark is the file in which the Signer keeps its last checkpoint. Empty
	// means the file "mark" in the directory of the log.
	//
	// A file on another disk also reveals that the whole directory was replaced
	// by an older copy. Beside it, a file with the suffix ".key" contains a
	// secret, which protects records that no checkpoint covers yet: Open cuts
	// forged records off. Only the service may read that file.
	//
	// If the mark is missing or older than the log, Open fails. A head in Known
	// adopts the log then.
	Mark string

	// CheckpointEvery is the number of records after which a checkpoint is
	// written. Zero means 1024. Negative means that only CheckpointDelay
	// decides.
	CheckpointEvery int

	// CheckpointDelay is the longest time that a record stays unsealed. Zero
	// means 1 second. Negative means that only CheckpointEvery,
	// [Ledger.Checkpoint], [Ledger.Rotate] and Close seal.
	CheckpointDelay time.Duration

	// Anchor is called with new checkpoints, to keep them in a place that an
	// attacker with access to the directory cannot change. It may be nil.
	//
	// It is called outside locks, one call at a time, with growing checkpoints.
	// While a call is slow, a newer checkpoint replaces the waiting checkpoint.
	// Checkpoint, Rotate and Close return the error. A goroutine of the ledger
	// also calls it; that context ends with Close or after 10 seconds.
	Anchor func(context.Context, Checkpoint) error

	// Known is an earlier state of the log. Open then verifies the whole log
	// and fails if the log does not begin with that state.
	//
	// If Known is the complete state of the log, Open adopts the log. Signer
	// then seals a log that another key or no key has sealed, and a log whose
	// Mark is missing. Verify the log before.
	Known *Head

	// OnEvent is called when the log could not be sealed or anchored.
	// OnEvent may be nil. It is called synchronously, outside locks, after the
	// change that the event reports, in the order of the changes. It may call
	// back into this package and must not block.
	OnEvent func(context.Context, Event)
}

// Validate reports everything that is wrong with c. The error matches
// [ErrFormat].
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, formatError(format, args...))
		}
	}
	check(isOrigin(c.Origin), "Origin is %s, want at most 128 bytes without spaces and +", quote.Text(c.Origin))
	check(c.Sync == SyncAlways || c.Sync == SyncNever || c.Sync >= SyncPolicy(time.Millisecond),
		"Sync is %d, want SyncAlways, SyncNever or SyncEvery of at least 1ms", int64(c.Sync))
	check(c.Retain <= 0 || c.Signer != nil, "Retain is %d, want a Signer with it", c.Retain)
	check(c.Previous == nil || c.Signer != nil, "Previous is set, want a Signer with it")
	check(c.Mark == "" || c.Signer != nil, "Mark is set, want a Signer with it")
	check(c.Anchor == nil || c.Signer != nil, "Anchor is set, want a Signer with it")
	for _, k := range c.keys() {
		check(k.name == c.origin(), "the name of a signer is %s, want %s, the origin", k.name, c.origin())
	}
	return errors.Join(errs...)
}

// keys returns the public keys of Previous and Signer, in this order.
func (c Config) keys() (keys []*Verifier) {
	for _, s := range [...]*Signer{c.Previous, c.Signer} {
		if s != nil {
			keys = append(keys, s.v)
		}
	}
	return keys
}

// origin returns the origin of a new log.
func (c Config) origin() string {
	switch {
	case c.Origin != "":
		return c.Origin
	case c.Signer != nil:
		return c.Signer.v.name
	}
	return "ledger"
}

// isOrigin reports whether s is empty or a short name of a key, without control
// characters.
func isOrigin(s string) bool {
	return s == "" || len(s) <= 128 && isName(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
