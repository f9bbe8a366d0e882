package follow_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/follow"
)

// A disk is a file system in memory for one goroutine. It calls step before
// each operation of the follower, so that the files change between any two.
type disk struct {
	names map[string]*inode
	next  uint64
	free  []uint64      // numbers of removed files, to be used again
	grain time.Duration // of the times of files
	step  func(op string)
	err   func(op string) error // the fault of this operation, if any
	open  int                   // files that the follower holds open
}

type inode struct {
	ino     uint64
	data    []byte
	at      time.Time
	mode    fs.FileMode
	link    string // target, if it is a symbolic link
	handles int
	named   bool
	born    int
	reused  bool  // its number was that of another file
	short   []int // the lines of a copy that is too short to be recognized after a restart
	lines   []int // the complete lines in data
}

func newDisk() *disk {
	d := &disk{names: map[string]*inode{}, next: 100, grain: time.Nanosecond}
	d.step = func(string) {}
	d.err = func(string) error { return nil }
	return d
}

func (d *disk) touch(n *inode) { n.at = time.Now().Truncate(d.grain) }

func (d *disk) create(name string) *inode {
	d.remove(name)
	n := &inode{named: true}
	if len(d.free) > 0 {
		n.ino, d.free = d.free[0], d.free[1:]
		n.reused = true
	} else {
		d.next++
		n.ino = d.next
	}
	d.touch(n)
	d.names[name] = n
	return n
}

// remove removes a name. A number is free when no name and no handle is left.
func (d *disk) remove(name string) {
	if n := d.names[name]; n != nil {
		delete(d.names, name)
		n.named = false
		d.release(n)
	}
}

func (d *disk) release(n *inode) {
	if !n.named && n.handles == 0 && n.ino != 0 {
		d.free = append(d.free, n.ino)
	}
}

func (d *disk) rename(from, to string) {
	if n := d.names[from]; n != nil {
		d.remove(to)
		d.names[to] = n
		delete(d.names, from)
	}
}

// resolve follows links.
func (d *disk) resolve(name string) (string, *inode) {
	for range 8 {
		n := d.names[name]
		if n == nil || n.link == "" {
			return name, n
		}
		name = n.link
	}
	return name, nil
}

func (d *disk) do(op string) error {
	d.step(op)
	return d.err(op)
}

func (d *disk) Open(name string) (follow.File, error) {
	if err := d.do("open"); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	_, n := d.resolve(name)
	switch {
	case n == nil:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case n.mode != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: follow.ErrIrregular}
	}
	n.handles++
	d.open++
	return &diskFile{d: d, n: n}, nil
}

func (d *disk) Stat(name string) (fs.FileInfo, error) {
	if err := d.do("stat"); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	if _, n := d.resolve(name); n != nil {
		return diskInfo{n: *n, size: int64(len(n.data))}, nil
	}
	return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
}

func (d *disk) Target(name string) (string, error) {
	if err := d.do("target"); err != nil {
		return "", err
	}
	target, _ := d.resolve(name)
	return target, nil
}

func (d *disk) List(dir string) (names []string, err error) {
	if err := d.do("list"); err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	for name := range d.names {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (*disk) ID(i fs.FileInfo) (dev, ino uint64) { return 1, i.(diskInfo).n.ino }

type diskFile struct {
	d      *disk
	n      *inode
	closed bool
}

func (h *diskFile) ReadAt(p []byte, off int64) (int, error) {
	if h.closed {
		return 0, fs.ErrClosed
	}
	if err := h.d.do("read"); err != nil {
		return 0, err
	}
	if off >= int64(len(h.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *diskFile) Close() error {
	if h.closed {
		return fs.ErrClosed
	}
	h.closed = true
	h.d.open--
	h.n.handles--
	h.d.release(h.n)
	return nil
}

func (h *diskFile) Stat() (fs.FileInfo, error) {
	if err := h.d.do("fstat"); err != nil {
		return nil, err
	}
	return diskInfo{n: *h.n, size: int64(len(h.n.data))}, nil
}

type diskInfo struct {
	fs.FileInfo
	n    inode
	size int64
}

func (i diskInfo) Size() int64        { return i.size }
func (i diskInfo) Mode() fs.FileMode  { return i.n.mode }
func (i diskInfo) ModTime() time.Time { return i.n.at }
func (i diskInfo) IsDir() bool        { return i.n.mode.IsDir() }

var faults = []error{syscall.EIO, syscall.ESTALE, syscall.EMFILE, syscall.EACCES}

// The formats of packing. gzip is real; the others are stand-ins with a real
// magic, whose decoders report a missing end as real decoders do.
var (
	formats = []string{".gz", ".bz2", ".xz", ".zst"}
	magics  = map[string]string{".bz2": "BZh91AY&SY", ".xz": "\xfd7zXZ\x00", ".zst": "\x28\xb5\x2f\xfd"}
)

const packEnd = "\x00end"

func decoders() (all []logscan.Decoder) {
	for _, ext := range formats[1:] {
		magic := magics[ext]
		all = append(all, logscan.Decoder{Name: ext, Magic: magic, New: func(r io.Reader) (io.ReadCloser, error) {
			text, err := io.ReadAll(r)
			if err != nil {
				return nil, err
			}
			text = bytes.TrimPrefix(text, []byte(magic))
			whole, ok := bytes.CutSuffix(text, []byte(packEnd))
			if ok {
				return io.NopCloser(bytes.NewReader(whole)), nil
			}
			return io.NopCloser(io.MultiReader(bytes.NewReader(text), errReader{io.ErrUnexpectedEOF})), nil
		}})
	}
	return all
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

var packer, _ = gzip.NewWriterLevel(nil, gzip.NoCompression)

func packed(ext string, data []byte) []byte {
	if ext != ".gz" {
		return slices.Concat([]byte(magics[ext]), data, []byte(packEnd))
	}
	var b bytes.Buffer
	packer.Reset(&b)
	packer.Write(data)
	packer.Close()
	return b.Bytes()
}

var errKilled = errors.New("killed")

// isPacked reports whether name ends as a packed file.
func isPacked(name string) bool {
	return slices.ContainsFunc(formats, func(ext string) bool { return strings.HasSuffix(name, ext) })
}
