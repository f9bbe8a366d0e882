package audit

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// printed returns the text of a value for an attribute, as %+v of package fmt
// does, cut at maxText bytes. Package fmt would print all of a large value
// before its text could be cut.
func printed(v any) (text string, cut bool) {
	p := printer{names: true, work: 4 * maxText}
	p.value(reflect.ValueOf(v), 0)
	return p.text()
}

// shownText returns the text of a value for a change, as %v does, cut at
// maxText bytes. Exported pointers are printed as the values they point to, and
// struct fields with the audit tag "sensitive" or "token" as the mask.
func shownText(v any) string {
	p := printer{follow: true, work: 4 * maxText}
	p.value(reflect.ValueOf(v), 0)
	text, _ := p.text()
	return text
}

// A printer stops when it has written maxText bytes or has no work left. It
// therefore ends for cyclic values too.
type printer struct {
	b      []byte
	work   int  // values and bytes that may still be printed, also into parts that are dropped
	names  bool // print the names of struct fields
	follow bool // follow pointers and mask tagged fields
}

func (p *printer) text() (string, bool) {
	s := string(p.b)
	return cut(s, maxText), p.full()
}

func (p *printer) full() bool { return len(p.b) > maxText || p.work <= 0 }

func (p *printer) value(v reflect.Value, depth int) {
	if p.full() {
		return
	}
	if p.work--; depth > 32 {
		p.b, p.work = append(p.b, "..."...), 0 // a cycle
		return
	}
	if v.IsValid() && v.CanInterface() {
		switch x := v.Interface().(type) {
		case fmt.Formatter, error, fmt.Stringer:
			p.leaf(x)
			return
		}
	}
	switch v.Kind() {
	case reflect.Invalid:
		p.b = append(p.b, "<nil>"...)
	case reflect.String:
		s := v.String()
		s = s[:min(len(s), maxText+1)]
		p.work -= len(s)
		p.b = append(p.b, s...)
	case reflect.Interface:
		p.value(v.Elem(), depth+1)
	case reflect.Pointer:
		p.pointer(v, depth)
	case reflect.Struct:
		p.structure(v, depth)
	case reflect.Map:
		p.mapping(v, depth)
	case reflect.Slice, reflect.Array:
		p.b = append(p.b, '[')
		for i := range v.Len() {
			if p.full() {
				return
			}
			p.separate(i, ' ')
			p.value(v.Index(i), depth+1)
		}
		p.b = append(p.b, ']')
	default:
		p.leaf(v)
	}
}

func (p *printer) leaf(v any) {
	format := "%v"
	if p.names {
		format = "%+v"
	}
	p.b = fmt.Appendf(p.b, format, v)
}

func (p *printer) separate(i int, sep byte) {
	if i > 0 {
		p.b = append(p.b, sep)
	}
}

// pointer follows a pointer as fmt does, at the top only, and otherwise prints
// the address, which says nothing about the value.
func (p *printer) pointer(v reflect.Value, depth int) {
	switch kind := v.Type().Elem().Kind(); {
	case v.IsNil():
		p.b = append(p.b, "<nil>"...)
	case p.follow && v.CanInterface():
		p.value(v.Elem(), depth+1)
	case depth == 0 && (kind == reflect.Struct || kind == reflect.Map || kind == reflect.Slice || kind == reflect.Array):
		p.b = append(p.b, '&')
		p.value(v.Elem(), depth+1)
	default:
		p.b = fmt.Appendf(p.b, "0x%x", v.Pointer())
	}
}

func (p *printer) structure(v reflect.Value, depth int) {
	p.b = append(p.b, '{')
	for i := range v.NumField() {
		f := v.Type().Field(i)
		p.separate(i, ' ')
		if p.names {
			p.b = append(append(p.b, f.Name...), ':')
		}
		if _, options, _ := strings.Cut(f.Tag.Get("audit"), ","); p.follow && options != "" {
			p.b = append(p.b, fullMask...)
			continue
		}
		p.value(v.Field(i), depth+1)
	}
	p.b = append(p.b, '}')
}

// mapping sorts the entries by their text. If the map is too large, some of the
// entries are printed.
func (p *printer) mapping(v reflect.Value, depth int) {
	var entries []string
	text := p.b
	for it := v.MapRange(); it.Next() && !p.full(); {
		p.b = nil
		p.value(it.Key(), depth+1)
		p.b = append(p.b, ':')
		p.value(it.Value(), depth+1)
		entries = append(entries, string(p.b))
		p.b = nil
	}
	slices.Sort(entries)
	p.b = append(text, "map["...)
	for i, e := range entries {
		p.separate(i, ' ')
		p.b = append(p.b, e...)
	}
	p.b = append(p.b, ']')
}
