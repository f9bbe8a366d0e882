package logscan

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"sync/atomic"
	"time"
)

// Inputs are the streams that a scan reads, in order. An error stands for an
// input that could not be listed. Any function of this type will do, for
// example a function that changes the inputs of [Files] or [Walk].
type Inputs = iter.Seq2[Input, error]

// An Input is a stream of lines. Its first bytes, not its name, decide whether
// it is compressed. gzip and bzip2 are unpacked. xz and zstd need a [Decoder];
// otherwise the input is an error that matches [ErrUnsupported]. A UTF-8 byte
// order mark at the beginning of the decoded stream is skipped.
type Input struct {
	// Name becomes [Record].Source and [InputError].Name.
	Name string

	// Offset is the place in the decoded stream where the scan begins, in
	// bytes, such as [Record].Next of an earlier scan. The bytes before it are
	// skipped. If the stream is shorter, the error is [io.ErrUnexpectedEOF].
	Offset int64

	// Within states that Offset may be inside a record. The scan then begins
	// with the first record that begins at Offset or later.
	Within bool

	// End bounds the scan to the records that begin before it, in bytes of the
	// decoded stream. With Within and End, several scans can share an input: no
	// record is delivered twice, and none is left out. Zero means the end of
	// the stream.
	End int64

	// ModTime is the time of the last change of the input. A [TimeParser]
	// without Reference takes it to find years. It may be zero.
	ModTime time.Time

	// Open opens the stream from its beginning. The scan closes it. Required.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// end returns End or its default.
func (in *Input) end() int64 {
	if in.End <= 0 {
		return math.MaxInt64
	}
	return in.End
}

// Files returns the named files as inputs. A file is opened when the scan
// reaches it, and read to the end that it then has.
func Files(paths ...string) Inputs {
	return func(yield func(Input, error) bool) {
		for _, path := range paths {
			open := func(context.Context) (io.ReadCloser, error) { return os.Open(path) }
			in := Input{Name: path, Open: open}
			if info, err := os.Stat(path); err == nil {
				in.ModTime = info.ModTime()
			}
			if !yield(in, nil) {
				return
			}
		}
	}
}

// Walk returns the regular files of fsys as inputs, in lexical order. If match
// is not nil, it selects files by path. A directory that cannot be read is an
// [*InputError], and the walk continues.
//
// Walk does not follow symbolic links. A link could still replace a file during
// the walk; the FS of an [os.Root] keeps it from leading outside.
func Walk(fsys fs.FS, match func(path string) bool) Inputs {
	return func(yield func(Input, error) bool) {
		// WalkDir returns the errors of this function, which has none.
		fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
			in := Input{Name: path}
			switch {
			case err != nil:
				err = &InputError{Name: path, Err: err}
			case !d.Type().IsRegular(), match != nil && !match(path):
				return nil
			default:
				in.Open = func(context.Context) (io.ReadCloser, error) { return fsys.Open(path) }
				if info, err := d.Info(); err == nil {
					in.ModTime = info.ModTime()
				}
			}
			if !yield(in, err) {
				return fs.SkipAll
			}
			return nil
		})
	}
}

var errReread = errors.New("reader was read by an earlier scan")

// Readers returns the readers as inputs with the same name. It does not close
// them. A reader can be read once: in a second scan of the inputs, each reader
// is an [*InputError].
func Readers(name string, rs ...io.Reader) Inputs {
	used := make([]atomic.Bool, len(rs))
	return func(yield func(Input, error) bool) {
		for i, r := range rs {
			open := func(context.Context) (io.ReadCloser, error) {
				if used[i].Swap(true) {
					return nil, errReread
				}
				return io.NopCloser(r), nil
			}
			if !yield(Input{Name: name, Open: open}, nil) {
				return
			}
		}
	}
}
