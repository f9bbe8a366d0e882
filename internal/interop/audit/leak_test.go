package audit_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"text/template"

	"github.com/davecgh/go-spew/spew"
	"github.com/getsentry/sentry-go"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgtype"
	"gopkg.in/yaml.v3"

	"github.com/redoubt-go/redoubt/audit"
)

const plaintext = "hunter2hunter2hunter2"

// leaks reports whether s contains the plaintext or a usual encoding of it.
func leaks(s string) bool {
	for _, form := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), "104 117 110 116 101 114", "aHVudGVy", "00000000  68 75 6e 74"} {
		if strings.Contains(s, form) {
			return true
		}
	}
	return false
}

// checkFails is a check whose error contains the value.
type checkFails struct{ value string }

func (e checkFails) Error() string { return "bad value " + e.value }

// secrets returns values and errors that contain the plaintext.
func secrets(t testing.TB) map[string]any {
	t.Helper()
	l := audit.New(audit.Config{Sink: audit.SinkFunc(func(context.Context, []*audit.Event) error { return nil })})
	o := l.Object("user", "1")
	f, err := (&audit.Attribute[string]{Name: "key", Sensitive: true}).Load(o, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
	refused := (&audit.Attribute[string]{Name: "key", Sensitive: true, Check: func(s string) error { return checkFails{s} }}).Of(o).Set(ctx, plaintext)
	opaque := audit.Opaque("db_down", fmt.Errorf("dial postgres://app:%s@db: %w", plaintext, errors.New(plaintext)))
	s, b := audit.NewSecret(plaintext), audit.NewSecret([]byte(plaintext))
	return map[string]any{
		"field": f, "field pointer": &f, "secret": s, "secret pointer": &s, "secret bytes": b,
		"unexported": struct {
			f audit.Field[string]
			s audit.Secret[string]
		}{f, s},
		"deep": map[string]any{"k": []any{&struct {
			S *audit.Secret[string]
			F audit.Field[string]
		}{&s, f}}},
		"field error": refused, "opaque": opaque, "wrapped": fmt.Errorf("save: %w", errors.Join(refused, opaque)),
	}
}

// printers print values as programs and reporters of other authors do.
var printers = map[string]func(any) string{
	"spew": func(v any) string { return spew.Sdump(v) + spew.Sprintf("%#+v", v) },
	"spew raw": func(v any) string {
		return (&spew.ConfigState{DisableMethods: true, DisablePointerMethods: true, MaxDepth: 8}).Sdump(v)
	},
	"yaml": func(v any) string { b, err := yaml.Marshal(v); return fmt.Sprint(string(b), err) },
	"go-cmp": func(v any) string {
		return cmp.Diff(any(nil), v, cmp.Exporter(func(reflect.Type) bool { return true }))
	},
	"gob": func(v any) string {
		var b bytes.Buffer
		err := gob.NewEncoder(&b).Encode(v)
		return fmt.Sprint(b.String(), err)
	},
	"template": func(v any) string {
		var b bytes.Buffer
		_ = template.Must(template.New("").Parse(`{{.}} {{printf "%#v" .}}`)).Execute(&b, v)
		return b.String()
	},
	"html template": func(v any) string {
		var b bytes.Buffer
		_ = htmltemplate.Must(htmltemplate.New("").Parse(`<a x={{.}} onclick="f({{.}})">{{.}}</a>`)).Execute(&b, v)
		return b.String()
	},
	"sentry": func(v any) string {
		err, ok := v.(error)
		if !ok {
			err = fmt.Errorf("value %v", v)
		}
		e := sentry.NewEvent()
		e.SetException(err, 10)
		e.Contexts = map[string]sentry.Context{"v": {"v": v}}
		b, jsonErr := e.MarshalJSON()
		return spew.Sdump(e.Exception) + string(b) + fmt.Sprint(jsonErr)
	},
}

// yaml panics for types that it cannot encode.
func shown(print func(any) string, v any) (s string) {
	defer func() {
		if r := recover(); r != nil {
			s += fmt.Sprint(r)
		}
	}()
	return print(v)
}

func TestNothingLeaksToOtherLibraries(t *testing.T) {
	for vn, v := range secrets(t) {
		for pn, print := range printers {
			if got := shown(print, v); leaks(got) {
				t.Errorf("%s through %s: %s", vn, pn, got)
			}
		}
	}
	for pn, print := range printers { // each printer would show a leak
		if v := error(fmt.Errorf("x: %w", checkFails{plaintext})); !leaks(shown(print, v)) && !leaks(shown(print, plaintext)) {
			t.Errorf("%s shows nothing at all", pn)
		}
	}
}

// A panic with a secret in it ends a child process.
func TestNothingLeaksInAPanic(t *testing.T) {
	if name := os.Getenv("INTEROP_PANIC"); name != "" {
		panic(secrets(t)[name])
	}
	for name := range secrets(t) {
		c := exec.Command(os.Args[0], "-test.run=^TestNothingLeaksInAPanic$")
		c.Env = append(os.Environ(), "INTEROP_PANIC="+name)
		out, err := c.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "panic") || leaks(string(out)) {
			t.Errorf("%s: %v, %s", name, err, out)
		}
	}
}

// pgx refuses secrets instead of storing their masks.
func TestPgxRefusesSecrets(t *testing.T) {
	m := pgtype.NewMap()
	for name, v := range secrets(t) {
		if _, isError := v.(error); isError || strings.Contains(name, "deep") || strings.Contains(name, "unexported") {
			continue
		}
		for _, oid := range []uint32{pgtype.TextOID, pgtype.VarcharOID, pgtype.ByteaOID, pgtype.JSONBOID, pgtype.JSONOID, pgtype.Int8OID} {
			for _, format := range []int16{pgtype.TextFormatCode, pgtype.BinaryFormatCode} {
				got, err := m.Encode(oid, format, v, nil)
				if err == nil || len(got) > 0 || leaks(err.Error()) || !errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("%s as type %d in format %d: %q, %v", name, oid, format, got, err)
				}
			}
		}
	}
	var s audit.Secret[string]
	if err := m.Scan(pgtype.TextOID, pgtype.TextFormatCode, []byte(plaintext), &s); err != nil || s.Reveal() != plaintext {
		t.Errorf("scan: %v, %q", err, s.Reveal())
	}
}
