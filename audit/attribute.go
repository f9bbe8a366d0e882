package audit

import (
	"bytes"
	"errors"
	"fmt"
)

// Attribute describes one audited attribute: declare it once, usually as a package
// variable, and bind it to objects with Of or Load. It must not be changed after
// that. Its functions may be called by several goroutines at once, some while the
// field is locked, and must not use the same field.
type Attribute[T any] struct {
	// Name of the attribute in events; required, a name as [Action] is.
	Name string

	// Sensitive masks the value wherever it could be seen: in events, in fmt, in
	// slog and in every encoder.
	Sensitive bool

	// Check accepts or refuses a value before it is recorded and applied; nil
	// accepts all. A check that panics refuses. See [Length], [Match], [Between],
	// [OneOf] and [All].
	Check func(T) error

	// Mask makes the shown text of a value. The default is "***" for sensitive
	// attributes and what fmt.Sprint prints for the others. A mask of a sensitive
	// value that panics or contains the value counts as "***".
	Mask func(T) string

	// Clone copies a value on its way in and out, so that nobody can change it
	// without an event. The default copies []byte and assigns everything else:
	// give one for maps, slices and pointers.
	Clone func(T) T

	// Token records a correlation token instead of the mask where a sensitive value
	// changes, so that equal values can be found without being shown, see
	// [TokenKey]. Without a key in [Config.TokenKeys] the mask stays.
	Token bool

	// Domain separates tokens: values are only seen to be equal within one domain.
	// The default is the object's type, a dot and Name.
	Domain string

	// QuietRead leaves reads unrecorded, for attributes where only changes count.
	QuietRead bool
}

// Of binds the attribute to o, as a field without a value. A name that is not
// allowed, or a nil o, makes a field whose operations all fail.
func (a *Attribute[T]) Of(o *Object) Field[T] {
	c := &cell[T]{attr: a, obj: o}
	switch {
	case o == nil || o.log == nil:
		return Field[T]{}
	case !isName(a.Name):
		c.err = fmt.Errorf("audit: attribute %s is not a name: %w", quote(a.Name), ErrInvalid)
	case !isName(o.target.Type):
		c.err = fmt.Errorf("audit: target type %s is not a name: %w", quote(o.target.Type), ErrInvalid)
	}
	return Field[T]{c}
}

// Load binds the attribute to o with a value that comes from storage: checked,
// but not recorded. Errors: [*FieldError] matching [ErrInvalid], [ErrUnbound].
func (a *Attribute[T]) Load(o *Object, v T) (Field[T], error) {
	f := a.Of(o)
	if f.c == nil {
		return f, fmt.Errorf("audit: %s: %w", quote(a.Name), ErrUnbound)
	}
	if f.c.err != nil {
		return f, f.c.err
	}
	v = a.clone(v)
	if err := f.c.check(v); err != nil {
		return a.Of(o), err
	}
	f.c.v.Store(&v)
	return f, nil
}

// clone is applied on the way in and on the way out, so that the stored value has no
// second owner.
func (a *Attribute[T]) clone(v T) T {
	if a.Clone != nil {
		return a.Clone(v)
	}
	if b, ok := any(&v).(*[]byte); ok { // the address, so that nothing is boxed
		*b = bytes.Clone(*b)
	}
	return v
}

// masked is the text that may be shown of a value.
func (a *Attribute[T]) masked(v T) string {
	switch {
	case a.Mask != nil && a.Sensitive:
		return safeMask(a.Mask, v)
	case a.Sensitive:
		return fullMask
	case a.Mask != nil:
		return a.Mask(v)
	}
	return fmt.Sprint(v)
}

// shown is the text of a value in an event: the mask, or the token where one is
// wanted and can be had.
func (c *cell[T]) shown(v T) string {
	if !c.attr.Sensitive || !c.attr.Token || len(c.obj.log.tokens) == 0 {
		return c.attr.masked(v)
	}
	domain := c.attr.Domain
	if domain == "" {
		domain = c.obj.target.Type + "." + c.attr.Name
	}
	return c.obj.log.token(domain, v)
}

// check runs Check and makes its refusal safe to show.
func (c *cell[T]) check(v T) error {
	if c.attr.Check == nil {
		return nil
	}
	err := runCheck(c.attr.Check, v)
	if err == nil {
		return nil
	}
	e := c.refusal("invalid", ErrInvalid)
	e.cause = func() error { return err }
	var rule ruleError
	switch { // a foreign text may quote the value, so it is shown of open attributes only
	case errors.As(err, &rule):
		e.rule = string(rule)
	case !c.attr.Sensitive:
		e.rule = quote(err.Error())
	}
	return e
}

// refusal is an error about this field, for one of the classes of this package.
func (c *cell[T]) refusal(code Code, class error) *FieldError {
	return &FieldError{Target: c.obj.target, Field: c.attr.Name, Code: code, class: class}
}

// runCheck turns a panic into a refusal: the panic value may hold the value.
func runCheck[T any](check func(T) error, v T) (err error) {
	defer func() {
		if recover() != nil {
			err = ruleError("check panicked")
		}
	}()
	return check(v)
}
