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
// does, with at most max bytes. It reports whether the text was cut. Struct
// fields with the audit tag "sensitive" or "token" are printed as the mask.
func Attr(v any, max int) (text string, cut bool) {
	p := printer{max: max, work: 4 * max}
	p.value(reflect.ValueOf(v), 0)
	return Cut(string(p.b), max), p.full()
}

// Change returns the text of a value for a change, as %v does, with at most max
// bytes. Exported pointers are printed as the values they point to, and tagged
// fields as the mask.
func Change(v any, max int) string {
	p := printer{change: true, max: max, work: 4 * max}
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
	work   int  // values and bytes that may still be printed
	change bool // follow pointers, and print no names of fields
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
			p.b = fmt.Appendf(p.b, "%+v", x)
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
	case reflect.Pointer, reflect.Interface:
		p.pointer(v, depth)
	case reflect.Struct:
		p.list("{", v.NumField(), "}", func(i int) { p.field(v, i, depth) })
	case reflect.Map:
		p.mapping(v, depth)
	case reflect.Slice, reflect.Array:
		p.list("[", v.Len(), "]", func(i int) { p.value(v.Index(i), depth+1) })
	default:
		p.b = fmt.Appendf(p.b, "%+v", v)
	}
}

func (p *printer) list(open string, n int, end string, print func(i int)) {
	p.b = append(p.b, open...)
	for i := 0; i < n && !p.full(); i++ {
		if i > 0 {
			p.b = append(p.b, ' ')
		}
		print(i)
	}
	p.b = append(p.b, end...)
}

// pointer follows interfaces, and pointers as fmt does: at the top only.
// Otherwise it prints the address, which says nothing about the value.
func (p *printer) pointer(v reflect.Value, depth int) {
	switch kind := v.Elem().Kind(); {
	case v.IsNil():
		p.b = append(p.b, "<nil>"...)
	case v.Kind() == reflect.Interface, p.change && v.CanInterface():
		p.value(v.Elem(), depth+1)
	case depth == 0 && (kind == reflect.Struct || kind == reflect.Map || kind == reflect.Slice || kind == reflect.Array):
		p.b = append(p.b, '&')
		p.value(v.Elem(), depth+1)
	default:
		p.b = fmt.Appendf(p.b, "0x%x", v.Pointer())
	}
}

func (p *printer) field(v reflect.Value, i, depth int) {
	f := v.Type().Field(i)
	if !p.change {
		p.b = append(append(p.b, f.Name...), ':')
	}
	if _, options, _ := strings.Cut(f.Tag.Get("audit"), ","); options != "" {
		p.b = append(p.b, Mask...)
		return
	}
	p.value(v.Field(i), depth+1)
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
	}
	slices.Sort(entries)
	p.b = append(append(append(text, "map["...), strings.Join(entries, " ")...), ']')
}
