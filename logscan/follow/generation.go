package follow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math"
	"time"
)

const (
	chunk   = 64 << 10 // bytes of a read
	quantum = 1 << 20  // bytes after which other files have their turn
)

// errCut reports that a file no longer contains the bytes that were read.
var errCut = errors.New("truncated")

// A generation is a file that has, or had, the name that is followed. It keeps
// the first and the last bytes that were read. Before more bytes are used,
// these are compared with the file. A file that was cut and has grown again is
// thus detected, even if it is longer than before and begins with the same KiB.
type generation struct {
	file     file // nil: closed while nothing happens
	name     string
	target   string // where the path led when it had the name
	packed   bool
	node                 // of the file
	origin   node        // of the first file, for the ID
	info     fs.FileInfo // when it was opened by its name
	pos      int64       // how far it was read, in bytes of the decoded stream
	size     int64       // stored bytes seen
	at       time.Time   // the file's time when size was seen
	grown    time.Time   // when size was seen to change
	head     []byte      // the first bytes, as they were read; nil if pos is from saved
	tail     []byte      // the bytes before pos, as they were read
	saved    place       // the place at pos, until head and tail are read
	mark     place       // bytes that were seen before any was read
	early    place       // the first place behind the first KiB where a read ended
	stored   place       // the end of a compressed file, as it is stored
	searched int64       // no record ends between pos and here
	lines    int64       // lines that were read since reading began
	dirty    bool        // there may be more to read
	done     bool        // there is nothing more to read
	fails    int         // failed reads in a row
	left     time.Time   // when another file took its name
	gap      *GapError   // reported when the generation is left
}

func (g *generation) close() {
	if g.file != nil {
		g.file.Close()
		g.file = nil
	}
}

// differs reports whether info, of a name, is not of the file of g, where files
// have no numbers.
func (g *generation) differs(info fs.FileInfo) bool {
	if g.file == nil {
		return true
	}
	own, err := g.file.Stat()
	return err != nil || own.Size() != info.Size() || !own.ModTime().Equal(info.ModTime())
}

// holds reports whether the file of g contains its bytes, and returns its size.
func (g *generation) holds() (size int64, ok bool, err error) {
	info, err := g.file.Stat()
	if err != nil || info.Size() < g.size {
		return 0, false, err
	}
	ok, err = g.evidence().of(g.file)
	return info.Size(), ok, err
}

// place returns the place up to which g was read.
func (g *generation) place() place {
	p := place{offset: g.pos, node: g.origin, at: g.time()}
	if g.pos > 0 && g.head == nil {
		p.sum, p.starts = g.saved.sum, g.saved.starts
	} else if g.pos > 0 {
		p.sum, p.starts = sums(g.head, g.tail), starts(g.head)
	}
	return p
}

// evidence returns the place that shows that a file has the bytes of g.
func (g *generation) evidence() place {
	if g.pos == 0 {
		return g.mark
	}
	return g.place()
}

// begins reports whether s, with this head and size, is a copy of the first
// bytes of g, which were read. Where too few bytes are known, only an earlier
// time shows it.
func (g *generation) begins(head []byte, size int64, s *sibling) bool {
	older := s.info.ModTime().Before(g.at)
	switch {
	case size == 0 || g.early.offset > 0 && size >= g.early.offset:
		return false
	case g.head == nil:
		return sameStart(g.saved.starts, starts(head)) && (len(head) >= startSizes[0] || older)
	}
	n := min(len(head), len(g.head))
	return bytes.Equal(head[:n], g.head[:n]) && (size <= headSize || older)
}

// time returns the time of the file, before which no later file was written. A
// packed file was written later.
func (g *generation) time() int64 {
	if g.packed {
		return 0
	}
	return g.at.UnixNano()
}

// id identifies the file of g by its numbers and its first line. It does not
// change when the file grows.
func (g *generation) id() uint64 {
	line := g.head
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	h := hash(line)
	for _, n := range [2]uint64{g.origin.dev, g.origin.ino} {
		for range 8 {
			h = (h ^ n&0xff) * prime
			n >>= 8
		}
	}
	return h
}

