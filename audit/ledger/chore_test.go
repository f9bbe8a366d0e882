package ledger_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// By default, 199 events within a second have one checkpoint, besides the
// checkpoint of the new log.
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
		if got := l.Stats().Checkpoints; got != 1 {
			t.Errorf("%d checkpoints before a second, want 1", got)
		}
		time.Sleep(5 * time.Millisecond)
		synctest.Wait()
		if got := l.Stats(); got.Checkpoints != 2 || got.Sealed != 201 {
			t.Errorf("%d checkpoints over %d records, want 2 over 201", got.Checkpoints, got.Sealed)
		}
		_ = l.Close()
	})
}

// moody is a key that counts calls. It signs nothing while down is set.
type moody struct {
	ed25519.PrivateKey
	calls *atomic.Int32
	down  *atomic.Bool
}

var errKey = errors.New("key service is down")

func (k moody) Sign(r io.Reader, text []byte, o crypto.SignerOpts) ([]byte, error) {
	k.calls.Add(1)
	if k.down.Load() {
		return nil, errKey
	}
	return k.PrivateKey.Sign(r, text, o)
}

func moodySigner(t *testing.T, calls *atomic.Int32, down *atomic.Bool) *ledger.Signer {
	t.Helper()
	s, err := ledger.NewSigner(origin, moody{ed25519.NewKeyFromSeed(make([]byte, 32)), calls, down})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A signer that fails is called every 10 seconds, not for each commit and not
// in a loop. Its failures are counted and reported. It seals the log when it
// works again, without another event. Meanwhile the log rotates.
func TestFailingSigner(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		var down atomic.Bool
		var events []ledger.Event
		l := open(t, dir, ledger.Config{
			Sync: ledger.SyncNever, Signer: moodySigner(t, &calls, &down), CheckpointEvery: 1, MaxSize: 2000,
			OnEvent: func(_ context.Context, e ledger.Event) { events = append(events, e) },
		})
		calls.Store(0)
		down.Store(true)
		for range 50 {
			write(t, l, "a")
			time.Sleep(time.Second)
			synctest.Wait()
		}
		n := int(calls.Load())
		if n < 5 || n > 6 || int(l.Stats().SealFailures) != n || len(events) != n {
			t.Errorf("%d calls of the signer in 50 seconds, %d counted, %d events, want 5", n, l.Stats().SealFailures, len(events))
		}
		if e := events[0]; e.Kind != ledger.EventKindUnsealed || e.Name != origin || !errors.Is(e.Err, errKey) {
			t.Errorf("event %+v", e)
		}
		if got := l.Stats(); got.Segments < 3 || got.Failed > 0 || got.Sealed != 1 {
			t.Errorf("without a signer: %+v, want several segments", got)
		}
		checkIs(t, l.Rotate(context.Background()), errKey)
		down.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := l.Stats(); got.Sealed != got.Size-1 {
			t.Errorf("with the signer: %d of %d records sealed", got.Sealed, got.Size)
		}
		down.Store(true)
		write(t, l, "b")
		checkIs(t, l.Close(), errKey)
	})
}

// A new log needs a signature.
func TestNewLogNeedsTheSigner(t *testing.T) {
	var calls atomic.Int32
	var down atomic.Bool
	down.Store(true)
	dir := t.TempDir()
	c := sealing(moodySigner(t, &calls, &down))
	_, err := ledger.Open(context.Background(), dir, c)
	checkIs(t, err, errKey)
	down.Store(false)
	if got := open(t, dir, c).Stats(); got.Sealed != 1 {
		t.Errorf("second Open: %d records sealed, want 1", got.Sealed)
	}
}

// hung is a key whose calls do not return before release is closed.
type hung struct {
	ed25519.PrivateKey
	release chan struct{}
}

func (k hung) Sign(r io.Reader, text []byte, o crypto.SignerOpts) ([]byte, error) {
	<-k.release
	return k.PrivateKey.Sign(r, text, o)
}

// ending is a hung key that hears its context.
type ending struct{ hung }

