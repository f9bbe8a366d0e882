package compress_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/redoubt-go/redoubt/contrib/compress"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/ulikunitz/xz"
)

// seq returns the unpacked text of the files in testdata: the output of seq 1
// 3000.
func seq() []byte {
	var b []byte
	for i := range 3000 {
		b = fmt.Appendln(b, i+1)
	}
	return b
}

func all() []logscan.Decoder {
	return slices.Concat(compress.Zstd(0), compress.XZ(0), compress.Gzip())
}

// decoderFor returns the Decoder whose magic b begins with.
func decoderFor(ds []logscan.Decoder, b []byte) *logscan.Decoder {
	i := slices.IndexFunc(ds, func(d logscan.Decoder) bool { return bytes.HasPrefix(b, []byte(d.Magic)) })
	if i < 0 {
		return nil
	}
	return &ds[i]
}

// unpack returns the bytes that b unpacks to.
func unpack(t testing.TB, ds []logscan.Decoder, b []byte) ([]byte, error) {
	t.Helper()
	d := decoderFor(ds, b)
	if d == nil {
		t.Fatalf("no decoder for % x", b[:min(8, len(b))])
	}
	r, err := d.New(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// scan returns the lines of b, each with its newline, as a Scanner with the
// Decoders delivers them.
func scan(s logscan.Scanner, b []byte) (lines string, err error) {
	var text strings.Builder
	for rec, e := range s.Records(context.Background(), logscan.Readers("in", bytes.NewReader(b))) {
		if e != nil {
			return text.String(), e
		}
		text.Write(rec.Line)
		if !rec.Partial {
			text.WriteByte('\n')
		}
	}
	return text.String(), nil
}

func zst(t testing.TB, text string) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll([]byte(text), nil)
}

func pack(t testing.TB, w io.WriteCloser, b *bytes.Buffer, text string) []byte {
	t.Helper()
	_, err := io.WriteString(w, text)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func xzed(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.WriterConfig{DictCap: 1 << 16}.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	return pack(t, w, &b, text)
}

func gzipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	return pack(t, gzip.NewWriter(&b), &b, text)
}

// skippable returns a frame that readers of zstd skip.
func skippable(kind byte, content string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0x184d2a50+uint32(kind))
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(content))), content...)
}

