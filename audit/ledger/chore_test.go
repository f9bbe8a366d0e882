package ledger_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/audit/ledger"
)

// By default, 200 events within a second have one checkpoint, not 200.
func TestDefaultCheckpointDelay(t *testing.T) {
	dir := t.TempDir()
	s := signer(t, origin, 1)
	synctest.Test(t, func(t *testing.T) {
		l := open(t, dir, ledger.Config{Sync: ledger.SyncNever, Signer: s})
		for range 199 {
			write(t, l, "a")
			time.Sleep(5 * time.Millisecond)
		}
		synctest.Wait()
		if got := l.Stats().Checkpoints; got != 0 {
			t.Errorf("%d checkpoints before a second, want 0", got)
		}
		time.Sleep(5 * time.Millisecond)
		synctest.Wait()
		if got := l.Stats(); got.Checkpoints != 1 || got.Sealed != 200 {
			t.Errorf("%d checkpoints over %d records, want 1 over 200", got.Checkpoints, got.Sealed)
		}
		_ = l.Close()
	})
}

// refusing is a key that counts calls and signs nothing.
type refusing struct {
	ed25519.PrivateKey
	calls *int
}

var errKey = errors.New("key service is down")

func (k refusing) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	*k.calls++
	return nil, errKey
}

// A signer that fails is called once for each commit, not in a loop.
func TestFailingSignerIsNotCalledInALoop(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s, err := ledger.NewSigner(origin, refusing{ed25519.NewKeyFromSeed(make([]byte, 32)), &calls})
		if err != nil {
			t.Fatal(err)
		}
		l := open(t, dir, ledger.Config{Sync: ledger.SyncNever, Signer: s, CheckpointEvery: 1})
		for range 3 {
			write(t, l, "a")
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		if calls > 5 {
			t.Errorf("%d calls of the signer for 3 commits", calls)
		}
		checkIs(t, l.Close(), errKey)
	})
}

// Close waits for an Anchor in progress, and no chore runs after Close.
func TestCloseEndsChores(t *testing.T) {
	dir := t.TempDir()
	s := signer(t, origin, 1)
	synctest.Test(t, func(t *testing.T) {
		running, calls := false, 0
		l := open(t, dir, ledger.Config{
			Signer: s, Sync: ledger.SyncEvery(time.Second), CheckpointEvery: 2,
			Anchor: func(ctx context.Context, _ ledger.Checkpoint) error {
				running = true
				calls++
				if calls == 1 {
					<-ctx.Done() // ends with Close
				}
				running = false
				return nil
			},
		})
		write(t, l, "a")
		synctest.Wait()
		if !running {
			t.Error("no Anchor in progress")
		}
		write(t, l, "b")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if running {
			t.Error("Close returned during Anchor")
		}
		before := l.Stats()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := l.Stats(); got != before || calls != 2 {
			t.Errorf("%d calls of Anchor, stats %+v after Close, before %+v", calls, got, before)
		}
	})
}
