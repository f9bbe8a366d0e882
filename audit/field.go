package audit

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync/atomic"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/internal/show"
)

// A Field is an audited attribute of an object. Every operation is recorded
// before it is applied. An operation that cannot be recorded is not applied.
// Reads do not wait for each other, only for changes. Waiting ends with the
// context.
//
// A Field is a pointer: copies, including copies inside structs, share the
// value. It shows its mask to fmt, slog and encoders, and nothing to code that
// walks structs with reflect. The zero Field is unbound, and its operations
// fail with [ErrUnbound].
type Field[T any] struct{ c *cell[T] }

// A cell holds the value in an atomic.Pointer, an unsafe pointer that printers
// of structs do not follow. A stored value never changes.
type cell[T any] struct {
	gate gate // held while an event is recorded and applied: the log has the order of the changes
	attr *Attribute[T]
	obj  *Object
	err  error // an invalid name
	v    atomic.Pointer[T]
}

// Get records a read and returns the value. If [Attribute.QuietRead] is set, it
// records nothing.
//
// Errors: [*FieldError] matching [ErrUnset], [ErrInvalid], [ErrUnbound], the
// errors of [Log.Record]. With an error, the returned value is zero.
func (f Field[T]) Get(ctx context.Context) (T, error) {
	if c := f.c; c != nil && c.err == nil && ctx.Err() == nil {
		if c.attr.QuietRead {
			return c.value() // no lock: the stored value was recorded and never changes
		}
		return c.get(ctx)
	}
	var zero T
	_, err := f.begin(ctx)
	return zero, err
}

// get records a read between the changes of the field, and at the same time as
// other reads.
func (c *cell[T]) get(ctx context.Context) (T, error) {
	var zero T
	if err := c.gate.lock(ctx, false); err != nil {
		return zero, err
	}
	defer c.gate.unlock()
	v, err := c.value()
	if err != nil {
		return v, err
	}
	if err := c.emit(ctx, Event{Action: Read, Outcome: Success, Changes: c.change("", "")}); err != nil {
		return zero, err
	}
	return v, nil
}

// value returns a copy of the value.
func (c *cell[T]) value() (v T, err error) {
	p := c.v.Load()
	if p == nil {
		return v, c.refusal("unset", ErrUnset)
	}
	return c.attr.clone(*p), nil
}

// Set checks v, records the change as Create or Modify, and applies it. If v is
// refused, Set records a failure without the value.
//
// Errors: [*FieldError] matching [ErrInvalid], [ErrInvalid], [ErrUnbound], the
// errors of [Log.Record]. With an error, the value does not change.
func (f Field[T]) Set(ctx context.Context, v T) error {
	return f.Update(ctx, func(T, bool) (T, error) { return v, nil })
}

// Update calls fn with the value and sets the value that fn returns, as one
// change. The bool of fn reports whether the field has a value. Update calls fn
// under the lock of the field, so fn must not use the field. Update passes the
// old value to fn before any event is recorded. If fn fails or panics, Update
// records a failure and the value does not change.
//
// Errors: the error of fn unchanged, the errors of Set.
func (f Field[T]) Update(ctx context.Context, fn func(old T, ok bool) (T, error)) error {
	c, err := f.begin(ctx)
	if err != nil {
		return err
	}
	if err := c.gate.lock(ctx, true); err != nil {
		return err
	}
	defer c.gate.unlock()
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
		return err
	}
	c.v.Store(&v)
	return nil
}

// make calls fn and the check, and records a failure if either refuses.
func (c *cell[T]) make(ctx context.Context, a Action, old T, ok bool, fn func(T, bool) (T, error)) (v T, err error) {
	// Deferred without recover: a panic or Goexit of fn continues after the
	// failure is recorded.
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
	v = c.attr.clone(v) // before the check, so that the checked value is stored
	if err = c.check(v); err != nil {
		code = "invalid"
		return v, err
	}
	code = ""
	return v, nil
}

