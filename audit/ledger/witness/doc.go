// Package witness has the checkpoints of a ledger cosigned by witnesses of
// transparency logs, and verifies logs and proofs with a quorum of them.
//
// The owner of a log's key can rewrite the log or show two logs to two readers.
// A witness is another machine, of another operator. It signs a checkpoint only
// if the checkpoint continues all checkpoints that the witness has seen. So a
// cosigned log cannot be cut, rewritten or forked in secret, even with its key.
//
// # Have a log witnessed
//
// A [Policy] lists the witnesses and the quorum. A [Client] submits each new
// checkpoint to them:
//
//	policy, err := witness.ParsePolicy([]byte(text))
//	client := witness.New(witness.Config{
//		Policy: policy, Log: os.DirFS(dir), File: file,
//	})
//	config := ledger.Config{Signer: signer, Anchor: client.Anchor}
//	led, err := ledger.Open(ctx, dir, config)
//
// The policy is a text in the form of c2sp.org/tlog-policy. Witnesses must know
// the public key of the log:
//
//	witness w1 <vkey> https://witness.example/w1
//	witness w2 <vkey> https://witness.example/w2
//	group both all w1 w2
//	quorum both
//
// # Verify a witnessed log
//
// [Config.File] contains the last cosigned checkpoint. The log must begin with
// it:
//
//	note, err := os.ReadFile(file)
//	c := ledger.VerifyConfig{Keys: []*ledger.Verifier{key}}
//	report, err := policy.VerifyLog(ctx, os.DirFS(dir), string(note), c)
//
// # Verify a proof
//
// The proof of a record contains a checkpoint, so it can be cosigned. Package
// tiles makes such proofs:
//
//	proof, err := tiles.Prove(os.DirFS(public), 1)
//	cp, err := policy.VerifyProof(proof, key)
//
// # Choosing values
//
//   - The quorum: a majority of witnesses of different operators. With n
//     witnesses and a quorum of k, a fork needs 2k-n dishonest witnesses, and
//     n-k witnesses may be out of reach.
//   - [Config.Timeout]: less than 10 seconds, the time that a ledger gives to
//     its Anchor.
//   - CheckpointDelay of the ledger: the time after which a record is
//     witnessed. Each checkpoint is a request to each witness.
//
// # Errors
//
// [ErrQuorum] means that too few witnesses have cosigned. The log continues,
// and the ledger submits a checkpoint again. [ErrConflict] means that a witness
// knows another state of the log: find out why. A [*QuorumError] contains an
// [*Error] for each witness that failed. [Client.Status] also reports failures
// that a quorum hides. Invalid signatures match ErrTampered of package ledger,
// and malformed input matches its ErrFormat.
//
// # Concurrency and cost
//
// A Client may be used concurrently. A checkpoint costs a request to each
// witness, and a consistency proof of the log. Answers are bounded, redirects
// are not followed, and no goroutine outlives Anchor.
//
// Costs, formats and sources: docs/ledger.md.
package witness
