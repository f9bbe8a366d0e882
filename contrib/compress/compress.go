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

// DefaultWindow is the bound of the window if the argument is 0, in bytes.
const DefaultWindow = 64 << 20

// minWindow is the smallest window of zstd. The smallest window of xz is 4 KiB.
const minWindow = zstd.MinWindowSize

// ErrWindow matches the error of an input that needs a larger window than
// allowed, and of a zstd frame that refers back beyond its window.
var ErrWindow = errors.New("compress: window too large")

// window returns n, or the default if n < 1.
func window(n int64) int64 {
	if n < 1 {
		return DefaultWindow
	}
	return max(n, minWindow)
}

// Zstd returns the decoders of zstd: a stream can also begin with one of
// sixteen kinds of skippable frames. A frame with a window larger than
// maxWindow bytes is an error that matches [ErrWindow]. If maxWindow <= 0, the
// bound is [DefaultWindow]. The smallest bound is 1 KiB.
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
		return &zstdReader{zr}, nil
	}
	ds := []logscan.Decoder{{Name: "zstd", Magic: "\x28\xb5\x2f\xfd", New: open}}
	for b := byte(0x50); b <= 0x5f; b++ {
		ds = append(ds, logscan.Decoder{Name: "zstd", Magic: string([]byte{b, 0x2a, 0x4d, 0x18}), New: open})
	}
	return ds
}

// A zstdReader translates the errors of the library for large windows.
type zstdReader struct{ *zstd.Decoder }

func (r *zstdReader) Read(p []byte) (int, error) {
	n, err := r.Decoder.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = fmt.Errorf("%w: %w", ErrWindow, err)
	}
	return n, err
}

func (r *zstdReader) Close() error {
	r.Decoder.Close()
	return nil
}

// XZ returns the decoder of xz. A block with a dictionary larger than maxWindow
// bytes is an error that matches [ErrWindow]. If maxWindow <= 0, the bound is
// [DefaultWindow].
func XZ(maxWindow int64) []logscan.Decoder {
	open := func(r io.Reader) (io.ReadCloser, error) {
		// The library allocates the size in the header, but at least DictCap.
		// An empty file has no block, so DictCap is small.
		g := &guard{r: bufio.NewReader(r), max: window(maxWindow), next: (*guard).stream}
		zr, err := xz.ReaderConfig{DictCap: 1 << 12}.NewReader(g)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(zr), nil
	}
	return []logscan.Decoder{{Name: "xz", Magic: "\xfd7zXZ\x00", New: open}}
}
