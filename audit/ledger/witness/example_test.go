package witness_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/tiles"
	"github.com/redoubt-go/redoubt/audit/ledger/witness"
	"github.com/redoubt-go/redoubt/audit/ledger/witness/witnesstest"
)

// setup returns a signer, and a policy with two witnesses that know its key.
func setup() (signer *ledger.Signer, text, root string, end func()) {
	skey, _, _ := ledger.GenerateKey("example.com/billing")
	signer, _ = ledger.ParseSigner(skey)
	w1 := witnesstest.New("witness.example/w1", signer.Verifier())
	w2 := witnesstest.New("witness.example/w2", signer.Verifier())
	s1, s2 := httptest.NewServer(w1), httptest.NewServer(w2)
	text = fmt.Sprintf("witness w1 %v %s\nwitness w2 %v %s\ngroup both all w1 w2\nquorum both\n", w1.Key(), s1.URL, w2.Key(), s2.URL)
	root, _ = os.MkdirTemp("", "witness")
	return signer, text, root, func() {
		s1.Close()
		s2.Close()
		_ = os.RemoveAll(root)
	}
}

func Example() {
	signer, text, root, end := setup()
	defer end()
	ctx, dir, file := context.Background(), filepath.Join(root, "log"), filepath.Join(root, "cosigned")

	policy, err := witness.ParsePolicy([]byte(text))
	client := witness.New(witness.Config{
		Policy: policy, Log: os.DirFS(dir), File: file,
	})
	config := ledger.Config{Signer: signer, Anchor: client.Anchor}
	led, err := ledger.Open(ctx, dir, config)

	_ = led.WriteEvents(ctx, []*audit.Event{{Action: "invoice.pay", Outcome: audit.Success}})
	err = led.Close() // seals the log, and has it cosigned

	key := signer.Verifier()
	note, err := os.ReadFile(file)
	c := ledger.VerifyConfig{Keys: []*ledger.Verifier{key}}
	report, err := policy.VerifyLog(ctx, os.DirFS(dir), string(note), c)

	fmt.Println(report.Records, len(report.Problems), err)

	public := filepath.Join(root, "public")
	_ = tiles.Export(ctx, os.DirFS(dir), client.Last(), tiles.Dir(public))

	proof, err := tiles.Prove(os.DirFS(public), 1)
	cp, err := policy.VerifyProof(proof, key)

	fmt.Println(cp.Size, len(cp.Cosignatures), err)
	// Output:
	// 4 0 <nil>
	// 3 2 <nil>
}

func ExampleParsePolicy() {
	_, err := witness.ParsePolicy([]byte("quorum w1\n"))
	fmt.Println(err)
	// Output: witness: policy line 1: quorum "w1" is not defined before
}

func ExamplePolicy() {
	_, text, _, end := setup()
	defer end()
	policy, _ := witness.ParsePolicy([]byte(text))
	for _, k := range policy.Witnesses() {
		fmt.Println(k.Name())
	}
	fmt.Println(len(policy.Logs()))
	// Output:
	// witness.example/w1
	// witness.example/w2
	// 0
}

func ExampleConfig() {
	fmt.Println(witness.Config{}.Validate())
	// Output:
	// witness: Log is missing
	// witness: Policy is missing
}

func ExampleClient() {
	signer, text, dir, end := setup()
	defer end()
	policy, _ := witness.ParsePolicy([]byte(text))
	client := witness.New(witness.Config{Policy: policy, Log: os.DirFS(dir), Timeout: 5 * time.Second})
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{Signer: signer})
	cp, _ := led.Checkpoint(context.Background())

	err := client.Anchor(context.Background(), cp)
	cosigned, _ := policy.VerifyCheckpoint(client.Last().Note, signer.Verifier())
	fmt.Println(err, cosigned.Size == cp.Size)
	for _, c := range cosigned.Cosignatures {
		fmt.Println(c.Witness, c.Key.Name(), time.Since(c.Time) < time.Minute)
	}
	_ = led.Close()
	// Output:
	// <nil> true
	// w1 witness.example/w1 true
	// w2 witness.example/w2 true
}

func ExampleNew() {
	_, text, dir, end := setup()
	defer end()
	policy, _ := witness.ParsePolicy([]byte(text))
	client := witness.New(witness.Config{Name: "billing", Policy: policy, Log: os.DirFS(dir)})
	fmt.Println(client.Stats().Name)
	// Output: billing
}

func ExampleClient_Status() {
	signer, text, dir, end := setup()
	policy, _ := witness.ParsePolicy([]byte(text))
	client := witness.New(witness.Config{Policy: policy, Log: os.DirFS(dir), Timeout: time.Second})
	led, _ := ledger.Open(context.Background(), dir, ledger.Config{Signer: signer})
	cp, _ := led.Checkpoint(context.Background())
	end() // the witnesses stop

	err := client.Anchor(context.Background(), cp)
	var quorum *witness.QuorumError
	fmt.Println(errors.Is(err, witness.ErrQuorum), errors.As(err, &quorum), quorum.Signed, len(quorum.Errors))
	for _, s := range client.Status() {
		fmt.Println(s.Witness, s.Size, s.Err != nil)
	}
	// Output:
	// true true 0 2
	// w1 0 true
	// w2 0 true
}

func ExampleStats() {
	text, _ := json.Marshal(witness.Stats{Name: "billing", Cosigned: 7})
	fmt.Println(string(text))
	// Output: {"name":"billing","checkpoints":0,"cosigned":7,"requests":0,"cosignatures":0,"failures":0,"conflicts":0}
}

func ExampleStatus() {
	s := witness.Status{Witness: "w1", Err: witness.ErrConflict}
	fmt.Println(s.Witness, errors.Is(s.Err, witness.ErrConflict))
	// Output: w1 true
}

func ExampleError() {
	fmt.Println(&witness.Error{Witness: "w1", Status: 422, Err: witness.ErrConflict})
	// Output: witness: w1: status 422: another state of the log
}

func ExampleQuorumError() {
	err := &witness.QuorumError{Size: 20, Signed: 1, Errors: []*witness.Error{{Witness: "w2", Err: errors.New("timeout")}}}
	fmt.Println(err)
	// Output: witness: quorum not reached: 1 cosignatures of 20 records: w2: "timeout"
}

func ExampleCosigner() {
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	cosigner, err := witness.NewCosigner("witness.example/w1", private)
	note := "example.com/billing\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— example.com/billing AAAAAAAA\n"
	line, err := cosigner.Cosign(note, time.Now())
	fmt.Println(strings.HasPrefix(line, "— witness.example/w1 "), err)
	fmt.Println(cosigner)
	// Output:
	// true <nil>
	// Cosigner(witness.example/w1)
}

func ExampleNewCosigner() {
	_, err := witness.NewCosigner("a witness", nil)
	fmt.Println(err)
	// Output: witness: key is missing
}

func ExampleParseKey() {
	_, err := witness.ParseKey("witness.example/w1+0badc0de+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
	fmt.Println(errors.Is(err, ledger.ErrFormat))
	// Output: true
}

func ExampleKey() {
	w := witnesstest.New("witness.example/w1")
	key, err := witness.ParseKey(w.Key().String())
	fmt.Println(key.Name(), err)
	// Output: witness.example/w1 <nil>
}

func ExampleCheckpoint() {
	cp := witness.Checkpoint{Cosignatures: []witness.Cosignature{{Witness: "w1"}}}
	cp.Size = 20
	fmt.Println(cp.Size, cp.Cosignatures[0].Witness)
	// Output: 20 w1
}
