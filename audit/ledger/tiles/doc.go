// Package tiles exports a ledger as a tiled transparency log: the Merkle tree
// and the entries as static files, in the form of c2sp.org/tlog-tiles.
//
// Other programs read, verify and monitor such files, from a directory or a web
// server. A proof from tiles reads a few files of 8 KiB.
//
// # Export a log
//
// [Export] writes the log up to a checkpoint, and continues the export before:
//
//	cp, err := led.Checkpoint(ctx)
//	err = tiles.Export(ctx, os.DirFS(dir), cp, tiles.Dir(public))
//
// # Export each checkpoint
//
// [Anchor] returns a function for the field Anchor of a ledger or of a client
// of package witness. Such a client passes checkpoints that are cosigned:
//
//	client := witness.New(witness.Config{
//		Policy: policy, Log: os.DirFS(dir),
//		Anchor: tiles.Anchor(os.DirFS(dir), tiles.Dir(public)),
//	})
//
// # Prove a record
//
//	proof, err := tiles.Prove(os.DirFS(public), 1)
//	checkpoint, err := proof.Verify(key)
//
// # Choosing values
//
//   - [Store]: [Dir], or your own type for object storage. An export contains
//     all records, so give it the access control of the log.
//   - Lines over 65,535 bytes do not fit in the entries of the specification.
//     See [Export].
//
// # Errors
//
// The classes are ErrTampered and ErrFormat of package ledger. After a failed
// export, the previous checkpoint and its tiles are still complete.
//
// # Concurrency and cost
//
// A Store has a single writer at a time, and readers at any time. An export
// costs a file for 256 records, another for their entries, and a few partial
// files. [Dir] syncs each file.
//
// Costs, formats and sources: docs/ledger.md.
package tiles
