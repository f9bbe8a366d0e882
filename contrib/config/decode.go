package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// Bounds of a map.
const (
	maxDepth    = 32      // levels of sections and lists
	maxValues   = 1 << 16 // values in all levels together
	maxText     = 1 << 16 // bytes of a text that is parsed
	maxProblems = 64      // problems in an error
)

// exact is the largest number to which a float64 rounds no other whole number.
const exact = 1<<53 - 1

// Decode sets the fields of v that m names, and keeps all other fields. v is a
// pointer to a struct or to a map of structs. The program has filled it with
// its hooks, its sinks and its own defaults. The package comment describes the
// keys and the values.
//
// Lists replace the list of v. Sections change only the fields that they name,
// and add to the maps of v. Decode does not change any object that v points to.
// A section for a pointer makes a new object from the exported fields of the
// present object. If no field changes, the present object stays.
//
// Afterwards Decode calls Validate of v and of each value that m names, except
// inside of a value that has Validate itself, which answers for its parts. If
// that value embeds a type with Validate, Decode calls it for the parts too. A
// problem that mentions a field with another problem is left out.
//
// Errors: the problems joined, each an [*Error]; v does not change. After 64
// problems, an error with their number follows.
func Decode(m map[string]any, v any) error {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() || !isSections(p.Type().Elem()) {
		return &Error{Err: fmt.Errorf("cannot decode into %T, want a pointer to a struct or to a map", v)}
	}
	out := reflect.New(p.Type().Elem()).Elem()
	out.Set(p.Elem())
	var d decoder
	d.value(place{}, m, out)
	if d.more > 0 {
		d.problems = append(d.problems, &Error{Err: fmt.Errorf("%d more problems", d.more)})
	}
	if d.problems == nil {
		p.Elem().Set(out)
	}
	return errors.Join(d.problems...)
}

// isSections reports whether the values of t are maps with texts as keys.
func isSections(t reflect.Type) bool {
	f := formOf(t)
	return f == formTable || f == formSection || f == formText && hasFields(t)
}

// A decoder contains the problems found so far.
type decoder struct {
	values   int
	problems []error
	more     int      // problems that are not in problems
	failed   []string // the fields with problems
}

// A place is the place of a value in the map and in the struct.
type place struct {
	path   string
	field  string // the Go name of the field, or of the field that contains the list
	depth  int
	judged bool // a Validate around the value answers for it
}

// join returns the path of a key in the section at a path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// in returns the place of a key.
func (p place) in(key, field string) place {
	return place{join(p.path, key), field, p.depth + 1, p.judged}
}

// at returns the place of an element of a list.
func (p place) at(i int) place {
	return place{p.path + "[" + strconv.Itoa(i) + "]", p.field, p.depth + 1, p.judged}
}

func (d *decoder) fail(at place, format string, args ...any) { d.add(at, fmt.Errorf(format, args...)) }

func (d *decoder) add(at place, err error) {
	if len(d.problems) == maxProblems {
		d.more++
		return
	}
	d.problems = append(d.problems, &Error{at.path, err})
	if at.field != "" {
		d.failed = append(d.failed, at.field)
	}
}

// refuse reports that x is no value of v.
func (d *decoder) refuse(at place, x any, v reflect.Value) {
	shown := show(x)
	switch formOf(v.Type()) {
	case formText, formString, formList, formTable, formSection:
		shown = kindOf(x) // it may be a secret
	}
	d.fail(at, "is %s, want %s", shown, want(v.Type(), countsBytes(at.field)))
}

// count adds n values of a section or of a list, and reports whether that many
// are allowed. So the work is bounded also for a map that contains the same
// section many times.
func (d *decoder) count(at place, n int) bool {
	if n > maxValues-d.values {
		d.fail(at, "has %d values, want at most %d in the whole map", n, maxValues)
		return false
	}
	d.values += n
	return true
}

// value sets v, which is addressable, to x.
func (d *decoder) value(at place, x any, v reflect.Value) {
	switch {
	case at.depth > maxDepth:
		d.fail(at, "is nested too deeply, want at most %d levels", maxDepth)
		return
	case x == nil:
		d.refuse(at, x, v)
		return
	}
	judge, ok := v.Addr().Interface().(interface{ Validate() error })
	if !ok || at.judged {
		d.set(at, x, v)
		return
	}
	before, problems := len(d.failed), len(d.problems)
	inside := at
	inside.judged = !embeds(v.Type())
	d.set(inside, x, v)
	failed := slices.Clone(d.failed[before:])
	for _, err := range leaves(judge.Validate()) {
		// A field that could not be set has been reported already, and the
		// problem of an embedded field too.
		if !mentions(err.Error(), failed) && !slices.ContainsFunc(d.problems[problems:], func(p error) bool {
			return errors.Unwrap(p).Error() == err.Error()
		}) {
			d.add(at, err)
		}
	}
}

