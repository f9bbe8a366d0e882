package tiles

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"

	"github.com/redoubt-go/redoubt/audit/ledger"
)

// Prove returns the proof that the checkpoint of the export in fsys covers
// record seq. It reads an entry bundle and a few tiles. If the checkpoint is
// cosigned, so is the proof. Prove verifies no signature: that is the task of
// the receiver of the proof.
//
// Errors:
//
//   - fs.ErrNotExist if the checkpoint does not cover the record, or if its
//     tiles are missing;
//   - ErrTampered of package ledger if the tiles do not fit the checkpoint;
//   - ErrFormat of package ledger, the errors of fsys.
func Prove(fsys fs.FS, seq uint64) (*ledger.Proof, error) {
	note, err := fs.ReadFile(fsys, checkpointName)
	if err != nil {
		return nil, fmt.Errorf("tiles: %w", err)
	}
	cp, err := parseCheckpoint(string(note))
	if err != nil {
		return nil, err
	}
	if seq >= cp.Size {
		return nil, fmt.Errorf("tiles: record %d: no checkpoint covers it: %w", seq, fs.ErrNotExist)
	}
	r := reader{fsys: fsys, size: cp.Size, tiles: map[string][]ledger.Hash{}}
	line, err := r.entry(seq)
	if err != nil {
		return nil, err
	}
	root, hashes := r.path(seq, 0, cp.Size)
	switch {
	case r.err != nil:
		return nil, r.err
	case root != cp.Root || r.node(0, seq) != leafHash(line):
		return nil, tamperError("the tiles of record %d do not fit the checkpoint", seq)
	}
	return &ledger.Proof{Index: seq, Line: line, Hashes: hashes, Note: cp.Note}, nil
}

// A reader reads the hashes of an export.
type reader struct {
	fsys  fs.FS
	size  uint64
	tiles map[string][]ledger.Hash
	err   error
}

// read reads a tile or a bundle. A full file may have replaced a partial file.
func (r *reader) read(level string, n uint64, width int) ([]byte, error) {
	data, err := fs.ReadFile(r.fsys, tilePath(level, n, width))
	if errors.Is(err, fs.ErrNotExist) && width < tileWidth {
		data, err = fs.ReadFile(r.fsys, tilePath(level, n, tileWidth))
	}
	return data, err
}

// width returns the width of tile n of a level.
func (r *reader) width(level int, n uint64) int {
	if n < r.size>>(tileHeight*(level+1)) {
		return tileWidth
	}
	return edgeWidth(r.size, level)
}

// entry returns the line of record seq.
func (r *reader) entry(seq uint64) ([]byte, error) {
	n, i := seq/tileWidth, int(seq%tileWidth)
	data, err := r.read("entries", n, r.width(0, n))
	if err == nil {
		if line, ok := entryOf(data, i); ok {
			return bytes.Clone(line), nil
		}
		return nil, tamperError("%s is malformed", tilePath("entries", n, r.width(0, n)))
	}
	if errors.Is(err, fs.ErrNotExist) {
		data, err = r.read("lines", n, r.width(0, n))
	}
	if err != nil {
		return nil, fmt.Errorf("tiles: %w", err)
	}
	all := bytes.Split(data, []byte("\n"))
	if i >= len(all) {
		return nil, tamperError("%s is malformed", tilePath("lines", n, r.width(0, n)))
	}
	return bytes.Clone(all[i]), nil
}

// node returns the hash of the full subtree number n of a level of the tree,
// which has 1<<level leaves.
func (r *reader) node(level int, n uint64) ledger.Hash {
	if r.err != nil {
		return ledger.Hash{}
	}
	tileLevel, height := level/tileHeight, level%tileHeight
	first := n << height // node of the lowest level of the tile
	tile, from := first/tileWidth, int(first%tileWidth)
	width := r.width(tileLevel, tile)
	name := tilePath(levelName(tileLevel), tile, width)
	hashes := r.tiles[name]
	if hashes == nil {
		data, err := r.read(levelName(tileLevel), tile, width)
		if err != nil {
			r.err = fmt.Errorf("tiles: %w", err)
			return ledger.Hash{}
		}
		var ok bool
		if hashes, ok = parseTile(data, width); !ok {
			r.err = tamperError("%s is malformed", name)
			return ledger.Hash{}
		}
		r.tiles[name] = hashes
	}
	return fullHash(hashes[from : from+1<<height])
}

// mth returns the hash of the records lo to hi-1, where lo is a multiple of the
// largest power of two that is at most hi-lo.
func (r *reader) mth(lo, hi uint64) ledger.Hash {
	if n := hi - lo; n&(n-1) == 0 {
		level := bits.TrailingZeros64(n)
		return r.node(level, lo>>level)
	}
	k := split(hi - lo)
	left := r.mth(lo, lo+k)
	return nodeHash(left, r.mth(lo+k, hi))
}

// split returns the largest power of two below n, where RFC 6962 divides n > 1
// leaves.
func split(n uint64) uint64 { return 1 << (bits.Len64(n-1) - 1) }

// path is PATH of RFC 6962, section 2.1.1.
func (r *reader) path(m, lo, hi uint64) (root ledger.Hash, proof []ledger.Hash) {
	if hi == lo+1 {
		return r.node(0, lo), nil
	}
	k := split(hi - lo)
	if m < lo+k {
		left, proof := r.path(m, lo, lo+k)
		right := r.mth(lo+k, hi)
		return nodeHash(left, right), append(proof, right)
	}
	left := r.mth(lo, lo+k)
	right, proof := r.path(m, lo+k, hi)
	return nodeHash(left, right), append(proof, left)
}
