package redact

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/internal/show"
)

// Bounds of a record, as in package audit.
const (
	maxText     = 4 << 10  // bytes of a text after masking
	maxRecord   = 64 << 10 // bytes of text after which nothing more is written
	maxElements = 256      // elements of a group or list
	maxDepth    = 8        // levels of nesting
)

// cutMark replaces values beyond a bound.
const cutMark = "..."

// A walker masks the values of one record.
type walker struct {
	rule *rule
	left int // bytes that may still be written
}

// text masks the patterns in s and cuts it. The time for the patterns is
// bounded too, so a long text is cut before and after.
func (w *walker) text(s string) string {
	if len(s) > 2*maxText {
		s = w.rule.text(show.Cut(s, 2*maxText))
		s = cut(s, min(maxText, max(len(s)-maxText/4, 0))) // the end may be half a secret, which no pattern matches
	} else {
		s = cut(w.rule.text(s), maxText)
	}
	w.left -= len(s) + 16
	return s
}

// cut returns the first n bytes of s, without a broken rune, and a mark.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return show.Cut(s, n) + cutMark
}

func (w *walker) attr(a slog.Attr, hide bool, depth int) slog.Attr {
	if hide = hide || w.rule.secret(a.Key); hide && a.Value.Kind() != slog.KindGroup {
		w.left -= 16
		return slog.String(a.Key, w.rule.mask)
	}
	return slog.Attr{Key: cut(a.Key, maxText), Value: w.value(a.Value, hide, depth)}
}

func (w *walker) group(as []slog.Attr, hide bool, depth int) []slog.Attr {
	out := make([]slog.Attr, 0, min(len(as), maxElements))
	for _, a := range as {
		if len(out) == maxElements || w.left <= 0 {
			break
		}
		out = append(out, w.attr(a, hide, depth))
	}
	return out
}

func (w *walker) value(v slog.Value, hide bool, depth int) slog.Value {
	v = v.Resolve()
	if hide && v.Kind() != slog.KindGroup {
		return slog.StringValue(w.rule.mask)
	}
	switch v.Kind() {
	case slog.KindGroup:
		if depth == maxDepth {
			return slog.StringValue(cutMark)
		}
		return slog.GroupValue(w.group(v.Group(), hide, depth+1)...)
	case slog.KindAny:
		return w.any(reflect.ValueOf(v.Any()), depth)
	case slog.KindString:
		return slog.StringValue(w.text(v.String()))
	}
	w.left -= 16
	return v
}

// any masks a Go value. Structs and maps become groups. A value whose methods
// panic becomes the mask.
func (w *walker) any(v reflect.Value, depth int) (out slog.Value) {
	if depth >= maxDepth || w.left <= 0 {
		return slog.StringValue(cutMark)
	}
	w.left -= 16
	if !v.IsValid() {
		return slog.AnyValue(nil)
	}
	defer func() {
		if recover() != nil {
			out = slog.StringValue(w.rule.mask)
		}
	}()
	if out, ok := w.method(v, depth); ok {
		return out
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return w.any(v.Elem(), depth+1)
	case reflect.Struct:
		return w.structure(v, depth)
	case reflect.Map:
		return w.mapping(v, depth)
	case reflect.Slice, reflect.Array:
		return w.list(v, depth)
	case reflect.String:
		return slog.StringValue(w.text(v.String()))
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return slog.StringValue(v.Type().String())
	}
	return slog.AnyValue(v.Interface()) // a number or a bool
}

