package follow

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/redoubt-go/redoubt/internal/gunzip"
)

// ErrCheckpoint is matched when a text is not a checkpoint.
var ErrCheckpoint = errors.New("follow: not a checkpoint")

// A Checkpoint is a place in a file, and what the file is known by: hashes of its
// first KiB and of the 64 bytes before the place, and the numbers of its device
// and inode where the system has them. The bytes decide; the numbers tell apart
// files that are the same up to the place. The zero Checkpoint is the beginning of any
// file.
type Checkpoint struct {
	offset   int64
	sum      [16]byte // half of it of the head, half of the tail
	dev, ino uint64
}

// Offset returns the place, in bytes of the decoded stream.
func (c Checkpoint) Offset() int64 { return c.offset }

// MarshalText returns the checkpoint as one line. The error is always nil.
func (c Checkpoint) MarshalText() ([]byte, error) {
	b := fmt.Appendf(nil, "v1 %d %x", c.offset, c.sum)
	if c.dev|c.ino != 0 {
		b = fmt.Appendf(b, " %d %d", c.dev, c.ino)
	}
	return b, nil
}

// UnmarshalText reads what MarshalText has written. The error is ErrCheckpoint.
func (c *Checkpoint) UnmarshalText(b []byte) error {
	var n Checkpoint
	var sum []byte
	if len(b) > maxText {
		return ErrCheckpoint
	}
	if got, err := fmt.Sscanf(string(b), "v1 %d %32x %d %d", &n.offset, &sum, &n.dev, &n.ino); err != nil && got != 2 {
		return ErrCheckpoint
	}
	copy(n.sum[:], sum)
	if again, _ := n.MarshalText(); n.offset < 0 || !bytes.Equal(again, b) {
		return ErrCheckpoint
	}
	*c = n
	return nil
}

const maxText = 128 // bytes of a checkpoint, of which three numbers take 59

// SaveCheckpoint writes c to a file so that a crash leaves the old one or the new
// one, never a part. The error is that of the file system.
func SaveCheckpoint(path string, c Checkpoint) error {
	text, _ := c.MarshalText()
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil { // not every system syncs directories
		dir.Sync()
		dir.Close()
	}
	return nil
}

// LoadCheckpoint reads what SaveCheckpoint has written. The error is that of the
// file system, such as fs.ErrNotExist, or ErrCheckpoint.
func LoadCheckpoint(path string) (Checkpoint, error) {
	var c Checkpoint
	f, err := os.Open(path)
	if err != nil {
		return c, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText+2))
	if err != nil {
		return c, err
	}
	return c, c.UnmarshalText(bytes.TrimSuffix(text, []byte{'\n'}))
}

// checkpoint is Record.Checkpoint. When the file was cut meanwhile, which only
// the next read will tell, it is of a file that will not be found: to begin there
// is then a gap, and not a place in other bytes.
func (t *tail) checkpoint(offset int64) Checkpoint {
	c := t.gen.identity(offset)
	if !t.gen.intact(false) {
		c.sum = [16]byte{}
	}
	c.dev, c.ino = t.fsys.ID(t.gen.info)
	return c
}

// identity returns the checkpoint of g at offset, without numbers; its sum is zero
// when g is shorter.
func (g *generation) identity(offset int64) Checkpoint {
	c := Checkpoint{offset: offset}
	size := min(offset, headSize)
	buf := make([]byte, size+min(offset, tailSize))
	if err := g.ends(buf, int(size), offset); err != nil {
		return c
	}
	head, tail := sha256.Sum256(buf[:size]), sha256.Sum256(buf[size:])
	copy(c.sum[:8], head[:])
	copy(c.sum[8:], tail[:])
	return c
}

// of reports whether g has the bytes of the file of the checkpoint. At the
// beginning, all have.
func (c Checkpoint) of(g *generation) bool {
	return c.offset == 0 || c.sum != [16]byte{} && c.sum == g.identity(c.offset).sum
}

// ends reads the first size bytes of g and those before offset, of what it
// unpacks to: a file that was compressed after the checkpoint is the same one. For
// that it is read up to offset, which for a GiB takes two seconds, once a restart.
func (g *generation) ends(buf []byte, size int, offset int64) error {
	var magic [3]byte
	if n, _ := g.ReadAt(magic[:], 0); n < 3 || string(magic[:]) != "\x1f\x8b\x08" {
		n, _ := g.ReadAt(buf[:size], 0)
		m, _ := g.ReadAt(buf[size:], offset-int64(len(buf)-size))
		if n+m < len(buf) {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	zr := gunzip.NewReader(bufio.NewReader(io.NewSectionReader(g, 0, 1<<62)), new(gzip.Reader))
	if _, err := io.ReadFull(zr, buf[:size]); err != nil {
		return err
	}
	rest := len(buf) - size
	skip := offset - int64(rest) - int64(size)
	if skip < 0 { // the tail begins within the head
		n := copy(buf[size:], buf[size+int(skip):size])
		_, err := io.ReadFull(zr, buf[size+n:])
		return err
	}
	if _, err := io.CopyN(io.Discard, zr, skip); err != nil {
		return err
	}
	_, err := io.ReadFull(zr, buf[size:])
	return err
}
