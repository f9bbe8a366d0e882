package ledger_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// tempDir returns a new directory and a function that removes it.
func tempDir() (string, func()) {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		panic(err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }
}

func Example() {
	dir, remove := tempDir()
	defer remove()
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	event := audit.Event{Action: "invoice.pay", Outcome: audit.Success}

	led, err := ledger.Open(ctx, dir, ledger.Config{Origin: "billing"})
	log := audit.New(audit.Config{Sink: led})
	err = log.Record(ctx, event)
	report, err := ledger.Verify(ctx, os.DirFS(dir), ledger.VerifyConfig{})

	fmt.Println(report.Records, report.Root == led.Head().Root, err, led.Close())
	// Output: 2 true <nil> <nil>
}

func Example_signed() {
	dir, remove := tempDir()
	defer remove()
	ctx := context.Background()

	skey, vkey, err := ledger.GenerateKey("example.com/billing")
	signer, err := ledger.ParseSigner(skey)
	led, err := ledger.Open(ctx, dir, ledger.Config{Signer: signer})

	_ = led.WriteEvents(ctx, []*audit.Event{{Action: "invoice.pay", Outcome: audit.Success}})
	err = led.Close()

	key, err := ledger.ParseVerifier(vkey)
	report, err := ledger.Verify(ctx, os.DirFS(dir), ledger.VerifyConfig{
		Keys: []*ledger.Verifier{key},
	})

	fmt.Println(report.Records, report.Sealed, err)

	head := led.Head()
	c := ledger.VerifyConfig{Known: &head}
	_, err = ledger.Verify(ctx, os.DirFS(dir), c)

	fmt.Println(err)

	proof, err := ledger.Prove(os.DirFS(dir), 1)
	checkpoint, err := proof.Verify(key)

	fmt.Println(checkpoint.Size, err)
	// Output:
	// 4 4 <nil>
	// <nil>
	// 3 <nil>
}

func ExampleOpen() {
	dir, remove := tempDir()
	defer remove()
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{})
	_, err := ledger.Open(context.Background(), dir, ledger.Config{})
	fmt.Println(err)
	_ = led.Close()
	// Output: ledger: in use
}

func ExampleLedger() {
	dir, remove := tempDir()
	defer remove()
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{})
	err := led.WriteEvents(context.Background(), []*audit.Event{{Action: "a", Outcome: audit.Success}, {Action: "b", Outcome: audit.Success}})
	fmt.Println(led.Head().Size, err, led.Close())
	// Output: 3 <nil> <nil>
}

func ExampleStats() {
	dir, remove := tempDir()
	defer remove()
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{})
	_ = led.WriteEvents(context.Background(), []*audit.Event{{Action: "a", Outcome: audit.Success}, {Action: "b", Outcome: audit.Success}})
	s := led.Stats()
	fmt.Println(s.Events, "events in", s.Commits, "commit,", s.Size, "records,", s.Sealed, "sealed,", s.Failed, "failed")
	_ = led.Close()
	// Output: 2 events in 1 commit, 3 records, 0 sealed, 0 failed
}

func ExampleConfig() {
	fmt.Println(ledger.Config{Origin: "no spaces"}.Validate())
	// Output: ledger: Origin is "no spaces", want at most 128 bytes without spaces and +
}

func ExampleSyncPolicy() {
	dir, remove := tempDir()
	defer remove()
	led, err := ledger.Open(context.Background(), dir, ledger.Config{Sync: ledger.SyncNever})
	fmt.Println(err, led.Close())
	// Output: <nil> <nil>
}

// tampered returns a log whose record 2 was changed.
func tampered() (string, func()) {
	dir, remove := tempDir()
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{Sync: ledger.SyncNever})
	for _, amount := range []string{"10", "20", "30"} {
		_ = led.WriteEvents(context.Background(), []*audit.Event{{Action: "pay", Outcome: audit.Success, Reason: "amount " + amount}})
	}
	_ = led.Close()
	path := filepath.Join(dir, "00000000000000000000.jsonl")
	data, _ := os.ReadFile(path)
	_ = os.WriteFile(path, bytes.Replace(data, []byte("amount 20"), []byte("amount 99"), 1), 0o600)
	return dir, remove
}

func ExampleVerify() {
	dir, remove := tampered()
	defer remove()
	_, err := ledger.Verify(context.Background(), os.DirFS(dir), ledger.VerifyConfig{})
	var t *ledger.TamperError
	if errors.As(err, &t) {
		p := t.Problems[0]
		fmt.Println(len(t.Problems), p.Kind, p.From, p.To, p.Line)
	}
	// Output: 1 altered 2 2 3
}

