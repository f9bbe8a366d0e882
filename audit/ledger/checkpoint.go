package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	// callTimeout bounds the calls of the signer and of Anchor that have no
	// context of a caller.
	callTimeout = 10 * time.Second

	// sealRetry is the pause after a checkpoint that failed.
	sealRetry = 10 * time.Second

	// maxLag is the number of lines between the lines that a checkpoint covers
	// and the checkpoint. Verification keeps so many hashes.
	maxLag = 1 << 15
)

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
// checkpoint. If no record was written since the last checkpoint, it returns
// the last checkpoint. Events do not wait for the signer.
//
// Errors:
//
//   - [ErrFormat] without a [Config.Signer];
//   - ctx.Err() and context.Cause(ctx) if ctx is done;
//   - the errors of WriteEvents, of the signer, of [Config.Mark] and of Anchor.
//     With an error of Anchor, the checkpoint is valid.
func (l *Ledger) Checkpoint(ctx context.Context) (Checkpoint, error) {
	if l.config.Signer == nil {
		return Checkpoint{}, formatError("checkpoint without a Signer")
	}
	if err := done(ctx, "checkpoint"); err != nil {
		return Checkpoint{}, err
	}
	defer l.deliver()
	cp, fresh, err := l.seal(ctx)
	return cp, errors.Join(err, l.anchor(ctx, fresh))
}

// A turn is a mutex whose wait ends with a context.
type turn chan struct{}

func (t turn) take(ctx context.Context, op string) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return done(ctx, op)
	}
}

func (t turn) end() { <-t }

// seal appends a checkpoint over all previous records, if there are unsealed
// records. The caller does not hold l.mu: events are written while the signer
// works.
func (l *Ledger) seal(ctx context.Context) (cp Checkpoint, fresh bool, err error) {
	if err := l.sealing.take(ctx, "checkpoint"); err != nil {
		return cp, false, err
	}
	defer l.sealing.end()
	for range 3 {
		if cp, fresh, err = l.sealOnce(ctx); !errors.Is(err, errLate) {
			break
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && !l.closing {
		l.retryAt = time.Now().Add(sealRetry)
		l.counters.sealFailures.Add(1)
		l.post(ctx, EventKindUnsealed, err)
	}
	return cp, fresh, err
}

// errLate means that so much was written during the signature that no verifier
// can check the checkpoint.
var errLate = errors.New("ledger: checkpoint: signer is too slow")

// sealOnce signs the log and appends the checkpoint.
func (l *Ledger) sealOnce(ctx context.Context) (cp Checkpoint, fresh bool, err error) {
	last, cp, signers, err := l.unsigned()
	if err != nil || signers == nil {
		return last, false, err
	}
	if cp.Note, err = signNote(ctx, cp.text(), signers); err == nil {
		err = l.setMark(cp)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		err = l.sealed(cp)
	}
	if err != nil {
		return last, false, err
	}
	return cp, true, l.prune()
}

// unsigned returns the last checkpoint, and the next checkpoint with its
// signers, if there are unsealed records. It syncs these records first, because
// no signature may cover records that a crash can lose.
func (l *Ledger) unsigned() (last, next Checkpoint, signers []*Signer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last = l.last; l.fail != nil {
		return last, next, nil, l.fail
	}
	if l.unsealed == 0 && l.sealedBySigner() {
		return last, next, nil, l.prune()
	}
	signers = []*Signer{l.config.Signer}
	if l.config.Previous != nil && l.office != "" && !l.sealedBySigner() {
		signers = []*Signer{l.config.Previous, l.config.Signer}
	}
	return last, Checkpoint{Head: l.at.tree.head(), Origin: l.config.Origin}, signers, l.settle()
}

// sealedBySigner reports whether Signer is in office.
func (l *Ledger) sealedBySigner() bool { return l.office == l.config.Signer.v.String() }

// sealed appends a signed checkpoint. The caller holds l.mu.
func (l *Ledger) sealed(cp Checkpoint) error {
	if l.at.tree.size-cp.Size > maxLag || cp.Size < l.at.tree.size && cp.Size <= l.segs[len(l.segs)-1] {
		return errLate
	}
	// Settle again: a checkpoint on the disk must not follow lost records.
	if err := l.settle(); err != nil {
		return err
	}
	if err := l.service("checkpoint", `"note":`+quoted(cp.Note)); err != nil {
		return err
	}
	l.takeSeal(cp, l.at.tree.size-1)
	l.retryAt, l.pending = time.Time{}, cp
	l.counters.checkpoints.Add(1)
	return nil
}

// takeSeal makes a checkpoint in line seq the last checkpoint. Each key that
// has signed it comes into office.
func (l *Ledger) takeSeal(cp Checkpoint, seq uint64) {
	_, signed, _ := openCheckpoint(cp.Note, l.config.keys())
	for i, k := range l.config.keys() {
		key := k.String()
		if signed>>i&1 == 0 || l.office == key {
			continue
		}
		if l.office != "" {
			l.handover = cp.Note
		}
		l.office = key
	}
	if signed != 0 {
		l.last, l.unsealed = cp, int(seq-cp.Size)
		l.counters.sealed.Store(cp.Size)
	}
}

// anchor calls Anchor with the newest checkpoint. The caller does not hold
// l.mu, because Anchor may be slow. If another call has anchored the checkpoint
// or a newer checkpoint, anchor returns the error of that call.
func (l *Ledger) anchor(ctx context.Context, fresh bool) error {
	if !fresh || l.config.Anchor == nil {
		return nil
	}
	if err := l.anchoring.take(ctx, "anchor"); err != nil {
		return err
	}
	defer l.anchoring.end()
	l.mu.Lock()
	cp := l.pending
	l.pending = Checkpoint{}
	l.mu.Unlock()
	if cp.Note != "" {
		l.anchorErr = l.config.Anchor(ctx, cp)
		if l.anchorErr != nil {
			l.anchorErr = fmt.Errorf("ledger: anchor: %w", l.anchorErr)
			l.counters.unanchored.Add(1)
			l.mu.Lock()
			l.post(ctx, EventKindUnanchored, l.anchorErr)
			l.mu.Unlock()
		}
	}
	return l.anchorErr
}
