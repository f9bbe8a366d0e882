package scan

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// A file is an input that several goroutines can read.
type file interface {
	io.ReadCloser
	io.ReaderAt
	Stat() (fs.FileInfo, error)
}

// sizeOf returns the number of bytes of rc, at whose beginning it then is, or
// -1 if the number is not known.
func sizeOf(rc io.ReadCloser) int64 {
	if f, ok := rc.(file); ok {
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return -1
		}
	}
	seeker, ok := rc.(io.Seeker)
	if !ok {
		return -1
	}
	size, err := seeker.Seek(0, io.SeekEnd)
	if err != nil {
		return -1
	}
	if _, err = seeker.Seek(0, io.SeekStart); err != nil {
		return -1
	}
	return size
}

// clip returns the first size bytes of rc, all that a scan reads of an input
// that has grown. A negative size means all bytes. The result is a regular file
// if rc is a regular file, so that logscan.Reduce can divide it.
func clip(rc io.ReadCloser, size int64) (io.ReadCloser, error) {
	if size < 0 {
		return rc, nil
	}
	now := sizeOf(rc)
	if 0 <= now && now < size {
		err := fmt.Errorf("%w: the input has %d bytes and had %d", io.ErrUnexpectedEOF, now, size)
		return nil, errors.Join(err, rc.Close())
	}
	if f, ok := rc.(file); ok && now >= 0 {
		return &clippedFile{io.NewSectionReader(f, 0, size), f}, nil
	}
	seeker, _ := rc.(io.Seeker)
	return &clipped{rc, seeker, 0, size}, nil
}

// A clippedFile is the beginning of a file.
type clippedFile struct {
	*io.SectionReader
	file file
}

// Close closes the file.
func (c *clippedFile) Close() error { return c.file.Close() }

// Stat returns the properties of the file with the clipped size.
func (c *clippedFile) Stat() (fs.FileInfo, error) {
	info, err := c.file.Stat()
	return clippedInfo{info, c.SectionReader.Size()}, err
}

type clippedInfo struct {
	fs.FileInfo
	size int64
}

// Size returns the clipped size.
func (i clippedInfo) Size() int64 { return i.size }

// A clipped is the beginning of another input.
type clipped struct {
	io.ReadCloser
	seeker    io.Seeker // nil if it cannot seek
	off, size int64
}

// Read implements io.Reader.
func (c *clipped) Read(p []byte) (int, error) {
	if c.off >= c.size {
		return 0, io.EOF
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.size-c.off)])
	c.off += int64(n)
	if err == io.EOF && c.off < c.size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Seek implements io.Seeker.
func (c *clipped) Seek(offset int64, whence int) (int64, error) {
	if c.seeker == nil {
		return 0, errors.ErrUnsupported
	}
	if whence == io.SeekEnd {
		offset, whence = c.size+offset, io.SeekStart
	}
	at, err := c.seeker.Seek(offset, whence)
	if err == nil {
		c.off = at
	}
	return at, err
}
