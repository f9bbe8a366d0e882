package config_test

import (
	"context"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/audithttp"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/witness"
	"github.com/redoubt-go/redoubt/audit/redact"
	"github.com/redoubt-go/redoubt/audit/siem"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/breaker/breakerhttp"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/contrib/config"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
	"github.com/redoubt-go/redoubt/logscan/follow"
	"github.com/redoubt-go/redoubt/logscan/journal"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
	"github.com/redoubt-go/redoubt/semver/tag"
	"github.com/redoubt-go/redoubt/servehttp"
)

var update = flag.Bool("update", false, "write keys.md")

type sink struct{}

func (sink) WriteEvents(context.Context, []*audit.Event) error { return nil }

// all returns a valid value of every configurable type of the library, with the
// parts that only a program can set.
func all() []any {
	log := audit.New(audit.Config{Sink: sink{}})
	skey, vkey, err := ledger.GenerateKey("example.com/log")
	signer := must(ledger.ParseSigner(skey))
	policy := must(witness.ParsePolicy([]byte("log " + vkey + "\nquorum none\n")))
	if err != nil {
		panic(err)
	}
	return []any{
		&retry.Policy{RetryIf: retry.Retryable},
		&retry.Hedge[int]{Discard: func(int) {}},
		&retry.TokenBudget{},
		&retry.Latency{},
		&retry.Exponential{},
		&retry.Decorrelated{},
		&retryhttp.Transport{},
		&retryhttp.Hedge{},
		&retryhttp.Deadline{},
		&breaker.Config{Classify: breaker.Classify},
		&breaker.GroupConfig[string]{},
		&breaker.PoolConfig[string]{Endpoints: []string{"eu", "us"}},
		&breaker.ThrottleConfig{},
		&breakerhttp.Transport{},
		&breakerhttp.Pool{Endpoints: breaker.NewPool(breaker.PoolConfig[string]{Endpoints: []string{"https://eu.example.com"}})},
		&ratelimit.Config{Limits: []ratelimit.Limit{ratelimit.PerSecond(1)}},
		&ratelimit.KeyedConfig{Limit: ratelimit.PerSecond(1)},
		&ratelimit.WindowConfig{Limit: ratelimit.PerSecond(1)},
		&ratelimit.Limit{N: 1, Per: time.Second},
		&ratelimit.Quota{N: 1},
		&bulkhead.Config{},
		&ratelimithttp.Config{
			Store: ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerSecond(1)})),
			Key:   func(*http.Request) (string, bool) { return "", true },
		},
		&ratelimithttp.ConcurrencyConfig{Acquire: func(*http.Request) (ratelimithttp.Permit, error) { return nil, nil }},
		&ratelimithttp.Transport{},
		&servehttp.Config{Server: &http.Server{}},
		&cache.Config[string, int]{Capacity: 1},
		&cache.LazyConfig{},
		&audit.Config{Sink: sink{}},
		&audit.BufferConfig{Next: sink{}},
		&audit.QuorumConfig{Members: []audit.Member{{Sink: sink{}}}},
		&audit.Guard{Log: log, Action: "shop.refund"},
		&audithttp.Config{Log: log},
		&redact.Config{Next: slog.DiscardHandler},
		&siem.SyslogConfig{Addr: "localhost:601"},
		&siem.HTTPConfig{URL: "https://localhost/", Format: siem.NDJSON(nil)},
		&ledger.Config{Signer: signer},
		&ledger.VerifyConfig{},
		&witness.Config{Policy: policy, Log: os.DirFS(".")},
		&logscan.Scanner{},
		&detect.Config{Limit: 1, Per: time.Second},
		&follow.Follower{Path: "app.log"},
		&follow.Dir{Match: []string{"*.log"}},
		&journal.Config{},
		&tag.Format{},
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// nameOf returns the name of the type that v points to, such as "retry.Policy".
func nameOf(v any) string {
	name, _, _ := strings.Cut(reflect.TypeOf(v).Elem().String(), "[")
	return name
}

var configurable = regexp.MustCompile(`^(.*Config|.*Policy|Hedge|Guard|Scanner|Follower|Transport)$`)