func ExampleVerifyConfig() {
	dir, remove := tempDir()
	defer remove()
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{})
	_ = led.WriteEvents(context.Background(), []*audit.Event{{Action: "a", Outcome: audit.Success}})
	kept := led.Head() // in another place
	_ = led.Close()
	path := filepath.Join(dir, "00000000000000000000.jsonl")
	data, _ := os.ReadFile(path)
	_ = os.WriteFile(path, data[:bytes.IndexByte(data, '\n')+1], 0o600)

	_, alone := ledger.Verify(context.Background(), os.DirFS(dir), ledger.VerifyConfig{})
	_, known := ledger.Verify(context.Background(), os.DirFS(dir), ledger.VerifyConfig{Known: &kept})
	fmt.Println(alone)
	fmt.Println(known)
	// Output:
	// <nil>
	// ledger: record 1 truncated (00000000000000000000.jsonl:1, offset 0)
}

func ExampleReport() {
	dir, remove := tampered()
	defer remove()
	report, _ := ledger.Verify(context.Background(), os.DirFS(dir), ledger.VerifyConfig{})
	fmt.Println(report.Records, report.Unfinished, len(report.Problems))
	// Output: 4 0 1
}

func ExampleTamperError() {
	dir, remove := tampered()
	defer remove()
	_, err := ledger.Open(context.Background(), dir, ledger.Config{})
	fmt.Println(errors.Is(err, ledger.ErrTampered))
	// Output: true
}

func ExampleProblem() {
	p := ledger.Problem{Kind: ledger.KindRemoved, From: 7, To: 9, Segment: "00000000000000000000.jsonl", Line: 8, Offset: 2310}
	fmt.Println(p)
	// Output: records 7-9 removed (00000000000000000000.jsonl:8, offset 2310)
}

func ExampleKind() {
	fmt.Println(ledger.KindAltered, ledger.KindReordered)
	// Output: altered reordered
}

func ExampleHead() {
	dir, remove := tempDir()
	defer remove()
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{})
	defer led.Close()
	fmt.Println(led.Head().Size)
	// Output: 1
}

func ExampleHash() {
	var h ledger.Hash
	err := h.UnmarshalText([]byte("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="))
	fmt.Println(h, err)
	// Output: 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= <nil>
}

func ExampleEvents() {
	dir, remove := tempDir()
	defer remove()
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{})
	defer led.Close()
	_ = led.WriteEvents(context.Background(), []*audit.Event{{Action: "a", Outcome: audit.Success}, {Action: "b", Outcome: audit.Failure}})
	for r, err := range ledger.Events(os.DirFS(dir)) {
		fmt.Println(r.Seq, r.Event.Action, r.Event.Outcome, err)
	}
	// Output:
	// 1 a success <nil>
	// 2 b failure <nil>
}

func ExampleRecord() {
	r := ledger.Record{Seq: 1, Event: audit.Event{Action: "a"}}
	fmt.Println(r.Seq, r.Event.Action)
	// Output: 1 a
}

// newKey returns the same key in every run.
func newKey(name string) *ledger.Signer {
	s, err := ledger.NewSigner(name, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		panic(err)
	}
	return s
}

// sealedLog returns a log with an event and a checkpoint.
func sealedLog() (string, *ledger.Signer, func()) {
	dir, remove := tempDir()
	key := newKey("example.com/billing")
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{Signer: key})
	_ = led.WriteEvents(context.Background(), []*audit.Event{{Action: "pay", Outcome: audit.Success}})
	_ = led.Close()
	return dir, key, remove
}

func ExampleSyncEvery() {
	dir, remove := tempDir()
	defer remove()
	led, err := ledger.Open(context.Background(), dir, ledger.Config{Sync: ledger.SyncEvery(100 * time.Millisecond)})
	fmt.Println(err, led.Close())
	// Output: <nil> <nil>
}

func ExampleNewSigner() {
	_, private, _ := ed25519.GenerateKey(nil) // or a crypto.Signer of a key service
	s, err := ledger.NewSigner("example.com/billing", private)
	fmt.Println(s, err)
	// Output: Signer(example.com/billing) <nil>
}

func ExampleSigner() {
	fmt.Println(newKey("example.com/billing").Verifier())
	// Output: example.com/billing+f05ada4c+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop
}

func ExampleGenerateKey() {
	skey, vkey, err := ledger.GenerateKey("example.com/billing")
	s, _ := ledger.ParseSigner(skey)
	fmt.Println(s.Verifier().String() == vkey, err)
	// Output: true <nil>
}

func ExampleParseSigner() {
	_, err := ledger.ParseSigner("not a key")
	fmt.Println(err)
	// Output: ledger: private key is malformed
}

func ExampleVerifier() {
	dir, key, remove := sealedLog()
	defer remove()
	r, err := ledger.Verify(context.Background(), os.DirFS(dir), ledger.VerifyConfig{Keys: []*ledger.Verifier{key.Verifier()}})
	fmt.Println(r.Sealed, r.Records, err)
	// Output: 4 4 <nil>
}

