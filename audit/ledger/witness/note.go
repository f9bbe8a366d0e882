package witness

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// Bounds of a note, as in golang.org/x/mod/sumdb/note.
const (
	maxNote       = 1_000_000 // bytes
	maxSignatures = 100       // lines
)

// strictBase64 accepts a single spelling of each value.
var strictBase64 = base64.StdEncoding.Strict()

// A Cosignature is the statement of a witness that a checkpoint continues all
// checkpoints of the log that the witness has seen before.
type Cosignature struct {
	Witness string    // name of the witness in the policy
	Key     *Key      // key of the witness
	Time    time.Time // when the witness signed, by its clock
}

// A Checkpoint is a checkpoint of a log with the valid cosignatures of the
// witnesses of a policy.
type Checkpoint struct {
	ledger.Checkpoint
	Cosignatures []Cosignature // in the order of the policy
}

// A signature is a signature line of a note.
type signature struct {
	name string
	raw  []byte // the key identifier and the signature
	line string // with its line end
}

// by reports whether the line names the key k.
func (s signature) by(k *Key) bool { return s.name == k.name && binary.BigEndian.Uint32(s.raw) == k.id }

// A note is a signed note whose text looks like a checkpoint.
type note struct {
	text string // up to the empty line
	sigs []signature
}

// parseNote reads a note without verifying a signature.
func parseNote(s string) (n note, err error) {
	split := strings.LastIndex(s, "\n\n")
	if split < 0 || len(s) > maxNote || strings.Count(s[:split], "\n") < 2 || strings.Contains(s[:split], "\n\n") || s[0] == '\n' {
		return n, formatError("checkpoint is malformed")
	}
	n.text = s[:split+1]
	if !isText(n.text) {
		return n, formatError("checkpoint is malformed")
	}
	n.sigs, err = parseSignatures(s[split+2:])
	return n, err
}

// parseSignatures reads signature lines.
func parseSignatures(s string) (sigs []signature, err error) {
	if !isText(s) || !strings.HasSuffix(s, "\n") || strings.Count(s, "\n") > maxSignatures {
		return nil, formatError("signature lines are malformed")
	}
	for line := range strings.Lines(s) {
		rest, dash := strings.CutPrefix(line, "— ")
		name, data, found := strings.Cut(strings.TrimSuffix(rest, "\n"), " ")
		raw, err := strictBase64.DecodeString(data)
		if !dash || !found || !isName(name) || err != nil || len(raw) <= 4 {
			return nil, formatError("signature line %s is malformed", quote.Text(strings.TrimSuffix(line, "\n")))
		}
		sigs = append(sigs, signature{name, raw, line})
	}
	return sigs, nil
}

// isText reports whether a note may contain s.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 && r != '\n' })
}

// find returns the first signature line by k and its time. A line that names k
// and is invalid makes the whole note invalid.
func find(text string, sigs []signature, k *Key) (s signature, at time.Time, err error) {
	for _, s := range sigs {
		if !s.by(k) {
			continue
		}
		at, ok := k.verify(text, s.raw)
		if !ok {
			return s, at, tamperError("cosignature of %s is invalid", quote.Name(k.name))
		}
		return s, at, nil
	}
	return s, at, nil
}
