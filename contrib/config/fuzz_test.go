package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/contrib/config"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/retry"
)

// parts are types with values of all forms, without secrets.
type parts struct {
	Retry   map[string]retry.Policy
	Hedge   *retry.Hedge[int]
	Breaker breaker.Config
	Limits  ratelimit.KeyedConfig
	Cache   *cache.Config[string, int]
	All     []any
	Small   int8
	Bytes   uint32
	Float   float32
}

// A map of any shape makes no panic. If it is accepted, the value is valid, and
// the map that Encode makes of it means the same. Otherwise nothing changes and
// the error has a bounded number of lines.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"retry": {"a": {"max_attempts": 5, "backoff": {"exponential": {"base": "1s", "jitter": "equal"}}}}}`,
		`{"limits": {"limit": "100/s burst 20", "quotas": [{"n": 5, "unit": "month", "location": "UTC"}]}}`,
		`{"hedge": {"max": 3, "latency": {"p": 0.9}, "budget": {"token_budget": {"burst": 3}}}}`,
		`{"cache": {"capacity": 1e3, "eviction": "lru", "max_weight": "5KiB"}, "all": [1, null, {"a": []}], "small": -128, "bytes": "4GiB"}`,
		`{"breaker": {"WINDOW": "1m", "window": "1m", "jitter": 1e999}}`, `{"float": 3.4e38, "retry": {"": {}}}`,
	} {
		f.Add([]byte(text), true)
		f.Add([]byte(text), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, numbers bool) {
		d := json.NewDecoder(bytes.NewReader(text))
		if numbers {
			d.UseNumber()
		}
		var m map[string]any
		if d.Decode(&m) != nil {
			return
		}
		var v parts
		if err := config.Decode(m, &v); err != nil {
			if !reflect.DeepEqual(v, parts{}) {
				t.Fatalf("%s: the value changed: %+v", text, v)
			}
			if n := strings.Count(err.Error(), "config: "); n == 0 || n > 65+len(text) {
				t.Fatalf("%s: %d problems", text, n)
			}
			return
		}
		for name, p := range v.Retry {
			if err := p.Validate(); err != nil {
				t.Fatalf("%s: %s: %v", text, name, err)
			}
		}
		again, err := config.Encode(v)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var back parts
		if err := config.Decode(again, &back); err != nil {
			t.Fatalf("%s: %v: %v", text, again, err)
		}
		if third, err := config.Encode(back); err != nil || !reflect.DeepEqual(third, again) {
			t.Fatalf("%s: %v, %v, want %v", text, third, err, again)
		}
		if d := diff("", reflect.ValueOf(v), reflect.ValueOf(back)); d != "" {
			t.Fatalf("%s: %s differs", text, d)
		}
	})
}

// A text for a value of each form makes no panic, and what is accepted comes
// back.
func FuzzDecodeText(f *testing.F) {
	for _, text := range []string{
		"5", "-1", "64MiB", "1e3", "5s", "true", "never", "equal", "lru", "100/s burst 20", "Europe/Berlin", "0x1p4", "inf", "exponential", "a(b", "\xff", "",
	} {
		f.Add(text)
	}
	bases := all()
	f.Fuzz(func(t *testing.T, text string) {
		for _, base := range bases {
			typ := reflect.TypeOf(base).Elem()
			for i := range typ.NumField() {
				if !hasKey(t, base, typ.Field(i)) {
					continue
				}
				v := reflect.New(typ)
				m := map[string]any{key(typ.Field(i).Name): text}
				if config.Decode(m, v.Interface()) != nil {
					continue
				}
				again, err := config.Encode(v.Interface())
				if err != nil {
					t.Fatalf("%q: %v", text, err)
				}
				back := reflect.New(typ)
				if err := config.Decode(again, back.Interface()); err != nil {
					t.Fatalf("%q: %v: %v", text, again, err)
				}
				if d := diff("", v.Elem(), back.Elem()); d != "" {
					t.Fatalf("%q: %s differs", text, d)
				}
			}
		}
	})
}

// Variables of any text make no panic, and each value is somewhere in the map.
func FuzzEnv(f *testing.F) {
	f.Add("P__A__0=x\nP__A__1=y\nP__B=z")
	f.Add("P__A=1\nP__A__B=2")
	f.Add("P____=\nP__0__0__0=1\n=\nP__")
	f.Fuzz(func(t *testing.T, text string) {
		environ := strings.Split(text, "\n")
		m, err := config.Env(environ, "P")
		if err != nil {
			return
		}
		if again, err := config.Env(flat("P", m, nil), "P"); err != nil || fmt.Sprint(again) != fmt.Sprint(m) {
			t.Fatalf("%q: %v, %v, want %v", text, again, err, m)
		}
	})
}
