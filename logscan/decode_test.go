package logscan_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"testing/synctest"

	"github.com/redoubt-go/redoubt/logscan"
)

// gz returns a gzip member for each part.
func gz(parts ...[]byte) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		w := gzip.NewWriter(&b)
		w.Write(p)
		w.Close()
	}
	return b.Bytes()
}

// bz2 is "one\ntwo\n" packed by bzip2(1).
const bz2 = "BZh91AY&SY\xa7\x14\x2b\x77\x00\x00\x02\xc1\x80\x00\x10\x02\x01\x84\x80\x20\x00\x21\x80\x0c\x02\x38\xf5\x1b\x8b\xb9\x22\x9c\x28\x48\x53\x8a\x15\xbb\x80"

func TestGzipStreams(t *testing.T) {
	a, b := []byte("one\ntw"), []byte("o\nthree\n")
	good := whole("one", "two", "three")
	badCRC := gz(a, b)
	badCRC[len(badCRC)-8] ^= 1
	tests := []struct {
		name string
		in   []byte
		want []row
		err  error
	}{
		{"one member", gz(append(a, b...)), good, nil},
		{"cut inside a line", gz(a, b), good, nil},
		{"empty member between", gz(a, nil, b), good, nil},
		{"only empty members", gz(nil, nil), nil, nil},
		{"zero padding", append(gz(a, b), make([]byte, 1000)...), good, nil},
		{"garbage", append(gz(a, b), "garbage of ten bytes"...), good, gzip.ErrHeader},
		{"garbage after padding", append(append(gz(a, b), 0, 0), gz(a)...), good, gzip.ErrHeader},
		{"truncated header", gz(a, b)[:5], nil, io.ErrUnexpectedEOF},
		{"truncated trailer", gz(a, b)[:len(gz(a, b))-3], good, io.ErrUnexpectedEOF},
		{"second member truncated", gz(a, b)[:len(gz(a))+10], []row{{Line: "one"}, {Line: "tw", Partial: true}}, io.ErrUnexpectedEOF},
		{"bad CRC", badCRC, good, gzip.ErrChecksum},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []row
			var errs []error
			next := 0
			for rec, err := range (logscan.Scanner{}).Records(t.Context(), logscan.Readers("x", iotest.HalfReader(bytes.NewReader(tt.in)), strings.NewReader("next\n"))) {
				switch {
				case err != nil:
					errs = append(errs, err)
				case string(rec.Line) == "next":
					next++
				default:
					got = append(got, row{string(rec.Line), rec.Dropped, rec.Partial})
				}
			}
			checkEqual(t, got, tt.want)
			checkEqual(t, next, 1)
			if tt.err == nil && errs != nil || tt.err != nil && (len(errs) != 1 || !errors.Is(errs[0], tt.err)) {
				t.Errorf("errors: got %v, want %v", errs, tt.err)
			}
		})
	}
}

func TestMagicNotName(t *testing.T) {
	fsys := fstest.MapFS{
		"empty.gz":   {Data: nil},
		"packed.log": {Data: gz([]byte("packed\n"))},
		"plain.gz":   {Data: []byte("plain\n")},
		"two.txt":    {Data: []byte(bz2)},
		"twice.bz2":  {Data: []byte(bz2 + bz2)},
		"x.xz":       {Data: []byte("\xfd7zXZ\x00\x00\x04")},
		"y.zst":      {Data: []byte("\x28\xb5\x2f\xfd\x04")},
		"z.zst":      {Data: []byte("\x5e\x2a\x4d\x18\x04")},
	}
	got := map[string][]string{}
	for rec, err := range (logscan.Scanner{}).Records(t.Context(), logscan.Walk(fsys, nil)) {
		var in *logscan.InputError
		switch {
		case errors.As(err, &in):
			if !errors.Is(err, logscan.ErrUnsupported) {
				t.Errorf("got %v, want ErrUnsupported", err)
			}
			got[in.Name] = append(got[in.Name], "unsupported")
		default:
			got[rec.Source] = append(got[rec.Source], string(rec.Line))
		}
	}
	checkEqual(t, got, map[string][]string{
		"packed.log": {"packed"}, "plain.gz": {"plain"}, "two.txt": {"one", "two"}, "twice.bz2": {"one", "two", "one", "two"},
		"x.xz": {"unsupported"}, "y.zst": {"unsupported"}, "z.zst": {"unsupported"},
	})
	// Text that begins almost like a compressed stream.
	for _, text := range []string{"B", "BZ", "BZh", "BZh9", "BZh9 is text", "BZh0 too", "P", "P*M", "(", "\x1f", "\x1f\x8b", "\xfd7zXY"} {
		got, errs := rows(logscan.Scanner{}, strings.NewReader(text+"\n"))
		checkEqual(t, got, whole(text))
		checkEqual(t, len(errs), 0)
	}
}

