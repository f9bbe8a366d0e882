package audit_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	htmltemplate "html/template"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
)

const plaintext = "hunter2hunter2hunter2"

type (
	embedsField  struct{ audit.Field[string] }
	embedsSecret struct{ audit.Secret[string] }
)

// holders returns values that contain a secret.
func holders() map[string]any {
	key := audit.Attribute[string]{Name: "key", Sensitive: true}
	f, err := key.Load(newLog(&memory{}).Object("user", "1"), plaintext)
	if err != nil {
		panic(err)
	}
	s := audit.NewSecret(plaintext)
	b := audit.NewSecret([]byte(plaintext))
	log := audit.New(audit.Config{Sink: &memory{}, TokenKeys: []audit.TokenKey{{ID: "k", Key: audit.NewSecret([]byte(plaintext))}}})
	token, err := (&audit.Attribute[string]{Name: "key", Sensitive: true, Token: true}).Load(log.Object("user", "1"), plaintext)
	if err != nil {
		panic(err)
	}
	log.Tokens("d", plaintext) // puts a used hash state into the pool
	opaque := audit.Opaque("code", errors.New(plaintext))
	return map[string]any{
		"token field": token, "token field unexported": struct{ f audit.Field[string] }{token}, "log with keys": log,
		"token key": audit.TokenKey{ID: "k", Key: audit.NewSecret([]byte(plaintext))}, "opaque": opaque, "opaque unexported": struct{ e error }{opaque},
		"field": f, "field pointer": &f, "field exported": struct{ F audit.Field[string] }{f},
		"field unexported": struct{ f audit.Field[string] }{f}, "field deep": &struct {
			p *struct{ f audit.Field[string] }
		}{&struct{ f audit.Field[string] }{f}},
		"field slice": []audit.Field[string]{f}, "field map": map[string]audit.Field[string]{"k": f}, "field key": map[audit.Field[string]]int{f: 1},
		"field any": []any{f}, "field embedded": embedsField{f},
		"secret": s, "secret pointer": &s, "secret exported": struct{ S audit.Secret[string] }{s},
		"secret unexported": struct{ s audit.Secret[string] }{s}, "secret deep": &struct {
			p *struct{ s audit.Secret[string] }
		}{&struct{ s audit.Secret[string] }{s}},
		"secret slice": []audit.Secret[string]{s}, "secret map": map[string]audit.Secret[string]{"k": s},
		"field array": [2]audit.Field[string]{f, f}, "secret array": [2]audit.Secret[string]{s, s},
		"field in a context": context.WithValue(context.Background(), traceKey{}, f), "secret in a context": context.WithValue(context.Background(), traceKey{}, s),
		"secret in atomic.Pointer": pointerTo(s), "field in sync.Map": mapOf(f), "secret in sync.Map": mapOf(s),
		"field in an error": fmt.Errorf("refused: %v", f), "secret in errors": errors.Join(fmt.Errorf("a: %s", s), fmt.Errorf("b: %+v", &s)),
		"event":      audit.Event{Action: "a", Attrs: []slog.Attr{slog.Any("f", f), slog.Any("s", &s), slog.Any("deep", struct{ s audit.Secret[string] }{s})}},
		"secret any": []any{s}, "secret embedded": embedsSecret{s}, "secret bytes": b, "secret bytes unexported": struct{ b audit.Secret[[]byte] }{b},
	}
}

func pointerTo(s audit.Secret[string]) *atomic.Pointer[audit.Secret[string]] {
	p := new(atomic.Pointer[audit.Secret[string]])
	p.Store(&s)
	return p
}

func mapOf(v any) *sync.Map {
	m := new(sync.Map)
	m.Store("k", v)
	return m
}

// surfaces returns functions that print a value.
func surfaces() map[string]func(any) string {
	out := map[string]func(any) string{
		"json": func(v any) string { b, err := json.Marshal(v); return string(b) + fmt.Sprint(err) },
		"xml":  func(v any) string { b, err := xml.Marshal(v); return string(b) + fmt.Sprint(err) },
		"gob": func(v any) string {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(v)
			return b.String() + fmt.Sprint(err)
		},
		"print":  func(v any) string { return fmt.Sprint(v) + fmt.Sprintln(v) },
		"errorf": func(v any) string { return fmt.Errorf("failed: %v %w", v, errors.New("x")).Error() },
		"slog text": func(v any) string {
			var b bytes.Buffer
			slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v)
			return b.String()
		},
		"slog json": func(v any) string {
			var b bytes.Buffer
			slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", v)
			return b.String()
		},
		"audit attr": func(v any) string {
			return string((&audit.Event{Attrs: []slog.Attr{slog.Any("v", v)}}).AppendJSON(nil))
		},
		"template": func(v any) string {
			var b bytes.Buffer
			_ = template.Must(template.New("").Parse("{{.}}")).Execute(&b, v)
			return b.String()
		},
		"html template": func(v any) string {
			var b bytes.Buffer
			_ = htmltemplate.Must(htmltemplate.New("").Parse("<a title={{.}} onclick='f({{.}})'>{{.}}</a>")).Execute(&b, v)
			return b.String()
		},
		"json indent": func(v any) string { b, err := json.MarshalIndent(v, "", " "); return string(b) + fmt.Sprint(err) },
		"json key": func(v any) string {
			b, err := json.Marshal(map[string]any{fmt.Sprint(v): v})
			return string(b) + fmt.Sprint(err)
		},
		"log": func(v any) string {
			var b bytes.Buffer
			log.New(&b, "", 0).Printf("%v %+v", v, v)
			return b.String()
		},
		"slog groups": func(v any) string {
			var b bytes.Buffer
			slog.New(slog.NewJSONHandler(&b, nil)).With("w", v).WithGroup("g").Info("m", slog.Group("h", "v", v))
			return b.String()
		},
		"audit log value": func(v any) string {
			return audit.Event{Attrs: []slog.Attr{slog.Any("v", v)}}.LogValue().String()
		},
		"flag default": func(v any) string {
			s, ok := v.(audit.Secret[string])
			if !ok {
				return ""
			}
			var b bytes.Buffer
			fs := flag.NewFlagSet("", flag.ContinueOnError)
			fs.SetOutput(&b)
			fs.TextVar(&s, "v", s, "")
			fs.PrintDefaults()
			return b.String()
		},
		"cmp":        func(v any) string { return cmp.Diff(nil, v, cmp.Exporter(func(reflect.Type) bool { return true })) },
		"too many":   func(v any) string { format := "%d %[2]*[1]d"; return fmt.Sprintf(format, 1, v, v) },
		"scan error": func(v any) string { _, err := fmt.Sscan("x", v); return fmt.Sprint(err) },
		"reflect":    func(v any) string { return dump(reflect.ValueOf(v), 0) },
	}
	for _, verb := range []string{"v", "+v", "#v", "s", "q", "x", "X", "d", "p", "T", "t", "e", "c", "U", "10v", "w"} {
		out["%"+verb] = func(v any) string { return fmt.Sprintf("%"+verb, v) }
	}
	return out
}