func (k ending) SignContext(ctx context.Context, r io.Reader, text []byte, o crypto.SignerOpts) ([]byte, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-k.release:
		return k.Sign(r, text, o)
	}
}

// While the signer hangs, events are written, segments are begun, and the calls
// of Checkpoint and Close end.
func TestHungSigner(t *testing.T) {
	for name, wrap := range map[string]func(hung) crypto.Signer{
		"Sign":        func(k hung) crypto.Signer { return k },
		"SignContext": func(k hung) crypto.Signer { return ending{k} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
				_ = open(t, dir, sealing(signer(t, origin, 1))).Close()
				release := make(chan struct{})
				s, err := ledger.NewSigner(origin, wrap(hung{private, release}))
				if err != nil {
					t.Fatal(err)
				}
				l := open(t, dir, ledger.Config{Sync: ledger.SyncNever, Signer: s, MaxSize: 2000})
				start := time.Now()
				for range 60 {
					write(t, l, "a")
				}
				if got := l.Stats(); time.Since(start) > 0 || got.Segments < 3 {
					t.Errorf("events waited %v for the signer, %d segments", time.Since(start), got.Segments)
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_, err = l.Checkpoint(ctx)
				checkIs(t, err, context.DeadlineExceeded)
				time.Sleep(time.Minute)
				if got := l.Stats().SealFailures; got < 2 {
					t.Errorf("%d failures in a minute", got)
				}
				start = time.Now()
				checkIs(t, l.Close(), context.DeadlineExceeded)
				if took := time.Since(start); took > 11*time.Second {
					t.Errorf("Close took %v", took)
				}
				close(release)
				synctest.Wait()
				if err := open(t, dir, sealing(signer(t, origin, 1))).Close(); err != nil {
					t.Error(err)
				}
			})
			keys := []*ledger.Verifier{signer(t, origin, 1).Verifier()}
			if _, err := verify(os.DirFS(dir), ledger.VerifyConfig{Keys: keys, MaxUnsealed: -1}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A signer that returns an invalid signature seals nothing.
func TestInvalidSignatureIsNotWritten(t *testing.T) {
	dir := t.TempDir()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	s, err := ledger.NewSigner(origin, liar{private})
	if err != nil {
		t.Fatal(err)
	}
	_ = open(t, dir, sealing(signer(t, origin, 1))).Close()
	l := open(t, dir, sealing(s))
	write(t, l, "a")
	if _, err := l.Checkpoint(context.Background()); err == nil {
		t.Error("an invalid signature passes")
	}
	if got := l.Stats(); got.Checkpoints != 0 || got.SealFailures != 1 {
		t.Errorf("%+v", got)
	}
}

// liar is a key that signs another text.
type liar struct{ ed25519.PrivateKey }

func (k liar) Sign(r io.Reader, text []byte, o crypto.SignerOpts) ([]byte, error) {
	return k.PrivateKey.Sign(r, append(text, '.'), o)
}

// Checkpoints are signed while events are written, and events between a
// checkpoint and its line do not disturb Verify.
func TestEventsDuringTheSignature(t *testing.T) {
	dir := t.TempDir()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	_ = open(t, dir, sealing(signer(t, origin, 1))).Close()
	release := make(chan struct{})
	s, err := ledger.NewSigner(origin, hung{private, release})
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, dir, sealing(s))
	write(t, l, "before")
	sealed := make(chan ledger.Checkpoint)
	go func() {
		cp, err := l.Checkpoint(context.Background())
		if err != nil {
			t.Error(err)
		}
		sealed <- cp
	}()
	release <- struct{}{} // hangs until the signer is called
	cp := <-sealed
	write(t, l, "a")
	go func() {
		cp, _ := l.Checkpoint(context.Background())
		sealed <- cp
	}()
	for ledger.Signing(l) == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(10 * time.Millisecond)
	write(t, l, "b", "c")
	close(release)
	late := <-sealed
	if late.Size != cp.Size+2 || l.Stats().Sealed != late.Size {
		t.Errorf("checkpoints over %d and %d records", cp.Size, late.Size)
	}
	keys := []*ledger.Verifier{s.Verifier()}
	r, err := verify(os.DirFS(dir), ledger.VerifyConfig{Keys: keys})
	if err != nil || r.Sealed != late.Size || r.Records != late.Size+3 {
		t.Errorf("%v, report %+v", err, r)
	}
	wantFinding(t, os.DirFS(dir), ledger.VerifyConfig{Keys: keys, MaxUnsealed: -1}, finding{ledger.KindUnsealed, late.Size, late.Size + 2})
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := verify(os.DirFS(dir), ledger.VerifyConfig{Keys: keys, MaxUnsealed: -1}); err != nil {
		t.Error(err)
	}
}

// A slow Anchor gets growing checkpoints, one call at a time, and a hung Anchor
// stops neither checkpoints nor Close.
func TestAnchorInOrder(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sizes []uint64
		var running atomic.Int32
		release := make(chan struct{})
		c := ledger.Config{Sync: ledger.SyncNever, Signer: signer(t, origin, 1)}
		c.Anchor = func(_ context.Context, cp ledger.Checkpoint) error {
			if running.Add(1) > 1 {
				t.Error("two calls at the same time")
			}
			mu.Lock()
			sizes = append(sizes, cp.Size)
			n := len(sizes)
			mu.Unlock()
			if n == 4 {
				<-release
			}
			time.Sleep(3 * time.Second)
			running.Add(-1)
			return nil
		}
		l := open(t, dir, c)
		for range 20 {
			write(t, l, "a")
			time.Sleep(time.Second)
		}
		synctest.Wait()
		mu.Lock()
		if !slices.IsSorted(sizes) || len(sizes) != 4 {
			t.Errorf("anchored sizes %d, want 4 growing", sizes)
		}
		mu.Unlock()
		if got := l.Stats().Checkpoints; got < 10 {
			t.Errorf("%d checkpoints in 20 seconds", got)
		}
		start := time.Now()
		checkIs(t, l.Close(), context.DeadlineExceeded)
		if took := time.Since(start); took > 11*time.Second {
			t.Errorf("Close took %v", took)
		}
		close(release)
		time.Sleep(time.Minute)
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

// A checkpoint that is late, because a segment was begun or many records were
// written during its signature, is signed again.
func TestLateCheckpoint(t *testing.T) {
	for name, c := range map[string]struct {
		maxSize int64
		write   func(l *ledger.Ledger)
	}{
		"rotation": {1000, func(l *ledger.Ledger) {
			for range 20 {
				write(t, l, "x")
			}
		}},
		"many records": {-1, func(l *ledger.Ledger) {
			events := make([]*audit.Event, ledger.MaxLag+1)
			for i := range events {
				events[i] = event("x")
			}
			must(t, l.WriteEvents(context.Background(), events))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
			_ = open(t, dir, sealing(signer(t, origin, 1))).Close()
			release := make(chan struct{})
			s, err := ledger.NewSigner(origin, hung{private, release})
			must(t, err)
			config := sealing(s)
			config.MaxSize = c.maxSize
			l := open(t, dir, config)
			write(t, l, "a")
			sealed := make(chan ledger.Checkpoint)
			go func() {
				cp, err := l.Checkpoint(context.Background())
				if err != nil {
					t.Error(err)
				}
				sealed <- cp
			}()
			for ledger.Signing(l) == 0 {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(10 * time.Millisecond)
			c.write(l)
			size := l.Head().Size
			close(release)
			if cp := <-sealed; cp.Size != size {
				t.Errorf("checkpoint over %d records, want %d", cp.Size, size)
			}
			if got := l.Stats(); got.SealFailures > 0 || c.maxSize > 0 && got.Segments == 0 {
				t.Errorf("%+v", got)
			}
			must(t, l.Close())
			keys := []*ledger.Verifier{s.Verifier()}
			if _, err := verify(os.DirFS(dir), ledger.VerifyConfig{Keys: keys, MaxUnsealed: -1}); err != nil {
				t.Error(err)
			}
		})
	}
}
