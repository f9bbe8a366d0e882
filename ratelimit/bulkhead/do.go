package bulkhead

import "context"

// Do acquires a place of b, calls fn once and returns its results. If fn panics
// or calls runtime.Goexit, the place is returned.
//
// Errors: the error of [Bulkhead.Acquire], without a call of fn, or the error
// of fn.
func Do[T any](ctx context.Context, b *Bulkhead, fn func(context.Context) (T, error)) (T, error) {
	p, err := b.Acquire(ctx)
	if err != nil {
		var zero T
		return zero, err
	}
	defer p.Release() // no effect after Done
	v, err := fn(ctx)
	p.Done(err)
	return v, err
}

// Wrap returns fn guarded by b: each call is a [Do].
func Wrap[T any](b *Bulkhead, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return Do(ctx, b, fn) }
}

// WrapArg returns fn, a function with an argument, guarded by b: each call is a
// [Do].
func WrapArg[A, T any](b *Bulkhead, fn func(context.Context, A) (T, error)) func(context.Context, A) (T, error) {
	return func(ctx context.Context, arg A) (T, error) {
		return Do(ctx, b, func(ctx context.Context) (T, error) { return fn(ctx, arg) })
	}
}

// Do is the function [Do] for work without a result.
//
// Errors: see the function Do.
func (b *Bulkhead) Do(ctx context.Context, fn func(context.Context) error) error {
	_, err := Do(ctx, b, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}