// The files were made by zstd 1.5.4 and xz 5.4.1, with the options in their
// names.
func TestFilesOfTheReferenceTools(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.*")
	if len(files) < 10 {
		t.Fatalf("only %d files", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, wantErr := string(seq()), ""
			switch filepath.Base(file) {
			case "empty.xz", "empty.zst":
				want = ""
			case "long27.zst": // a window of 128 MiB
				want, wantErr = "", "window too large"
			case "x86.xz":
				want, wantErr = "", "filters other than LZMA2"
			}
			got, err := scan(logscan.Scanner{Decoders: all()}, b)
			if !strings.Contains(fmt.Sprint(err), wantErr) || (err != nil) != (wantErr != "") {
				t.Errorf("error %v, want %q", err, wantErr)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLargerWindowOnDemand(t *testing.T) {
	b, err := os.ReadFile("testdata/long27.zst")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unpack(t, compress.Zstd(128<<20), b); err != nil || !bytes.Equal(got, seq()) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestStreamsInARow(t *testing.T) {
	const a, b = "one\n", "two\nthree\n"
	zeros := func(n int) []byte { return make([]byte, n) }
	tests := []struct {
		name  string
		parts [][]byte
		want  string
		fails bool
	}{
		{"zstd frames", [][]byte{zst(t, a), zst(t, b)}, a + b, false},
		{"zstd skippable first", [][]byte{skippable(0, "x"), zst(t, a)}, a, false},
		{"zstd skippable between", [][]byte{zst(t, a), skippable(15, "junk\n"), skippable(7, ""), zst(t, b)}, a + b, false},
		{"zstd skippable last", [][]byte{zst(t, a), skippable(3, "x")}, a, false},
		{"zstd skippable only", [][]byte{skippable(9, "lines\n")}, "", false},
		{"zstd garbage", [][]byte{zst(t, a), []byte("garbage\n")}, a, true},
		{"zstd zeros", [][]byte{zst(t, a), zeros(4)}, a, true},
		{"xz streams", [][]byte{xzed(t, a), xzed(t, b)}, a + b, false},
		{"xz padding", [][]byte{xzed(t, a), zeros(8), xzed(t, b), zeros(4)}, a + b, false},
		{"xz odd padding", [][]byte{xzed(t, a), zeros(3)}, a, true},
		{"xz garbage", [][]byte{xzed(t, a), []byte("garbage, long enough\n")}, a, true},
		{"gzip members", [][]byte{gzipped(t, a), gzipped(t, b)}, a + b, false},
		{"gzip padding", [][]byte{gzipped(t, a), zeros(5)}, a, false},
		{"gzip member after padding", [][]byte{gzipped(t, a), zeros(5), gzipped(t, b)}, a, true},
		{"gzip garbage", [][]byte{gzipped(t, a), []byte("garbage, long enough\n")}, a, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := scan(logscan.Scanner{Decoders: all()}, slices.Concat(tt.parts...))
			if (err != nil) != tt.fails {
				t.Errorf("error %v, want one: %v", err, tt.fails)
			}
			var at *logscan.InputError
			if err != nil && (!errors.As(err, &at) || at.Offset != int64(len(tt.want)) || at.Name != "in") {
				t.Errorf("error %#v, want one at %d", err, len(tt.want))
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// Wherever a stream is cut, the error is io.ErrUnexpectedEOF, after a prefix of
// the text.
func TestTruncation(t *testing.T) {
	text := string(seq()[:600])
	var blocks bytes.Buffer
	w, err := xz.WriterConfig{DictCap: 4096, BlockSize: 100}.NewWriter(&blocks)
	if err != nil {
		t.Fatal(err)
	}
	pack(t, w, &blocks, text)
	for name, b := range map[string][]byte{"zstd": zst(t, text), "xz": xzed(t, text), "xz blocks": blocks.Bytes(), "gzip": gzipped(t, text)} {
		whole, err := unpack(t, all(), b)
		if err != nil {
			t.Fatal(name, err)
		}
		for cut := 6; cut < len(b); cut++ {
			got, err := unpack(t, all(), b[:cut])
			if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(whole, got) {
				t.Fatalf("%s cut at %d of %d: %d bytes, error %v", name, cut, len(b), len(got), err)
			}
		}
	}
}

// hostileXZ returns a stream whose block asks for the dictionary with this
// code. Everything else is valid.
func hostileXZ(code byte) []byte {
	sum := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
	flags := []byte{0, 0}
	block := []byte{2, 0, 0x21, 1, code, 0, 0, 0}
	return slices.Concat([]byte("\xfd7zXZ\x00"), flags, sum(flags), block, sum(block), []byte{1, 0, 0, 'a', 0, 0, 0, 0})
}

// hostileZstd returns a frame with the window of descriptor, and a block that
// repeats a byte.
func hostileZstd(descriptor byte) []byte {
	return []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, descriptor, 3 | 1<<3, 0, 0, 'a'}
}

// allocated returns the bytes that fn allocates, freed or not.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestHostileHeaderAllocatesNoMoreThanTheCap(t *testing.T) {
	const limit = 1 << 20
	small := xzed(t, "")
	single := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 8, 0, 0, 0, 3 | 1<<3, 0, 0, 'a'} // 32 GiB in one segment
	tests := []struct {
		name string
		in   []byte
	}{
		{"xz 4 GiB", hostileXZ(40)},
		{"xz 1.5 MiB", hostileXZ(17)},
		{"xz in a second stream", append(slices.Clone(small), hostileXZ(40)...)},
		{"zstd 3.75 TiB", hostileZstd(0xff)},
		{"zstd 2 GiB", hostileZstd(21 << 3)},
		{"zstd in a second frame", append(zst(t, "a\n"), hostileZstd(21<<3)...)},
		{"zstd after a skippable frame", append(skippable(1, "x"), hostileZstd(21<<3)...)},
		{"zstd single segment", single},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var err error
			n := allocated(func() { _, err = unpack(t, slices.Concat(compress.Zstd(limit), compress.XZ(limit)), tt.in) })
			if !errors.Is(err, compress.ErrWindow) || !strings.Contains(err.Error(), "1048576 are allowed") && !strings.Contains(err.Error(), "1048576 bytes are allowed") {
				t.Errorf("error %v, want ErrWindow with the bound", err)
			}
			if n > 2*limit {
				t.Errorf("%d bytes allocated, want at most %d", n, 2*limit)
			}
		})
	}
}

// A later block must not ask for more than the first either. The dictionary of
// every block in blocks-9.xz is 64 MiB.
func TestWindowIsThatOfEachBlock(t *testing.T) {
	b, err := os.ReadFile("testdata/blocks-9.xz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unpack(t, compress.XZ(64<<20-1), b); !errors.Is(err, compress.ErrWindow) {
		t.Errorf("error %v, want ErrWindow", err)
	}
	if got, err := unpack(t, compress.XZ(64<<20), b); err != nil || !bytes.Equal(got, seq()) {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
	// The dictionary of the second block becomes 4 GiB, with a new checksum of
	// its header.
	size := (int(b[12]) + 1) * 4
	second := 13 + bytes.Index(b[13:], b[12:12+size])
	head := b[second : second+size]
	head[bytes.Index(head, []byte{0x21, 1})+2] = 40
	binary.LittleEndian.PutUint32(head[size-4:], crc32.ChecksumIEEE(head[:size-4]))
	got, err := unpack(t, compress.XZ(64<<20), b)
	if !errors.Is(err, compress.ErrWindow) || len(got) != 4096 {
		t.Errorf("%d bytes, error %v, want 4096 and ErrWindow", len(got), err)
	}
}

// The hourly files of a month, by xz -9 and in a row, are read. The window is
// smaller here, to save time.
func TestManySmallFiles(t *testing.T) {
	const limit = 1 << 20
	var one bytes.Buffer
	w, err := xz.WriterConfig{DictCap: limit}.NewWriter(&one)
	if err != nil {
		t.Fatal(err)
	}
	file := pack(t, w, &one, "a line\n")
	got, err := unpack(t, compress.XZ(limit), bytes.Repeat(file, 31*24))
	if want := strings.Repeat("a line\n", 31*24); err != nil || string(got) != want {
		t.Errorf("%d bytes, %v, want %d", len(got), err, len(want))
	}
}

// The log of an outage, which repeats a line with the second in it, keeps
// within the default MaxRatio.
func TestRatioOfLogs(t *testing.T) {
	var log bytes.Buffer
	for second := range 120 {
		for range 3000 {
			fmt.Fprintf(&log, "2026-11-29T12:%02d:%02dZ level=error msg=\"dial tcp 10.0.0.7:5432: connection refused\"\n", second/60, second%60)
		}
	}
	for name, b := range map[string][]byte{"zstd": zst(t, log.String()), "xz": xzed(t, log.String())} {
		got, err := scan(logscan.Scanner{Decoders: all()}, b)
		t.Logf("%s: ratio %d", name, log.Len()/len(b))
		if err != nil || got != log.String() {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), log.Len(), err)
		}
	}
}

// Blocks and frames with large windows and no text take bounded time. A
// dictionary of 1 MiB takes about 50 µs, so the test bounds the sum of the
// allocations.
func TestManyWindows(t *testing.T) {
	const limit = 1 << 20
	sum := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
	head := []byte{2, 0, 0x21, 1, 16, 0, 0, 0} // 1 MiB
	block := slices.Concat(head, sum(head), []byte{0, 0, 0, 0})
	blocks := slices.Concat([]byte("\xfd7zXZ\x00\x00\x00"), sum([]byte{0, 0}), bytes.Repeat(block, 10000))
	var err error
	n := allocated(func() { _, err = unpack(t, compress.XZ(limit), blocks) })
	if !errors.Is(err, compress.ErrWindow) || n > 1100*limit {
		t.Errorf("xz: error %v after %d MiB, want ErrWindow after 1024", err, n>>20)
	}

	// Each frame contains a byte.
	frames := bytes.Repeat([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 10 << 3, 3 | 1<<3, 0, 0, 'a'}, 1000)
	n = allocated(func() { _, err = unpack(t, compress.Zstd(limit), frames) })
	if err != nil || n > 4*limit {
		t.Errorf("zstd: error %v after %d MiB, want none with one buffer for all", err, n>>20)
	}
}

// The properties of a chunk choose the size of tables. Properties that LZMA2
// forbids, up to 6 MiB, are refused before.
func TestHostileChunkProperties(t *testing.T) {
	b := hostileXZ(0)
	b = append(b[:len(b)-8], 0xe0, 0, 0, 0, 5, 89, 0, 0, 0, 0, 0, 0) // lc 8, lp 4
	var err error
	n := allocated(func() { _, err = unpack(t, compress.XZ(0), b) })
	if err == nil || !strings.Contains(err.Error(), "properties 0x59") || n > 1<<20 {
		t.Errorf("%v, %d bytes allocated", err, n)
	}
}

func TestWindowAtTheCapIsRead(t *testing.T) {
	const limit = 1 << 20 // descriptor 10<<3
	if _, err := unpack(t, compress.Zstd(limit), hostileZstd(10<<3)); err != nil {
		t.Errorf("a window of the cap: %v", err)
	}
	if _, err := unpack(t, compress.Zstd(limit-1), hostileZstd(10<<3)); !errors.Is(err, compress.ErrWindow) {
		t.Errorf("a window above the cap: %v", err)
	}
	for _, limit := range []int64{0, -1} { // the default
		if _, err := unpack(t, compress.Zstd(limit), hostileZstd(16<<3)); err != nil {
			t.Errorf("64 MiB, with %d for the cap: %v", limit, err)
		}
		if _, err := unpack(t, compress.XZ(limit), hostileXZ(29)); !errors.Is(err, compress.ErrWindow) {
			t.Errorf("96 MiB, with %d for the cap: %v", limit, err)
		}
	}
	// A bound that is too small for any stream means the least bound.
	if _, err := unpack(t, compress.Zstd(1), hostileZstd(0)); err != nil {
		t.Errorf("1 KiB: %v", err)
	}
}

// A bomb ends with ErrLimit, in the memory of a window.
func TestBombs(t *testing.T) {
	zeros := strings.Repeat("\x00", 12<<20)
	for name, b := range map[string][]byte{"zstd": zst(t, zeros), "xz": xzed(t, zeros), "gzip": gzipped(t, zeros)} {
		for _, s := range []logscan.Scanner{
			{Decoders: all(), MaxDecoded: 4 << 20, MaxRatio: -1},
			{Decoders: all(), MaxRatio: 100},
		} {
			var counters logscan.Counters
			s.Stats = &counters
			var err error
			n := allocated(func() {
				for _, e := range s.Records(context.Background(), logscan.Readers("in", bytes.NewReader(b))) {
					err = errors.Join(err, e)
				}
			})
			if !errors.Is(err, logscan.ErrLimit) {
				t.Errorf("%s: error %v, want ErrLimit", name, err)
			}
			// The window announced by zstd.Encoder is 8 MiB. The reader takes
			// up to twice that.
			if n > 20<<20 {
				t.Errorf("%s: %d MiB allocated for %d KiB", name, n>>20, len(b)>>10)
			}
			if got := counters.Stats().DecodedBytes; got > 5<<20 {
				t.Errorf("%s: %d bytes unpacked", name, got)
			}
		}
	}
}

// Reading byte by byte, or from a reader that returns a byte at a time, makes
// no difference.
func TestSmallReads(t *testing.T) {
	text := string(seq()[:2000])
	for name, b := range map[string][]byte{"zstd": zst(t, text), "xz": xzed(t, text), "gzip": gzipped(t, text)} {
		r, err := decoderFor(all(), b).New(oneByte{bytes.NewReader(b)})
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := io.ReadAll(oneByte{r})
		if err := errors.Join(err, r.Close()); err != nil || string(got) != text {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

type oneByte struct{ io.Reader }

func (r oneByte) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(1, len(p))]) }

// An error of the input reaches the loop.
func TestInputError(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, b := range map[string][]byte{"zstd": zst(t, "a\n"), "xz": xzed(t, "a\n"), "gzip": gzipped(t, "a\n")} {
		in := io.MultiReader(bytes.NewReader(b[:len(b)-3]), failing{broken})
		r, err := decoderFor(all(), b).New(in)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, broken) {
			t.Errorf("%s: error %v, want %v", name, err, broken)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
