package ledger

import (
	"context"
	"io/fs"
	"path/filepath"
)

// MaxLine is the bound of a line, ChunkSize the size of a read, MaxLag the
// number of lines between a checkpoint and the lines that it covers.
const (
	MaxLag    = maxLag
	MaxLine   = maxLine
	ChunkSize = chunkSize
)

// A Place is the place of a line, and its hash.
type Place struct {
	Segment uint64
	Line    int
	Offset  int64
	Leaf    Hash
}

// Places reads segments as Verify does.
func Places(fsys fs.FS, segs ...uint64) (places []Place, torn int64, err error) {
	torn, err = readAll(context.Background(), fsys, segs, -1, nil, func(e *entry) bool {
		places = append(places, Place{e.seg, e.line, e.off, e.leaf})
		return true
	})
	return places, torn, err
}

// File and Storage are the interfaces for injecting faults.
type (
	File    = file
	Storage = storage
)

// OS is the file system.
var OS Storage = osStorage{}

// OpenOn is Open with another storage.
func OpenOn(ctx context.Context, s Storage, dir string, c Config) (*Ledger, error) {
	return openOn(ctx, s, dir, c)
}

// WrapFile puts wrap between l and its segments.
func WrapFile(l *Ledger, wrap func(File) File) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.f = wrap(l.f)
	l.files = wrapped{l.files, wrap}
}

type wrapped struct {
	storage
	wrap func(File) File
}

func (w wrapped) Create(path string) (file, error) {
	f, err := w.storage.Create(path)
	if err != nil || filepath.Ext(path) != ".jsonl" {
		return f, err
	}
	return w.wrap(f), nil
}

// TreeRoot returns the root over the lines by the compact range.
func TreeRoot(lines [][]byte) Hash {
	var t tree
	for _, line := range lines {
		t.push(leafHash(line))
	}
	return t.root()
}

// ParseLine parses a line.
func ParseLine(line []byte) (seq uint64, prev Hash, ok bool) { return parseLine(line) }

// Waiting returns the number of events in the next commit.
func Waiting(l *Ledger) int {
	l.joinMu.Lock()
	defer l.joinMu.Unlock()
	if l.joined == nil {
		return 0
	}
	return len(l.joined.ends)
}

// LeafHash returns the hash of a line.
func LeafHash(line []byte) Hash { return leafHash(line) }

// A Tree is the compact range of a growing log.
type Tree struct{ t tree }

// Push appends a line.
func (t *Tree) Push(line []byte) { t.t.push(leafHash(line)) }

// Roots returns the range for a header.
func (t *Tree) Roots() []Hash { return t.t.roots() }

// SignHead returns the note of a checkpoint over any head.
func SignHead(origin string, h Head, signers ...*Signer) (note string, err error) {
	return signNote(context.Background(), Checkpoint{Head: h, Origin: origin}.text(), signers)
}

// Classify classifies a line with the number seq. Cur is the number of the last
// record in sequence, and after the number of the line after it, -1 if there is
// none. Follows means that the line contains the hash of cur, and confirmed
// that the line after it contains the hash of the line.
func Classify(cur, seq uint64, after int64, follows, confirmed bool) string {
	last := entry{ok: true, seq: cur, leaf: Hash{1}}
	e := entry{ok: true, seq: seq, leaf: Hash{2}}
	if follows {
		e.prev = last.leaf
	}
	var next *entry
	if after >= 0 {
		next = &entry{ok: true, seq: uint64(after)}
		if confirmed {
			next.prev = e.leaf
		}
	}
	c := cursor{cur: last, next: cur + 1, linked: true}
	names := [...]string{"in sequence", "not in place", "supersedes", "renumbered", "replacement", "after a gap"}
	return names[c.classify(&e, next)]
}

// Signing returns 1 while a checkpoint is signed, otherwise 0.
func Signing(l *Ledger) int { return len(l.sealing) }

// HeadAfter returns the head of the removed records with these roots and the
// lines after them.
func HeadAfter(first uint64, roots []Hash, lines [][]byte) Head {
	t, _ := newTree(first, roots)
	for _, line := range lines {
		t.push(leafHash(line))
	}
	return t.head()
}
