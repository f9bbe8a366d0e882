package bulkhead

import (
	"context"
	"errors"
)

// An Outcome is what an error of the work means to an algorithm.
type Outcome uint8

const (
	// Success is work that was done; the time it took counts.
	Success Outcome = iota
	// Ignored is work whose time says nothing, such as a quick failure.
	Ignored
	// Dropped is work that failed because there was too much of it.
	Dropped
)

// Classify is the default of Config.Classify: no error is a Success, [context.DeadlineExceeded] is Dropped, and every
// other error is Ignored, as is a refusal by another guard.
func Classify(err error) Outcome {
	switch {
	case err == nil:
		return Success
	case errors.Is(err, context.DeadlineExceeded) && !rejected(err):
		return Dropped
	}
	return Ignored
}

// rejected reports whether the first error of the chain of err that has a method Rejected returns true from it.
func rejected(err error) bool {
	found, is := search(err)
	return found && is
}

func search(err error) (found, is bool) {
	for err != nil {
		if r, ok := err.(interface{ Rejected() bool }); ok {
			return true, r.Rejected()
		}
		switch u := err.(type) {
		case interface{ Unwrap() error }:
			err = u.Unwrap()
		case interface{ Unwrap() []error }:
			for _, e := range u.Unwrap() {
				if found, is := search(e); found {
					return found, is
				}
			}
			return false, false
		default:
			return false, false
		}
	}
	return false, false
}

// Do acquires a place in b, calls fn once and returns its results. If it gets no place, fn is not called, and the
// error is that of [Bulkhead.Acquire]. When fn panics or calls runtime.Goexit, the place is given back.
func Do[T any](ctx context.Context, b *Bulkhead, fn func(context.Context) (T, error)) (T, error) {
	p, err := b.Acquire(ctx)
	if err != nil {
		var zero T
		return zero, err
	}
	defer p.Release() // of no effect after Done
	v, err := fn(ctx)
	p.Done(err)
	return v, err
}

// Wrap returns fn guarded by b: each call is a [Do], with its errors.
func Wrap[T any](b *Bulkhead, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return Do(ctx, b, fn) }
}

// Do is the function [Do] for work without a result, with its errors.
func (b *Bulkhead) Do(ctx context.Context, fn func(context.Context) error) error {
	_, err := Do(ctx, b, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}
