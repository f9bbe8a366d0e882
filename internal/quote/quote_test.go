package quote_test

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/internal/quote"
)

const max = quote.Max

func TestCutKeepsWholeCharacters(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"short", "abc", "abc"},
		{"of the bound", strings.Repeat("a", max), strings.Repeat("a", max)},
		{"a byte more", strings.Repeat("a", max+1), strings.Repeat("a", max) + "…"},
		{"two bytes across the bound", strings.Repeat("a", max-1) + "éz", strings.Repeat("a", max-1) + "…"},
		{"two bytes up to the bound", strings.Repeat("a", max-2) + "éz", strings.Repeat("a", max-2) + "é…"},
		{"three bytes across the bound", strings.Repeat("a", max-2) + "€z", strings.Repeat("a", max-2) + "…"},
		{"four bytes, the last beyond the bound", strings.Repeat("a", max-3) + "𝄞z", strings.Repeat("a", max-3) + "…"},
		{"invalid UTF-8", strings.Repeat("\x80", max+8), strings.Repeat("\x80", max) + "…"},
		{"not escaped", "a\nb", "a\nb"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := quote.Cut(test.in); got != test.want {
				t.Errorf("Cut(%q) = %q, want %q", test.in, got, test.want)
			}
		})
	}
}

func TestTextAndNameQuote(t *testing.T) {
	long := strings.Repeat("n", max)
	for _, test := range []struct{ name, in, text, plain string }{
		{"empty", "", `""`, ""},
		{"plain", "billing", `"billing"`, "billing"},
		{"with a space", "billing eu", `"billing eu"`, "billing eu"},
		{"letters of any script", "größe", `"größe"`, "größe"},
		{"of the bound", long, `"` + long + `"`, long},
		{"longer", long + "n", `"` + long + `"…`, `"` + long + `"…`},
		{"a line feed", "a\nb", `"a\nb"`, `"a\nb"`},
		{"a terminal sequence", "\x1b[31m", `"\x1b[31m"`, `"\x1b[31m"`},
		{"a quote", `a"b`, `"a\"b"`, `"a\"b"`},
		{"invalid UTF-8", "a\xff", `"a\xff"`, `"a\xff"`},
		{"a bidirectional override", "a\u202eb", `"a\u202eb"`, `"a\u202eb"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := quote.Text(test.in); got != test.text {
				t.Errorf("Text(%q) = %s, want %s", test.in, got, test.text)
			}
			if got := quote.Name(test.in); got != test.plain {
				t.Errorf("Name(%q) = %s, want %s", test.in, got, test.plain)
			}
		})
	}
}

type panicking struct{ value any }

func (p panicking) Error() string { panic(p.value) }

// nested panics with itself, so that the panic cannot be printed either.
type nested struct{}

func (nested) Error() string { panic(nested{}) }

type pointer struct{ text string }

func (p *pointer) Error() string { return p.text }

func TestErrorSurvivesEveryErrorMethod(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"an error", errors.New("refused"), `"refused"`},
		{"hostile text", errors.New("a\nlevel=ERROR"), `"a\nlevel=ERROR"`},
		{"nil", nil, `"<nil>"`},
		{"a nil pointer", (*pointer)(nil), `"<nil>"`},
		{"a panic", panicking{"boom"}, `"%!v(PANIC=Error method: boom)"`},
		{"a panic that panics", nested{}, `"PANIC=Error method"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := quote.Error(test.err); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestCutKeepsNoLargeTextAlive(t *testing.T) {
	kept := make([]string, 64)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range kept {
		kept[i] = quote.Cut(strings.Repeat("x", 1<<20))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("%d texts of 64 bytes keep %d bytes alive", len(kept), grown)
	}
	runtime.KeepAlive(kept)
}

// FuzzQuote holds Cut, Text and Name to their definitions: the kept part is the
// longest start within the bound that ends between two characters.
func FuzzQuote(f *testing.F) {
	f.Add("")
	f.Add(strings.Repeat("é", 40))
	f.Add(strings.Repeat("a", 61) + "𝄞\x80\x80")
	f.Fuzz(func(t *testing.T, s string) {
		kept, cut := strings.CutSuffix(quote.Cut(s), "…")
		if len(s) <= max {
			if kept, cut = s, false; quote.Cut(s) != s {
				t.Fatalf("Cut changed a short text: %q", quote.Cut(s))
			}
		}
		if cut != (len(s) > max) || !strings.HasPrefix(s, kept) || len(kept) > max {
			t.Fatalf("Cut(%q) = %q", s, quote.Cut(s))
		}
		if cut {
			_, size := utf8.DecodeRuneInString(s[len(kept):])
			if len(kept)+size <= max {
				t.Fatalf("Cut(%q) keeps %d bytes, %d more fit", s, len(kept), size)
			}
			if got, want := []rune(kept), []rune(s)[:len([]rune(kept))]; string(got) != string(want) {
				t.Fatalf("Cut(%q) splits a character", s)
			}
		}
		text, marked := strings.CutSuffix(quote.Text(s), "…")
		if len(s) <= max {
			text, marked = quote.Text(s), false
		}
		if got, err := strconv.Unquote(text); got != kept || err != nil || marked != cut {
			t.Fatalf("Text(%q) = %s", s, quote.Text(s))
		}
		if name := quote.Name(s); name != s && name != quote.Text(s) {
			t.Fatalf("Name(%q) = %s", s, name)
		}
	})
}