// method masks the form that a type chooses for itself, so that times, numbers
// and identifiers keep their form. A String method counts only for types
// without fields that could be searched. If a field has a sensitive tag, only
// LogValue and Error count.
func (w *walker) method(v reflect.Value, depth int) (slog.Value, bool) {
	e := v
	for e.Kind() == reflect.Pointer && !e.IsNil() {
		e = e.Elem()
	}
	var plan []field
	if e.Kind() == reflect.Struct {
		plan = w.rule.planOf(e.Type())
	}
	switch x := v.Interface().(type) {
	case slog.Value: // in a list or struct
		return w.value(x, false, depth+1), true
	case slog.Attr:
		return slog.GroupValue(w.attr(x, false, depth+1)), true
	case slog.LogValuer:
		return w.value(slog.AnyValue(x), false, depth+1), true
	case time.Time, time.Duration:
		return slog.AnyValue(x), true
	case error:
		return slog.StringValue(w.text(x.Error())), true
	}
	if slices.ContainsFunc(plan, func(f field) bool { return f.tagged }) {
		return slog.Value{}, false
	}
	switch x := v.Interface().(type) {
	case json.Number: // from another value
		_, err := x.Float64()
		return slog.AnyValue(x), err == nil && len(x) < 64
	case json.Marshaler:
		return w.json(x, depth), true
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		if err != nil {
			return slog.StringValue(w.rule.mask), true
		}
		return slog.StringValue(w.text(string(text))), true
	case fmt.Stringer:
		if e.Kind() != reflect.Map && len(plan) == 0 {
			return slog.StringValue(w.text(x.String())), true
		}
	case []byte:
		if utf8.Valid(x) {
			return slog.StringValue(w.text(string(x[:min(len(x), maxRecord)]))), true
		}
	}
	return slog.Value{}, false
}

func (w *walker) json(m json.Marshaler, depth int) slog.Value {
	b, err := m.MarshalJSON()
	if err != nil || len(b) > maxRecord {
		return slog.StringValue(w.rule.mask)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return slog.StringValue(w.rule.mask)
	}
	return w.any(reflect.ValueOf(v), depth+1)
}

func (w *walker) structure(v reflect.Value, depth int) slog.Value {
	var out []slog.Attr
	for _, f := range w.rule.planOf(v.Type()) {
		if len(out) == maxElements || w.left <= 0 {
			break
		}
		if f.sensitive {
			out = append(out, slog.String(f.name, w.rule.mask))
			continue
		}
		if e, err := v.FieldByIndexErr(f.index); err == nil { // otherwise behind an embedded nil
			out = append(out, slog.Attr{Key: f.name, Value: w.any(e, depth+1)})
		}
	}
	return slog.GroupValue(out...)
}

func (w *walker) mapping(v reflect.Value, depth int) slog.Value {
	entries := map[string]any{}
	for it := v.MapRange(); it.Next() && len(entries) < maxElements; {
		entries[w.any(it.Key(), depth+1).String()] = it.Value().Interface()
	}
	var as []slog.Attr
	for _, k := range slices.Sorted(maps.Keys(entries)) {
		as = append(as, slog.Any(k, entries[k]))
	}
	return slog.GroupValue(w.group(as, false, depth+1)...)
}

func (w *walker) list(v reflect.Value, depth int) slog.Value {
	out := []any{}
	for i := range v.Len() {
		if i == maxElements || w.left <= 0 {
			out = append(out, cutMark)
			break
		}
		out = append(out, plain(w.any(v.Index(i), depth+1)))
	}
	return slog.AnyValue(out)
}

// plain returns a masked value for a list, in which slog has no groups.
func plain(v slog.Value) any {
	if v.Kind() != slog.KindGroup {
		return v.Any()
	}
	m := map[string]any{}
	for _, a := range v.Group() {
		m[a.Key] = plain(a.Value)
	}
	return m
}

// A field is an exported field of a struct type.
type field struct {
	index     []int
	name      string
	tagged    bool // sensitive by a tag
	sensitive bool // by a tag or the name
}

// planOf returns the fields of a struct type under their names in JSON.
func (r *rule) planOf(t reflect.Type) []field {
	if plan, ok := r.plans.Load(t); ok {
		return plan.([]field)
	}
	plan := []field{}
	for _, f := range reflect.VisibleFields(t) {
		name, tagged, shown := "", false, f.IsExported()
		for i := range f.Index { // through the structs in which f is embedded
			outer := t.FieldByIndex(f.Index[:i+1])
			name, _, _ = strings.Cut(outer.Tag.Get("json"), ",")
			_, options, _ := strings.Cut(outer.Tag.Get("audit"), ",")
			tagged = tagged || options != ""
			embedded := outer.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			flat := outer.Anonymous && name == "" && embedded.Kind() == reflect.Struct // its fields follow
			shown = shown && flat == (i < len(f.Index)-1)
		}
		if shown && name != "-" {
			name = cmp.Or(name, f.Name)
			plan = append(plan, field{f.Index, name, tagged, tagged || r.secret(name)})
		}
	}
	r.plans.Store(t, plan)
	return plan
}
