package compress

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/ulikunitz/xz"
)

// DefaultWindow is the default of the largest window, in bytes.
const DefaultWindow = 64 << 20

// minWindow is the least useful bound: the smallest window of zstd. xz has 4
// KiB.
const minWindow = zstd.MinWindowSize

// ErrWindow is matched if an input demands a window larger than allowed, or if
// a zstd frame refers back beyond its own window.
var ErrWindow = errors.New("compress: window too large")

// window returns the bound for the argument n of Zstd and XZ.
func window(n int64) int64 {
	if n < 1 {
		return DefaultWindow
	}
	return max(n, minWindow)
}

// Zstd returns the Decoders of zstd: one for frames, and sixteen for skippable
// frames. A frame with a window larger than maxWindow bytes is an error that
// matches [ErrWindow]. If maxWindow < 1, it is [DefaultWindow]. The least is 1
// KiB.
func Zstd(maxWindow int64) []logscan.Decoder {
	open := func(r io.Reader) (io.ReadCloser, error) {
		zr, err := zstd.NewReader(r,
			zstd.WithDecoderMaxWindow(uint64(window(maxWindow))),
			zstd.WithDecoderConcurrency(1), // no goroutines
			zstd.WithDecoderLowmem(true),
			zstd.WithDecodeBuffersBelow(0))
		if err != nil {
			return nil, err
		}
		return &zstdReader{zr, window(maxWindow)}, nil
	}
	ds := []logscan.Decoder{{Name: "zstd", Magic: "\x28\xb5\x2f\xfd", New: open}}
	for b := byte(0x50); b <= 0x5f; b++ {
		ds = append(ds, logscan.Decoder{Name: "zstd", Magic: string([]byte{b, 0x2a, 0x4d, 0x18}), New: open})
	}
	return ds
}

// A zstdReader turns the errors of a window into ErrWindow.
type zstdReader struct {
	*zstd.Decoder
	max int64
}

func (r *zstdReader) Read(p []byte) (int, error) {
	n, err := r.Decoder.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = fmt.Errorf("%w: at most %d bytes are allowed: %w", ErrWindow, r.max, err)
	}
	return n, err
}

func (r *zstdReader) Close() error {
	r.Decoder.Close()
	return nil
}

// XZ returns the Decoder of xz. A block with a dictionary larger than maxWindow
// bytes is an error that matches [ErrWindow]. If maxWindow < 1, it is
// [DefaultWindow]. The least is 1 KiB.
func XZ(maxWindow int64) []logscan.Decoder {
	open := func(r io.Reader) (io.ReadCloser, error) {
		// The library allocates the dictionary size of a header, but no less
		// than DictCap. The least will do: a stream without a block, which is
		// an empty file, is common.
		g := &guard{r: bufio.NewReader(r), max: window(maxWindow), next: (*guard).stream}
		zr, err := xz.ReaderConfig{DictCap: 1 << 12}.NewReader(g)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(zr), nil
	}
	return []logscan.Decoder{{Name: "xz", Magic: "\xfd7zXZ\x00", New: open}}
}