func TestNoWaitForMagic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a deadlock fails it
		r, w := io.Pipe()
		answer := make(chan string)
		go func() {
			for _, line := range []string{"\n", "B\n", "\xef\n"} {
				io.WriteString(w, line)
				if got := <-answer; got+"\n" != line {
					t.Errorf("got %q, want %q", got, line)
				}
			}
			w.Close()
		}()
		for rec := range logscan.Lines(r) {
			answer <- string(rec.Line)
		}
	})
}

func TestLimits(t *testing.T) {
	bomb := gz(bytes.Repeat([]byte("x"), 8<<20))
	log := gz(bytes.Repeat([]byte("0123456789abcdef 0123456789ABCDEF\n"), 30000))
	tests := []struct {
		name    string
		s       logscan.Scanner
		in      []byte
		decoded uint64
		limited bool
	}{
		{"gzip cannot reach the default ratio", logscan.Scanner{}, bomb, 8 << 20, false},
		{"bomb", logscan.Scanner{MaxRatio: 500}, bomb, 0, true},
		{"bomb, no limits", logscan.Scanner{MaxRatio: -1, MaxDecoded: -1}, bomb, 8 << 20, false},
		{"ratio", logscan.Scanner{MaxRatio: 2}, gz(bytes.Repeat([]byte("12\n"), 1<<20)), 0, true},
		{"ratio below the first MiB", logscan.Scanner{MaxRatio: 2}, log[:], 30000 * 34, false},
		{"size", logscan.Scanner{MaxDecoded: 1000}, log, 1000, true},
		{"size just reached", logscan.Scanner{MaxDecoded: 30000 * 34}, log, 30000 * 34, false},
		{"size one short", logscan.Scanner{MaxDecoded: 30000*34 - 1}, log, 30000*34 - 1, true},
		{"size of bzip2", logscan.Scanner{MaxDecoded: 5}, []byte(bz2), 5, true},
		{"plain text has no limits", logscan.Scanner{MaxDecoded: 1, MaxRatio: 1}, []byte("some text\n"), 10, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var counters logscan.Counters
			tt.s.Stats = &counters
			var limited, next bool
			for rec, err := range tt.s.Records(t.Context(), logscan.Readers("x", bytes.NewReader(tt.in), strings.NewReader("next"))) {
				limited = limited || errors.Is(err, logscan.ErrLimit)
				next = err == nil && string(rec.Line) == "next"
			}
			checkEqual(t, limited, tt.limited)
			checkEqual(t, next, true)
			if got := counters.Stats().DecodedBytes - 4; tt.decoded > 0 && got != tt.decoded {
				t.Errorf("decoded: got %d bytes, want %d", got, tt.decoded)
			}
		})
	}
}

// A limit of a decoder, such as the largest window of zstd, ends its input and
// no other input. The limits of the Scanner hold for its output.
func TestDecoderLimits(t *testing.T) {
	tooWide := errors.New("window of 2 GiB, 8 MiB are allowed")
	var closed int
	wide := logscan.Decoder{Name: "wide", Magic: "WIDE", New: func(io.Reader) (io.ReadCloser, error) { return nil, tooWide }}
	later := logscan.Decoder{Name: "later", Magic: "LATER", New: func(io.Reader) (io.ReadCloser, error) {
		return closer{io.MultiReader(strings.NewReader("good\n"), iotest.ErrReader(tooWide)), &closed}, nil
	}}
	endless := logscan.Decoder{Name: "endless", Magic: "ENDLESS", New: func(r io.Reader) (io.ReadCloser, error) {
		return closer{repeat("more\n"), &closed}, nil
	}}
	var counters logscan.Counters
	sc := logscan.Scanner{Decoders: []logscan.Decoder{wide, later, endless}, MaxDecoded: 12, Stats: &counters}
	var got []string
	for rec, err := range sc.Records(t.Context(), logscan.Readers("in", strings.NewReader("WIDE"), strings.NewReader("LATER"), strings.NewReader("ENDLESS"), strings.NewReader("text"))) {
		var in *logscan.InputError
		switch {
		case err == nil:
			got = append(got, string(rec.Line))
		case errors.As(err, &in) && in.Name == "in":
			got = append(got, fmt.Sprintf("%d %v", in.Offset, in.Err))
		default:
			t.Errorf("got %v, want an InputError with the name", err)
		}
	}
	checkEqual(t, got, []string{
		"0 wide: " + tooWide.Error(), "good", "5 " + tooWide.Error(), "more", "more", "mo", "12 logscan: decoded size over the limit", "text",
	})
	stats := counters.Stats()
	checkEqual(t, []int{closed, int(stats.Inputs), int(stats.Failed), int(stats.Delivered)}, []int{2, 4, 3, 5})
}