const prime = 1099511628211 // FNV-1a

func hash(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * prime
	}
	return h
}

// startSizes are the lengths of the prefixes in a checkpoint.
var startSizes = [4]int{32, 128, 512, headSize}

// starts returns hashes of the prefixes of head, or 0 for a prefix that is
// longer.
func starts(head []byte) (all [16]byte) {
	for i, n := range startSizes {
		if n <= len(head) {
			binary.BigEndian.PutUint32(all[4*i:], uint32(hash(head[:n])))
		}
	}
	return all
}

// sameStart reports whether no prefix that both have differs.
func sameStart(a, b [16]byte) bool {
	var none [4]byte
	for i := 0; i < len(a); i += 4 {
		if p, q := a[i:i+4], b[i:i+4]; !bytes.Equal(p, q) && !bytes.Equal(p, none[:]) && !bytes.Equal(q, none[:]) {
			return false
		}
	}
	return true
}

// load sets the place of g to offset. g.file must contain the bytes of g.
func (g *generation) load(offset int64) error {
	head, tail := make([]byte, min(offset, headSize)), make([]byte, min(offset, tailSize))
	if !g.packed { // a packed file is unpacked up to pos before it is read
		if err := readAll(g.file, head, 0); err != nil {
			return err
		}
		if err := readAll(g.file, tail, offset-int64(len(tail))); err != nil {
			return err
		}
		g.head, g.tail = head, tail
	}
	g.pos = offset
	return nil
}

// intact reports whether the first bytes are still those that were read or, if
// none were, those that were seen.
func (g *generation) intact() (bool, error) {
	if g.pos == 0 {
		return g.mark.of(g.file)
	}
	var buf [headSize]byte
	n, err := g.file.ReadAt(buf[:len(g.head)], 0)
	return bytes.Equal(buf[:n], g.head), noEOF(err)
}

// took keeps the bytes that were read.
func (g *generation) took(b []byte) {
	if room := headSize - len(g.head); room > 0 && g.pos == int64(len(g.head)) {
		g.head = append(g.head, b[:min(room, len(b))]...)
	}
	if len(b) >= tailSize {
		g.tail = append(g.tail[:0], b[len(b)-tailSize:]...)
	} else {
		g.tail = lastBytes(append(g.tail, b...))
	}
	g.pos += int64(len(b))
	g.lines += int64(bytes.Count(b, []byte{'\n'}))
	if g.early.offset == 0 && g.pos > headSize && !g.packed {
		g.early = place{offset: g.pos, sum: sums(g.head, g.tail)}
	}
}

// A burst is an input: the records of a generation that are complete now. It
// begins and ends between two records.
type burst struct {
	t      *trail
	g      *generation
	start  int64
	end    int64  // math.MaxInt64: the end of a packed file
	buf    []byte // of the loop; buf[0] has the offset at
	at     int64
	seeked bool  // a scan that begins within a file first asks for its format
	before int64 // lines before the burst

	packed io.ReadCloser // the decoder, behind buf
	final  bool          // an unfinished line is a record, too
	err    error         // why the decoder has ended

	handled int64 // Dir: behind the last record handled; negative: none
}

// next returns the records that are complete, or nil if there are none. If
// final, an unfinished line is a record.
func (t *trail) next(g *generation, final bool) (*burst, error) {
	b := &burst{t: t, g: g, start: g.pos, end: math.MaxInt64, final: final, buf: t.l.buf[:0], before: g.lines, handled: -1}
	if g.packed {
		return b, b.unpack()
	}
	if g.pos > 0 && g.head == nil {
		if err := g.load(g.pos); err != nil || g.place().sum != g.saved.sum {
			g.head, g.tail = nil, nil
			return nil, errors.Join(noShort(err), cutIf(noShort(err) == nil))
		}
	}
	if err := b.fill(); err != nil {
		return nil, err
	}
	if ok, err := g.intact(); err != nil || !ok { // after the read: no bytes before the first show a cut
		return nil, errors.Join(err, cutIf(err == nil))
	}
	n := b.until() - g.pos
	size := g.pos + n
	if n == 0 {
		return nil, cutIf(size < g.size)
	}
	if n == chunk { // the whole buffer
		info, err := g.file.Stat()
		if err != nil {
			return nil, err
		}
		size = max(size, info.Size())
	}
	if size < g.size {
		return nil, errCut
	}
	if size != g.size || g.grown.IsZero() {
		g.size, g.grown = size, time.Now()
	}
	var err error
	if b.end = size; !final {
		b.end, err = b.boundary(size)
	}
	if err != nil || b.end == g.pos {
		if err == nil && g.pos == 0 {
			g.mark = place{offset: n, sum: sums(b.buf[:min(n, headSize)], b.buf[max(0, n-tailSize):n])}
		}
		return nil, err
	}
	return b, nil
}