// Delete records the deletion and removes the value.
//
// Errors: [*FieldError] matching [ErrUnset], [ErrInvalid], [ErrUnbound], the
// errors of [Log.Record]. With an error, the value does not change.
func (f Field[T]) Delete(ctx context.Context) error {
	c, err := f.begin(ctx)
	if err != nil {
		return err
	}
	if err := c.gate.lock(ctx, true); err != nil {
		return err
	}
	defer c.gate.unlock()
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

// IsSet reports whether the field has a value. It records nothing.
func (f Field[T]) IsSet() bool { return f.c != nil && f.c.v.Load() != nil }

// Masked returns the text that is shown in place of the value: the mask or, if
// the attribute is not sensitive, the value. It returns "<unset>" for a field
// without a value and "<unbound>" for the zero Field. It records nothing.
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

// Format writes the text of Masked for every verb.
func (f Field[T]) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, f.Masked()) }

// LogValue returns the text of Masked.
func (f Field[T]) LogValue() slog.Value { return slog.StringValue(f.Masked()) }

// MarshalText returns the text of Masked.
func (f Field[T]) MarshalText() ([]byte, error) { return []byte(f.Masked()), nil }

// MarshalJSON returns the text of Masked as a JSON string.
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

// UnmarshalJSON always fails with errors.ErrUnsupported, as UnmarshalText does.
func (f *Field[T]) UnmarshalJSON([]byte) error { return f.UnmarshalText(nil) }

// Value always fails with errors.ErrUnsupported: a database would store the
// mask. Store the value that Get returns.
func (f Field[T]) Value() (driver.Value, error) {
	return nil, fmt.Errorf("audit: store a field: %w", errors.ErrUnsupported)
}

// Scan always fails with errors.ErrUnsupported, as UnmarshalText does. Use
// [Attribute.Load].
func (f *Field[T]) Scan(any) error { return f.UnmarshalText(nil) }

// begin returns the cell, or the error that prevents an operation. These errors
// are mistakes of the program or canceled calls, and are not recorded as
// events.
func (f Field[T]) begin(ctx context.Context) (*cell[T], error) {
	switch {
	case f.c == nil:
		return nil, classed("audit: field", ErrUnbound)
	case f.c.err != nil:
		return nil, f.c.err
	}
	return f.c, done(ctx)
}

// change returns the changes of an event of this field.
func (c *cell[T]) change(from, to string) []Change {
	return []Change{{Field: c.attr.Name, Old: from, New: to, Sensitive: c.attr.Sensitive}}
}

// emit records e for the object of this field.
func (c *cell[T]) emit(ctx context.Context, e Event) error {
	e.Target = c.obj.target
	if err := c.obj.log.write(ctx, &e); err != nil {
		return fmt.Errorf("%w (field %s)", err, strconv.Quote(c.attr.Name))
	}
	return nil
}

// shown returns the text of a value in an event: the token if the attribute and
// the log have tokens, otherwise the mask.
func (c *cell[T]) shown(v T) string {
	if !c.attr.Sensitive && c.attr.Mask == nil {
		return show.Change(v, maxText)
	}
	if !c.attr.Sensitive || !c.attr.Token || len(c.obj.log.tokens) == 0 {
		return c.attr.masked(v)
	}
	domain := c.attr.Domain
	if domain == "" {
		domain = c.obj.target.Type + "." + c.attr.Name
	}
	return c.obj.log.token(domain, v)
}

// check calls Attribute.Check and returns an error that is safe to print.
func (c *cell[T]) check(v T) error {
	if c.attr.Check == nil {
		return nil
	}
	err := runCheck(c.attr.Check, v)
	if err == nil {
		return nil
	}
	e := c.refusal("invalid", ErrInvalid)
	e.cause = hidden{func() error { return err }}
	if rule, ok := errtree.Find[ruleError](err); ok {
		e.rule = string(rule)
	} else if !c.attr.Sensitive { // the text may contain the value
		e.rule = quote.Error(err)
	}
	return e
}

// refusal returns an error of this field.
func (c *cell[T]) refusal(code Code, class error) *FieldError {
	return &FieldError{Target: c.obj.target, Field: c.attr.Name, Code: code, class: class}
}

// runCheck turns a panic into a refusal and drops the panic value, which may
// contain the value of the field.
func runCheck[T any](check func(T) error, v T) (err error) {
	defer func() {
		if recover() != nil {
			err = ruleError("check panicked")
		}
	}()
	return check(v)
}