// Every type of the library that is a configuration by its name, or that has
// Validate, is in the list of this test. So it is in all tests of this package,
// and in keys.md.
func TestEveryConfigurableTypeIsTested(t *testing.T) {
	root := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(root, "testdata", "api")); err != nil {
		t.Skip("this module is not in the tree of the library")
	}
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{"internal", "contrib", "examples", "cmd", "testdata", ".git"}, d.Name()) {
			return filepath.SkipDir
		}
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range f.Decls {
			for _, typ := range configs(d) {
				if ast.IsExported(typ) {
					found[f.Name.Name+"."+typ] = true
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 30 {
		t.Fatalf("found only %d types", len(found))
	}
	opaque := []string{"witness.Policy"} // has no exported field
	for _, v := range all() {
		delete(found, nameOf(v))
	}
	for name := range found {
		if !slices.Contains(opaque, name) {
			t.Errorf("%s is not in the list: add a value to all, then run go test -update", name)
		}
	}
}

// configs returns the names of the types that a declaration makes
// configurations.
func configs(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.Name != "Validate" || d.Recv == nil {
			return nil
		}
		ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && names == nil {
				names = append(names, id.Name)
			}
			return true
		})
	case *ast.GenDecl:
		for _, s := range d.Specs {
			s, ok := s.(*ast.TypeSpec)
			if !ok {
				continue
			}
			if _, isStruct := s.Type.(*ast.StructType); isStruct && configurable.MatchString(s.Name.Name) {
				names = append(names, s.Name.Name)
			}
		}
	}
	return names
}

var (
	humps  = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	titles = regexp.MustCompile(`([A-Z])([A-Z][a-z])`)
)

// key returns the key of the field of a name, by another way than the package.
func key(name string) string {
	return strings.ToLower(humps.ReplaceAllString(titles.ReplaceAllString(name, "${1}_${2}"), "${1}_${2}"))
}

// impossible is no value of any type.
type impossible struct{}

const byProgram = "by the program"

// values returns the description of the values of a field: the error for an
// impossible value shows it.
func values(t *testing.T, v any, f reflect.StructField) string {
	t.Helper()
	target := reflect.New(reflect.TypeOf(v).Elem())
	target.Elem().Set(reflect.ValueOf(v).Elem())
	err := config.Decode(map[string]any{key(f.Name): impossible{}}, target.Interface())
	switch {
	case err == nil:
		t.Fatalf("%s.%s: no error", nameOf(v), f.Name)
	case strings.Contains(err.Error(), "cannot decode into"), strings.Contains(err.Error(), ": can be set by the program only"):
		return byProgram
	case strings.Contains(err.Error(), "unknown"):
		t.Fatalf("%s.%s: %v", nameOf(v), f.Name, err)
	}
	_, text, ok := strings.Cut(err.Error(), "config: "+key(f.Name)+": is a config_test.impossible, want ")
	if _, short, isText := strings.Cut(err.Error(), "config: "+key(f.Name)+": is a "); !ok && isText {
		_, text, ok = strings.Cut(short, ", want ")
	}
	if !ok {
		t.Fatalf("%s.%s: %v", nameOf(v), f.Name, err)
	}
	text, _, _ = strings.Cut(text, "\n")
	if text == "a section" || text == "a list" {
		text += ", `" + f.Type.String() + "`"
	}
	return text
}

// keys.md lists each field of each type. A new field fails this test until the
// page, written by go test -update, says how the map contains it or that only
// the program sets it.
func TestKeysOfEveryField(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Keys\n\nThe keys of each type, and their values. \"By the program\" stands for hooks,\n" +
		"interfaces and objects, which a map cannot contain. `go test -update` in this\nfolder writes the page.\n")
	for _, v := range all() {
		fmt.Fprintf(&b, "\n## %s\n\n| key | value |\n| --- | --- |\n", nameOf(v))
		typ, seen := reflect.TypeOf(v).Elem(), map[string]bool{}
		for i := range typ.NumField() {
			f := typ.Field(i)
			if !f.IsExported() {
				continue
			}
			if seen[key(f.Name)] {
				t.Errorf("%s: the key %s is there twice", nameOf(v), key(f.Name))
			}
			seen[key(f.Name)] = true
			fmt.Fprintf(&b, "| %s | %s |\n", key(f.Name), values(t, v, f))
		}
	}
	if *update {
		if err := os.WriteFile("keys.md", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile("keys.md")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(string(page), "\n")
	for i, line := range strings.Split(b.String(), "\n") {
		if i >= len(want) || line != want[i] {
			t.Fatalf("line %d is %q, want the line of keys.md; look at the field, then run go test -update", i+1, line)
		}
	}
	if got := strings.Count(b.String(), "\n"); got != len(want)-1 {
		t.Errorf("%d lines, keys.md has %d", got, len(want)-1)
	}
}

// The names of enumerations in other modules are the names of their constants.
func TestNamesOfOtherModules(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "redis", "config.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Skip("this module is not in the tree of the library")
	}
	var names []string
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := strings.CutPrefix(s.Names[0].Name, "Outage"); ok {
			names = append(names, key(name))
		}
		return true
	})
	checkEqual(t, config.NamesOf("github.com/redoubt-go/redoubt/contrib/redis.Outage"), names)
}
