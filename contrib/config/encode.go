package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// mask is the text of a value that is not shown, such as an audit.Secret.
const mask = "***"

// Encode returns the map from which [Decode] makes a value equal to v, given
// the same hooks. v is a struct, a map of structs, or a pointer to either. The
// map contains bools, int64, float64, texts, lists and maps, and
// encoders of JSON, YAML and TOML preserve it: an integer of at least 2^53
// is a text.
//
// Encode leaves out fields that are zero, which stands for the default of each
// field. It also leaves out secrets, and fields that only the program can set.
//
// Errors: the problems joined, each an [*Error], for values without a text: an
// unknown value of an enumeration, a number that is not finite, a time zone
// without a name.
func Encode(v any) (map[string]any, error) {
	in := reflect.ValueOf(v)
	for in.Kind() == reflect.Pointer && !in.IsNil() {
		in = in.Elem()
	}
	if !in.IsValid() || !isSections(in.Type()) {
		return nil, &Error{Err: fmt.Errorf("cannot encode %T, want a struct or a map", v)}
	}
	if !in.CanAddr() { // for methods of the pointer
		p := reflect.New(in.Type()).Elem()
		p.Set(in)
		in = p
	}
	var e encoder
	var m map[string]any
	if in.Kind() == reflect.Map {
		m = e.table(place{}, in)
	} else {
		m = e.section(place{}, in)
	}
	if e.problems != nil {
		return nil, errors.Join(e.problems...)
	}
	return m, nil
}

// An encoder contains the problems found so far.
type encoder struct {
	problems []error
}

func (e *encoder) fail(at place, format string, args ...any) (any, bool) {
	e.problems = append(e.problems, &Error{at.path, fmt.Errorf(format, args...)})
	return nil, false
}

// value returns v, and reports whether the map has a place for it.
func (e *encoder) value(at place, v reflect.Value) (any, bool) {
	if at.depth > maxDepth {
		return e.fail(at, "is nested too deeply, want at most %d levels", maxDepth)
	}
	switch formOf(v.Type()) {
	case formBool:
		return v.Bool(), true
	case formWhole:
		if v.CanUint() {
			n := v.Uint()
			if n > exact {
				return strconv.FormatUint(n, 10), true
			}
			return int64(n), true
		}
		n := v.Int()
		if n > exact || n < -exact {
			return strconv.FormatInt(n, 10), true
		}
		return n, true
	case formNumber:
		return e.number(at, v)
	case formString:
		return v.String(), true
	case formDuration:
		if text, ok := textOfName(v); ok {
			return text, true
		}
		return time.Duration(v.Int()).String(), true
	case formName:
		if text, ok := textOfName(v); ok {
			return text, true
		}
		return e.fail(at, "is %v, want %s", number(v), want(v.Type(), false))
	case formText:
		return e.text(at, v)
	case formZone:
		return e.zone(at, v)
	case formList:
		return e.list(at, v)
	case formTable:
		return e.table(at, v), true
	case formSection:
		return e.section(at, v), true
	case formPointer:
		if v.IsNil() {
			return nil, false
		}
		at.depth++ // pointers can form a cycle
		return e.value(at, v.Elem())
	case formChoice:
		return e.choice(at, v)
	case formAny:
		return v.Interface(), !v.IsNil()
	}
	return nil, false
}

func (e *encoder) number(at place, v reflect.Value) (any, bool) {
	if text, ok := textOfName(v); ok {
		return text, true
	}
	if f := v.Float(); !math.IsNaN(f) && !math.IsInf(f, 0) {
		return f, true
	}
	return e.fail(at, "is %v, want a finite number", v.Float())
}

// textOfName returns the name of the value v.
func textOfName(v reflect.Value) (string, bool) {
	for _, n := range namesOf(v.Type()) {
		if n.value == number(v) {
			return n.text, true
		}
	}
	return "", false
}

// text returns the text of v if UnmarshalText makes the same value of it, and
// otherwise the fields of v.
func (e *encoder) text(at place, v reflect.Value) (any, bool) {
	isStruct := hasFields(v.Type())
	text, err := marshal(v)
	if err == nil && text == mask {
		return nil, false
	}
	back := reflect.New(v.Type()).Elem()
	if err == nil {
		err = back.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
	}
	if again, failed := marshal(back); err == nil && (failed != nil || again != text) {
		err = fmt.Errorf("has the text %s, which means another value", quote.Text(text))
	}
	switch {
	case isStruct && (err != nil || !v.Comparable() || !v.Equal(back)):
		return e.section(at, v), true
	case err != nil:
		return e.fail(at, "%w", err)
	}
	return text, true
}

func marshal(v reflect.Value) (string, error) {
	m, ok := v.Addr().Interface().(encoding.TextMarshaler)
	if !ok {
		return "", fmt.Errorf("is a %v, which has no MarshalText", v.Type())
	}
	text, err := m.MarshalText()
	return string(text), err
}

func (e *encoder) zone(at place, v reflect.Value) (any, bool) {
	if v.IsNil() {
		return nil, false
	}
	text := v.Interface().(*time.Location).String()
	if _, err := time.LoadLocation(text); err != nil || text == "" {
		return e.fail(at, "is %s, want a time zone with a name", quote.Text(text))
	}
	return text, true
}

func (e *encoder) list(at place, v reflect.Value) (any, bool) {
	list := make([]any, v.Len())
	for i := range list {
		problems := len(e.problems)
		x, ok := e.value(at.at(i), v.Index(i))
		if !ok && len(e.problems) == problems {
			e.fail(at.at(i), "has no text")
		}
		list[i] = x
	}
	return list, true
}

func (e *encoder) table(at place, v reflect.Value) map[string]any {
	m := map[string]any{}
	for key, value := range v.Seq2() {
		in := reflect.New(value.Type()).Elem() // for methods of the pointer
		in.Set(value)
		if x, ok := e.value(at.in(quote.Name(key.String()), ""), in); ok {
			m[key.String()] = x
		}
	}
	return m
}

func (e *encoder) section(at place, v reflect.Value) map[string]any {
	m := map[string]any{}
	for _, f := range fieldsOf(v.Type()) {
		if in := v.Field(f.index); !in.IsZero() {
			if x, ok := e.value(at.in(f.key, f.name), in); ok {
				m[f.key] = x
			}
		}
	}
	return m
}

func (e *encoder) choice(at place, v reflect.Value) (any, bool) {
	if v.IsNil() {
		return nil, false
	}
	for _, option := range choices[v.Type()] {
		if v.Elem().Type() != option {
			continue
		}
		in := reflect.New(option).Elem()
		in.Set(v.Elem())
		key := optionName(option)
		x, ok := e.value(at.in(key, at.field), in)
		return map[string]any{key: x}, ok
	}
	return nil, false // of the program
}
