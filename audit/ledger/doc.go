// Package ledger keeps audit events in a file in which later changes show.
//
// Whoever can write a log file can rewrite it. A ledger makes each line name
// the hash of the line before it, so that [Verify] finds a change in the middle
// and says which record it hit.
//
//	led, err := ledger.Open(ctx, dir, ledger.Config{Origin: "billing"})
//	log := audit.New(audit.Config{Sink: led})
//	err = log.Record(ctx, event)
//	report, err := ledger.Verify(ctx, os.DirFS(dir), ledger.VerifyConfig{})
//
// With a [Signer] the ledger also seals itself: every thousand records or every
// second it writes a checkpoint, a signature over all records before it. Then a
// rewritten history shows too, and [Prove] makes proofs of single records that
// need nothing of the log but its key.
//
// # What is detected, and what is not
//
// Edited, removed, added and moved lines are found and named, as long as
// whoever did it did not compute the hashes anew. Who computes them anew
// without the key is found by the next checkpoint, which names the stretch of
// records back to the last good one ([KindRewritten]), or by the lack of it
// ([KindUnsealed]). Not detected by the files alone are:
//
//   - a cut tail: a log without its last records is a shorter valid log;
//   - without a key, a rewrite from some record to the end; with one, changes
//     behind the last checkpoint, and of the time that stands beside its note;
//   - another log in place of this one, or an older copy, if the same key
//     sealed it;
//   - anything done by whoever has the private key, which a program that is
//     taken over gives away.
//
// All are detected by [VerifyConfig.Known]: keep the [Head] of a log out of
// reach of whoever can write the files, in another system, in a ticket, on
// paper; [Config.Anchor] is called with every checkpoint for this. A known head
// covers the records up to its size and says nothing about later ones. If the
// log has other records than the known head although its key has sealed them,
// the key has signed two histories ([KindForked]).
//
// # Format
//
// The directory holds segments, each named after its first sequence number in
// twenty digits, as 00000000000000000000.jsonl, and the file lock. A line is a
// JSON object without spaces that begins {"seq":N,"prev":"H" and goes on as
// [audit.Event.AppendJSON] writes an event. Sequence numbers count from 0
// without a gap, through all segments. H is the standard base64 of the leaf
// hash of the line before, and 32 zero bytes in line 0. The leaf hash is
// SHA-256(0x00 || line), without the line end; a node of the tree is
// SHA-256(0x01 || left || right), and the root over all lines is that of RFC
// 6962.
//
// Three sorts of line are no events. The first line of a segment has the type
// "ledger" and names the format version, a random log identity, the origin, and
// the range: the roots of the full subtrees over all lines before it, the
// largest first. So a log whose oldest segments were pruned still has its root.
// A line of the type "checkpoint" holds a signed note by c2sp.org/signed-note
// with the origin, the number of lines before it and their root, as
// c2sp.org/tlog-checkpoint says. A line of the type "recovered" follows a
// crash, with the number and the SHA-256 of the bytes that were taken off.
// Verification hashes bytes and never re-encodes; repeated keys, control
// characters and lines over 1 MiB are errors.
//
// # Durability
//
// With [SyncAlways] an event is acknowledged after the fsync that covers it;
// calls that come in during one commit share the next. [SyncEvery] bounds what
// a crash of the machine takes, [SyncNever] does not. A write that fails is
// taken off the file again and the ledger goes on, so a full disk heals. A sync
// that fails is never repeated: the ledger stops with [ErrFailed] until it is
// opened, and read, again.
//
// A checkpoint is signed after the sync of what it covers, and a new segment is
// used when its header and its name are durable. Open takes off an unfinished
// last line, or a tail that begins with a line with NUL bytes where the system
// lost a page, keeps the bytes in a file torn-*, and says so in a "recovered"
// line. Any other fault, and a hole before a checkpoint, is [ErrTampered], and
// nothing is appended to it.
//
// # Keys
//
// The name of a key is the origin of its log. To change keys, open the log once
// with the new one as Signer and the old one as Previous, and put the new
// public key behind the old in [VerifyConfig.Keys]: the first checkpoint then
// bears both signatures, and from there on the new key counts. Records before
// it need a seal by the old key, so a stolen new key rewrites none of them.
//
// # Errors
//
// [ErrFailed], [ErrTampered], [ErrLocked], [ErrClosed] and [ErrFormat] are
// classes; a [TamperError] lists the problems. An error that matches
// [audit.ErrUncertain] says that the events may be in the file.
//
// # Concurrency
//
// A Ledger is safe for concurrent use. Its lock keeps out every other Open of
// the directory, in this process too; one directory belongs to one process.
// SyncEvery and a Signer each take a goroutine, which Close ends. Verify,
// Events and Prove take no lock and may run on a live ledger, a copy or an
// archive: a last line without an end is taken for one being written. On a log
// that is pruned meanwhile they can miss a file, and fail. Open works where
// flock exists: Linux, macOS and the BSDs; the rest works everywhere.
//
// # Cost
//
// A commit is one write, two stats and, with SyncAlways, one fsync, whatever
// the number of events in it; a checkpoint is one more, and a signature. Open
// reads the last segment, Verify all of them on all processors, Prove all of
// them on one, in memory that does not grow with the log. [Ledger.Stats] takes
// no lock: it answers also while the disk hangs, and a mean of SyncTime over
// Syncs that grows says so.
//
// # Source
//
// The hashes and proofs are those of RFC 6962, section 2.1, checked as RFC 9162
// says (Certificate Transparency); signatures, checkpoints and the text of
// proofs are those of C2SP, which golang.org/x/mod/sumdb began. The list of
// what must not pass is that of the flaws found in journald's sealing,
// CVE-2023-31437 to 31439.
package ledger
