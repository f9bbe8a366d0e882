package audit

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Diff records what differs between two plain structs of one type, before the
// change is made, and returns it: for types that do not hold a [Field] for each
// attribute. Fields are compared that carry a tag such as
//
//	Email string `audit:"email"`
//	Phone string `audit:"phone,sensitive"`
//	Key   string `audit:"key,token"`
//
// Others are left out; embedded structs count as their fields, pointers as what they
// point to. A sensitive field
// is masked, a token field gets its correlation token instead, see [TokenKey]. With
// old nil the event is a Create, with new nil a Delete, else a Modify. Without a
// difference nothing is recorded. Pointers to structs are followed.
//
// Errors: [ErrInvalid] for what is no struct, two types, or a bad tag, and those of
// [Log.Record]; the changes are then nil.
func (o *Object) Diff(ctx context.Context, old, new any) ([]Change, error) {
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
	// Two nils are a mistake rather than no change: nothing would ever be recorded.
	if !before.IsValid() || before.Kind() != reflect.Struct || before.Type() != after.Type() {
		return nil, fmt.Errorf("audit: diff: not two structs of one type: %w", ErrInvalid)
	}
	plan, err := o.log.planOf(before.Type())
	if err != nil {
		return nil, err
	}
	for _, f := range plan {
		x, y := before.FieldByIndex(f.index), after.FieldByIndex(f.index)
		if equal(x, y) {
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
		return nil, nil // an event that says nothing only hides others
	}
	if err := o.log.write(ctx, &e); err != nil {
		return nil, err
	}
	return e.Changes, nil
}

// structOf follows pointers; a nil one is no value.
func structOf(v any) reflect.Value {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	return rv
}

// equal compares what would be shown: pointers by what they point to, times as
// instants, and the rest as == does where it can, and else deeply.
func equal(x, y reflect.Value) bool {
	for x.Kind() == reflect.Pointer && !x.IsNil() && !y.IsNil() {
		x, y = x.Elem(), y.Elem()
	}
	if t, ok := x.Interface().(time.Time); ok {
		return t.Equal(y.Interface().(time.Time))
	}
	if x.Comparable() && y.Comparable() {
		return x.Equal(y)
	}
	return reflect.DeepEqual(x.Interface(), y.Interface())
}

// shown is the text of a value in the event.
func (o *Object) shown(f diffField, v reflect.Value) string {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	switch {
	case f.token:
		return o.log.token(o.target.Type+"."+f.name, v.Interface())
	case f.sensitive:
		return fullMask
	case v.Kind() == reflect.String:
		return v.String()
	}
	return fmt.Sprint(v.Interface())
}

// diffField is one tagged field of a struct type.
type diffField struct {
	index     []int
	name      string
	sensitive bool
	token     bool
}

// planOf reads the tags of a type once per log. A bad tag is an error each time: a
// field that is silently left out would be the worst of outcomes.
func (l *Log) planOf(t reflect.Type) ([]diffField, error) {
	if plan, ok := l.plans.Load(t); ok {
		return plan.([]diffField), nil
	}
	var plan []diffField
	seen := map[string]bool{} // two fields of one name could not be told apart in the log
	for _, f := range reflect.VisibleFields(t) {
		tag, ok := f.Tag.Lookup("audit")
		if !ok || tag == "-" {
			continue
		}
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
				return nil, fmt.Errorf("audit: diff: %s.%s: option %s: %w", t, f.Name, quote(option), ErrInvalid)
			}
		}
		if !f.IsExported() || !isName(name) || seen[name] || throughPointer(t, f.Index) {
			return nil, fmt.Errorf("audit: diff: %s.%s cannot be audited: %w", t, f.Name, ErrInvalid)
		}
		seen[name] = true
		plan = append(plan, d)
	}
	l.plans.Store(t, plan)
	return plan, nil
}

// throughPointer reports whether a promoted field is reached by an embedded
// pointer, which may be nil.
func throughPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		if t = t.Field(i).Type; t.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}
