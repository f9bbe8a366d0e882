package logscan

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"sync/atomic"
)

// Inputs are what a scan reads, in order. An error in them stands for an input
// that could not be listed. Any function of this type will do, such as one that
// changes the inputs of Files or Walk on their way.
type Inputs = iter.Seq2[Input, error]

// An Input is one stream of lines. gzip and bzip2 are recognised by their first
// bytes, whatever the name says, and unpacked; xz and zstd are recognised and, unless
// there is a Decoder for them, refused.
type Input struct {
	// Name becomes Record.Source and InputError.Name.
	Name string

	// Offset is where in the decoded stream to begin, in bytes, such as the
	// Next of a record of an earlier scan. What is before it is read and
	// dropped. A stream that is shorter is an io.ErrUnexpectedEOF.
	Offset int64

	// Open opens the stream from its beginning. The scan closes it. Required.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Files returns the named files as inputs. They are opened one at a time, when
// their turn comes, and read up to the end they have when the scan gets there.
func Files(paths ...string) Inputs {
	return func(yield func(Input, error) bool) {
		for _, path := range paths {
			open := func(context.Context) (io.ReadCloser, error) { return os.Open(path) }
			if !yield(Input{Name: path, Open: open}, nil) {
				return
			}
		}
	}
}

// Walk returns the regular files of fsys whose path match accepts (nil: all) as
// inputs, in lexical order. Symbolic links are not followed; to keep a link that
// is put in place of a file during the walk from leading outside, use the FS of an
// os.Root. A directory that cannot be read is an *InputError, and the walk goes on.
func Walk(fsys fs.FS, match func(path string) bool) Inputs {
	return func(yield func(Input, error) bool) {
		// It returns the errors of the function, and that has none.
		fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
			in := Input{Name: path}
			switch {
			case err != nil:
				err = &InputError{Name: path, Err: err}
			case !d.Type().IsRegular(), match != nil && !match(path):
				return nil
			default:
				in.Open = func(context.Context) (io.ReadCloser, error) { return fsys.Open(path) }
			}
			if !yield(in, err) {
				return fs.SkipAll
			}
			return nil
		})
	}
}

var errReread = errors.New("reader was read by an earlier scan")

// Readers returns the readers as inputs of one name. They are not closed. A
// reader can be read once: where the inputs are ranged over again, each is an *InputError.
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
