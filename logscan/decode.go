package logscan

import (
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/redoubt-go/redoubt/internal/gunzip"
)

// magics are the first bytes of compressed streams: each byte is between the
// bytes of lo and hi. A magic is too long to be the beginning of a text. None
// contains a newline, so waiting for a whole magic never holds back a line.
//
// Sources: RFC 1952 (deflate is its only method), RFC 8878 (with the skippable
// frames), the .xz file format 1.1.0, bzip2 1.0.8 (block and end marks).
// Further: RFC 1950, the LZ4 frame format 1.6, the .lzma, .zip and .7z formats.
// A UTF-16 text begins with a byte order mark.
var magics = []struct{ format, lo, hi string }{
	{"gzip", "\x1f\x8b\x08", "\x1f\x8b\x08"},
	{"bzip2", "BZh11AY&SY", "BZh91AY&SY"},
	{"bzip2", "BZh1\x17rE8P\x90", "BZh9\x17rE8P\x90"},
	{"xz", "\xfd7zXZ\x00", "\xfd7zXZ\x00"},
	{"zstd", "\x28\xb5\x2f\xfd", "\x28\xb5\x2f\xfd"},
	{"zstd", "\x50\x2a\x4d\x18", "\x5f\x2a\x4d\x18"},
	{"lz4", "\x04\x22\x4d\x18", "\x04\x22\x4d\x18"},
	{"lzma", "\x5d\x00\x00\x00", "\x5d\x00\x00\xff"},
	{"zlib", "\x78\x01", "\x78\x01"},
	{"zlib", "\x78\x9c", "\x78\x9c"},
	{"zlib", "\x78\xda", "\x78\xda"},
	{"compress", "\x1f\x9d", "\x1f\x9d"},
	{"zip", "PK\x03\x04", "PK\x03\x04"},
	{"7z", "7z\xbc\xaf\x27\x1c", "7z\xbc\xaf\x27\x1c"},
	{"UTF-16", "\xff\xfe", "\xff\xfe"},
	{"UTF-16", "\xfe\xff", "\xfe\xff"},
}

// A Decoder unpacks inputs of a compression format that this package does not
// know. Module contrib/compress has Decoders for zstd and xz, and a faster
// Decoder for gzip.
type Decoder struct {
	// Name is the name of the format, such as "zstd". Errors begin with it.
	Name string

	// Magic is the first bytes of every input of the format. A format with
	// several magics takes several Decoders. Decoders are tried before the
	// built-in formats. Choose a magic that no text begins with; it must
	// not contain a newline. Required.
	Magic string

	// New returns a reader of the unpacked bytes of r. Only New and calls
	// of Read may read r, not a goroutine that goes on between them. The
	// reader should bound the memory that an input can demand.
	// [Scanner.MaxDecoded] and [Scanner.MaxRatio] bound its output. The
	// scan closes the reader. Required.
	New func(r io.Reader) (io.ReadCloser, error)
}

// decoder returns the Decoder for the bytes in c.br, or nil if there is none.
func (c *scan) decoder() *Decoder {
	for i := range c.Decoders {
		d := &c.Decoders[i]
		for n := 1; n <= len(d.Magic); n++ {
			if head, _ := c.br.Peek(n); string(head) != d.Magic[:n] {
				break
			} else if n == len(d.Magic) {
				return d
			}
		}
	}
	return nil
}

// Plain reports whether a scan reads the stream r as it is: r is neither
// compressed nor in a format that a scan refuses. It reads the first bytes of
// r, at most 4096. Inputs of plain files can be divided with Input.Within and
// Input.End.
func (s Scanner) Plain(r io.Reader) bool {
	c := scan{Scanner: s, br: bufio.NewReaderSize(r, 4096)}
	return c.decoder() == nil && sniff(c.br) == ""
}

// sniff returns the format of the bytes in br, or "" for text. It reads another
// byte only while the bytes so far are the beginning of a magic.
func sniff(br *bufio.Reader) string {
	for n, more := 1, true; more; n++ {
		head, _ := br.Peek(n) // an error comes again with the data
		if len(head) < n {
			break
		}
		more = false
		for _, m := range magics {
			if !within(head, m.lo, m.hi) {
				continue
			}
			if n == len(m.lo) {
				return m.format
			}
			more = true
		}
	}
	head, _ := br.Peek(min(br.Buffered(), tarHeader)) // reads no further
	if isTar(head) {
		return "tar"
	}
	return ""
}

// tarHeader is the part of the first block of a tar file up to its magic
// (POSIX.1-2017, pax).
const tarHeader = 262

// isTar reports whether head is the beginning of a tar file.
func isTar(head []byte) bool { return len(head) >= tarHeader && string(head[257:262]) == "ustar" }

// within reports whether head is the beginning of a magic between lo and hi.
func within(head []byte, lo, hi string) bool {
	for i, b := range head {
		if i >= len(lo) || b < lo[i] || b > hi[i] {
			return false
		}
	}
	return true
}

// decode returns the decoded bytes of an input, counted and limited.
func (c *scan) decode(r io.Reader) (*decoded, error) {
	c.raw = rawReader{c: c, r: r}
	c.br.Reset(&c.raw)
	d := &decoded{c: c, r: c.br, limit: c.MaxDecoded, ratio: int64(c.MaxRatio)}
	if dec := c.decoder(); dec != nil {
		rc, err := dec.New(c.br)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dec.Name, err)
		}
		d.r, d.closer = rc, rc
		return d, nil
	}
	switch format := sniff(c.br); format {
	case "":
		d.limit, d.ratio = -1, -1
	case "gzip":
		d.r = gunzip.NewReader(c.br, new(gzip.Reader))
	case "bzip2":
		d.r = bzip2.NewReader(c.br)
	default:
		return nil, fmt.Errorf("%w: %s", ErrUnsupported, format)
	}
	return d, nil
}

// A rawReader reads the stored bytes of an input.
type rawReader struct {
	c   *scan
	r   io.Reader
	n   int64 // bytes read
	err error // sticky: bufio forgets errors, and some readers do not repeat them
}

func (r *rawReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	r.c.flush() // the read may take long
	n, err := r.r.Read(p)
	r.n += int64(n)
	r.c.stats.ReadBytes += uint64(n)
	r.err = err
	return n, err
}

// A decoded reader counts the output of a decoder and ends with ErrLimit if
// there is too much of it. Negative limits do not apply.
type decoded struct {
	c     *scan
	r     io.Reader
	n     int64 // bytes returned
	limit int64
	ratio int64

	closer io.Closer // closes r, or nil
}

// Close closes the decoder.
func (d *decoded) Close() error {
	if d.closer != nil {
		return d.closer.Close()
	}
	return nil
}

// ratioFloor is the output in bytes from which on the ratio is checked.
const ratioFloor = 1 << 20

func (d *decoded) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if d.n == 0 && d.limit >= 0 && isTar(p[:n]) {
		return 0, fmt.Errorf("%w: tar", ErrUnsupported)
	}
	d.n += int64(n)
	if over := d.n - d.limit; d.limit >= 0 && over > 0 {
		n, d.n, err = n-int(over), d.limit, ErrLimit
	}
	// The bytes that the decoder has used, not the bytes that br has read
	// ahead.
	used := d.c.raw.n - int64(d.c.br.Buffered())
	if d.ratio > 0 && d.n > ratioFloor && d.n/d.ratio > used {
		err = ErrLimit
	}
	d.c.stats.DecodedBytes += uint64(n)
	return n, err
}
