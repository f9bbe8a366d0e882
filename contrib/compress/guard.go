package compress

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

var errFormat = errors.New("compress: malformed xz stream")

// A guard passes an xz file to a reader that trusts it. It checks that no block
// has a dictionary larger than max, and that the file ends at the end of a
// stream. It follows the lengths alone. Anything that it cannot follow is an
// error; everything else means the same to the reader behind it.
//
// The layout is described in the .xz file format 1.1.0, sections 2 to 4. The
// chunks in a block are described by LZMA2 in XZ for Java and liblzma.
type guard struct {
	r    *bufio.Reader
	max  int64 // bytes of dictionary
	pass int64 // bytes to pass before the next check
	next func(*guard) error

	check int64 // bytes of check after each block
	asked int64 // bytes of all dictionaries
	made  int64 // bytes that the chunks unpack to
	size  int64 // bytes of the block, or of the index, so far
	nums  int64 // numbers of the index still to come
	num   uint64
	shift uint // of the next seven bits of num
	begun bool // the number of records, which begins the index, was read
}

// Read passes on the bytes that were checked. If a stream is cut, it returns
// io.ErrUnexpectedEOF.
func (g *guard) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for g.pass == 0 {
		if err := g.next(g); err != nil {
			return 0, err
		}
	}
	n, err := g.r.Read(p[:min(int64(len(p)), g.pass)])
	g.pass -= int64(n)
	return n, noEOF(err)
}

// noEOF turns io.EOF in the middle of an element into io.ErrUnexpectedEOF.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// peek returns the next n bytes and does not consume them.
func (g *guard) peek(n int) ([]byte, error) {
	b, err := g.r.Peek(n)
	if len(b) < n {
		return nil, noEOF(err)
	}
	return b, nil
}

// checkSizes are the bytes of each check by its number. The reader knows the
// numbers 0, 1, 4 and 10.
var checkSizes = [16]int64{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}

// stream checks the header of a stream, padding, or the end.
func (g *guard) stream() error {
	if _, err := g.r.Peek(1); err != nil {
		return err // io.EOF here is the end
	}
	b, err := g.peek(4)
	if err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(b) == 0 {
		g.pass = 4
		return nil
	}
	if b, err = g.peek(12); err != nil {
		return err
	}
	g.check = checkSizes[b[7]&15]
	g.pass, g.next = 12, (*guard).block
	return nil
}

// block checks the header of a block, or the first byte of an index.
func (g *guard) block() error {
	b, err := g.peek(1)
	if err != nil {
		return err
	}
	g.size = 0
	if b[0] == 0 {
		g.pass, g.size, g.begun, g.nums, g.next = 1, 1, false, 1, (*guard).index
		return nil
	}
	size := (int(b[0]) + 1) * 4
	if b, err = g.peek(size); err != nil {
		return err
	}
	dict, err := dictionary(b)
	if err != nil {
		return err
	}
	if dict > g.max {
		return fmt.Errorf("%w: xz dictionary of %d bytes, at most %d are allowed", ErrWindow, dict, g.max)
	}
	// The reader makes a new dictionary for each block, so blocks without text
	// could take time without end.
	if g.asked += dict; g.asked/manyWindows > g.max && g.asked/manyBytes > g.made {
		return fmt.Errorf("%w: xz dictionaries of %d bytes for %d bytes of text", ErrWindow, g.asked, g.made)
	}
	g.pass, g.next = int64(size), (*guard).chunk
	return nil
}

// The dictionaries of a file may add up to manyWindows of the largest
// dictionary allowed, and beyond that to manyBytes times the unpacked bytes. xz
// writes the dictionary of its level, up to 64 MiB, in each file of a
// concatenation. The hourly files of a month, each with a few lines, are read.
// By 64 MiB the windows take about three seconds.
const manyWindows, manyBytes = 1024, 4096

// dictionary returns the dictionary size in the header b of a block. LZMA2 must
// be its only filter.
func dictionary(b []byte) (int64, error) {
	flags, rest := b[1], b[2:]
	if flags&^0xc0 != 0 {
		return 0, fmt.Errorf("%w: filters other than LZMA2", errFormat)
	}
	for _, bit := range []byte{0x40, 0x80} { // the compressed and the uncompressed size
		if flags&bit != 0 {
			_, n := binary.Uvarint(rest)
			if n <= 0 {
				return 0, errFormat
			}
			rest = rest[n:]
		}
	}
	if len(rest) < 3 || rest[0] != 0x21 || rest[1] != 1 || rest[2] > 40 {
		return 0, fmt.Errorf("%w: filters other than LZMA2", errFormat)
	}
	if rest[2] == 40 {
		return 1<<32 - 1, nil
	}
	return int64(2|rest[2]&1) << (rest[2]/2 + 11), nil
}

// chunk checks the header of a chunk, or the end of the data of a block.
func (g *guard) chunk() error {
	b, err := g.peek(1)
	if err != nil {
		return err
	}
	control := b[0]
	switch {
	case control == 0:
		g.size++
		g.pass, g.next = 1+-g.size&3+g.check, (*guard).block
		return nil
	case control <= 2: // stored
		if b, err = g.peek(3); err == nil {
			n := int64(binary.BigEndian.Uint16(b[1:])) + 1
			g.pass, g.made = 3+n, g.made+n
		}
	case control < 0x80:
		return errFormat
	default:
		err = g.packed(control)
	}
	g.size += g.pass
	return err
}

// packed checks the header of a compressed chunk. Its properties choose the
// size of the tables. The format bounds it, but the reader does not: the tables
// could take 6 MiB for each chunk.
func (g *guard) packed(control byte) error {
	header := 5
	if control >= 0xc0 { // new properties
		header = 6
	}
	b, err := g.peek(header)
	if err != nil {
		return err
	}
	if header == 6 && (b[5] >= 225 || b[5]%9+b[5]/9%5 > 4) { // lc+lp
		return fmt.Errorf("%w: LZMA2 properties %#x", errFormat, b[5])
	}
	g.pass = int64(header) + int64(binary.BigEndian.Uint16(b[3:])) + 1
	g.made += int64(control&0x1f)<<16 + int64(binary.BigEndian.Uint16(b[1:])) + 1
	return nil
}

// index checks a byte of the numbers in an index: the number of records, and
// two numbers for each record.
func (g *guard) index() error {
	b, err := g.peek(1)
	if err != nil {
		return err
	}
	if g.shift > 56 {
		return errFormat
	}
	g.num |= uint64(b[0]&0x7f) << g.shift
	g.shift += 7
	g.pass = 1
	g.size++
	if b[0] >= 0x80 {
		return nil
	}
	if g.nums--; !g.begun {
		g.begun, g.nums = true, int64(min(g.num, 1<<60))*2
	}
	g.num, g.shift = 0, 0
	if g.nums == 0 { // then padding, the check of the index, and the footer
		g.pass, g.next = 1+-g.size&3+4+12, (*guard).stream
	}
	return nil
}
