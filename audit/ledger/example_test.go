package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// tempDir is a directory for one example, and what removes it.
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

func ExampleOpen() {
	dir, remove := tempDir()
	defer remove()
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{})
	_, err := ledger.Open(context.Background(), dir, ledger.Config{})
	fmt.Println(err)
	_ = led.Close()
	// Output: ledger: ledger in use
}

func ExampleLedger() {
	dir, remove := tempDir()
	defer remove()
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{})
	err := led.WriteEvents(context.Background(), []*audit.Event{{Action: "a", Outcome: audit.Success}, {Action: "b", Outcome: audit.Success}})
	fmt.Println(led.Head().Size, err, led.Close())
	// Output: 3 <nil> <nil>
}

func ExampleConfig() {
	fmt.Println(ledger.Config{Origin: "no spaces"}.Validate())
	// Output: ledger: config: Origin is not a name: ledger format
}

func ExampleSyncPolicy() {
	dir, remove := tempDir()
	defer remove()
	led, err := ledger.Open(context.Background(), dir, ledger.Config{Sync: ledger.SyncNever})
	fmt.Println(err, led.Close())
	// Output: <nil> <nil>
}

// tampered is a log whose record 2 was changed by hand.
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
	// ledger: record 1 truncated (line 1, offset 0)
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
	p := ledger.Problem{Kind: ledger.Removed, From: 7, To: 9, Line: 8, Offset: 2310}
	fmt.Println(p)
	// Output: records 7-9 removed (line 8, offset 2310)
}

func ExampleKind() {
	fmt.Println(ledger.Altered, ledger.Reordered)
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
