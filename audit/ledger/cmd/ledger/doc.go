// Command ledger verifies and reads the audit logs of package audit/ledger.
//
//	ledger verify [-key K]... [-known H] [-closed] [-pruned] DIR
//	ledger cat [-since T] [-until T] [-actor A] [-target X] [-json] DIR
//	ledger prove DIR SEQ
//	ledger check -key K... FILE
//	ledger keygen NAME FILE
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
//   - -closed: accept no record and no part of a line after the last
//     checkpoint.
//   - -pruned: accept that the oldest segments are missing.
//
// # Cat
//
// Cat prints the events, one per line. It selects them by time (RFC 3339,
// without -until itself), by actor and by target (the ID, the type, or
// type/id). With -json it prints the JSON form of the events, without the
// fields of the chain. It checks the form of the lines but not the chain.
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
//   - 0: the log is clean, or the command has succeeded. The command help,
//     which prints the flags, also ends with 0.
//   - 1: the log was tampered with. A file with the name of a segment and other
//     content counts as tampering, because an attacker can overwrite a segment.
//   - 2: error: a file is missing or unreadable, the command line is wrong, or
//     the records of the known head were removed.
//     A line on standard error contains the reason.
package main
