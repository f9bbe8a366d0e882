package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// anchorTimeout bounds the call of Anchor by Close, which has no context.
const anchorTimeout = 10 * time.Second

// A Checkpoint is a signed [Head] in the form of c2sp.org/tlog-checkpoint. It
// commits the owner of the key to the records of the log.
type Checkpoint struct {
	Head          // the signed state
	Origin string // name of the log
	Note   string // the signed text; empty if there is no checkpoint
}

// text returns the text that is signed.
func (c Checkpoint) text() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

// ParseCheckpoint reads a signed checkpoint, such as the Note of a checkpoint
// that [Config.Anchor] kept. A key in keys must have signed it, and the name of
// that key must be the origin. The checkpoint is refused if a signature names a
// key in keys and is invalid, even if other signatures are valid. At most 64
// keys are used.
//
// Errors: [ErrFormat] if note is not a signed checkpoint, [ErrTampered] if a
// signature is invalid or missing.
func ParseCheckpoint(note string, keys ...*Verifier) (Checkpoint, error) {
	c, signed, err := openCheckpoint(note, keys)
	switch {
	case errors.Is(err, errBadSignature):
		return Checkpoint{}, &fault{err.Error(), ErrTampered}
	case err != nil:
		return Checkpoint{}, err
	case signed == 0:
		return Checkpoint{}, tamperError("checkpoint is not signed by a known key")
	}
	return c, nil
}

// openCheckpoint reads a note and reports which of keys signed it for its
// origin, as bits. It ignores the lines after the third, which the format
// allows.
func openCheckpoint(note string, keys []*Verifier) (c Checkpoint, signed uint64, err error) {
	text, signed, err := openNote(note, keys)
	if err != nil {
		return c, 0, err
	}
	lines := strings.SplitN(text, "\n", 4)
	malformed := formatError("checkpoint is malformed")
	if len(lines) < 4 || lines[0] == "" || len(lines[1]) > 1 && lines[1][0] == '0' {
		return c, 0, malformed
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || !decodeHash(&c.Root, []byte(lines[2])) {
		return c, 0, malformed
	}
	c.Origin, c.Size, c.Note = lines[0], size, note
	for i, k := range keys[:min(len(keys), maxKnownKeys)] {
		if k.name != c.Origin {
			signed &^= 1 << i // the key of another log
		}
	}
	return c, signed, nil
}

// Checkpoint signs the current log, calls [Config.Anchor] and returns the
// checkpoint. If the last record is a checkpoint already, it returns that
// checkpoint.
//
// Errors: [ErrFormat] without a [Config.Signer], the errors of WriteEvents, of
// the signer and of Anchor. With an error of Anchor, the checkpoint is valid.
func (l *Ledger) Checkpoint(ctx context.Context) (Checkpoint, error) {
	if l.config.Signer == nil {
		return Checkpoint{}, formatError("checkpoint without a Signer")
	}
	if err := done(ctx, "checkpoint"); err != nil {
		return Checkpoint{}, err
	}
	l.mu.Lock()
	cp, fresh, err := l.seal()
	l.mu.Unlock()
	return cp, errors.Join(err, l.anchored(ctx, cp, fresh))
}

// seal appends a checkpoint by l.config.Signer if there are unsealed records.
// The caller holds l.mu.
func (l *Ledger) seal() (cp Checkpoint, fresh bool, err error) {
	if l.fail != nil {
		return l.sealed, false, l.fail
	}
	if l.unsealed == 0 {
		return l.sealed, false, l.prune()
	}
	return l.sealBy(l.config.Signer)
}

// sealBy appends a checkpoint over all previous records. It syncs them first,
// because no signature may cover records that a crash can lose.
func (l *Ledger) sealBy(signers ...*Signer) (cp Checkpoint, fresh bool, err error) {
	if err := l.settle(); err != nil {
		return l.sealed, false, err
	}
	cp = Checkpoint{Head: l.at.tree.head(), Origin: l.config.Origin}
	if cp.Note, err = signNote(cp.text(), signers); err != nil {
		return l.sealed, false, err
	}
	if err := l.service("checkpoint", `"note":"`+strings.ReplaceAll(cp.Note, "\n", `\n`)+`"`); err != nil {
		return l.sealed, false, err
	}
	l.sealed, l.unsealed = cp, 0
	l.counters.sealed.Store(cp.Size)
	l.counters.checkpoints.Add(1)
	return cp, true, l.prune()
}

// anchored calls Anchor with a new checkpoint. The caller does not hold l.mu,
// because Anchor may be slow.
func (l *Ledger) anchored(ctx context.Context, cp Checkpoint, fresh bool) error {
	if !fresh || l.config.Anchor == nil {
		return nil
	}
	if err := l.config.Anchor(ctx, cp); err != nil {
		l.counters.unanchored.Add(1)
		return fmt.Errorf("ledger: anchor: %w", err)
	}
	return nil
}
