// Package show prints values for the records of the audit packages, within a
// bound. Package fmt would print all of a large value before its text could be
// cut.
package show

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// Mask is the text in place of a sensitive value. It reveals neither length nor
// type.
const Mask = "***"

// Attr returns the text of a value for an attribute, as %+v of package fmt
// does, with at most max bytes. It reports whether the text was cut.
func Attr(v any, max int) (text string, cut bool) {
	p := printer{names: true, max: max, work: 4 * max}
	p.value(reflect.ValueOf(v), 0)
	return Cut(string(p.b), max), p.full()
}

// Change returns the text of a value for a change, as %v does, with at most max
// bytes. Exported pointers are printed as the values they point to, and struct
// fields with the audit tag "sensitive" or "token" as the mask.
func Change(v any, max int) string {
	p := printer{follow: true, max: max, work: 4 * max}
	p.value(reflect.ValueOf(v), 0)
	return Cut(string(p.b), max)
}

// Cut returns at most n bytes of s and splits no rune.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := n; i > n-utf8.UTFMax && i >= 0; i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i]
		}
	}
	return s[:n] // not UTF-8
}

// A printer stops when it has written max bytes or has no work left. It
// therefore ends for cyclic values too.
type printer struct {
	b      []byte
	max    int
	work   int  // values and bytes that may still be printed, also into parts that are dropped
	names  bool // print the names of struct fields
	follow bool // follow pointers and mask tagged fields
}

func (p *printer) full() bool { return len(p.b) > p.max || p.work <= 0 }

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
		s = s[:min(len(s), p.max+1)]
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
			p.b = append(p.b, Mask...)
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
