package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// anchorTimeout bounds the last call of Anchor, by Close, which has no context.
const anchorTimeout = 10 * time.Second

// Checkpoint is a signed [Head]: a text by which anybody who has the key can hold
// the log to its past. It has the form of c2sp.org/tlog-checkpoint.
type Checkpoint struct {
	Head          // what is signed
	Origin string // which log
	Note   string // the whole signed text; empty in a checkpoint that was never signed
}

// text is what is signed: origin, size and root, a line each.
func (c Checkpoint) text() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

// ParseCheckpoint reads a signed checkpoint, such as one that was kept by
// [Config.Anchor]. One of keys must have signed it, in the name of its origin; a
// signature that names one of them and does not hold refuses it, whatever else
// there is.
//
// Errors: [ErrFormat] for what is no signed checkpoint, [ErrTampered] for
// signatures that do not hold or are missing.
func ParseCheckpoint(note string, keys ...*Verifier) (Checkpoint, error) {
	c, signed, err := openCheckpoint(note, keys)
	switch {
	case errors.Is(err, errBadSignature):
		return Checkpoint{}, fmt.Errorf("%w: %w", err, ErrTampered)
	case err != nil:
		return Checkpoint{}, err
	case signed == 0:
		return Checkpoint{}, fmt.Errorf("ledger: checkpoint is not signed by a known key: %w", ErrTampered)
	}
	return c, nil
}

// openCheckpoint reads a note and reports which of keys signed it for its origin.
// Lines after the third, which the format allows, are passed over.
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
	for i, k := range keys[:min(len(keys), 64)] {
		if k.name != c.Origin {
			signed &^= 1 << i // the key is another log's
		}
	}
	return c, signed, nil
}

// Checkpoint signs the log as it is, unless its last record is a checkpoint
// already, hands the checkpoint to [Config.Anchor] and returns it.
//
// Errors: [ErrFormat] without a [Config.Signer], those of WriteEvents, those of
// the signer and of Anchor; the last come with the checkpoint.
func (l *Ledger) Checkpoint(ctx context.Context) (Checkpoint, error) {
	if l.signer == nil {
		return Checkpoint{}, formatError("checkpoint without a Signer")
	}
	if err := done(ctx); err != nil {
		return Checkpoint{}, err
	}
	l.mu.Lock()
	cp, fresh, err := l.seal(l.signer)
	l.mu.Unlock()
	return cp, errors.Join(err, l.anchored(ctx, cp, fresh))
}

// seal appends a checkpoint over all records before it, which are made durable
// first: after a crash no signature may stand for more than the file holds. It
// runs under l.mu and reports whether there was anything to sign.
func (l *Ledger) seal(signers ...*Signer) (cp Checkpoint, fresh bool, err error) {
	if l.fail != nil {
		return l.sealed, false, l.fail
	}
	if l.unsealed == 0 {
		return l.sealed, false, l.prune()
	}
	if err := l.settle(); err != nil {
		return l.sealed, false, err
	}
	cp = Checkpoint{Head: l.at.tree.head(), Origin: l.origin}
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

// anchored hands a new checkpoint over. It runs outside l.mu: Anchor may be slow.
func (l *Ledger) anchored(ctx context.Context, cp Checkpoint, fresh bool) error {
	if !fresh || l.anchor == nil {
		return nil
	}
	if err := l.anchor(ctx, cp); err != nil {
		l.counters.adrift.Add(1)
		return fmt.Errorf("ledger: anchor: %w", err)
	}
	return nil
}

// A chore is work that commits leave for later. Its goroutine ends in Close.
type chore struct {
	due chan struct{} // something is to be done, within the delay
	now chan struct{} // at once
}

func (l *Ledger) newChore(ctx context.Context, delay time.Duration, do func(context.Context)) *chore {
	c := &chore{make(chan struct{}, 1), make(chan struct{}, 1)}
	if delay < 0 {
		delay = 1<<63 - 1
	}
	l.chores.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-c.due:
			}
			t := time.NewTimer(delay)
			select {
			case <-ctx.Done():
			case <-c.now:
			case <-t.C:
			}
			if t.Stop(); ctx.Err() != nil {
				return // Close does what is left
			}
			do(ctx)
		}
	})
	return c
}

// signal sets a flag that may be set already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// startChores begins what the configuration wants done in the background.
func (l *Ledger) startChores(c Config) {
	var ctx context.Context
	ctx, l.endChores = context.WithCancel(context.Background())
	if l.sync > 0 {
		l.syncer = l.newChore(ctx, time.Duration(l.sync), func(context.Context) {
			l.mu.Lock()
			defer l.mu.Unlock()
			_ = l.settle() // a failure stops the ledger, which the next event reports
		})
	}
	if l.signer != nil {
		l.sealer = l.newChore(ctx, c.CheckpointDelay, func(ctx context.Context) {
			l.mu.Lock()
			cp, fresh, _ := l.seal(l.signer) // left for the next one, and for Close to report
			l.mu.Unlock()
			_ = l.anchored(ctx, cp, fresh)
		})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remind()
}

// remind wakes the chores that the last commit made due. It runs under l.mu.
func (l *Ledger) remind() {
	if l.syncer != nil && l.unsynced {
		signal(l.syncer.due)
	}
	if l.sealer != nil && l.unsealed > 0 {
		signal(l.sealer.due)
		if l.every > 0 && l.unsealed >= l.every {
			signal(l.sealer.now)
		}
	}
}
