package ledger

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

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

// dir syncs the entries of a directory.
func (s SyncPolicy) dir(path string) error {
	if s == SyncNever {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir creates dir and its missing parents. It syncs the parents that have a
// new entry, because a directory that is lost loses its files.
func (s SyncPolicy) makeDir(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	err = os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.makeDir(filepath.Dir(dir)); err == nil {
			err = os.Mkdir(dir, 0o700)
		}
	}
	switch {
	case err == nil:
		return s.dir(filepath.Dir(dir))
	case errors.Is(err, fs.ErrExist):
		return nil // if it is not a directory, opening the lock fails
	}
	return err
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
	// "example.com/billing". It consists of at most 128 ASCII letters, digits
	// and the characters . _ - : / Empty means the name of the Signer. Without
	// a Signer, it means "ledger" for a new log and the origin of an existing
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
	Signer *Signer

	// Previous is the signer that Signer replaces. Both sign the first
	// checkpoint after Open, as a change of keys in [VerifyConfig.Keys]
	// requires. It has no effect if Signer has signed the last checkpoint.
	Previous *Signer

	// CheckpointEvery is the number of records after which a checkpoint is
	// written. Zero means 1024. Negative means that only CheckpointDelay
	// decides.
	CheckpointEvery int

	// CheckpointDelay is the longest time that a record stays unsealed. Zero
	// means 1 second. Negative means that only CheckpointEvery,
	// [Ledger.Checkpoint], rotation and Close seal.
	CheckpointDelay time.Duration

	// Anchor is called with every new checkpoint, to keep it in a place that an
	// attacker with access to the directory cannot change. It may be nil.
	//
	// It is called outside locks. Checkpoint, Rotate and Close return its
	// error. A goroutine of the ledger also calls it, and counts its errors in
	// [Stats.Unanchored]. The context of that goroutine ends with Close.
	Anchor func(context.Context, Checkpoint) error

	// Known is an earlier state of the log. Open then verifies the whole log
	// and fails if the log does not begin with that state.
	Known *Head
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
	check(isOrigin(c.Origin), "Origin is %s, want at most 128 letters, digits and . _ - : /", quote.Text(c.Origin))
	check(c.Sync == SyncAlways || c.Sync == SyncNever || c.Sync >= SyncPolicy(time.Millisecond),
		"Sync is %d, want SyncAlways, SyncNever or SyncEvery of at least 1ms", int64(c.Sync))
	check(c.Retain <= 0 || c.Signer != nil, "Retain is %d, want a Signer with it", c.Retain)
	check(c.Previous == nil || c.Signer != nil, "Previous is set, want a Signer with it")
	check(c.Anchor == nil || c.Signer != nil, "Anchor is set, want a Signer with it")
	for _, k := range c.keys() {
		check(k.name == c.origin(), "the name of a signer is %s, want %s, the origin", k.name, c.origin())
	}
	return errors.Join(errs...)
}

// keys returns the public keys of the signers.
func (c Config) keys() (keys []*Verifier) {
	for _, s := range [...]*Signer{c.Signer, c.Previous} {
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

func isOrigin(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/"
	return len(s) <= 128 && strings.Trim(s, letters) == "" // nothing is left of a text of letters
}
