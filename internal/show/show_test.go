package show_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/internal/show"
)

type part struct {
	Name string
	Pin  string `audit:"pin,sensitive"`
	next *part
	Next *part
}

// The oracle is package fmt, except for the tagged field.
func TestAttrIsFmtPlusV(t *testing.T) {
	for _, v := range []any{
		nil, 1, "s", true, 1.5, []byte("ab"),
		[]any{nil, 1, "x"},
		map[string]int{"b": 1, "a": 2},
		part{Name: "n"},
		&part{}, errors.New("e"),
		[2]int{},
		(*part)(nil),
		map[string]any{},
		struct{ E error }{},
		&map[string]int{"a": 1}, uint8(3), 2i,
	} {
		got, cut := show.Attr(v, 4096)
		if want := strings.ReplaceAll(fmt.Sprintf("%+v", v), "Pin:", "Pin:***"); got != want || cut {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestTaggedFieldsAreMasked(t *testing.T) {
	p := part{Name: "n", Pin: "1234", next: &part{Pin: "1234"}}
	for _, v := range []any{p, &p, []part{p}, map[string]part{"k": p}, map[part]int{p: 1}, struct{ P any }{p}} {
		if got, _ := show.Attr(v, 4096); strings.Contains(got, "1234") || !strings.Contains(got, "***") {
			t.Errorf("%s", got)
		}
	}
}

// A change shows the values behind exported pointers, and no tagged secret.
func TestChange(t *testing.T) {
	inner := &part{Name: "b", Pin: "1234"}
	for want, v := range map[string]any{
		"{a *** <nil> {b *** <nil> <nil>}}": part{Name: "a", Pin: "1234", Next: inner},
		"[{b *** <nil> <nil>} <nil>]":       []*part{inner, nil},
		"map[k:7]":                          map[string]*int{"k": new(7)},
	} {
		if got := show.Change(v, 4096); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := show.Change(part{next: inner}, 4096); strings.Contains(got, "1234") {
		t.Errorf("%s", got)
	}
}

func TestTextsAreBounded(t *testing.T) {
	list := []any{nil}
	list[0] = list
	loop := &part{}
	loop.Next = loop
	for name, v := range map[string]any{"text": strings.Repeat("é", 100), "list": make([]int, 1<<20), "list in itself": list, "pointer to itself": loop} {
		got, cut := show.Attr(v, 63)
		if len(got) > 63 || name != "pointer to itself" && !cut {
			t.Errorf("%s: %d bytes, cut %v", name, len(got), cut)
		}
		if got := show.Change(v, 63); len(got) > 63 {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
	if got := show.Cut("aé", 2); got != "a" {
		t.Errorf("%q", got)
	}
	if got := show.Cut("\x80\x80\x80\x80\x80", 3); len(got) != 3 {
		t.Errorf("%q", got)
	}
}