func (d *decoder) set(at place, x any, v reflect.Value) {
	switch formOf(v.Type()) {
	case formBool:
		b, ok := boolOf(x)
		if !ok {
			d.refuse(at, x, v)
			return
		}
		v.SetBool(b)
	case formWhole:
		d.whole(at, x, v)
	case formNumber:
		d.number(at, x, v)
	case formString:
		s, ok := textOf(x)
		if !ok {
			d.refuse(at, x, v)
			return
		}
		v.SetString(s)
	case formDuration:
		d.duration(at, x, v)
	case formName:
		s, _ := textOf(x)
		if !setName(v, s) {
			d.refuse(at, x, v)
		}
	case formText:
		d.text(at, x, v)
	case formZone:
		d.zone(at, x, v)
	case formList:
		d.list(at, x, v)
	case formTable:
		d.table(at, x, v)
	case formSection:
		d.section(at, x, v)
	case formPointer:
		d.pointer(at, x, v)
	case formChoice:
		d.choice(at, x, v)
	case formAny:
		v.Set(reflect.ValueOf(x))
	}
}

// leaves returns the errors that err joins.
func leaves(err error) (errs []error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if err != nil {
			errs = append(errs, err)
		}
		return errs
	}
	for _, e := range joined.Unwrap() {
		errs = append(errs, leaves(e)...)
	}
	return errs
}

// mentions reports whether the text of an error contains the name of a field as
// a word, or the name of a list without its "s". The name of the package, which
// begins the text, does not count.
func mentions(text string, fields []string) bool {
	if _, rest, ok := strings.Cut(text, ": "); ok {
		text = rest
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return slices.ContainsFunc(words, func(word string) bool {
		return slices.ContainsFunc(fields, func(field string) bool {
			return strings.EqualFold(field, word) || strings.EqualFold(field, word+"s")
		})
	})
}

func (d *decoder) whole(at place, x any, v reflect.Value) {
	negative, n, ok := wholeOf(x, countsBytes(at.field))
	if !ok {
		if f, isFloat := floatOf(x); isFloat && math.Abs(f) > exact && f == math.Trunc(f) {
			d.fail(at, "is %s, which may have been rounded; write it as a text", show(x))
			return
		}
		d.refuse(at, x, v)
		return
	}
	bits := v.Type().Bits()
	if v.CanUint() {
		most := ^uint64(0) >> (64 - bits)
		if n > most || negative && n > 0 {
			d.fail(at, "is %s, want 0 to %d", show(x), most)
			return
		}
		v.SetUint(n)
		return
	}
	most := uint64(1)<<(bits-1) - 1
	if n > most && !(negative && n == most+1) {
		d.fail(at, "is %s, want %d to %d", show(x), -int64(most)-1, most)
		return
	}
	if negative {
		n = -n
	}
	v.SetInt(int64(n))
}

func (d *decoder) number(at place, x any, v reflect.Value) {
	if s, ok := textOf(x); ok && setName(v, s) {
		return
	}
	f, ok := floatOf(x)
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) || v.OverflowFloat(f) {
		d.refuse(at, x, v)
		return
	}
	v.SetFloat(f)
}

func (d *decoder) duration(at place, x any, v reflect.Value) {
	if t, ok := x.(time.Duration); ok {
		v.SetInt(int64(t))
		return
	}
	s, ok := textOf(x)
	if ok && setName(v, s) {
		return
	}
	t, err := time.ParseDuration(s)
	if !ok || len(s) > maxText || err != nil || strings.Trim(s, "+-.0") == "" { // ParseDuration accepts "0"
		d.refuse(at, x, v)
		return
	}
	v.SetInt(int64(t))
}

func (d *decoder) text(at place, x any, v reflect.Value) {
	if t, ok := x.(time.Time); ok && v.Type() == timeType {
		v.Set(reflect.ValueOf(t))
		return
	}
	s, ok := textOf(x)
	if !ok && hasFields(v.Type()) {
		d.section(at, x, v)
		return
	}
	if !ok {
		d.refuse(at, x, v)
		return
	}
	if len(s) > maxText {
		d.fail(at, "has %d bytes, want at most %d", len(s), maxText)
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		d.add(at, err)
	}
}

func (d *decoder) zone(at place, x any, v reflect.Value) {
	s, _ := textOf(x)
	zone, err := time.LoadLocation(s)
	if s == "" || len(s) > maxText || err != nil {
		d.refuse(at, x, v)
		return
	}
	v.Set(reflect.ValueOf(zone))
}

func (d *decoder) list(at place, x any, v reflect.Value) {
	list := reflect.ValueOf(x)
	if list.Kind() != reflect.Slice {
		d.refuse(at, x, v)
		return
	}
	n := list.Len()
	if !d.count(at, n) {
		return
	}
	out := reflect.MakeSlice(v.Type(), n, n)
	for i := range n {
		d.value(at.at(i), list.Index(i).Interface(), out.Index(i))
	}
	v.Set(out)
}

