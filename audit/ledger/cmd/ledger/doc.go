// Command ledger writes, verifies and reads the audit logs of package
// audit/ledger.
//
//	ledger append [-sign F] [-previous F] [-mark F] DIR
//	ledger rotate [-sign F] [-previous F] [-mark F] DIR
//	ledger head [-key K]... [-note] DIR
//	ledger verify [-key K]... [-known H [-incremental]] [-closed] [-pruned]
//		DIR
//	ledger cat [-from N] [SELECTION] [-json | -lines] DIR
//	ledger follow [-from N | -cursor F] [SELECTION] [-json | -lines] DIR
//	ledger prove DIR SEQ
//	ledger check -key K... FILE
//	ledger keygen NAME FILE
//
// The SELECTION is [-since T] [-until T] [-actor A] [-target X]. Install the
// command with
//
//	go install github.com/redoubt-go/redoubt/audit/ledger/cmd/ledger@latest
//
// # Verify
//
// Verify checks every line of the log in DIR. It prints each problem on a line.
// The last line begins with the verdict, "clean" or "tampered with", and ends
// with the head: the number of records and their root. Keep the head in another
// place for the next run. If a record is 1 second or more earlier than a record
// before it, verify prints a warning: clocks can be set back, and the sequence
// numbers determine the order.
//
// The flags are:
//
//   - -key: also check the checkpoints. The argument is a public key or a file
//     with a public key. Repeat the flag for several keys, in the order of
//     their use.
//   - -known: an earlier state of the log: SIZE:ROOT as printed by verify, or a
//     file with a signed checkpoint.
//   - -incremental: read only the lines from the segment on that contains the
//     end of -known. Changes before that segment are not found.
//   - -closed: accept no record and no part of a line after the last
//     checkpoint. It needs a -key.
//   - -pruned: accept that the oldest segments are missing.
//
// # Cat and follow
//
// Cat prints the events, one per line, from number -from on. It selects them by
// time (RFC 3339, without -until itself), by actor and by target (the ID, the
// type, or type/id). With -json it prints the JSON form of the events, without
// the fields of the chain. With -lines it prints the bytes of the log: the hash
// of a line in a proof is SHA-256 over a zero byte and the line without its
// end. Cat checks the form of the lines but not the chain.
//
// Follow prints the same and waits for new events until it is interrupted. It
// checks that each line contains the hash of the line before. With -cursor it
// keeps its place in a file, which it replaces after each event, and continues
// there. A crash between the two repeats a single event, with the same number.
//
// # Append, rotate and head
//
// Append reads events as lines of JSON from standard input, in the form that
// cat -json prints. It fills in a missing time and ID, appends the events to
// the log in DIR, creates the log if it does not exist, and prints its head.
// All events are on the disk when it ends. It stops at the first wrong line;
// the events before it are in the log. Other programs cannot write the log at
// the same time.
//
// The flags of append and rotate are:
//
//   - -sign: a file with the private key that seals the log. Without the flag,
//     the events stay unsealed.
//   - -previous: the file with the key that -sign replaces.
//   - -mark: the file of the mark, if the mark is not in DIR.
//
// Rotate starts another segment. Head prints the number of records and the root
// of the last checkpoint, for -known, or with -note the signed checkpoint. With
// -key it checks the signature. It does not verify the log.
//
// # Prove and check
//
// Prove prints the proof that record SEQ is in the log, in the form of
// c2sp.org/tlog-proof. Check reads a proof and prints the record. It needs the
// public key but not the log.
//
// # Keygen
//
// Keygen writes a new private key to FILE, which must not exist, and prints the
// public key.
//
// # Exit status
//
//   - 0: the log is clean, or the command has succeeded, or follow was
//     interrupted. The command help, which prints the flags, also ends with 0.
//   - 1: the log was tampered with. A file with the name of a segment and other
//     content counts as tampering, because an attacker can overwrite a segment.
//   - 2: error: a file is missing or unreadable, the command line or an event
//     is wrong, another program writes the log, or the records of the known
//     head were removed.
//     A line on standard error contains the reason.
package main
