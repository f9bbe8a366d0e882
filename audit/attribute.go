package audit

import (
	"bytes"
	"fmt"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// An Attribute describes one audited attribute of a type of object. Declare it
// once, usually as a package variable, and bind it to objects with Of or Load.
// Do not change it afterwards. Several goroutines may call its functions at the
// same time, some of them while a field is locked. The functions must not use
// that field.
type Attribute[T any] struct {
	// Name is the name of the attribute in events, as described at [Action].
	// Required.
	Name string

	// Sensitive hides the value in events, fmt, slog and encoders.
	Sensitive bool

	// Check accepts or refuses a value before it is recorded and applied. Nil
	// accepts every value. A check that panics refuses the value. See [Length],
	// [Match], [Between], [OneOf] and [All].
	Check func(T) error

	// Mask returns the text that is shown in place of a value. Nil means "***"
	// if Sensitive is set, otherwise the text of fmt.Sprint. If the mask of a
	// sensitive value panics or contains the value, "***" is shown.
	Mask func(T) string

	// Clone copies a value when it is set and when it is read, so that it
	// cannot change without an event. Nil copies []byte and assigns other
	// types. Set Clone for maps, slices and pointers.
	Clone func(T) T

	// Token records a token in place of the mask when a sensitive value
	// changes. Equal values then have equal tokens, see [TokenKey]. It has no
	// effect if [Config.TokenKeys] is empty.
	Token bool

	// Domain separates tokens: only values of the same domain have equal
	// tokens. Empty means the type of the object, a dot and Name.
	Domain string

	// QuietRead does not record reads.
	QuietRead bool
}

// Of binds the attribute to o and returns a field without a value. If a name is
// invalid or o is nil, every operation on the field fails.
func (a *Attribute[T]) Of(o *Object) Field[T] {
	c := &cell[T]{attr: a, obj: o}
	switch {
	case o == nil || o.log == nil:
		return Field[T]{}
	case !isName(a.Name):
		c.err = invalid("attribute %s is not a name", quote.Text(a.Name))
	case !isName(o.target.Type):
		c.err = invalid("target type %s is not a name", quote.Text(o.target.Type))
	}
	return Field[T]{c}
}

// Load binds the attribute to o and sets the value v, which comes from storage.
// It checks v but records no event.
//
// Errors: [*FieldError] matching [ErrInvalid], [ErrInvalid], [ErrUnbound].
func (a *Attribute[T]) Load(o *Object, v T) (Field[T], error) {
	f := a.Of(o)
	if f.c == nil {
		return f, classed("audit: "+quote.Text(a.Name), ErrUnbound)
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

// clone copies a value that enters or leaves a field.
func (a *Attribute[T]) clone(v T) T {
	if a.Clone != nil {
		return a.Clone(v)
	}
	if b, ok := any(&v).(*[]byte); ok { // the address, which needs no allocation
		*b = bytes.Clone(*b)
	}
	return v
}

// masked returns the text that is shown in place of a value.
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