type closer struct {
	io.Reader
	closed *int
}

func (c closer) Close() error {
	*c.closed++
	return nil
}

// repeat is an endless reader of a text.
type repeat string

func (r repeat) Read(p []byte) (n int, err error) {
	for n+len(r) <= len(p) {
		n += copy(p[n:], r)
	}
	return n, nil
}

// The ratio counts the bytes that the decoder has used, not the bytes read
// ahead.
func TestRatioIsEarly(t *testing.T) {
	var counters logscan.Counters
	sc := logscan.Scanner{MaxRatio: 500, Stats: &counters}
	_, errs := rows(sc, bytes.NewReader(gz(bytes.Repeat([]byte("x"), 16<<20))))
	if len(errs) != 1 || !errors.Is(errs[0], logscan.ErrLimit) {
		t.Fatalf("got %v, want ErrLimit", errs)
	}
	if got := counters.Stats().DecodedBytes; got > 2<<20 {
		t.Errorf("decoded %d bytes before the limit, want at most 2 MiB", got)
	}
}

// What is known and not text is an error, and not a line of garbage.
func TestFormatsThatAreNoText(t *testing.T) {
	tar := append(bytes.Repeat([]byte{'a'}, 257), "ustar\x0000"...)
	tar = append(tar, make([]byte, 600)...)
	for name, in := range map[string][]byte{
		"zip": []byte("PK\x03\x04\x14\x00"), "7z": []byte("7z\xbc\xaf\x27\x1c\x00"), "lz4": []byte("\x04\x22\x4d\x18\x40"),
		"lzma": []byte("\x5d\x00\x00\x80\x00"), "zlib": []byte("\x78\x9c\x01"), "compress": []byte("\x1f\x9d\x90"),
		"tar": tar, "tar in gzip": gz(tar), "UTF-16": []byte("\xff\xfea\x00"), "UTF-16 of the other order": []byte("\xfe\xff\x00b"),
	} {
		got, errs := rows(logscan.Scanner{}, bytes.NewReader(in))
		if len(got) > 0 || len(errs) != 1 || !errors.Is(errs[0], logscan.ErrUnsupported) {
			t.Errorf("%s: got %v, %v, want ErrUnsupported", name, got, errs)
		}
	}
	for _, text := range []string{"x", "xy\n", "PK", "7z\n", "]\n", "a\x00\n"} {
		if got, errs := rows(logscan.Scanner{}, strings.NewReader(text)); len(got) != 1 || len(errs) > 0 {
			t.Errorf("%q: got %v, %v, want a line", text, got, errs)
		}
	}
}

func TestPlain(t *testing.T) {
	zstd := logscan.Decoder{Magic: "\x28\xb5\x2f\xfd", New: func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(r), nil }}
	s := logscan.Scanner{Decoders: []logscan.Decoder{zstd}}
	for _, test := range []struct {
		name, text string
		want       bool
	}{
		{"empty", "", true},
		{"text", "a\nb\n", true},
		{"byte order mark", "\xef\xbb\xbfa\n", true},
		{"gzip", string(gz([]byte("a\n"))), false},
		{"decoder", "\x28\xb5\x2f\xfd...", false},
		{"refused", "PK\x03\x04...", false},
		{"beginning of a magic", "\x1f\x8b", true},
	} {
		if got := s.Plain(strings.NewReader(test.text)); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}
