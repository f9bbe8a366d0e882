// Package gunzip reads gzip streams of several members and padding.
package gunzip

import (
	"bufio"
	"compress/gzip"
	"io"
)

// A Decoder unpacks a member. *gzip.Reader of compress/gzip is a Decoder, as is
// *gzip.Reader of github.com/klauspost/compress.
type Decoder interface {
	io.Reader
	Reset(io.Reader) error
	Multistream(bool)
}

// A Reader reads the members of a gzip stream one after the other. It skips
// zeros after the last member, as gzip(1) does. The Readers of both packages
// take such padding for a damaged member (golang/go#47809).
type Reader struct {
	br     *bufio.Reader
	d      Decoder
	inside bool // a member
	later  bool // after the first member
}

// NewReader returns a Reader that unpacks br with d, which may be new and
// empty.
func NewReader(br *bufio.Reader, d Decoder) *Reader { return &Reader{br: br, d: d} }

// Read implements io.Reader.
//
// Errors: io.ErrUnexpectedEOF for a stream that was cut, gzip.ErrHeader of
// compress/gzip for bytes after the padding, and the errors of the Decoder.
func (r *Reader) Read(p []byte) (int, error) {
	for {
		if !r.inside {
			if err := r.open(); err != nil {
				return 0, err
			}
		}
		n, err := r.d.Read(p)
		if err == io.EOF {
			r.inside, err = false, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// open begins the next member. It returns io.EOF after the last member.
func (r *Reader) open() error {
	if r.later {
		if err := r.padding(); err != nil {
			return err
		}
	}
	if err := r.d.Reset(r.br); err == io.EOF {
		return io.ErrUnexpectedEOF
	} else if err != nil {
		return err
	}
	r.d.Multistream(false)
	r.inside, r.later = true, true
	return nil
}

// padding skips zeros up to the end of the stream or, if there are none, does
// nothing.
func (r *Reader) padding() error {
	for zeros := 0; ; zeros++ {
		b, err := r.br.ReadByte()
		switch {
		case err != nil:
			return err
		case b != 0 && zeros > 0:
			return gzip.ErrHeader
		case b != 0:
			return r.br.UnreadByte()
		}
	}
}
