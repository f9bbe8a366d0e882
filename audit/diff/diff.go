package diff

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/internal/show"
)

// maxText bounds a text in a change, as package audit does.
const maxText = 4 << 10

// A Differ records changes in a log. It is safe for concurrent use.
type Differ struct {
	log   *audit.Log
	plans sync.Map // reflect.Type to []field
}

// New returns a Differ for log. It panics if log is nil.
func New(log *audit.Log) *Differ {
	if log == nil {
		panic(invalid("Log is missing"))
	}
	return &Differ{log: log}
}

// A fault is an error of the class [audit.ErrInvalid].
type fault struct{ text string }

func (e *fault) Error() string        { return e.text }
func (e *fault) Is(target error) bool { return target == audit.ErrInvalid }

func invalid(format string, args ...any) error {
	return &fault{"diff: " + fmt.Sprintf(format, args...)}
}

// Record records the differences between two plain structs of the same type,
// and returns them. Call it before the change is applied. Record compares the
// struct fields with a tag such as
//
//	Email string `audit:"email"`
//	Phone string `audit:"phone,sensitive"`
//	Key   string `audit:"key,token"`
//
// The mask is recorded in place of a sensitive field, and a token in place of a
// token field, see [audit.TokenKey]. Fields of embedded structs count as fields
// of the struct. Old and new may be pointers to structs.
//
// Values are equal if their Equal or Cmp method says so, as for times, decimals
// and big numbers. Other values are compared by their parts: pointers as the
// values they point to, a nil slice or map as an empty value, and NaN as equal
// to NaN. Inside a value, struct fields with the tag options sensitive or token
// are printed as "***".
//
// If old is nil, the event is a Create; if new is nil, it is a Delete;
// otherwise it is a Modify. If nothing differs, nothing is recorded.
//
// Errors: [audit.ErrInvalid] for an argument that is not a struct, for
// different types and for an invalid tag; the errors of [audit.Log.Record].
// With an error, the returned changes are nil.
func (d *Differ) Record(ctx context.Context, target audit.Target, old, new any) ([]audit.Change, error) {
	before, after := structOf(old), structOf(new)
	e := audit.Event{Action: audit.Modify, Outcome: audit.Success, Target: target}
	switch {
	case !before.IsValid() && after.IsValid(): // every field that is not zero is a change
		e.Action, before = audit.Create, reflect.Zero(after.Type())
	case before.IsValid() && !after.IsValid():
		e.Action, after = audit.Delete, reflect.Zero(before.Type())
	}
	// Two nil arguments are a mistake: Record would never record anything.
	if !before.IsValid() || before.Kind() != reflect.Struct || before.Type() != after.Type() {
		return nil, invalid("not two structs of the same type")
	}
	plan, err := d.planOf(before.Type())
	if err != nil {
		return nil, err
	}
	for _, f := range plan {
		x, y := before.FieldByIndex(f.index), after.FieldByIndex(f.index)
		if sameValue(x, y) {
			continue
		}
		c := audit.Change{Field: f.name, Sensitive: f.sensitive}
		if e.Action != audit.Create {
			c.Old = d.shown(target.Type, f, x)
		}
		if e.Action != audit.Delete {
			c.New = d.shown(target.Type, f, y)
		}
		e.Changes = append(e.Changes, c)
	}
	if len(e.Changes) == 0 {
		return nil, nil
	}
	if err := d.log.Record(ctx, e); err != nil {
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
func (d *Differ) shown(typ string, f field, v reflect.Value) string {
	switch {
	case f.token:
		for v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		if tokens := d.log.Tokens(typ+"."+f.name, v.Interface()); len(tokens) > 0 {
			return tokens[0]
		}
		return show.Mask
	case f.sensitive:
		return show.Mask
	}
	return show.Change(v.Interface(), maxText)
}

// A field is a tagged field of a struct type.
type field struct {
	index     []int
	name      string
	sensitive bool
	token     bool
}

// planOf reads the tags of a type, once per Differ. A bad tag is an error at
// every call, because a field that is silently left out would be worse.
func (d *Differ) planOf(t reflect.Type) ([]field, error) {
	if plan, ok := d.plans.Load(t); ok {
		return plan.([]field), nil
	}
	var plan []field
	seen := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		tag, ok := f.Tag.Lookup("audit")
		if !ok || tag == "-" {
			continue
		}
		p, err := parseTag(t, f, tag)
		if err != nil {
			return nil, err
		}
		if seen[p.name] {
			return nil, invalid("%s: two fields have the name %s", t, p.name)
		}
		seen[p.name] = true
		plan = append(plan, p)
	}
	d.plans.Store(t, plan)
	return plan, nil
}

// parseTag reads the tag of a field.
func parseTag(t reflect.Type, f reflect.StructField, tag string) (field, error) {
	name, options, _ := strings.Cut(tag, ",")
	d := field{index: f.Index, name: name}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "sensitive":
			d.sensitive = true
		case "token":
			d.sensitive, d.token = true, true
		case "":
		default:
			return d, invalid("%s.%s: unknown option %s", t, f.Name, quote.Text(option))
		}
	}
	if !f.IsExported() || !isName(name) || throughPointer(t, f.Index) {
		return d, invalid("%s.%s cannot be audited", t, f.Name)
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

// isName reports whether s is a name as described at [audit.Action].
func isName(s string) bool {
	return s != "" && len(s) <= 128 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/") == ""
}
