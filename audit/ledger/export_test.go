package ledger

import (
	"context"
	"io/fs"
)

// MaxLine is the bound of a line, and ChunkSize of what one read takes.
const (
	MaxLine   = maxLine
	ChunkSize = chunkSize
)

// Place is where a line stands and what it hashes to.
type Place struct {
	Segment uint64
	Line    int
	Offset  int64
	Leaf    Hash
}

// Places reads segments as Verify does.
func Places(fsys fs.FS, segs ...uint64) (places []Place, torn int64, err error) {
	torn, err = readAll(context.Background(), fsys, segs, func(e *entry) bool {
		places = append(places, Place{e.seg, e.line, e.off, e.leaf})
		return true
	})
	return places, torn, err
}

// File is the seam for faults of the file system.
type File = file

// WrapFile puts wrap between l and its file.
func WrapFile(l *Ledger, wrap func(File) File) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.f = wrap(l.f)
	create := l.create
	l.create = func(path string) (file, error) {
		f, err := create(path)
		if err != nil {
			return nil, err
		}
		return wrap(f), nil
	}
}

// TreeRoot is the root over leaves by the compact range.
func TreeRoot(lines [][]byte) Hash {
	var t tree
	for _, line := range lines {
		t.push(leafHash(line))
	}
	return t.root()
}

// ParseLine is the parser of lines.
func ParseLine(line []byte) (seq uint64, prev Hash, ok bool) { return parseLine(line) }

// Waiting is the number of events that wait for the next commit.
func Waiting(l *Ledger) int {
	l.joinMu.Lock()
	defer l.joinMu.Unlock()
	if l.joined == nil {
		return 0
	}
	return len(l.joined.ends)
}

// LeafHash is the hash of one line.
func LeafHash(line []byte) Hash { return leafHash(line) }

// Tree is the compact range of a growing log.
type Tree struct{ t tree }

// Push appends a line.
func (t *Tree) Push(line []byte) { t.t.push(leafHash(line)) }

// Roots is what a header says of it.
func (t *Tree) Roots() []Hash { return t.t.roots() }

// SignHead is the note of a checkpoint, over whatever head.
func SignHead(origin string, h Head, signers ...*Signer) (note string, err error) {
	return signNote(Checkpoint{Head: h, Origin: origin}.text(), signers)
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
