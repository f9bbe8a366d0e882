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

// ErrCheckpoint is matched if a text is not a checkpoint.
var ErrCheckpoint = errors.New("follow: not a checkpoint")

// A Checkpoint is a place in a file. It identifies the file by hashes of its
// first KiB and of the 64 bytes before the place. It also has the numbers of
// the device and the inode, if the system has them. The bytes decide. The
// numbers distinguish files with the same bytes up to the place. The zero
// Checkpoint is the beginning of any file.
type Checkpoint struct {
	offset   int64
	sum      [16]byte // one half of the head, one half of the tail
	dev, ino uint64
}

// Offset returns the place, in bytes of the decoded stream.
func (c Checkpoint) Offset() int64 { return c.offset }

// MarshalText returns the checkpoint as a line. The error is always nil.
func (c Checkpoint) MarshalText() ([]byte, error) {
	b := fmt.Appendf(nil, "v1 %d %x", c.offset, c.sum)
	if c.dev|c.ino != 0 {
		b = fmt.Appendf(b, " %d %d", c.dev, c.ino)
	}
	return b, nil
}

// UnmarshalText reads the text of MarshalText.
//
// Errors: [ErrCheckpoint]; c does not change.
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

// SaveCheckpoint writes c to a file. After a crash, the file contains the old
// checkpoint or the new one, never a part. Choose a path outside the patterns
// of [Follower.Rotated]; otherwise the file is taken for a rotated log.
//
// Errors: the error of the file system.
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

// LoadCheckpoint reads a file written by [SaveCheckpoint].
//
// Errors: [ErrCheckpoint], or the error of the file system, such as
// [io/fs.ErrNotExist].
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

// checkpoint is Record.Checkpoint. If the file was cut after the last read, its
// checkpoint matches no file: a run that begins there reports a gap and does
// not begin in the middle of other bytes.
func (t *tail) checkpoint(offset int64) Checkpoint {
	c := t.gen.identity(offset)
	if !t.gen.intact(false) {
		c.sum = [16]byte{}
	}
	c.dev, c.ino = t.fsys.ID(t.gen.info)
	return c
}

// identity returns the checkpoint of g at offset, without numbers. If g is
// shorter, its sum is zero.
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

// of reports whether g has the bytes of the file of the checkpoint. At offset
// 0, every file has.
func (c Checkpoint) of(g *generation) bool {
	return c.offset == 0 || c.sum != [16]byte{} && c.sum == g.identity(c.offset).sum
}

// ends reads the first size bytes of g and the bytes before offset. A file that
// was compressed after the checkpoint is the same file, so ends unpacks a gzip
// file up to offset. That takes about 2 seconds per GiB.
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
