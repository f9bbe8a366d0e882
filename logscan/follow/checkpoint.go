package follow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// ErrCheckpoint is matched if a text is not a checkpoint.
var ErrCheckpoint = errors.New("follow: not a checkpoint")

const (
	headSize = 1024
	tailSize = 64
)

// A node is a file, by its numbers. They are 0 if files have none.
type node struct{ dev, ino uint64 }

func (n node) is(o node) bool { return n == o }
func (n node) numbered() bool { return n != node{} }

// A place is an offset in a file. The bytes identify the file: the first KiB
// and the 64 bytes before the offset. Among files with the same bytes, the
// numbers decide.
type place struct {
	offset int64
	sum    [16]byte // one half of the head, one half of the tail
	node
	at     int64    // the file's time, in nanoseconds since 1970
	starts [16]byte // hashes of prefixes, if the file is being read
	kind   byte
}

// The kinds of places in a checkpoint.
const (
	waiting    = 'w' // the file is to be read from here
	unread     = 'u' // the file is to be read from its start
	late       = 'l' // the file was read, and is looked at for Linger
	finished   = 'f' // later bytes are delivered
	known      = 'k' // not read
	compressed = 'z' // not read, and the place is in the bytes as they are stored
)

// of reports whether f contains the bytes before the place, as they are stored.
func (p place) of(f io.ReaderAt) (bool, error) {
	if p.offset == 0 {
		return true, nil
	}
	got, err := placeAt(f, p.offset)
	return err == nil && got.sum == p.sum, noShort(err)
}

// placeAt returns the place at offset, without numbers. If the file is shorter,
// the error is errShort.
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

// errShort reports that a file ends before a place.
var errShort = errors.New("file is shorter than before")

// readAll fills p.
func readAll(f io.ReaderAt, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == io.EOF {
		return errShort
	}
	return err
}

func noShort(err error) error {
	if err == errShort {
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

// maxPlaces bounds the files of a checkpoint.
const maxPlaces = 64

// A Checkpoint is a place in a log. It identifies the file by hashes of its
// first KiB and of the 64 bytes before the place. It also contains the numbers
// of the device and the inode, if the system has them, and the time of the
// file. The bytes decide. Further places show which rotated files are not to be
// read again, at most 63. The zero Checkpoint is the beginning of any file.
type Checkpoint struct {
	places []place // the first is the place of the record
	target string  // where the path led to, if it is a link
}

// Offset returns the place, in bytes of the decoded stream.
func (c Checkpoint) Offset() int64 {
	if len(c.places) == 0 {
		return 0
	}
	return c.places[0].offset
}

// Time returns the modification time of the file when the checkpoint was taken,
// or the zero Time if there is none.
func (c Checkpoint) Time() time.Time {
	if len(c.places) == 0 || c.places[0].at == 0 {
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
	for _, p := range c.places {
		b = fmt.Appendf(b, " %c%d:%x:%d:%d:%d:%x", p.kind, p.offset, p.sum, p.dev, p.ino, p.at, p.starts)
	}
	if c.target != "" {
		b = strconv.AppendQuote(append(b, ' '), c.target)
	}
	return b, nil
}

// UnmarshalText reads the text of MarshalText.
//
// Errors: [ErrCheckpoint]; c does not change.
func (c *Checkpoint) UnmarshalText(b []byte) error {
	var n Checkpoint
	rest, ok := bytes.CutPrefix(b, []byte(magic))
	if !ok || len(b) > maxText {
		return ErrCheckpoint
	}
	if i := bytes.IndexByte(rest, '"'); i > 0 {
		n.target, _ = strconv.Unquote(string(rest[i:]))
		rest = rest[:i-1]
	}
	for text := range bytes.FieldsSeq(rest) {
		var p place
		var sum, starts []byte
		_, err := fmt.Sscanf(string(text), "%c%d:%32x:%d:%d:%d:%32x", &p.kind, &p.offset, &sum, &p.dev, &p.ino, &p.at, &starts)
		if err != nil || p.offset < 0 || len(n.places) == maxPlaces || !strings.ContainsRune("wulfkz", rune(p.kind)) {
			return ErrCheckpoint
		}
		copy(p.sum[:], sum)
		copy(p.starts[:], starts)
		n.places = append(n.places, p)
	}
	if again, _ := n.MarshalText(); !bytes.Equal(again, b) {
		return ErrCheckpoint
	}
	*c = n
	return nil
}

const maxText = 64 + maxPlaces*176 + 16<<10 // bytes of a checkpoint

// SaveCheckpoint writes c to a file. After a crash, the file contains the old
// checkpoint or the new checkpoint, never a part. It removes the temporary file
// that an interrupted SaveCheckpoint left. A single process at a time may write
// a path.
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
