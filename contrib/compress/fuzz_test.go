package compress_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/redoubt-go/redoubt/contrib/compress"
	"github.com/redoubt-go/redoubt/logscan"
)

// fuzzUnpack checks that ds unpack any input without a panic and in bounded
// memory. The result must not depend on the sizes of the reads.
func fuzzUnpack(f *testing.F, pattern string, ds []logscan.Decoder, seeds ...[]byte) {
	files, _ := filepath.Glob(pattern)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, b := range seeds {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if decoderFor(ds, b) == nil {
			return
		}
		var one, two bytes.Buffer
		n := allocated(func() { _ = limited(&one, ds, b, bytes.NewReader(b)) })
		if most := uint64(8<<20 + 64*len(b)); n > most {
			t.Errorf("%d bytes allocated for %d, want at most %d", n, len(b), most)
		}
		_ = limited(&two, ds, b, oneByte{bytes.NewReader(b)})
		if !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Errorf("%d bytes from a slice, %d byte by byte", one.Len(), two.Len())
		}
	})
}

// limited writes the unpacked bytes of r to w, but no more than 256 KiB.
func limited(w io.Writer, ds []logscan.Decoder, b []byte, in io.Reader) error {
	r, err := decoderFor(ds, b).New(in)
	if err != nil {
		return err
	}
	_, err = io.CopyN(w, r, 256<<10)
	return errors.Join(err, r.Close())
}

func FuzzZstd(f *testing.F) {
	fuzzUnpack(f, "testdata/*.zst", compress.Zstd(1<<10), zst(f, "one\n"), skippable(2, "x"), hostileZstd(0xff),
		slices.Concat(zst(f, "one\n"), skippable(2, "x"), zst(f, "two\n")))
}

func FuzzXZ(f *testing.F) {
	fuzzUnpack(f, "testdata/*.xz", compress.XZ(1<<12), xzed(f, "one\n"), hostileXZ(0), hostileXZ(40),
		slices.Concat(xzed(f, "one\n"), make([]byte, 4), xzed(f, "two\n")))
}

// FuzzXZHeader makes block headers with valid checksums, so that the guard and
// the reader behind it read their content. The reader must not see a larger
// dictionary than the guard.
func FuzzXZHeader(f *testing.F) {
	f.Add([]byte{0, 0x21, 1, 0, 0, 0, 0}, []byte{1, 0, 0, 'a', 0, 0, 0, 0})
	f.Add([]byte{0xc0, 5, 1, 0x21, 1, 40, 0}, []byte{1, 0, 0, 'a', 0, 0, 0, 0})
	f.Add([]byte{1, 4, 0, 0x21, 1, 20, 0}, []byte{0x80, 0, 0, 0, 5})
	f.Fuzz(func(t *testing.T, head, body []byte) {
		sum := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
		block := append([]byte{0}, head[:min(len(head), 60)]...)
		block = append(block, make([]byte, -len(block)&3)...)
		block[0] = byte(len(block) / 4)
		b := slices.Concat([]byte("\xfd7zXZ\x00\x00\x00"), sum([]byte{0, 0}), block, sum(block), body)
		n := allocated(func() { _ = limited(io.Discard, compress.XZ(1<<12), b, bytes.NewReader(b)) })
		if most := uint64(1<<20 + 1<<12*len(b)); n > most {
			t.Errorf("%d bytes allocated for %d, want at most %d", n, len(b), most)
		}
	})
}

// FuzzGzip compares Gzip with the gzip of package logscan: both have an error
// or neither, except for headers. Without an error, the lines are the same.
// With an error, they are the same as far as both get, for they detect damage
// in different places.
func FuzzGzip(f *testing.F) {
	f.Add(gzipped(f, "one\n"))
	f.Add(slices.Concat(gzipped(f, "one\n"), gzipped(f, "two\n"), make([]byte, 7)))
	f.Add(slices.Concat(gzipped(f, "one\n"), []byte("garbage")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if decoderFor(compress.Gzip(), b) == nil {
			return
		}
		s := logscan.Scanner{MaxDecoded: 256 << 10}
		want, wantErr := scan(s, b)
		s.Decoders = compress.Gzip()
		got, err := scan(s, b)
		if errors.Is(err, gzip.ErrHeader) && strings.HasPrefix(want, got) {
			return // RFC 1952 forbids the reserved bits of the header; the standard library accepts them
		}
		same := got == want || err != nil && (strings.HasPrefix(got, want) || strings.HasPrefix(want, got))
		if !same || (err == nil) != (wantErr == nil) {
			t.Errorf("%q, %v; the built-in decoder: %q, %v", got, err, want, wantErr)
		}
	})
}
