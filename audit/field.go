package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
)

// Field is one audited attribute of one object. Every operation is recorded
// first and done afterwards; what cannot be recorded is not done.
//
// A Field is a handle of one pointer: copies, also inside copied structs, share
// the value. It shows its mask to fmt, slog and every encoder, and nothing to
// code that walks structs with reflect. The zero Field is unbound: its operations
// fail with [ErrUnbound].
type Field[T any] struct{ c *cell[T] }

// cell holds the value behind an unsafe pointer inside atomic.Pointer, which is
// where printers that follow pointers stop. A stored value is never changed.
type cell[T any] struct {
	mu   sync.Mutex // spans recording and applying, so that the log has the order of the changes
	attr *Attribute[T]
	obj  *Object
	err  error // the field was bound with a bad name
	v    atomic.Pointer[T]
}

// Get records a read and returns the value. With [Attribute.QuietRead] nothing is
// recorded.
//
// Errors: [*FieldError] matching [ErrUnset], [ErrUnbound], and those of
// [Log.Record]; the value is then zero.
func (f Field[T]) Get(ctx context.Context) (T, error) {
	if c := f.c; c != nil && c.err == nil && ctx.Err() == nil {
		if c.attr.QuietRead {
			return c.value() // needs no lock: what is stored was recorded, and is never changed
		}
		return c.get(ctx)
	}
	var zero T
	_, err := f.begin(ctx)
	return zero, err
}

// get is a read that has its place among the recorded changes.
func (c *cell[T]) get(ctx context.Context) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, err := c.value()
	if err != nil {
		return v, err
	}
	if err := c.emit(ctx, Event{Action: Read, Outcome: Success, Changes: c.change("", "")}); err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}

// value is a copy of the value.
func (c *cell[T]) value() (v T, err error) {
	p := c.v.Load()
	if p == nil {
		return v, c.refusal("unset", ErrUnset)
	}
	return c.attr.clone(*p), nil
}

// Set checks v, records the change, as Create or Modify, and applies it. A
// refused value is recorded as a failure, without the value.
//
// Errors: [*FieldError] matching [ErrInvalid], [ErrUnbound], and those of
// [Log.Record]; the value is then as before.
func (f Field[T]) Set(ctx context.Context, v T) error {
	return f.Update(ctx, func(T, bool) (T, error) { return v, nil })
}

// Update sets the value that fn makes of the old one, as one change that nothing
// comes between. The bool says whether there was a value. fn runs under the
// field's lock, must not use the field, and sees the old value before the event
// is recorded: call Get where that must not be. If fn fails or panics, a failure
// is recorded and the value stays.
//
// Errors: that of fn unchanged, and those of Set.
func (f Field[T]) Update(ctx context.Context, fn func(old T, ok bool) (T, error)) error {
	c, err := f.begin(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ev := Event{Action: Create, Outcome: Success}
	var old T
	oldText := ""
	p := c.v.Load()
	if p != nil {
		ev.Action, old, oldText = Modify, c.attr.clone(*p), c.shown(*p)
	}
	v, err := c.make(ctx, ev.Action, old, p != nil, fn)
	if err != nil {
		return err
	}
	ev.Changes = c.change(oldText, c.shown(v))
	if err := c.emit(ctx, ev); err != nil {
		return err // not recorded, so not done
	}
	c.v.Store(&v)
	return nil
}

// make runs fn and the check, and records a failure if either refuses.
func (c *cell[T]) make(ctx context.Context, a Action, old T, ok bool, fn func(T, bool) (T, error)) (v T, err error) {
	// Deferred, and not recovered: a panic or Goexit of fn passes on unchanged, and
	// leaves the failure in the log and the lock free.
	code := Code("panic")
	defer func() {
		if code != "" {
			failed := Event{Action: a, Outcome: Failure, Code: code, Changes: c.change("", "")}
			err = both(err, c.emit(ctx, failed))
		}
	}()
	if v, err = fn(old, ok); err != nil {
		code = "failed"
		return v, err
	}
	v = c.attr.clone(v) // before the check: what was checked is what is kept
	if err = c.check(v); err != nil {
		code = "invalid"
		return v, err
	}
	code = ""
	return v, nil
}

// Delete records the deletion and takes the value away.
//
// Errors: [*FieldError] matching [ErrUnset], [ErrUnbound], and those of
// [Log.Record]; the value is then as before.
func (f Field[T]) Delete(ctx context.Context) error {
	c, err := f.begin(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.v.Load()
	if p == nil {
		return c.refusal("unset", ErrUnset)
	}
	ev := Event{Action: Delete, Outcome: Success, Changes: c.change(c.shown(*p), "")}
	if err := c.emit(ctx, ev); err != nil {
		return err
	}
	c.v.Store(nil)
	return nil
}

// IsSet reports whether there is a value. It records nothing.
func (f Field[T]) IsSet() bool { return f.c != nil && f.c.v.Load() != nil }

// Masked returns the text that may be shown: the mask or, for attributes that are
// not sensitive, the value; "<unset>" and "<unbound>" where there is none. It
// records nothing.
func (f Field[T]) Masked() string {
	if f.c == nil {
		return "<unbound>"
	}
	p := f.c.v.Load()
	if p == nil {
		return "<unset>"
	}
	return f.c.attr.masked(*p)
}

// Format writes Masked for every verb.
func (f Field[T]) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, f.Masked()) }

// LogValue returns Masked.
func (f Field[T]) LogValue() slog.Value { return slog.StringValue(f.Masked()) }

// MarshalText returns Masked.
func (f Field[T]) MarshalText() ([]byte, error) { return []byte(f.Masked()), nil }

// MarshalJSON returns Masked as a JSON string.
func (f Field[T]) MarshalJSON() ([]byte, error) {
	w := encoder{}
	w.text(f.Masked())
	return w.b, nil
}

// UnmarshalText always fails with errors.ErrUnsupported: decoding would change
// the value without an event.
func (f *Field[T]) UnmarshalText([]byte) error {
	return fmt.Errorf("audit: decode into a field: %w", errors.ErrUnsupported)
}

// UnmarshalJSON always fails, as UnmarshalText does.
func (f *Field[T]) UnmarshalJSON([]byte) error { return f.UnmarshalText(nil) }

// begin reports why an operation cannot begin. What it reports is not an event: a
// program that is put together wrongly has nothing to say about an actor.
func (f Field[T]) begin(ctx context.Context) (*cell[T], error) {
	switch {
	case f.c == nil:
		return nil, fmt.Errorf("audit: field: %w", ErrUnbound)
	case f.c.err != nil:
		return nil, f.c.err
	}
	return f.c, done(ctx)
}

// change is the list of changes of an event of one field.
func (c *cell[T]) change(from, to string) []Change {
	return []Change{{Field: c.attr.Name, Old: from, New: to, Sensitive: c.attr.Sensitive}}
}

// emit records e for this field's object. The context is known to have been alive
// when the operation began.
func (c *cell[T]) emit(ctx context.Context, e Event) error {
	e.Target = c.obj.target
	if err := c.obj.log.write(ctx, &e); err != nil {
		return fmt.Errorf("%w (field %s)", err, strconv.Quote(c.attr.Name))
	}
	return nil
}
