package follow

import (
	"bytes"
	"io"
	"io/fs"
	"time"
)

// An end is the reason why an input ended.
type end uint8

const (
	failed    end = iota // the file cannot be read, or not to its end
	rotated              // another file has its name
	truncated            // the file begins again
	flushed              // a joined record has waited long enough
)

const (
	headSize = 1024
	tailSize = 64
)

// A generation is a file that has, or had, the name that is followed. It keeps
// the first and the last bytes that were read. Before more bytes are used,
// these are compared with the file. A file that was cut and has grown again is
// thus detected, even if it is longer than before and begins with the same KiB.
type generation struct {
	file
	name  string
	info  fs.FileInfo
	start int64     // where the input began
	pos   int64     // how far it was read
	size  int64     // the largest size seen, if beyond pos
	at    time.Time // the file's time at that moment
	cut   file      // the file, while the rest of its copy is read
	last  []byte    // the bytes before pos, as they were read
	kept  []byte    // last, from an input that ended at start
	head  []byte    // the first bytes, as they were read
}

// Close closes the file and the copy, if any.
func (g *generation) Close() error {
	if g.cut != nil {
		g.cut.Close()
	}
	return g.file.Close()
}

// lastLine returns the offset of the last unfinished line. If that line is
// longer than 64 KiB, it returns the end of the file.
func (g *generation) lastLine() int64 {
	from := max(g.info.Size()-64<<10, 0)
	b := make([]byte, g.info.Size()-from)
	n, _ := g.ReadAt(b, from)
	if i := bytes.LastIndexByte(b[:n], '\n'); i >= 0 || from == 0 {
		return from + int64(i) + 1
	}
	return g.info.Size()
}

// A reader reads a generation and waits for more bytes at its end. To the
// scanner it is a pipe with a slow writer: io.EOF comes only if the file is
// left, or if a joined record is flushed.
type reader struct {
	t     *tail
	g     *generation
	gone  time.Time // when another file was first seen in its place
	idle  time.Time // when the last bytes were read
	begun bool
	moved bool // bytes were read since the input began
	end   end  // set when Read returns io.EOF
}

// Close implements io.Closer. The tail closes the file.
func (r *reader) Close() error { return nil }

// Seek lets a scan begin at its offset without reading the bytes before it.
func (r *reader) Seek(off int64, whence int) (int64, error) {
	if whence == io.SeekEnd {
		info, err := r.g.Stat()
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	}
	r.g.pos, r.moved = off, false
	r.g.last = append(r.g.last[:0], r.g.kept...)
	if len(r.g.kept) == 0 { // of an earlier run, or skipped
		r.g.last = make([]byte, min(off, tailSize))
		r.g.ReadAt(r.g.last, off-int64(len(r.g.last)))
	}
	return off, nil
}

// Read implements io.Reader. When it returns io.EOF, r.end is the reason.
func (r *reader) Read(p []byte) (int, error) {
	n, why, err := r.read(p)
	if why != failed {
		r.end, err = why, io.EOF
	}
	return n, err
}

// read returns bytes, a reason to end the input, or an error.
func (r *reader) read(p []byte) (int, end, error) {
	g := r.g
	if !r.begun { // the first bytes show the format, wherever the input begins
		r.begun, g.pos, g.last = true, 0, nil
	}
	for {
		leave := !r.gone.IsZero() && time.Since(r.gone) >= r.t.Linger
		n, err := g.ReadAt(p, g.pos)
		switch {
		case !g.intact(n == len(p)):
			if r.t.copied(g) {
				continue // the copy has the bytes that were not read
			}
			return 0, truncated, nil
		case n > 0:
			r.took(p[:n])
			if n == len(p) {
				g.look()
			}
			return n, failed, nil
		case err != nil && err != io.EOF:
			return 0, failed, err
		case g.cut != nil:
			return 0, truncated, nil
		case leave:
			return 0, rotated, nil
		case r.flush():
			return 0, flushed, nil
		}
		g.look()
		if r.gone.IsZero() && r.t.replaced() {
			r.gone = time.Now()
			if now, err := g.Stat(); err == nil { // before late writers
				g.info = now
			}
		}
		if err := r.t.wait(r.t.Poll); err != nil {
			return 0, failed, err
		}
	}
}

// took keeps the bytes that were read: the head until it is full, and the tail.
// A scanner that begins elsewhere reads the head first, to see whether the file
// is compressed.
func (r *reader) took(b []byte) {
	g := r.g
	if room := headSize - len(g.head); room > 0 && g.pos == int64(len(g.head)) {
		g.head = append(g.head, b[:min(room, len(b))]...)
	}
	g.last = append(g.last, b[max(0, len(b)-tailSize):]...)
	g.last = append(g.last[:0], g.last[max(0, len(g.last)-tailSize):]...)
	g.pos += int64(len(b))
	r.idle, r.moved = time.Now(), true
}

// intact reports whether the bytes before pos are still the bytes that were
// read. It is called after a further read, whose bytes are then of the same
// file. It compares the head unless more bytes are available.
func (g *generation) intact(more bool) bool {
	return g.holds(g.last, g.pos-int64(len(g.last))) && (more || g.holds(g.head, 0))
}

func (g *generation) holds(want []byte, at int64) bool {
	var buf [headSize]byte
	n, _ := g.ReadAt(buf[:len(want)], at)
	return bytes.Equal(buf[:n], want)
}

// look keeps the size of the file, which shows the loss if the file is cut.
func (g *generation) look() {
	if info, err := g.Stat(); err == nil && info.Size() >= g.pos {
		g.size, g.at = info.Size(), info.ModTime()
	}
}

// copied finds the copy of g that was made before g was cut. It is a rotated
// file that begins with the bytes that were read, is longer, and was not
// written earlier. An older copy of a log that always begins alike was written
// earlier. g continues in the copy, so that a line that was read in part is not
// torn.
func (t *tail) copied(g *generation) bool {
	if g.cut != nil || g.pos == 0 {
		return false
	}
	for _, name := range t.siblings() {
		c, err := t.open(name)
		if err != nil {
			continue
		}
		was := generation{file: c.file, pos: g.pos, last: g.last, head: g.head}
		if !t.fsys.Same(c.info, g.info) && !c.info.ModTime().Before(g.at) && c.info.Size() > g.pos && was.intact(false) {
			g.file, g.cut = c.file, g.file
			return true
		}
		c.Close()
	}
	return false
}

// replaced reports whether another file has the name.
func (t *tail) replaced() bool {
	now, err := t.fsys.Stat(t.Path)
	return err == nil && !t.fsys.Same(now, t.gen.info)
}

// flush reports whether a record that could be joined has waited long enough. A
// line without its newline is not flushed.
func (r *reader) flush() bool {
	return r.t.Scanner.Join != nil && r.t.Flush > 0 &&
		r.moved && time.Since(r.idle) >= r.t.Flush && bytes.HasSuffix(r.g.last, []byte{'\n'})
}
