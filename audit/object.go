package audit

import (
	"context"
	"reflect"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// An Object is an audited thing, made by [Log.Object]. Its fields are made by
// [Attribute.Of] and [Attribute.Load].
type Object struct {
	log    *Log
	target Target
}

// Object returns the object with the type typ and the ID id. The type must be a
// name as described at [Action]. Otherwise every operation on the fields of the
// object fails with [ErrInvalid]. The ID may be any text.
func (l *Log) Object(typ, id string) *Object {
	return &Object{log: l, target: Target{Type: typ, ID: id}}
}

// Diff records the differences between two plain structs of the same type, and
// returns them. Call it before the change is applied. It is for types that do
// not use a [Field] for each attribute. Diff compares the struct fields with a
// tag such as
//
//	Email string `audit:"email"`
//	Phone string `audit:"phone,sensitive"`
//	Key   string `audit:"key,token"`
//
// The mask is recorded in place of a sensitive field, and a token in place of a
// token field, see [TokenKey]. Fields of embedded structs count as fields of
// the struct. Old and new may be pointers to structs.
//
// Values are equal if their Equal or Cmp method says so, as for times, decimals
// and big numbers. Other values are compared by their parts: pointers as the
// values they point to, a nil slice or map as an empty value, and NaN as equal
// to NaN. Inside a value, struct fields with the tag options sensitive or token
// are printed as "***".
//
// If old is nil, the event is a Create; if new is nil, it is a Delete;
// otherwise it is a Modify. If nothing differs, Diff records nothing.
//
// Errors: [ErrInvalid] for an argument that is not a struct, for different
// types and for an invalid tag; [ErrUnbound] for the zero Object; the errors of
// [Log.Record]. With an error, the returned changes are nil.
func (o *Object) Diff(ctx context.Context, old, new any) ([]Change, error) {
	if o.log == nil {
		return nil, classed("audit: diff", ErrUnbound)
	}
	if err := done(ctx); err != nil {
		return nil, err
	}
	before, after := structOf(old), structOf(new)
	e := Event{Action: Modify, Outcome: Success, Target: o.target}
	switch {
	case !before.IsValid() && after.IsValid(): // every field that is not zero is a change
		e.Action, before = Create, reflect.Zero(after.Type())
	case before.IsValid() && !after.IsValid():
		e.Action, after = Delete, reflect.Zero(before.Type())
	}
	// Two nil arguments are a mistake: Diff would never record anything.
	if !before.IsValid() || before.Kind() != reflect.Struct || before.Type() != after.Type() {
		return nil, invalid("diff: not two structs of the same type")
	}
	plan, err := o.log.planOf(before.Type())
	if err != nil {
		return nil, err
	}
	for _, f := range plan {
		x, y := before.FieldByIndex(f.index), after.FieldByIndex(f.index)
		if sameValue(x, y) {
			continue
		}
		c := Change{Field: f.name, Sensitive: f.sensitive}
		if e.Action != Create {
			c.Old = o.shown(f, x)
		}
		if e.Action != Delete {
			c.New = o.shown(f, y)
		}
		e.Changes = append(e.Changes, c)
	}
	if len(e.Changes) == 0 {
		return nil, nil
	}
	if err := o.log.write(ctx, &e); err != nil {
		return nil, err
	}
	return e.Changes, nil
}

// structOf follows pointers. The result of a nil pointer is invalid.
func structOf(v any) reflect.Value {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	return rv
}

// shown returns the text of a value in the event.
func (o *Object) shown(f diffField, v reflect.Value) string {
	switch {
	case f.token:
		for v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		return o.log.token(o.target.Type+"."+f.name, v.Interface())
	case f.sensitive:
		return fullMask
	}
	return shownText(v.Interface())
}

// A diffField is a tagged field of a struct type.
type diffField struct {
	index     []int
	name      string
	sensitive bool
	token     bool
}

// planOf reads the tags of a type, once per log. A bad tag is an error at every
// call, because a field that is silently left out would be worse.
func (l *Log) planOf(t reflect.Type) ([]diffField, error) {
	if plan, ok := l.plans.Load(t); ok {
		return plan.([]diffField), nil
	}
	var plan []diffField
	seen := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		tag, ok := f.Tag.Lookup("audit")
		if !ok || tag == "-" {
			continue
		}
		d, err := parseTag(t, f, tag)
		if err != nil {
			return nil, err
		}
		if seen[d.name] {
			return nil, invalid("diff: %s: two fields have the name %s", t, d.name)
		}
		seen[d.name] = true
		plan = append(plan, d)
	}
	l.plans.Store(t, plan)
	return plan, nil
}

func parseTag(t reflect.Type, f reflect.StructField, tag string) (diffField, error) {
	name, options, _ := strings.Cut(tag, ",")
	d := diffField{index: f.Index, name: name}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "sensitive":
			d.sensitive = true
		case "token":
			d.sensitive, d.token = true, true
		case "":
		default:
			return d, invalid("diff: %s.%s: unknown option %s", t, f.Name, quote.Text(option))
		}
	}
	if !f.IsExported() || !isName(name) || throughPointer(t, f.Index) {
		return d, invalid("diff: %s.%s cannot be audited", t, f.Name)
	}
	return d, nil
}

// throughPointer reports whether a promoted field is reached through an
// embedded pointer, which may be nil.
func throughPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		if t = t.Field(i).Type; t.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}