func cutIf(cut bool) error {
	if cut {
		return errCut
	}
	return nil
}

// until returns the offset behind the buffer.
func (b *burst) until() int64 { return b.at + int64(len(b.buf)) }

// fill reads the next bytes together with the bytes before them, in one read.
// If the latter are not those that were read, the file was cut.
func (b *burst) fill() error {
	g := b.g
	b.at = g.pos - int64(len(g.tail))
	buf := b.t.l.buf[:len(g.tail)+chunk]
	n, err := g.file.ReadAt(buf, b.at)
	if err != nil && err != io.EOF {
		return err
	}
	if n < len(g.tail) || !bytes.Equal(buf[:len(g.tail)], g.tail) {
		return errCut
	}
	b.buf = buf[:n]
	return nil
}

// boundary returns the offset behind the last record that is complete and
// begins within a quantum, or g.pos.
func (b *burst) boundary(size int64) (int64, error) {
	g := b.g
	low := max(g.pos, g.searched)
	for high := low; high < size; {
		from := high
		high = min(size, high+quantum)
		for to := high; to > from; {
			at := max(from, to-chunk)
			piece, err := b.piece(at, to)
			if err != nil {
				return g.pos, err
			}
			if i := b.t.l.lastEnd(piece, g, at, to == size); i > 0 && at+int64(i) > g.pos {
				return at + int64(i), nil
			}
			to = at
		}
	}
	if b.t.l.Scanner.Join == nil {
		g.searched = size
	}
	return g.pos, nil
}

// piece returns bytes of the file.
func (b *burst) piece(from, to int64) ([]byte, error) {
	if from >= b.at && to <= b.until() {
		return b.buf[from-b.at : to-b.at], nil
	}
	p := b.t.l.scratch[:to-from]
	if err := readAll(b.g.file, p, from); err != nil {
		return nil, errors.Join(noEOF(err), cutIf(err == io.EOF))
	}
	return p, nil
}

// lastEnd returns the index behind the last record in piece that is complete,
// or 0. A record that a Joiner may continue is not complete until Flush. Last
// means that the file ends with piece.
func (l *loop) lastEnd(piece []byte, g *generation, at int64, last bool) int {
	end := bytes.LastIndexByte(piece, '\n') + 1
	join := l.Scanner.Join
	if join == nil || end == 0 || last && end == len(piece) && l.Flush > 0 && time.Since(g.grown) >= l.Flush {
		return end
	}
	for end > 0 {
		start := bytes.LastIndexByte(piece[:end-1], '\n') + 1
		line := bytes.TrimSuffix(piece[start:end-1], []byte{'\r'})
		if (start > 0 || at == g.pos) && begins(join.Start, line) {
			return start
		}
		end = start
	}
	return 0
}

// begins is the rule of logscan.Joiner.
func begins(start func([]byte) bool, line []byte) bool {
	if start != nil {
		return start(line)
	}
	return len(line) > 0 && line[0] != ' ' && line[0] != '\t'
}

// unpack opens the decoder and unpacks the bytes before g.pos.
func (b *burst) unpack() error {
	g := b.g
	r, err := b.t.l.packer.open(g.file)
	if err != nil {
		return err
	}
	b.packed = r
	skip := g.pos
	g.pos, g.head, g.tail = 0, nil, nil
	lines := g.lines
	for g.pos < skip && err == nil {
		var n int
		n, err = r.Read(b.t.l.scratch[:min(chunk, skip-g.pos)])
		g.took(b.t.l.scratch[:n])
	}
	g.lines = lines
	if g.pos < skip {
		r.Close()
		g.pos = skip
		return errors.Join(noEOF(err), cutIf(err == io.EOF))
	}
	b.at = g.pos - int64(len(g.tail))
	b.buf = append(b.buf, g.tail...)
	return nil
}

