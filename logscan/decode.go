package logscan

import (
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/redoubt-go/redoubt/internal/gunzip"
)

// magics are what compressed streams begin with: each byte is between those of
// lo and hi. They are long enough that no text begins so, and none holds a
// newline, so waiting for all of one never holds back a line.
// Sources: RFC 1952 (deflate is its only method), RFC 8878 (with the skippable
// frames), the .xz file format 1.1.0, bzip2 1.0.8 (block and end marks).
var magics = []struct{ format, lo, hi string }{
	{"gzip", "\x1f\x8b\x08", "\x1f\x8b\x08"},
	{"bzip2", "BZh11AY&SY", "BZh91AY&SY"},
	{"bzip2", "BZh1\x17rE8P\x90", "BZh9\x17rE8P\x90"},
	{"xz", "\xfd7zXZ\x00", "\xfd7zXZ\x00"},
	{"zstd", "\x28\xb5\x2f\xfd", "\x28\xb5\x2f\xfd"},
	{"zstd", "\x50\x2a\x4d\x18", "\x5f\x2a\x4d\x18"},
}

// A Decoder unpacks inputs of one format, such as zstd with
// github.com/klauspost/compress.
type Decoder struct {
	// Name is the format's, for people to read.
	Name string

	// Magic is what an input of the format begins with. A format that can
	// begin in several ways takes several Decoders. It goes before the formats
	// built in; an empty one is never found. It should be so long that no
	// text begins so, and must not hold a newline.
	Magic string

	// New returns a reader of what r unpacks to. It should bound the memory
	// that an input can demand; MaxDecoded and MaxRatio bound its output. The
	// scan closes the reader.
	New func(r io.Reader) (io.ReadCloser, error)
}

// decoder returns the Decoder for what br holds, nil when there is none.
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

// sniff returns the format of what br holds, "" for text. It asks for a further byte
// only while those before are the beginning of a magic.
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
	return ""
}

// within reports whether head is the beginning of something from lo to hi.
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

// A rawReader reads an input as it is stored.
type rawReader struct {
	c   *scan
	r   io.Reader
	n   int64 // bytes read
	err error // sticky: bufio forgets errors, and some readers repeat none
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

// A decoded reader counts what a decoder makes of an input and ends with ErrLimit
// when that is too much. Negative limits do not apply.
type decoded struct {
	c     *scan
	r     io.Reader
	n     int64 // bytes made
	limit int64
	ratio int64

	closer io.Closer // of r, when it has one
}

// Close lets go of the decoder.
func (d *decoded) Close() error {
	if d.closer != nil {
		return d.closer.Close()
	}
	return nil
}

// ratioFloor is the output up to which a ratio says nothing, in bytes.
const ratioFloor = 1 << 20

func (d *decoded) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	d.n += int64(n)
	if over := d.n - d.limit; d.limit >= 0 && over > 0 {
		n, d.n, err = n-int(over), d.limit, ErrLimit
	}
	// What the decoder has used, not what was read ahead for it.
	used := d.c.raw.n - int64(d.c.br.Buffered())
	if d.ratio > 0 && d.n > ratioFloor && d.n/d.ratio > used {
		err = ErrLimit
	}
	d.c.stats.DecodedBytes += uint64(n)
	return n, err
}
