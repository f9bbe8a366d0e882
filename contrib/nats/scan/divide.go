package scan

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"

	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/retry"
)

// divide returns the tasks of the inputs, without numbers.
func (j *Job[A]) divide(ctx context.Context, in logscan.Inputs) iter.Seq[task] {
	return func(yield func(task) bool) {
		for input, err := range in {
			t := task{
				name: input.Name, offset: max(input.Offset, 0), end: max(input.End, 0), size: -1,
				within: input.Within, modTime: input.ModTime,
			}
			switch {
			case err != nil:
				t.failure = textOf(err)
			case len(t.name) > maxName:
				t.name, t.failure = t.name[:maxName], fmt.Sprintf("the name has %d bytes, at most %d", len(input.Name), maxName)
			default:
				size, plain := j.probe(ctx, input)
				t.size = size
				if plain {
					if !t.parts(j.Task, yield) {
						return
					}
					continue
				}
			}
			if !yield(t) {
				return
			}
		}
	}
}

// probe returns the size of an input, or -1, and whether it can be divided. An
// input that cannot be opened or read here becomes one task, so that the
// workers try.
func (j *Job[A]) probe(ctx context.Context, in logscan.Input) (size int64, plain bool) {
	// Attempts, so that a Run that continues finds the same tasks.
	policy := retry.Policy{RetryIf: func(err error) bool {
		return retryable(err) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission)
	}}
	err := policy.Do(ctx, func(ctx context.Context) (err error) {
		size, plain, err = j.inspect(ctx, in)
		return err
	})
	return size, plain && err == nil
}

func (j *Job[A]) inspect(ctx context.Context, in logscan.Input) (size int64, plain bool, err error) {
	rc, err := j.input(ctx, in)
	if err != nil {
		return -1, false, err
	}
	defer rc.Close()
	if size = sizeOf(rc); j.Task < 0 || size-max(in.Offset, 0) <= j.Task {
		return size, false, nil
	}
	beginning := &noted{Reader: rc}
	plain = j.Scanner.Plain(beginning)
	return size, plain, beginning.err
}

// A noted keeps the error of its reader, for Plain reports none.
type noted struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (n *noted) Read(p []byte) (int, error) {
	read, err := n.Reader.Read(p)
	if err != nil && err != io.EOF {
		n.err = err
	}
	return read, err
}

func (j *Job[A]) input(ctx context.Context, in logscan.Input) (io.ReadCloser, error) {
	if in.Open == nil {
		return j.Open(ctx, in.Name)
	}
	return in.Open(ctx)
}

// parts yields the parts of t, an input of known size, of at most length bytes.
func (t task) parts(length int64, yield func(task) bool) bool {
	last := t.size
	if t.end > 0 {
		last = min(t.end, last)
	}
	for part := t; ; part.offset += length {
		if part.offset > t.offset {
			part.within = true
		}
		part.end = last
		if last-part.offset > length {
			part.end = part.offset + length
		}
		if !yield(part) {
			return false
		}
		if part.end == last {
			return true
		}
	}
}

// bytes returns the number of bytes of t, or 0 if it is not known.
func (t *task) bytes() int64 {
	end := t.size
	if t.end > 0 {
		end = min(t.end, max(end, 0))
	}
	return max(end-t.offset, 0)
}

// digest returns the digest of the message of t.
func (t *task) digest() digest {
	sum := sha256.Sum256(t.marshal())
	return digest(sum[:])
}

// link returns the digest of the tasks up to t, if d is the digest of those
// before it.
func (d digest) link(t *task) digest {
	next := t.digest()
	sum := sha256.Sum256(append(d[:], next[:]...))
	return digest(sum[:])
}
