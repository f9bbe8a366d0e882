package ledger

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// hashesName is the file of the stored hashes in the directory of the log.
const hashesName = "hashes"

// The stored hashes are the tree hashes of blocks of blockLen records, and of
// the full subtrees above them, in the order in which they become complete.
// Before the hashes of a block is the offset of the line after it. The file is
// only a shortcut: nothing that is computed with it is used before its root is
// equal to a root in the log.
const (
	blockLevel = 6
	blockLen   = 1 << blockLevel

	storeDelay = time.Second // after which the hashes of a block are written
	storeBatch = 1 << 10     // bytes that are written without delay
)

// blockAt returns the offset of block n in the file. There are 2n nodes above
// the first n blocks, without the nodes that are incomplete.
func blockAt(n uint64) int64 {
	return int64(8*n + uint64(len(Hash{}))*(2*n-uint64(bits.OnesCount64(n))))
}

// blocksIn returns the number of complete blocks in size bytes.
func blocksIn(size int64) uint64 {
	n := uint64(size) / (8 + 2*uint64(len(Hash{})))
	for blockAt(n+1) <= size {
		n++
	}
	return n
}

// blocks returns the tree whose leaves are the blocks.
func (t *tree) blocks() (b tree) {
	b.size = t.size >> blockLevel
	copy(b.full[:], t.full[blockLevel:])
	return b
}

// addBlock appends a block to the stored form. Nodes are its hash and the
// hashes of the subtrees that it completes. End is the offset after its last
// line.
func addBlock(b []byte, end int64, nodes []Hash) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(end))
	for _, h := range nodes {
		b = append(b, h[:]...)
	}
	return b
}

// A hashStore is the file of the stored hashes of a writer. Open uses it, then
// the chore, then Close.
type hashStore struct {
	f       file   // nil if the file cannot be used
	next    uint64 // blocks in the file
	synced  uint64 // blocks before this segment are on the disk
	retryAt time.Time
}

// write appends blocks in their stored form.
func (s *hashStore) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	n, err := s.f.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err == nil {
		s.next = blocksIn(blockAt(s.next) + int64(n))
	}
	return err
}

// truncate removes the blocks from n on, or appends unknown blocks.
func (s *hashStore) truncate(n uint64) error {
	s.next = n
	return s.f.Truncate(blockAt(n))
}

// openHashes opens the stored hashes and removes wrong hashes. A fault of the
// file is no fault of the log.
func (l *Ledger) openHashes(ctx context.Context) {
	path := filepath.Join(l.dir, hashesName)
	f, err := l.files.Open(path)
	if err != nil {
		// Such as a link. Remove fails if there is no file.
		_ = l.files.Remove(path)
		f, err = l.files.Create(path)
	}
	if l.hashes.f = f; err == nil {
		err = l.checkHashes()
	}
	if err != nil {
		l.rehashing(ctx, err)
	}
}

// rehashing reports that stored hashes cannot be used.
func (l *Ledger) rehashing(ctx context.Context, err error) {
	l.counters.rehashes.Add(1)
	l.post(ctx, EventKindRehash, fmt.Errorf("ledger: stored hashes: %w", err))
}

// pendingFrom returns the number of the first block in l.at.blocks.
func (l *Ledger) pendingFrom() uint64 {
	return blocksIn(blockAt(l.at.tree.size>>blockLevel) - int64(len(l.at.blocks)))
}

