// Package ledger stores audit events in a tamper-evident log: a hash chain with
// a Merkle tree and signed checkpoints.
//
// An attacker who can write a log file can change it. In a ledger, each line
// contains the hash of the previous line, so [Verify] finds a changed line and
// reports its record. Checkpoints sign the whole log, so a log that was
// rewritten with new hashes is found too.
//
// # Write and verify a log
//
// A [Ledger] is a sink of package audit:
//
//	led, err := ledger.Open(ctx, dir, ledger.Config{Origin: "billing"})
//	log := audit.New(audit.Config{Sink: led})
//	err = log.Record(ctx, event)
//	report, err := ledger.Verify(ctx, os.DirFS(dir), ledger.VerifyConfig{})
//
// # Sign the log
//
// With a [Signer], the ledger seals new records with a checkpoint within a
// second. Keep the private key away from the log:
//
//	skey, vkey, err := ledger.GenerateKey("example.com/billing")
//	signer, err := ledger.ParseSigner(skey)
//	led, err := ledger.Open(ctx, dir, ledger.Config{Signer: signer})
//
// Verify with the public key:
//
//	key, err := ledger.ParseVerifier(vkey)
//	report, err := ledger.Verify(ctx, os.DirFS(dir), ledger.VerifyConfig{
//		Keys: []*ledger.Verifier{key},
//	})
//
// # Detect a cut or replaced log
//
// Keep a [Head] in another system, for example by [Config.Anchor]. The log must
// still begin with it:
//
//	head := led.Head()
//	c := ledger.VerifyConfig{Known: &head}
//	_, err = ledger.Verify(ctx, os.DirFS(dir), c)
//
// # Prove a single record
//
// [Prove] returns a [Proof] that needs only the public key of the log:
//
//	proof, err := ledger.Prove(os.DirFS(dir), 1)
//	checkpoint, err := proof.Verify(key)
//
// # What is not detected
//
// Verify alone does not detect:
//
//   - a cut tail: a log without its last records is a shorter valid log;
//   - without keys, a log that was rewritten from a record to its end;
//   - with keys, changes after the last checkpoint, and a changed time of a
//     checkpoint;
//   - an older copy of the log, or another log that the same key has signed;
//   - anything done with the private key.
//
// A known head detects these changes of the records up to its size.
//
// Open does not check that a key has signed the records that it finds. If an
// attacker rewrites the log while the ledger is closed, the next checkpoint
// signs the rewritten log. Use [Config.Known], or verify with keys before Open.
// A log with removed segments does not contain the key of the removed records.
// Verify then accepts the first known key that it finds.
//
// # Choosing values
//
//   - [Config.Sync]: [SyncAlways] if no acknowledged event may be lost.
//     Concurrent events share an fsync.
//   - [Config.CheckpointDelay]: the time in which a change of the last records
//     is not detected.
//   - [Config.Retain]: the segments that are kept.
//   - [Config.Previous]: the old key, in the first Open with a new key. Add the
//     new public key behind the old key in [VerifyConfig.Keys].
//
// # Errors
//
// The classes are [ErrFailed], [ErrTampered], [ErrLocked], [ErrClosed] and
// [ErrFormat]. A [TamperError] contains the problems. If an error matches
// [audit.ErrUncertain], the events may be in the log.
//
// After a failed write, the ledger removes the incomplete lines and continues.
// After a failed sync it stops with [ErrFailed], because the state of the file
// is unknown. After a crash, Open removes an incomplete tail, keeps it in a
// file and records it.
//
// # Concurrency and cost
//
// A Ledger is safe for concurrent use. A directory has a single writer; Verify,
// Events and Prove may read at the same time. A commit costs a write and, with
// SyncAlways, an fsync, for any number of events.
//
// Costs, formats and sources: docs/ledger.md and docs/audit.md.
package ledger
