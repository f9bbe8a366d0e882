package tiles

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"strconv"

	"github.com/redoubt-go/redoubt/audit/ledger"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	maxLevels  = 64 / tileHeight
)

// leafHash returns the RFC 6962 hash of an entry.
func leafHash(line []byte) (h ledger.Hash) {
	d := sha256.New()
	_, _ = d.Write([]byte{0})
	_, _ = d.Write(line)
	d.Sum(h[:0])
	return h
}

// nodeHash returns the RFC 6962 hash of two subtrees.
func nodeHash(left, right ledger.Hash) ledger.Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// fullHash returns the hash of a full subtree over these nodes. Their number is
// a power of two.
func fullHash(nodes []ledger.Hash) ledger.Hash {
	if len(nodes) == 1 {
		return nodes[0]
	}
	half := len(nodes) / 2
	return nodeHash(fullHash(nodes[:half]), fullHash(nodes[half:]))
}

// A tree is the right edge of a log: the incomplete tile of each level.
type tree struct {
	size  uint64
	edges [maxLevels][]ledger.Hash
}

// push appends a leaf and calls full with each tile that it completes.
func (t *tree) push(h ledger.Hash, full func(level int, n uint64, tile []ledger.Hash) error) error {
	for level := range t.edges {
		t.edges[level] = append(t.edges[level], h)
		if len(t.edges[level]) < tileWidth {
			break
		}
		if err := full(level, t.size>>(tileHeight*(level+1)), t.edges[level]); err != nil {
			return err
		}
		h = fullHash(t.edges[level])
		t.edges[level] = t.edges[level][:0]
	}
	t.size++
	return nil
}

// root returns the hash of the log.
func (t *tree) root() (root ledger.Hash) {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	first := true
	for _, edge := range t.edges {
		for end := len(edge); end > 0; {
			width := 1 << bits.TrailingZeros(uint(end)) // of the last full subtree
			h := fullHash(edge[end-width : end])
			if end -= width; first {
				root, first = h, false
			} else {
				root = nodeHash(h, root)
			}
		}
	}
	return root
}

// levelName returns the name of a level in a path.
func levelName(level int) string { return strconv.Itoa(level) }

// edgeWidth returns the width of the incomplete tile at a level of a log.
func edgeWidth(size uint64, level int) int {
	return int(size >> (tileHeight * level) % tileWidth)
}

// tileBytes returns the content of a tile.
func tileBytes(hashes []ledger.Hash) []byte {
	b := make([]byte, 0, len(hashes)*sha256.Size)
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

// parseTile reads the first width hashes of a tile.
func parseTile(b []byte, width int) ([]ledger.Hash, bool) {
	if len(b)%sha256.Size != 0 || len(b) < width*sha256.Size || len(b) > tileWidth*sha256.Size {
		return nil, false
	}
	hashes := make([]ledger.Hash, width)
	for i := range hashes {
		copy(hashes[i][:], b[i*sha256.Size:])
	}
	return hashes, true
}

// maxEntry is the length of the longest entry of a bundle.
const maxEntry = 1<<16 - 1

// A bundle contains the lines of the incomplete entry bundle.
type bundle struct {
	text []byte // lines with their line ends
	ends []int  // of the lines, without the line ends
	long bool   // a line is longer than maxEntry
}

func (b *bundle) add(line []byte) {
	b.text = append(b.text, line...)
	b.ends = append(b.ends, len(b.text))
	b.text = append(b.text, '\n')
	b.long = b.long || len(line) > maxEntry
}

// entries returns the content of an entry bundle.
func (b *bundle) entries() []byte {
	out := make([]byte, 0, len(b.text)+len(b.ends))
	from := 0
	for _, end := range b.ends {
		out = binary.BigEndian.AppendUint16(out, uint16(end-from))
		out = append(out, b.text[from:end]...)
		from = end + 1
	}
	return out
}

// file returns the name and the content of bundle n.
func (b *bundle) file(n uint64) (name string, data []byte) {
	if b.long {
		return tilePath("lines", n, len(b.ends)), b.text
	}
	return tilePath("entries", n, len(b.ends)), b.entries()
}

// reset removes all lines.
func (b *bundle) reset() { b.text, b.ends, b.long = b.text[:0], b.ends[:0], false }

// entryOf returns entry i of an entry bundle.
func entryOf(data []byte, i int) ([]byte, bool) {
	for ; len(data) >= 2; i-- {
		n := int(binary.BigEndian.Uint16(data))
		if data = data[2:]; len(data) < n {
			break
		}
		if i == 0 {
			return data[:n], true
		}
		data = data[n:]
	}
	return nil, false
}
