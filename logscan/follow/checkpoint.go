package follow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// ErrCheckpoint is matched if a text is not a checkpoint.
var ErrCheckpoint = errors.New("follow: not a checkpoint")

const (
	headSize = 1024
	tailSize = 64
)

// A place is an offset in a file. The bytes identify the file: the first KiB
// and the 64 bytes before the offset. Among files with the same bytes, the
// numbers decide.
type place struct {
	offset   int64
	sum      [16]byte // one half of the head, one half of the tail
	dev, ino uint64
	at       int64 // the file's time, in nanoseconds since 1970
}

// of reports whether f contains the bytes before the place, as they are stored.
func (p place) of(f io.ReaderAt) (bool, error) {
	if p.offset == 0 {
		return true, nil
	}
	got, err := placeAt(f, p.offset)
	return err == nil && got.sum == p.sum, noEOF(err)
}

// placeAt returns the place at offset, without numbers. A file that is shorter
// is io.EOF.
func placeAt(f io.ReaderAt, offset int64) (place, error) {
	var buf [headSize + tailSize]byte
	head := buf[:min(offset, headSize)]
	tail := buf[headSize:][:min(offset, tailSize)]
	if err := readAll(f, head, 0); err != nil {
		return place{}, err
	}
	if err := readAll(f, tail, offset-int64(len(tail))); err != nil {
		return place{}, err
	}
	return place{offset: offset, sum: sums(head, tail)}, nil
}

// readAll fills p.
func readAll(f io.ReaderAt, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	return err
}

func noEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// maxPlaces bounds the files of a checkpoint: the file of the record, and
// renamed files into which a writer may still write.
const maxPlaces = 8

// A Checkpoint is a place in a log. It identifies the file by hashes of its
// first KiB and of the 64 bytes before the place. It also contains the numbers
// of the device and the inode, if the system has them, and the time of the
// file. The bytes decide. Shortly after a rotation a Checkpoint also contains
// the place in the renamed file. The zero Checkpoint is the beginning of any
// file.
type Checkpoint struct {
	n      int              // places used; 0 in the zero Checkpoint
	places [maxPlaces]place // the first is the place of the record
}

// Offset returns the place, in bytes of the decoded stream.
func (c Checkpoint) Offset() int64 { return c.places[0].offset }

// Time returns the modification time of the file when the checkpoint was taken,
// or the zero Time if there is none.
func (c Checkpoint) Time() time.Time {
	if c.places[0].at == 0 {
		return time.Time{}
	}
	return time.Unix(0, c.places[0].at)
}

// magic begins the text of a checkpoint. A file that begins so is never read as
// a log.
const magic = "follow-checkpoint v2"

// MarshalText returns the checkpoint as a line. The error is always nil.
func (c Checkpoint) MarshalText() ([]byte, error) {
	b := []byte(magic)
	for _, p := range c.places[:max(c.n, 1)] {
		b = fmt.Appendf(b, " %d:%x:%d:%d:%d", p.offset, p.sum, p.dev, p.ino, p.at)
	}
	return b, nil
}

// UnmarshalText reads the text of MarshalText.
//
// Errors: [ErrCheckpoint]; c does not change.
func (c *Checkpoint) UnmarshalText(b []byte) error {
	var n Checkpoint
	rest, ok := bytes.CutPrefix(b, []byte(magic+" "))
	if !ok || len(b) > maxText {
		return ErrCheckpoint
	}
	for text := range bytes.SplitSeq(rest, []byte{' '}) {
		if n.n == maxPlaces {
			return ErrCheckpoint
		}
		p := &n.places[n.n]
		var sum []byte
		if _, err := fmt.Sscanf(string(text), "%d:%32x:%d:%d:%d", &p.offset, &sum, &p.dev, &p.ino, &p.at); err != nil || p.offset < 0 {
			return ErrCheckpoint
		}
		copy(p.sum[:], sum)
		n.n++
	}
	if n == (Checkpoint{n: 1}) {
		n.n = 0
	}
	if again, _ := n.MarshalText(); !bytes.Equal(again, b) {
		return ErrCheckpoint
	}
	*c = n
	return nil
}

const maxText = 24 + maxPlaces*136 // bytes of a checkpoint

// SaveCheckpoint writes c to a file. After a crash, the file contains the old
// checkpoint or the new one, never a part. It removes the temporary file that
// an interrupted SaveCheckpoint left. One process at a time may write a path.
//
// Errors: the error of the file system.
func SaveCheckpoint(path string, c Checkpoint) error {
	text, _ := c.MarshalText()
	return replace(path, append(text, '\n'))
}

// replace writes text to a temporary file, whose name is always the same, and
// renames it. Both files are synced.
func replace(path string, text []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
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
	if err := c.UnmarshalText(bytes.TrimSuffix(text, []byte{'\n'})); err != nil {
		return c, fmt.Errorf("%w: %s", err, quote.Text(path))
	}
	return c, nil
}