// An entry is a key of a section with its value.
type entry struct {
	key   string
	value any
}

// entries returns the entries of a section by their keys.
func (d *decoder) entries(at place, x any, v reflect.Value) (all []entry, ok bool) {
	m := reflect.ValueOf(x)
	if m.Kind() != reflect.Map {
		d.refuse(at, x, v)
		return nil, false
	}
	if !d.count(at, m.Len()) {
		return nil, false
	}
	for key, value := range m.Seq2() {
		if key.Kind() == reflect.Interface {
			key = key.Elem()
		}
		if key.Kind() != reflect.String {
			d.fail(at, "has a key that is no text")
			return nil, false
		}
		all = append(all, entry{key.String(), value.Interface()})
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	return all, true
}

// section sets the fields of the struct v.
func (d *decoder) section(at place, x any, v reflect.Value) {
	entries, ok := d.entries(at, x, v)
	if !ok {
		return
	}
	fields := fieldsOf(v.Type())
	seen := map[string]string{}
	for _, e := range entries {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == strings.ToLower(e.key) })
		if i < 0 {
			d.fail(at.in(quote.Name(e.key), ""), "is unknown, want %s", oneOf(keysOf(fields)))
			continue
		}
		f := fields[i]
		inside := at.in(f.key, f.name)
		other, twice := seen[f.key]
		switch seen[f.key] = e.key; {
		case twice:
			d.fail(inside, "is there twice, as %s and %s", other, e.key)
		case formOf(f.typ) == formNone:
			d.fail(inside, "can be set by the program only")
		default:
			d.value(inside, e.value, v.Field(f.index))
		}
	}
}

// keysOf returns the keys of the fields that a map can name.
func keysOf(fields []field) (keys []string) {
	for _, f := range fields {
		if formOf(f.typ) != formNone {
			keys = append(keys, f.key)
		}
	}
	return keys
}

// table sets the entries of the map v.
func (d *decoder) table(at place, x any, v reflect.Value) {
	entries, ok := d.entries(at, x, v)
	if !ok {
		return
	}
	t := v.Type()
	out := reflect.MakeMap(t)
	if !v.IsNil() {
		for key, value := range v.Seq2() {
			out.SetMapIndex(key, value)
		}
	}
	for _, e := range entries {
		key, value := reflect.ValueOf(e.key).Convert(t.Key()), reflect.New(t.Elem()).Elem()
		if old := out.MapIndex(key); old.IsValid() {
			value.Set(old)
		}
		d.value(at.in(quote.Name(e.key), ""), e.value, value)
		out.SetMapIndex(key, value)
	}
	v.Set(out)
}

func (d *decoder) pointer(at place, x any, v reflect.Value) {
	elem := v.Type().Elem()
	p := reflect.New(elem)
	old := v.Elem() // invalid if v is nil
	if !old.IsValid() || !hasFields(elem) {
		d.value(at, x, p.Elem())
		v.Set(p)
		return
	}
	for _, f := range fieldsOf(elem) {
		p.Elem().Field(f.index).Set(old.Field(f.index))
	}
	d.value(at, x, p.Elem())
	if slices.ContainsFunc(fieldsOf(elem), func(f field) bool {
		return formOf(f.typ) != formNone && !reflect.DeepEqual(p.Elem().Field(f.index).Interface(), old.Field(f.index).Interface())
	}) {
		v.Set(p) // otherwise the object keeps its state
	}
}

func (d *decoder) choice(at place, x any, v reflect.Value) {
	if s, ok := textOf(x); ok {
		x = map[string]any{s: map[string]any{}}
	}
	entries, ok := d.entries(at, x, v)
	if !ok {
		return
	}
	if len(entries) != 1 {
		d.fail(at, "has %d keys, want %s", len(entries), want(v.Type(), false))
		return
	}
	e := entries[0]
	for _, option := range choices[v.Type()] {
		if key := optionName(option); key == strings.ToLower(e.key) {
			out := reflect.New(option).Elem()
			if old := v.Elem(); old.IsValid() && old.Type() == option {
				out.Set(old)
			}
			d.value(at.in(key, at.field), e.value, out)
			v.Set(out)
			return
		}
	}
	d.fail(at, "is %s, want %s", quote.Text(e.key), want(v.Type(), false))
}

// setName sets v to the value of a name, and reports whether the name exists.
func setName(v reflect.Value, text string) bool {
	for _, n := range namesOf(v.Type()) {
		if n.text != text {
			continue
		}
		if v.CanFloat() {
			v.SetFloat(n.value)
		} else {
			setWhole(v, int64(n.value))
		}
		return true
	}
	return false
}
