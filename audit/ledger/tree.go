package ledger

import (
	"crypto/sha256"
	"encoding/base64"
	"math/bits"
	"strings"
)

// A Hash is the SHA-256 hash of a line or of a log.
type Hash [sha256.Size]byte

// String returns the standard base64 of h, as in the lines of a log.
func (h Hash) String() string { return base64.StdEncoding.EncodeToString(h[:]) }

// MarshalText returns the text of String.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads the text of String. The error matches [ErrFormat].
func (h *Hash) UnmarshalText(text []byte) error {
	if !decodeHash(h, text) {
		return formatError("hash is not the base64 of 32 bytes")
	}
	return nil
}

// strictBase64 accepts a single spelling of each text.
var strictBase64 = base64.StdEncoding.Strict()

// sextets contains the values of the letters of base64, and 0xFF for other
// bytes.
var sextets = func() (t [256]byte) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range t {
		t[i] = byte(strings.IndexByte(letters, byte(i)))
	}
	return t
}()

// decodeHash is the decoder of strictBase64 for the length of a hash. Each line
// contains a hash.
func decodeHash(h *Hash, text []byte) bool {
	const groups = len(h) / 3 // of four letters; then three letters and =
	if len(text) != 4*groups+4 || text[4*groups+3] != '=' {
		return false
	}
	bad := byte(0)
	for i := range groups {
		in, out := text[4*i:4*i+4], h[3*i:3*i+3]
		a, b, c, d := sextets[in[0]], sextets[in[1]], sextets[in[2]], sextets[in[3]]
		bad |= a | b | c | d
		out[0], out[1], out[2] = a<<2|b>>4, b<<4|c>>2, c<<6|d
	}
	a, b, c := sextets[text[4*groups]], sextets[text[4*groups+1]], sextets[text[4*groups+2]]
	h[3*groups], h[3*groups+1] = a<<2|b>>4, b<<4|c>>2
	return bad|a|b|c < 64 && c&3 == 0
}

// A Head is the state of a log: the number of records and their Merkle tree
// hash. Two logs with the same head have the same bytes.
type Head struct {
	Size uint64 `json:"size"` // records, including service records
	Root Hash   `json:"root"` // RFC 6962 tree hash of all lines
}

// leafHash returns the RFC 6962 hash of a line without its line end.
func leafHash(line []byte) (h Hash) {
	d := sha256.New()
	_, _ = d.Write([]byte{0})
	_, _ = d.Write(line)
	d.Sum(h[:0])
	return h
}

// nodeHash returns the RFC 6962 hash of two subtrees. Its first byte differs
// from the first byte of a leaf, so that a line cannot be used as a node.
func nodeHash(left, right Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// A tree is the compact range of a growing log: the roots of the full subtrees,
// whose sizes are the powers of two in size.
type tree struct {
	size uint64
	full [64]Hash // full[i] covers 1<<i leaves; valid if bit i of size is set
}

// push appends a leaf and merges full subtrees of equal size.
func (t *tree) push(h Hash) {
	i := 0
	for ; t.size>>i&1 == 1; i++ {
		h = nodeHash(t.full[i], h)
	}
	t.full[i] = h
	t.size++
}

// root hashes the subtrees from the smallest to the largest.
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

// roots returns the subtrees from the largest, which is the leftmost, to the
// smallest.
func (t *tree) roots() []Hash {
	var hs []Hash
	for i := len(t.full) - 1; i >= 0; i-- {
		if t.size>>i&1 == 1 {
			hs = append(hs, t.full[i])
		}
	}
	return hs
}

// newTree returns the tree of size leaves with these roots. It reports whether
// the number of roots fits.
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

// A lateTree is a tree that keeps its last maxLag leaves, so that it also has
// the roots of its last sizes.
type lateTree struct {
	old     tree
	leaves  []Hash // a ring whose length is a power of two
	first   int    // index of the first leaf after old
	count   int
	watch   uint64 // size whose root is kept in watched
	watched Hash
}

func (t *lateTree) size() uint64 { return t.old.size + uint64(t.count) }

// push appends a leaf.
func (t *lateTree) push(h Hash) {
	if t.count == maxLag {
		t.merge()
	}
	if t.count == len(t.leaves) {
		grown := make([]Hash, max(2*t.count, 64))
		n := copy(grown, t.leaves[t.first:])
		copy(grown[n:], t.leaves[:t.first])
		t.leaves, t.first = grown, 0
	}
	t.leaves[(t.first+t.count)&(len(t.leaves)-1)] = h
	t.count++
}

// merge moves a leaf to old.
func (t *lateTree) merge() {
	if t.old.size == t.watch {
		t.watched = t.old.root()
	}
	t.old.push(t.leaves[t.first])
	t.first = (t.first + 1) & (len(t.leaves) - 1)
	t.count--
}

// at returns the tree of size leaves, and reports whether it is known. Roots of
// smaller trees are not known after the call.
func (t *lateTree) at(size uint64) (*tree, bool) {
	if size < t.old.size || size > t.size() {
		return nil, false
	}
	for t.old.size < size {
		t.merge()
	}
	if size == t.watch {
		t.watched = t.old.root()
	}
	return &t.old, true
}
