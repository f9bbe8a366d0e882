// Package ledger keeps audit events in a file in which later changes show.
//
// Whoever can write a log file can rewrite it. A ledger makes each line name the
// hash of the line before it, so that [Verify] finds a change in the middle and
// says which record it hit.
//
//	led, err := ledger.Open(ctx, dir, ledger.Config{Origin: "billing"})
//	log := audit.New(audit.Config{Sink: led})
//	err = log.Record(ctx, event)
//	report, err := ledger.Verify(ctx, os.DirFS(dir), ledger.VerifyConfig{})
//
// # What is detected, and what is not
//
// Edited, removed, added and moved lines are found and named, as long as whoever
// did it did not compute the hashes anew. Not detected by the file alone are:
//
//   - a cut tail: a log without its last records is a shorter valid log;
//   - a change of the very last record that leaves it a well-formed line;
//   - a rewrite from some record to the end, with all hashes computed anew;
//   - another log, or none, in place of this one.
//
// All four are detected by [VerifyConfig.Known]: keep the [Head] of a log out of
// reach of whoever can write the file, in another system, in a ticket, on paper.
// A known head covers the records up to its size and says nothing about later
// ones.
//
// # Format
//
// The directory holds one segment, 00000000000000000000.jsonl, named after its
// first sequence number, and the file lock. A line is a JSON object without
// spaces that begins {"seq":N,"prev":"H" and goes on as [audit.Event.AppendJSON]
// writes an event. Sequence numbers count from 0 without a gap. H is the standard
// base64 of the leaf hash of the line before, and 32 zero bytes in line 0. The leaf hash is
// SHA-256(0x00 || line), without the line end; a node of the tree is
// SHA-256(0x01 || left || right), and the root over all lines is that of RFC 6962.
//
// Two sorts of line are no events. Line 0 has the type "ledger" and names the
// format version, a random log identity and the origin. A line of the type "recovered"
// follows a crash, with the number and the SHA-256 of the bytes that were taken
// off. Verification hashes bytes and never re-encodes; repeated keys, control
// characters and lines over 1 MiB are errors.
//
// # Durability
//
// With [SyncAlways] an event is acknowledged after the fsync that covers it; calls
// that come in during one commit share the next. A write that fails is taken off
// the file again and the ledger goes on, so a full disk heals. A sync that fails
// is never repeated: the ledger stops with [ErrFailed] until it is opened, and
// read, again.
//
// Open takes off an unfinished last line, or a tail that begins with a line with
// NUL bytes where the system lost a page, keeps the bytes in a file torn-*, and
// says so in a "recovered" line. Any other fault is [ErrTampered], and nothing is
// appended to it.
//
// # Errors
//
// [ErrFailed], [ErrTampered], [ErrLocked] and [ErrClosed] are classes; a
// [TamperError] lists the problems. An error that matches [audit.ErrUncertain]
// says that the events may be in the file.
//
// # Concurrency
//
// A Ledger is safe for concurrent use. Its lock keeps out every other Open of the
// directory, in this process too; one directory belongs to one process. Verify and
// Events take no lock and may run on a live ledger, a copy or an archive: a last
// line without an end is taken for one being written. Open works where flock
// exists: Linux, macOS and the BSDs; Verify and Events work everywhere.
//
// # Cost
//
// A commit is one write, two stats and, with SyncAlways, one fsync, whatever the
// number of events in it. Open and Verify read the log once, in memory that does
// not grow with it.
//
// # Source
//
// The hashes are those of RFC 6962, section 2.1 (Certificate Transparency).
package ledger