// dump follows pointers and reads unexported fields without calling methods, as
// debugging printers do.
func dump(v reflect.Value, depth int) string {
	if depth > 12 {
		return ""
	}
	s := v.Kind().String() + " "
	switch v.Kind() {
	case reflect.String:
		s += v.String()
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			s += dump(v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			s += dump(v.Field(i), depth+1)
		}
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
			s += string(v.Bytes())
		}
		for i := range v.Len() {
			s += dump(v.Index(i), depth+1)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			s += dump(it.Key(), depth+1) + dump(it.Value(), depth+1)
		}
	}
	return s
}

func leaks(s string) bool {
	for _, form := range []string{"hunt", fmt.Sprintf("%x", "hunt"), fmt.Sprintf("%X", "hunt"), "104 117 110 116", "aHVudG"} {
		if strings.Contains(s, form) {
			return true
		}
	}
	return false
}

func TestNothingLeaks(t *testing.T) {
	for hn, h := range holders() {
		for sn, show := range surfaces() {
			if got := show(h); leaks(got) {
				t.Errorf("%s through %s: %s", hn, sn, got)
			}
		}
	}
	if !leaks(dump(reflect.ValueOf(struct{ p *string }{new(plaintext)}), 0)) {
		t.Error("the dump of this test would not see a leak")
	}
}

// With GOEXPERIMENT=jsonv2, another implementation replaces encoding/json. All
// leak tests run again with it, in a child process.
func TestNothingLeaksThroughTheOtherJSONEngine(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil || testing.Short() || os.Getenv("AUDIT_TEST_CHILD") != "" {
		t.Skip("needs the go command and some seconds of compiling")
	}
	c := exec.Command(goTool, "test", "-count=1", "-v", "-run=Leaks|Mask|Errors", ".")
	c.Env = append(os.Environ(), "AUDIT_TEST_CHILD=1", "GOEXPERIMENT=jsonv2")
	out, err := c.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestNothingLeaksThroughJSONv2")) {
		t.Errorf("with GOEXPERIMENT=jsonv2: %v\n%s", err, out)
	}
}

// In a child process the value is in the panic value and on the stack.
func TestNothingLeaksInAPanic(t *testing.T) {
	names := []string{"field", "field unexported", "field pointer", "secret", "secret unexported", "secret deep", "error"}
	if name := os.Getenv("AUDIT_TEST_PANIC"); name != "" {
		h := holders()
		key := audit.Attribute[string]{Name: "key", Sensitive: true, Check: func(s string) error { return checkError{s} }}
		h["error"] = key.Of(newLog(&memory{}).Object("user", "1")).Set(alice(), plaintext)
		_, _ = os.Stderr.Write(debug.Stack())
		panic(h[name])
	}
	for _, name := range names {
		c := exec.Command(os.Args[0], "-test.run=^TestNothingLeaksInAPanic$")
		c.Env = append(os.Environ(), "AUDIT_TEST_PANIC="+name)
		out, err := c.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "panic") {
			t.Fatalf("%s: the child did not panic: %s", name, out)
		}
		if leaks(string(out)) {
			t.Errorf("%s leaks in a panic: %s", name, out)
		}
	}
}

func TestMasksAreShown(t *testing.T) {
	h := holders()
	for _, name := range []string{"field", "field pointer", "secret", "secret pointer"} {
		js, err := json.Marshal(h[name])
		if got := fmt.Sprintf("%v %+v %#v %s %q %x %d", h[name], h[name], h[name], h[name], h[name], h[name], h[name]); err != nil ||
			string(js) != `"***"` || got != "*** *** *** *** *** *** ***" {
			t.Errorf("%s: JSON %s, %v, fmt %s", name, js, err, got)
		}
	}
}
