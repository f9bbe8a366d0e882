package ledger

import (
	"crypto/sha256"
	"encoding/base64"
	"math/bits"
)

// Hash is a SHA-256 digest: of a line, or of a whole log.
type Hash [sha256.Size]byte

// String returns the standard base64 of h, as it stands in the lines.
func (h Hash) String() string { return base64.StdEncoding.EncodeToString(h[:]) }

// MarshalText returns String.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads String back. The error matches [ErrFormat].
func (h *Hash) UnmarshalText(text []byte) error {
	if !decodeHash(h, text) {
		return formatError("hash is not the base64 of 32 bytes")
	}
	return nil
}

// strictBase64 gives each hash one spelling only.
var strictBase64 = base64.StdEncoding.Strict()

func decodeHash(h *Hash, text []byte) bool {
	if len(text) != base64.StdEncoding.EncodedLen(len(h)) {
		return false
	}
	var room [len(h) + 1]byte // Decode wants room for whole quanta
	n, err := strictBase64.Decode(room[:], text)
	copy(h[:], room[:])
	return err == nil && n == len(h)
}

// Head is the state of a log: how many records, and their tree hash. Two logs
// with one head have the same bytes.
type Head struct {
	Size uint64 `json:"size"` // records, the service records included
	Root Hash   `json:"root"` // RFC 6962 tree hash of all lines
}

// leafHash is the RFC 6962 hash of one line, without its line end.
func leafHash(line []byte) (h Hash) {
	d := sha256.New()
	_, _ = d.Write([]byte{0})
	_, _ = d.Write(line)
	d.Sum(h[:0])
	return h
}

// nodeHash is the RFC 6962 hash of two subtrees. Its first byte differs from that of
// a leaf, so that no line can pass for a node.
func nodeHash(left, right Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// tree is the compact range of a growing log: the roots of the full subtrees
// that the binary form of size names, nothing else.
type tree struct {
	size uint64
	full [64]Hash // full[i] covers 1<<i leaves, and counts if bit i of size is set
}

// push appends a leaf: every full subtree on the right edge carries into the next.
func (t *tree) push(h Hash) {
	i := 0
	for ; t.size>>i&1 == 1; i++ {
		h = nodeHash(t.full[i], h)
	}
	t.full[i] = h
	t.size++
}

// root folds the subtrees from the smallest to the largest.
func (t *tree) root() Hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	var h Hash
	first := true
	for i := range t.full {
		switch {
		case t.size>>i&1 == 0:
		case first:
			h, first = t.full[i], false
		default:
			h = nodeHash(t.full[i], h)
		}
	}
	return h
}

// roots returns the subtrees from the largest, and leftmost, to the smallest.
func (t *tree) roots() []Hash {
	var hs []Hash
	for i := len(t.full) - 1; i >= 0; i-- {
		if t.size>>i&1 == 1 {
			hs = append(hs, t.full[i])
		}
	}
	return hs
}

// newTree is the tree of size leaves that has these roots; ok is false if their
// number is wrong.
func newTree(size uint64, roots []Hash) (t tree, ok bool) {
	if len(roots) != bits.OnesCount64(size) {
		return t, false
	}
	t.size = size
	for i := len(t.full) - 1; i >= 0; i-- {
		if size>>i&1 == 1 {
			t.full[i], roots = roots[0], roots[1:]
		}
	}
	return t, true
}

func (t *tree) head() Head { return Head{Size: t.size, Root: t.root()} }
