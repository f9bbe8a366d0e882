package follow

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/bzip2"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/redoubt-go/redoubt/internal/gunzip"
	"github.com/redoubt-go/redoubt/logscan"
)

// A packer unpacks the files that rotation has compressed.
type packer struct {
	decoders []logscan.Decoder
	limit    int64 // bytes that a file may unpack to; negative: no limit
}

// packed reports whether a file with these first bytes is compressed. xz and
// zstd without a Decoder are compressed files that cannot be read.
func (p packer) packed(head []byte) bool {
	if slices.ContainsFunc(p.decoders, func(d logscan.Decoder) bool { return bytes.HasPrefix(head, []byte(d.Magic)) }) {
		return true
	}
	for _, magic := range []string{"\x1f\x8b\x08", "\xfd7zXZ\x00", "\x28\xb5\x2f\xfd"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return len(head) >= 10 && string(head[:3]) == "BZh" && (string(head[4:10]) == "1AY&SY" || string(head[4:10]) == "\x17rE8P\x90")
}

// open returns the unpacked bytes of f from the first.
func (p packer) open(f io.ReaderAt) (io.ReadCloser, error) {
	br := bufio.NewReaderSize(io.NewSectionReader(f, 0, 1<<62), 32<<10)
	head, err := br.Peek(10)
	if noEOF(err) != nil {
		return nil, err
	}
	var r io.ReadCloser
	for _, d := range p.decoders {
		if bytes.HasPrefix(head, []byte(d.Magic)) {
			rc, err := d.New(br)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", d.Name, err)
			}
			r = rc
			break
		}
	}
	switch {
	case r != nil:
	case bytes.HasPrefix(head, []byte("\x1f\x8b\x08")):
		r = io.NopCloser(gunzip.NewReader(br, new(gzip.Reader)))
	case bytes.HasPrefix(head, []byte("BZh")):
		r = io.NopCloser(bzip2.NewReader(br))
	default:
		return nil, fmt.Errorf("%w: compressed, and no Decoder for it", logscan.ErrUnsupported)
	}
	if p.limit >= 0 {
		return &limited{r, p.limit}, nil
	}
	return r, nil
}

// A limited reader ends with ErrLimit.
type limited struct {
	io.ReadCloser
	left int64
}

func (r *limited) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if r.left -= int64(n); r.left < 0 {
		return 0, logscan.ErrLimit
	}
	return n, err
}

// The contents of a compressed file, in bytes of the decoded stream.
type contents struct {
	found       []place // whose bytes it contains
	end         place
	head        []byte
	unsupported bool
}

// unpack decodes f and compares its bytes with places. The errors of reading f
// are noted by f; a file that ends early is being written.
func (p packer) unpack(f io.ReaderAt, places []place) (c contents) {
	r, err := p.open(f)
	if err != nil {
		c.unsupported = errors.Is(err, logscan.ErrUnsupported)
		return c
	}
	defer r.Close()
	places = slices.DeleteFunc(places, func(p place) bool { return p.offset == 0 })
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.offset, b.offset) })
	var tail []byte
	buf := make([]byte, 64<<10)
	for err == nil {
		n, room := 0, int64(len(buf))
		if len(places) > 0 {
			room = min(room, places[0].offset-c.end.offset)
		}
		n, err = io.ReadFull(r, buf[:room])
		c.head = append(c.head, buf[:min(n, headSize-len(c.head))]...)
		tail = lastBytes(append(tail, buf[max(0, n-tailSize):n]...))
		c.end.offset += int64(n)
		c.end.sum = sums(c.head, tail)
		for ; len(places) > 0 && places[0].offset == c.end.offset; places = places[1:] {
			if places[0].sum == c.end.sum {
				c.found = append(c.found, places[0])
			}
		}
	}
	return c
}

// sums returns the first halves of two hashes.
func sums(head, tail []byte) (sum [16]byte) {
	h, t := sha256.Sum256(head), sha256.Sum256(tail)
	copy(sum[:8], h[:])
	copy(sum[8:], t[:])
	return sum
}

// lastBytes keeps the last tailSize bytes.
func lastBytes(b []byte) []byte {
	if over := len(b) - tailSize; over > 0 {
		b = b[:copy(b, b[over:])]
	}
	return b
}
