// Command ledger reads the audit logs that package audit/ledger writes.
//
//	ledger verify [-key K]... [-known H] [-closed] [-pruned] DIR
//	ledger cat [-since T] [-until T] [-actor A] [-target X] [-json] DIR
//	ledger prove DIR SEQ
//	ledger check -key K... FILE
//	ledger keygen NAME FILE
//
// Verify checks every line of the log in DIR and prints what it found, a problem a
// line, and at the end one line that begins with the verdict, clean or tampered with,
// and ends with the head: the number of records and their root, to be kept elsewhere
// for the next time. Times that go back by a second or more are a warning, not a
// verdict: clocks are set, and the numbers say the order.
//
// With -key it also checks the seals; keys are given in the order in which they were
// in use, each as a text or as a file that holds one. -known is an earlier
// state of the log: SIZE:ROOT as verify prints it, or a file with a signed
// checkpoint. -closed accepts no record behind the last seal, -pruned accepts that
// the oldest segments are gone.
//
// Cat prints the events, one a line, between two times (RFC 3339, -until not
// included), of one actor, of one target (its id, its type, or type/id), or as the
// JSON in which they were recorded. It checks their form and not the chain.
//
// Prove prints the proof that record SEQ is in the log, in the form of
// c2sp.org/tlog-proof. Check reads such a proof and prints the record: it needs the
// key and nothing of the log.
//
// Keygen writes a new private key to FILE, which must not exist, and prints the
// public key.
//
// # Exit status
//
// 0 means clean, 1 tampered with, 2 that it cannot be told: a file is missing or
// unreadable, or the command line is wrong; one line on standard error says what.
// A file that has the name of a segment and holds something else is tampered with:
// overwriting a log must not pass for a slip of the command line.
// The command help, which prints the flags, also ends with 0.
package main
