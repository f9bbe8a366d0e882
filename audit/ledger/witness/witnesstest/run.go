package witnesstest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/witness"
)

// A Subject is a witness under test.
type Subject struct {
	Key *witness.Key // its public key
	URL string       // its submission prefix
}

// Run tests that a witness follows c2sp.org/tlog-witness. New returns a witness
// that knows the key log, and has cosigned nothing for that log.
func Run(t *testing.T, new func(t *testing.T, log *ledger.Verifier) Subject) {
	l := newLog(t)
	first, second := l.grow(t), l.grow(t)
	proof, err := ledger.ProveConsistency(os.DirFS(l.dir), first.Size, second.Size)
	if err != nil {
		t.Fatal(err)
	}
	longer := func(hashes ...ledger.Hash) []ledger.Hash { return append(hashes, proof...) }
	// Another key, a changed text and another log.
	unsigned := change(second, "— "+origin, "— example.com/other")
	damaged := change(second, fmt.Sprintf("\n%d\n", second.Size), fmt.Sprintf("\n%d\n", second.Size+1))
	foreign := change(second, origin, "example.com/other")

	s := new(t, l.key)
	// The rows follow each other: the witness keeps its state.
	for _, row := range []struct {
		name, body string
		status     int
	}{
		{"a proof from nothing", request(0, first, proof...), http.StatusUnprocessableEntity},
		{"an old size above the checkpoint", request(first.Size+1, first), http.StatusBadRequest},
		{"an old size without a checkpoint", request(1, first), http.StatusConflict},
		{"the first checkpoint", request(0, first), http.StatusOK},
		{"the same checkpoint", request(first.Size, first), http.StatusOK},
		{"an old size that was replaced", request(0, first), http.StatusConflict},
		{"no proof", request(first.Size, second), http.StatusUnprocessableEntity},
		{"a proof that is too long", request(first.Size, second, longer(proof[0])...), http.StatusUnprocessableEntity},
		{"64 hashes", request(first.Size, second, make([]ledger.Hash, 64)...), http.StatusBadRequest},
		{"no signature of the log", request(first.Size, unsigned, proof...), http.StatusForbidden},
		{"an invalid signature", request(first.Size, damaged, proof...), http.StatusForbidden},
		{"an unknown log", request(first.Size, foreign, proof...), http.StatusNotFound},
		{"no body", "", http.StatusBadRequest},
		{"an old size with zeros", strings.Replace(request(1, second), "old 1", "old 01", 1), http.StatusBadRequest},
		{"a hash that is not base64", "old 1\nx\n\n" + second.Note, http.StatusBadRequest},
		{"the next checkpoint", request(first.Size, second, proof...), http.StatusOK},
	} {
		t.Run(row.name, func(t *testing.T) { s.check(t, l, row.body, row.status) })
	}
}

// check sends a request and checks the answer.
func (s Subject) check(t *testing.T, l *testLog, body string, status int) {
	resp, err := http.Post(strings.TrimRight(s.URL, "/")+"/add-checkpoint", "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil || resp.StatusCode != status {
		t.Fatalf("status %d, want %d: %q, %v", resp.StatusCode, status, text, err)
	}
	switch status {
	case http.StatusConflict:
		if got := resp.Header.Get("Content-Type"); got != "text/x.tlog.size" {
			t.Errorf("Content-Type %q", got)
		}
		if want := fmt.Sprintf("%d\n", l.cosigned); string(text) != want {
			t.Errorf("size %q, want %q", text, want)
		}
	case http.StatusOK:
		_, note, _ := strings.Cut(body, "\n\n")
		cp, err := s.policy(t).VerifyCheckpoint(note+string(text), l.key)
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(cp.Cosignatures[0].Time).Abs(); d > time.Hour {
			t.Errorf("the time of the cosignature is %v off", d)
		}
		l.cosigned = cp.Size
	}
}

// policy requires a cosignature of s.
func (s Subject) policy(t *testing.T) *witness.Policy {
	p, err := witness.ParsePolicy(fmt.Appendf(nil, "witness w %v\nquorum w\n", s.Key))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const origin = "example.com/witnesstest"

// A testLog is a log whose checkpoints a witness gets.
type testLog struct {
	*ledger.Ledger
	dir      string
	key      *ledger.Verifier
	cosigned uint64 // size that the witness has cosigned
}

func newLog(t *testing.T) *testLog {
	skey, _, err := ledger.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.ParseSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l, err := ledger.Open(context.Background(), dir, ledger.Config{Signer: signer, CheckpointDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &testLog{Ledger: l, dir: dir, key: signer.Verifier()}
}

// grow appends events and returns a checkpoint of them.
func (l *testLog) grow(t *testing.T) ledger.Checkpoint {
	e := &audit.Event{Action: "test", Outcome: audit.Success}
	if err := l.WriteEvents(context.Background(), []*audit.Event{e, e, e}); err != nil {
		t.Fatal(err)
	}
	cp, err := l.Checkpoint(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

// change returns cp with another text in its note.
func change(cp ledger.Checkpoint, old, new string) ledger.Checkpoint {
	cp.Note = strings.ReplaceAll(cp.Note, old, new)
	return cp
}

// request returns the body of a request.
func request(old uint64, cp ledger.Checkpoint, proof ...ledger.Hash) string {
	s := fmt.Sprintf("old %d\n", old)
	for _, h := range proof {
		s += h.String() + "\n"
	}
	return s + "\n" + cp.Note
}
