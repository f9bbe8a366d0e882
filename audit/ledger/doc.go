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
// # Restarts
//
// Open with a Signer continues only the log that the signer has sealed. The
// last checkpoint is also in a file of its own, see [Config.Mark]. If the log
// does not agree with that file, or if the file is missing, Open fails with
// [ErrTampered] and changes nothing. To seal a log that the signer has not
// sealed, verify the log and set [Config.Known] to its complete state.
//
// # What is not detected
//
// Verify alone does not detect:
//
//   - a cut tail: a log without its last records is a shorter valid log;
//   - without keys, a log that was rewritten from a record to its end;
//   - with keys, changes after the last checkpoint, and a changed time of the
//     last checkpoint;
//   - an older copy of the log, or another log that the same key has signed;
//   - anything done with the private key. A stolen new key rewrites no record
//     that the key before it has sealed.
//
// A known head detects these changes of the records up to its size. Open
// detects them too, if an attacker cannot change the Mark.
//
// # Choosing values
//
//   - [Config.Sync]: [SyncAlways] if no acknowledged event may be lost.
//     Concurrent events share an fsync.
//   - [Config.CheckpointDelay]: the time in which a change of the last records
//     is not detected.
//   - [Config.Mark]: a file on another disk, so that an attacker who can change
//     the directory cannot replace it by an older copy.
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
// A checkpoint that cannot be signed or anchored does not stop the log. It is
// counted in [Stats], reported to [Config.OnEvent] and tried again.
//
// After a failed write, the ledger removes the incomplete lines and continues.
// After a failed sync it stops with [ErrFailed], because the state of the file
// is unknown. After a crash, Open removes an incomplete tail, keeps it in a
// file and records it.
//
// # Concurrency and cost
//
// A Ledger is safe for concurrent use. Events wait neither for the signer nor
// for Anchor. A directory has a single writer; Verify, Events and Prove may
// read at the same time. A commit costs a write and, with SyncAlways, an fsync,
// for any number of events.
//
// Costs, formats and sources: docs/ledger.md and docs/audit.md.
package ledger