// Read implements io.Reader. It ends early if the file was cut or cannot be
// read; the next burst meets the reason.
func (b *burst) Read(p []byte) (int, error) {
	g := b.g
	if b.start > 0 && !b.seeked || g.pos == b.end {
		return 0, io.EOF
	}
	if b.packed != nil {
		return b.readPacked(p)
	}
	if b.until() <= g.pos && b.fill() != nil || b.until() <= g.pos {
		return 0, io.EOF
	}
	data := b.buf[g.pos-b.at : min(b.until(), b.end)-b.at]
	if b.until() < b.end { // keep lines whole if the file is cut now
		if i := bytes.LastIndexByte(data, '\n'); i >= 0 {
			data = data[:i+1]
		}
	}
	return b.serve(p, data), nil
}

func (b *burst) serve(p, data []byte) int {
	n := copy(p, data)
	b.g.took(data[:n])
	b.t.l.count(func(s *Stats) { s.ReadBytes += uint64(n) })
	return n
}

// maxHeld bounds the unfinished line of a packed file that is held back.
const maxHeld = 1 << 20

// readPacked serves whole lines. If final, it serves the rest, too, and the
// error that has ended the decoder.
func (b *burst) readPacked(p []byte) (int, error) {
	g := b.g
	for {
		data := b.buf[g.pos-b.at:]
		end := bytes.LastIndexByte(data, '\n') + 1
		if len(data) >= maxHeld || b.final && b.err != nil {
			end = len(data)
		}
		if end > 0 {
			return b.serve(p, data[:end]), nil
		}
		if b.err != nil {
			if b.final {
				return 0, b.err
			}
			return 0, io.EOF
		}
		kept := max(b.at, g.pos-tailSize)
		rest := b.buf[kept-b.at:]
		if free := cap(b.buf) - len(rest); free < chunk/2 {
			b.buf = append(make([]byte, 0, 2*cap(b.buf)), rest...)
		} else {
			b.buf = append(b.buf[:0], rest...)
		}
		b.at = kept
		n, err := b.packed.Read(b.buf[len(b.buf):cap(b.buf)])
		b.buf, b.err = b.buf[:len(b.buf)+n], err
	}
}

// Seek implements io.Seeker for a scan that begins at an offset.
func (b *burst) Seek(off int64, whence int) (int64, error) {
	b.seeked = true
	if whence == io.SeekEnd {
		return math.MaxInt64, nil
	}
	return off, nil
}

// Close implements io.Closer. The trail closes the file.
func (b *burst) Close() error {
	if b.packed != nil {
		return b.packed.Close()
	}
	return nil
}

// place returns the place at offset, which was delivered by this burst. If the
// file was cut, it returns a place that is in no file.
func (b *burst) place(offset int64) place {
	g := b.g
	p := place{offset: offset, node: g.origin, at: g.time(), starts: starts(g.head)}
	head := g.head[:min(offset, int64(len(g.head)))]
	from := offset - min(offset, tailSize)
	if from >= b.at && offset <= b.until() {
		p.sum = sums(head, b.buf[from-b.at:offset-b.at])
		return p
	}
	if b.packed != nil {
		r, err := b.t.l.packer.open(g.file)
		if err != nil {
			return p
		}
		defer r.Close()
		tail := make([]byte, offset-from)
		if _, err := io.CopyN(io.Discard, r, from); err == nil {
			if _, err := io.ReadFull(r, tail); err == nil {
				p.sum = sums(head, tail)
			}
		}
		return p
	}
	tail := make([]byte, offset-from)
	if readAll(g.file, tail, from) == nil {
		if ok, err := g.intact(); ok && err == nil {
			p.sum = sums(head, tail)
		}
	}
	return p
}
