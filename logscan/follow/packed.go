package follow

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"crypto/sha256"
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

// packed reports whether the first bytes of a file are those of a compressed
// file. xz and zstd without a Decoder are compressed files that cannot be read.
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

// matches returns the indexes of the places whose bytes the unpacked file has.
// It unpacks the file once.
func (p packer) matches(f io.ReaderAt, places []place) (found []int, err error) {
	r, err := p.open(f)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	order := make([]int, len(places))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(min(max(places[a].offset-places[b].offset, -1), 1)) })
	var head, tail []byte
	pos := int64(0)
	buf := make([]byte, 64<<10)
	for _, i := range order {
		for pos < places[i].offset {
			n, err := io.ReadFull(r, buf[:min(int64(len(buf)), places[i].offset-pos)])
			head = append(head, buf[:min(n, headSize-len(head))]...)
			tail = lastBytes(append(tail, buf[max(0, n-tailSize):n]...))
			pos += int64(n)
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return found, nil // the file has fewer bytes, or is being written
			}
			if err != nil {
				return found, err
			}
		}
		if sums(head[:min(int64(len(head)), pos)], tail) == places[i].sum {
			found = append(found, i)
		}
	}
	return found, nil
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