// checkHashes compares the file with the headers of the segments, up to the
// blocks that Open has read, and with these blocks. It removes all hashes after
// the last header that confirms them. The chore computes them again.
func (l *Ledger) checkHashes() error {
	s, from := &l.hashes, l.pendingFrom()
	st, err := s.f.Stat()
	if err != nil {
		return err
	}
	var t tree
	r := bufio.NewReader(nil)
	for i, first := range l.segs {
		before, err := treeBefore(os.DirFS(l.dir), first)
		want := before.blocks()
		if err != nil || want.size > from {
			break
		}
		if t.size < want.size && i > 0 {
			r.Reset(io.NewSectionReader(s.f, blockAt(t.size), blockAt(want.size)-blockAt(t.size)))
			if !t.replay(r, want.size) || t.root() != want.root() {
				err = fmt.Errorf("not as in the header of %s", segmentName(first))
				return errors.Join(err, s.truncate(s.next))
			}
		}
		t, s.next = want, want.size
	}
	if s.next < from {
		return errors.Join(errors.New("header is missing"), s.truncate(s.next))
	}
	tail := make([]byte, max(min(st.Size()-blockAt(from), int64(len(l.at.blocks))), 0))
	if _, err := s.f.ReadAt(tail, blockAt(from)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	tail = tail[:blockAt(blocksIn(blockAt(from)+int64(len(tail))))-blockAt(from)]
	if !bytes.HasPrefix(l.at.blocks, tail) {
		return errors.Join(errors.New("not as in the last segment"), s.truncate(from))
	}
	l.at.blocks = l.at.blocks[len(tail):]
	if end := blockAt(from) + int64(len(tail)); end != st.Size() {
		return s.truncate(blocksIn(end))
	}
	s.next = blocksIn(st.Size())
	return nil
}

// replay adds stored blocks up to size to a tree of blocks. It reports whether
// the hashes of all subtrees fit.
func (t *tree) replay(r io.Reader, size uint64) bool {
	var want, got []byte
	var nodes []Hash
	for t.size < size {
		got = slices.Grow(got[:0], int(blockAt(t.size+1)-blockAt(t.size)))[:blockAt(t.size+1)-blockAt(t.size)]
		if _, err := io.ReadFull(r, got); err != nil {
			return false
		}
		nodes = t.grow(Hash(got[8:8+len(Hash{})]), nodes[:0])
		want = addBlock(want[:0], 0, nodes)
		if !bytes.Equal(got[8:], want[8:]) {
			return false
		}
	}
	return true
}

// keepHashes writes the hashes of new records. It reads the log if hashes
// before them are missing.
func (l *Ledger) keepHashes(ctx context.Context) {
	s := &l.hashes
	if s.f == nil {
		return
	}
	l.mu.Lock()
	b, from, segs := l.at.blocks, l.pendingFrom(), slices.Clone(l.segs)
	l.at.blocks = nil
	l.mu.Unlock()
	var err error
	if s.next < from {
		err = l.rehash(ctx, segs, from)
	}
	if err == nil {
		err = s.write(b)
	}
	if last := segs[len(segs)-1]; err == nil && s.synced < last {
		s.synced, err = last, l.config.Sync.file(s.f)
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.retryAt = time.Now().Add(sealRetry)
	if errors.Is(err, ErrTampered) { // no hashes of a changed log
		_ = s.f.Close()
		s.f = nil
	}
	l.rehashing(ctx, err)
}

// rehash computes the hashes of the blocks up to block n from the log, from the
// last segment on whose blocks before it are stored.
func (l *Ledger) rehash(ctx context.Context, segs []uint64, n uint64) error {
	s, fsys := &l.hashes, os.DirFS(l.dir)
	i := len(segs) - 1
	for i > 0 && segs[i]>>blockLevel > s.next {
		i--
	}
	if err := s.truncate(segs[i] >> blockLevel); err != nil {
		return err
	}
	var p position
	var err error
	for ; i < len(segs) && err == nil && s.next < n; i++ {
		before, herr := treeBefore(fsys, segs[i])
		if p.tree.size == 0 {
			p.tree = before
		}
		if p.off = 0; herr != nil {
			return herr
		}
		if p.tree.head() != before.head() {
			return tamperError("header of %s does not fit", segmentName(segs[i]))
		}
		linesOf(fsys, segmentName(segs[i]), 0, 0, func(line textLine, lerr error) bool {
			if err = errors.Join(lerr, done(ctx, "hash")); err != nil {
				return false
			}
			p.add(line.text)
			if len(p.blocks) >= chunkSize {
				err = s.write(p.blocks)
				p.blocks = p.blocks[:0]
			}
			return p.tree.size < n<<blockLevel && err == nil
		})
		if err == nil {
			err = s.write(p.blocks)
			p.blocks = p.blocks[:0]
		}
	}
	if err == nil && s.next < n {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// closeHashes writes the last blocks. The caller holds l.mu.
func (l *Ledger) closeHashes() {
	s := &l.hashes
	if s.f == nil || l.storer.busy {
		return
	}
	if s.next == l.pendingFrom() {
		_ = s.write(l.at.blocks) // the next Open completes them
	}
	_ = s.f.Close()
	s.f = nil
}

// treeBefore reads the header of a segment and returns the tree over the
// records before it.
func treeBefore(fsys fs.FS, seg uint64) (t tree, err error) {
	err = fmt.Errorf("ledger: %s is empty: %w", segmentName(seg), fs.ErrNotExist)
	linesOf(fsys, segmentName(seg), 0, 0, func(line textLine, lerr error) bool {
		if err = lerr; err != nil {
			return false
		}
		seq, _, ok := parseLine(line.text)
		h, isHeader := parseHeader(line.text)
		var fits bool
		if t, fits = newTree(seq, h.Range); !ok || !isHeader || !fits {
			err = formatError("%s is not a header", line.place())
		}
		return false
	})
	return t, err
}

// A storedHashes is the file of the stored hashes of a reader. Nil is an empty
// file.
type storedHashes struct {
	r      io.ReaderAt
	blocks uint64
}

// readHashes calls do with the stored hashes in fsys.
func readHashes(fsys fs.FS, do func(*storedHashes)) {
	f, err := fsys.Open(hashesName)
	if err != nil {
		do(nil)
		return
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	r, ok := f.(io.ReaderAt)
	if err != nil || !ok {
		do(nil)
		return
	}
	do(&storedHashes{r: r, blocks: blocksIn(st.Size())})
}

// node returns the hash of the records lo to hi-1, if it is stored.
func (s *storedHashes) node(lo, hi uint64) (h Hash, ok bool) {
	size := hi - lo
	if s == nil || size < blockLen || size&(size-1) != 0 || lo%size != 0 || hi>>blockLevel > s.blocks {
		return h, false
	}
	level := bits.Len64(size) - 1 - blockLevel
	_, err := s.r.ReadAt(h[:], blockAt(hi>>blockLevel-1)+8+int64(level*len(h)))
	return h, err == nil
}

// find returns a record up to seq and the place of its line: the index of its
// segment in segs and its offset there. The first segment must start up to seq.
func (s *storedHashes) find(segs []uint64, seq uint64) (at uint64, i int, off int64) {
	for i = len(segs) - 1; segs[i] > seq; i-- {
		continue
	}
	if s != nil {
		var end [8]byte
		n := min(seq>>blockLevel, s.blocks)
		if at = n << blockLevel; at > segs[i] {
			_, err := s.r.ReadAt(end[:], blockAt(n-1))
			if off = int64(binary.BigEndian.Uint64(end[:])); err == nil && off > 0 {
				return at, i, off
			}
		}
	}
	return segs[i], i, 0
}