func ExampleParseVerifier() {
	v, err := ledger.ParseVerifier("example.com/billing+f05ada4c+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop")
	fmt.Println(v.Name(), err)
	// Output: example.com/billing <nil>
}

func ExampleCheckpoint() {
	dir, remove := tempDir()
	defer remove()
	var kept []string // in another system
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{
		Signer: newKey("example.com/billing"),
		Anchor: func(_ context.Context, cp ledger.Checkpoint) error {
			kept = append(kept, cp.Note)
			return nil
		},
	})
	_ = led.WriteEvents(context.Background(), []*audit.Event{{Action: "pay", Outcome: audit.Success}})
	cp, err := led.Checkpoint(context.Background())
	fmt.Println(cp.Origin, cp.Size, err, led.Close(), kept[len(kept)-1] == cp.Note)
	// Output: example.com/billing 3 <nil> <nil> true
}

func ExampleParseCheckpoint() {
	dir, remove := tempDir()
	defer remove()
	key := newKey("example.com/billing")
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{Signer: key})
	defer led.Close()
	cp, _ := led.Checkpoint(context.Background())
	back, err := ledger.ParseCheckpoint(cp.Note, key.Verifier())
	fmt.Println(back.Head == cp.Head, err)
	// Output: true <nil>
}

func ExampleProve() {
	dir, key, remove := sealedLog()
	defer remove()
	p, err := ledger.Prove(os.DirFS(dir), 2)
	text, _ := p.MarshalText() // send it to a verifier that has the key but not the log

	var received ledger.Proof
	_ = received.UnmarshalText(text)
	cp, verr := received.Verify(key.Verifier())
	fmt.Println(received.Index, cp.Size, err, verr)
	// Output: 2 3 <nil> <nil>
}

func ExampleProof() {
	var p ledger.Proof
	fmt.Println(p.UnmarshalText([]byte("hello")))
	// Output: ledger: proof is malformed
}

func ExampleProveConsistency() {
	dir, _, remove := sealedLog()
	defer remove()
	proof, err := ledger.ProveConsistency(os.DirFS(dir), 1, 3)
	fmt.Println(len(proof), err)
	// Output: 2 <nil>
}

func ExampleCheckConsistency() {
	dir, remove := tempDir()
	defer remove()
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{})
	defer led.Close()
	older := led.Head()
	_ = led.WriteEvents(context.Background(), []*audit.Event{{Action: "pay", Outcome: audit.Success}})
	newer := led.Head()
	proof, _ := ledger.ProveConsistency(os.DirFS(dir), older.Size, newer.Size)
	fmt.Println(ledger.CheckConsistency(older, newer, proof))
	fmt.Println(ledger.CheckConsistency(newer, older, proof))
	// Output:
	// <nil>
	// ledger: no proof that the log of 1 records begins with the log of 2
}

func ExampleRecovery() {
	dir, remove := tempDir()
	defer remove()
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{})
	_ = led.Close()
	f, _ := os.OpenFile(filepath.Join(dir, "00000000000000000000.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	_, _ = f.WriteString(`{"seq":1,"pr`) // the machine crashed
	_ = f.Close()

	led, _ = ledger.Open(context.Background(), dir, ledger.Config{})
	r, ok := led.Recovered()
	fmt.Println(r.Bytes, ok, led.Close())
	// Output: 12 true <nil>
}

func ExampleEvent() {
	dir, remove := tempDir()
	defer remove()
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{
		Signer: newKey("example.com/billing"),
		Anchor: func(context.Context, ledger.Checkpoint) error { return errors.New("witness is down") },
		OnEvent: func(_ context.Context, e ledger.Event) {
			fmt.Println(e.Kind, e.Name, e.Err)
		},
	})
	_ = led.Close() // calls Anchor with the checkpoint of the new log
	// Output: unanchored example.com/billing ledger: anchor: witness is down
}

func ExampleEventKind() {
	fmt.Println(ledger.EventKindUnsealed, ledger.EventKindUnanchored)
	// Output: unsealed unanchored
}

// A log without a Signer is adopted by its complete state.
func ExampleConfig_adopt() {
	dir, remove := tempDir()
	defer remove()
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{Origin: "example.com/billing"})
	_ = led.WriteEvents(context.Background(), []*audit.Event{{Action: "pay", Outcome: audit.Success}})
	_ = led.Close()

	c := ledger.Config{Signer: newKey("example.com/billing")}
	_, err := ledger.Open(context.Background(), dir, c)
	fmt.Println(err)

	r, _ := ledger.Verify(context.Background(), os.DirFS(dir), ledger.VerifyConfig{})
	c.Known = &ledger.Head{Size: r.First + r.Records, Root: r.Root}
	led, err = ledger.Open(context.Background(), dir, c)
	fmt.Println(err, led.Close())
	// Output:
	// ledger: the mark "mark" is missing, and the log has 2 records; Config.Known adopts a log
	// <nil> <nil>
}
