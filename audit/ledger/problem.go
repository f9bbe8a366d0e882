package ledger

import (
	"fmt"
	"strconv"
)

// A Kind is the kind of a [Problem].
type Kind uint8

// The kinds of problems.
const (
	KindAltered   Kind = iota // the bytes of the records were changed
	KindRemoved               // the records are missing
	KindInserted              // the records, or other lines, were added
	KindReordered             // the records are complete but in another order
	KindTruncated             // the log ends before the known head
	KindRewritten             // the log is consistent but differs from the known head or from a checkpoint
	KindBadSeal               // the signature of a checkpoint is invalid or not by the current key
	KindUnsealed              // too many records, or all, have no checkpoint
	KindForked                // the keys have signed two logs: this log and a log with the known head
)

// String returns the name in lower case.
func (k Kind) String() string {
	names := [...]string{"altered", "removed", "inserted", "reordered", "truncated", "rewritten", "badly sealed", "unsealed", "forked"}
	if int(k) < len(names) {
		return names[k]
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// A Problem is a place where the log is not as it was written.
type Problem struct {
	Kind    Kind   // kind of change
	From    uint64 // first record; for inserted lines that are not records, the record after them
	To      uint64 // last record, From or greater
	Segment string // file name
	Line    int    // line in the file, from 1; the last line for KindTruncated
	Offset  int64  // byte offset of the line
}

// String returns the problem in the form "record 3 altered
// (00000000000000000000.jsonl:4, offset 812)".
func (p Problem) String() string {
	records := "record " + strconv.FormatUint(p.From, 10)
	if p.To > p.From {
		records = fmt.Sprintf("records %d-%d", p.From, p.To)
	}
	return fmt.Sprintf("%s %s (%s:%d, offset %d)", records, p.Kind, p.Segment, p.Line, p.Offset)
}
