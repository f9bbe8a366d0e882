package scan

import (
	"errors"
	"io"
)

const (
	firstRange = 64 << 10 // enough to find out whether an object is compressed
	nextRange  = 8 << 20
)

// Ranged returns a reader of an object with a number of bytes, such as an
// object of an S3-compatible store. It calls get for the bytes from offset up
// to end, in ranges of at most 8 MiB, when they are read. A reader that seeks
// therefore does not load the bytes that it skips. The result of get is closed
// before the next range, and by Close. If it ends early, the error is
// [io.ErrUnexpectedEOF].
func Ranged(size int64, get func(offset, end int64) (io.ReadCloser, error)) io.ReadSeekCloser {
	return &ranged{size: max(size, 0), get: get}
}

type ranged struct {
	size, off, end int64 // end of the open range
	get            func(offset, end int64) (io.ReadCloser, error)
	body           io.ReadCloser // nil if no range is open
}

// Read implements io.Reader.
func (r *ranged) Read(p []byte) (int, error) {
	if r.off >= r.size {
		return 0, io.EOF
	}
	if r.body == nil {
		length := int64(nextRange)
		if r.off == 0 {
			length = firstRange
		}
		end := min(r.off+length, r.size)
		body, err := r.get(r.off, end)
		if err != nil {
			return 0, err
		}
		r.body, r.end = body, end
	}
	n, err := r.body.Read(p[:min(int64(len(p)), r.end-r.off)])
	r.off += int64(n)
	switch {
	case r.off == r.end:
		return n, r.Close() // also if the body has reported io.EOF
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Seek implements io.Seeker. It makes no request.
func (r *ranged) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.off
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("scan: seek before the beginning")
	}
	if offset != r.off {
		if err := r.Close(); err != nil {
			return 0, err
		}
		r.off = offset
	}
	return offset, nil
}

// Close closes the open range. A later Read opens another.
func (r *ranged) Close() error {
	body := r.body
	r.body = nil
	if body == nil {
		return nil
	}
	return body.Close()
}
