package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/contrib/config"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/semver"
)

func checkEqual(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// checkProblems compares the lines of an error.
func checkProblems(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	checkEqual(t, strings.Split(err.Error(), "\n"), want)
}

// service is the configuration of a program.
type service struct {
	Retry    map[string]retry.Policy
	Breaker  breaker.Config
	Limits   ratelimit.KeyedConfig
	Cache    *cache.Config[string, []byte]
	Audit    audit.Config
	Versions semver.Range
	Listen   string
	LogLevel slog.Level
	Debug    bool
	Extra    map[string]any
	Attempts [2]int // has no form
}

func parse(t *testing.T, text string) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDecodeService(t *testing.T) {
	m := parse(t, `{
		"retry": {
			"Payments": {"max_attempts": 5, "attempt_timeout": "1.5s", "backoff": {"exponential": {"base": "50ms", "jitter": 0.25}}},
			"mail": {"backoff": {"sequence": ["1s", "1m"]}, "budget": {"token_budget": {"name": "mail", "ratio": 0.2}}}
		},
		"breaker": {"failure_ratio": 0.25, "window": "30s"},
		"LIMITS": {"limit": "100/s burst 20", "limits": ["1000/m", {"n": 5, "per": "1h", "name": "slow"}],
			"quotas": [{"n": 1000, "unit": "month", "location": "Europe/Berlin"}], "on_full": "forgive_debt"},
		"cache": {"capacity": 1000, "eviction": "lru", "ttl": "5m", "stale_if_error": "1h"},
		"audit": {"timeout": "-1s", "max_event": "128KiB", "token_keys": [{"id": "k1", "key": "0123456789abcdef"}]},
		"versions": "^1.2.3", "listen": ":8080", "log_level": "warn", "debug": true, "extra": {"a": [1]}
	}`)
	retryIf := func(error) bool { return false }
	got := service{
		Retry:  map[string]retry.Policy{"Payments": {RetryIf: retryIf, MaxElapsed: time.Minute}},
		Audit:  audit.Config{Sink: sink{}, AllowAnonymous: true},
		Limits: ratelimit.KeyedConfig{Limit: ratelimit.PerSecond(1).WithName("api")},
	}
	before := got.Retry
	if err := config.Decode(m, &got); err != nil {
		t.Fatal(err)
	}
	p := got.Retry["Payments"]
	if p.RetryIf == nil || before["Payments"].MaxAttempts != 0 {
		t.Error("the hook of the program is gone, or its map has changed")
	}
	p.RetryIf = nil
	checkEqual(t, p, retry.Policy{
		MaxAttempts: 5, AttemptTimeout: 1500 * time.Millisecond, MaxElapsed: time.Minute,
		Backoff: retry.Exponential{Base: 50 * time.Millisecond, Jitter: 0.25},
	})
	checkEqual(t, got.Retry["mail"], retry.Policy{
		Backoff: retry.Sequence{time.Second, time.Minute}, Budget: &retry.TokenBudget{Name: "mail", Ratio: 0.2},
	})
	checkEqual(t, got.Breaker.FailureRatio, 0.25)
	checkEqual(t, got.Limits.Limit, ratelimit.PerSecond(100).WithBurst(20).WithName("api"))
	checkEqual(t, got.Limits.Limits, []ratelimit.Limit{ratelimit.PerMinute(1000), {N: 5, Per: time.Hour, Name: "slow"}})
	checkEqual(t, got.Limits.Quotas[0].String(), "1000 per month in Europe/Berlin")
	checkEqual(t, got.Limits.OnFull, ratelimit.ForgiveDebt)
	checkEqual(t, *got.Cache, cache.Config[string, []byte]{Capacity: 1000, Eviction: cache.LRU, TTL: 5 * time.Minute, StaleIfError: time.Hour})
	checkEqual(t, got.Audit.Timeout, -time.Second)
	checkEqual(t, got.Audit.MaxEvent, 128<<10)
	checkEqual(t, string(got.Audit.TokenKeys[0].Key.Reveal()), "0123456789abcdef")
	if !got.Audit.AllowAnonymous || got.Audit.Sink == nil {
		t.Error("fields that the map does not name have changed")
	}
	checkEqual(t, got.Versions.String(), "^1.2.3")
	checkEqual(t, []any{got.Listen, got.LogLevel, got.Debug}, []any{":8080", slog.LevelWarn, true})
	checkEqual(t, got.Extra, map[string]any{"a": []any{1.0}})
}

// A degrees is a number that String shows with its unit.
type degrees int

func (d degrees) String() string { return fmt.Sprint(int(d), " degrees") }

// A color has a String method that knows the colors only.
type color int

func (c color) String() string { return [...]string{"red", "green"}[c] }

// The values of parsers for JSON, YAML and TOML, of the environment and of
// programs.
func TestDecodeValues(t *testing.T) {
	type values struct {
		Int   int
		Int8  int8
		Uint  uint8
		Big   uint64
		Float float64
		Small float32
		Bool  bool
		Text  string
		For   time.Duration
		At    time.Time
		Sync  ledger.SyncPolicy
		Bytes int64
		Names []string
		Table map[string]int
		Level *slog.Level
		Heat  degrees
		Color color
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	level := slog.LevelError
	for _, test := range []struct {
		name string
		m    map[string]any
		want values
	}{
		{"JSON", map[string]any{"int": 5.0, "float": 1.5, "uint": 255.0}, values{Int: 5, Float: 1.5, Uint: 255}},
		{"json.Number", map[string]any{"int": json.Number("-7"), "float": json.Number("7"), "uint": json.Number("1e2")}, values{Int: -7, Float: 7, Uint: 100}},
		{"a large json.Number", map[string]any{"big": json.Number("18446744073709551615")}, values{Big: math.MaxUint64}},
		{"YAML", map[string]any{"int": 5, "big": uint64(math.MaxUint64), "float": 2}, values{Int: 5, Big: math.MaxUint64, Float: 2}},
		{"TOML", map[string]any{"int": int64(-5), "int8": int64(-128), "at": at, "small": 0.5}, values{Int: -5, Int8: -128, At: at, Small: 0.5}},
		{"texts", map[string]any{"int": "-5", "big": "18446744073709551615", "float": "1e3", "bool": "true"}, values{Int: -5, Big: math.MaxUint64, Float: 1000, Bool: true}},
		{"a false text", map[string]any{"bool": "false"}, values{}},
		{"a program", map[string]any{"for": time.Minute, "names": []string{"a"}, "table": map[string]int{"a": 1}}, values{For: time.Minute, Names: []string{"a"}, Table: map[string]int{"a": 1}}},
		{"keys of any type", map[string]any{"table": map[any]any{"a": 1}}, values{Table: map[string]int{"a": 1}}},
		{"letter case", map[string]any{"INT": 5, "Text": "A"}, values{Int: 5, Text: "A"}},
		{"durations", map[string]any{"for": "-1h2m", "sync": "5ms"}, values{For: -62 * time.Minute, Sync: ledger.SyncEvery(5 * time.Millisecond)}},
		{"names", map[string]any{"sync": "never"}, values{Sync: ledger.SyncNever}},
		{"a size", map[string]any{"bytes": "64MiB"}, values{Bytes: 64 << 20}},
		{"a size in bytes", map[string]any{"bytes": "-10B"}, values{Bytes: -10}},
		{"a size as a number", map[string]any{"bytes": 12}, values{Bytes: 12}},
		{"a time", map[string]any{"at": "2026-01-02T03:04:05Z"}, values{At: at}},
		{"a pointer", map[string]any{"level": "error"}, values{Level: &level}},
		{"a number with a String method", map[string]any{"heat": 21}, values{Heat: 21}},
		{"a String method that panics", map[string]any{"color": "green"}, values{Color: 1}},
		{"an empty list", map[string]any{"names": []any{}}, values{Names: []string{}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got values
			if err := config.Decode(test.m, &got); err != nil {
				t.Fatal(err)
			}
			checkEqual(t, got, test.want)
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	nested := any("5s")
	for range 40 {
		nested = map[string]any{"next": nested}
	}
	for _, test := range []struct {
		name string
		into any
		m    map[string]any
		want []string
	}{
		{
			"a fraction", new(service),
			map[string]any{"retry": map[string]any{"payments": map[string]any{"max_attempts": 0.5}}},
			[]string{"config: retry.payments.max_attempts: is 0.5, want a whole number"},
		},
		{
			"an unknown key", new(retry.TokenBudget),
			map[string]any{"ration": 1},
			[]string{"config: ration: is unknown, want name, ratio, per_second or burst"},
		},
		{
			"a hook", new(retry.Policy),
			map[string]any{"on_event": "log"},
			[]string{"config: on_event: can be set by the program only"},
		},
		{"an unexported field", new(retry.Latency), map[string]any{"seen": 1}, []string{"config: seen: is unknown, want p or warm"}},
		{"a bare number for a duration", new(retry.Policy), map[string]any{"max_elapsed": 300}, []string{`config: max_elapsed: is 300, want a duration such as "5s"`}},
		{"a number without a unit", new(retry.Policy), map[string]any{"max_elapsed": "300"}, []string{`config: max_elapsed: is "300", want a duration such as "5s"`}},
		{"zero for a duration", new(retry.Policy), map[string]any{"max_elapsed": 0}, []string{`config: max_elapsed: is 0, want a duration such as "5s"`}},
		{"zero without a unit", new(retry.Policy), map[string]any{"max_elapsed": "-0.0"}, []string{`config: max_elapsed: is "-0.0", want a duration such as "5s"`}},
		{"a duration beyond 292 years", new(retry.Policy), map[string]any{"max_elapsed": "9999999h"}, []string{`config: max_elapsed: is "9999999h", want a duration such as "5s"`}},
		{"a duration for a number", new(retry.Policy), map[string]any{"max_attempts": time.Second}, []string{"config: max_attempts: is a time.Duration, want a whole number"}},
		{"a null", new(retry.Policy), map[string]any{"name": nil}, []string{"config: name: is empty, want a text"}},
		{"a number for a text", new(retry.Policy), map[string]any{"name": 5}, []string{"config: name: is a number, want a text"}},
		{"a text for a section", new(service), map[string]any{"breaker": "x"}, []string{"config: breaker: is a text, want a section"}},
		{"a list for a section", new(service), map[string]any{"breaker": []any{}}, []string{"config: breaker: is a list, want a section"}},
		{"a text for a list", new(ratelimit.Config), map[string]any{"limits": "1/s"}, []string{"config: limits: is a text, want a list"}},
		{"a number for a bool", new(service), map[string]any{"debug": 1}, []string{"config: debug: is 1, want true or false"}},
		{"another text for a bool", new(service), map[string]any{"debug": "yes"}, []string{`config: debug: is "yes", want true or false`}},
		{"a bool for a number", new(breaker.Config), map[string]any{"jitter": true}, []string{"config: jitter: is true, want a number"}},
		{"NaN", new(breaker.Config), map[string]any{"jitter": math.NaN()}, []string{"config: jitter: is NaN, want a number"}},
		{"NaN as a text", new(breaker.Config), map[string]any{"jitter": "nan"}, []string{`config: jitter: is "nan", want a number`}},
		{"a hexadecimal number", new(breaker.Config), map[string]any{"jitter": "0x1p-4"}, []string{`config: jitter: is "0x1p-4", want a number`}},
		{"infinite", new(breaker.Config), map[string]any{"jitter": math.Inf(1)}, []string{"config: jitter: is +Inf, want a number"}},
		{"NaN for a whole number", new(breaker.Config), map[string]any{"probes": math.NaN()}, []string{"config: probes: is NaN, want a whole number"}},
		{
			"a number that was rounded", new(ratelimit.Quota),
			map[string]any{"n": 1e17},
			[]string{"config: n: is 1e+17, which may have been rounded; write it as a text"},
		},
		{"a json.Number that was rounded", new(ratelimit.Quota), map[string]any{"n": json.Number("1e17")}, []string{"config: n: is 1e17, which may have been rounded; write it as a text"}},
		{
			"the first number that a float64 rounds", new(struct{ A int64 }),
			map[string]any{"a": float64(9007199254740993)},
			[]string{"config: a: is 9.007199254740992e+15, which may have been rounded; write it as a text"},
		},
		{"above the range", new(struct{ A int8 }), map[string]any{"a": 128}, []string{"config: a: is 128, want -128 to 127"}},
		{"below the range", new(struct{ A int8 }), map[string]any{"a": -129}, []string{"config: a: is -129, want -128 to 127"}},
		{"negative", new(struct{ A uint8 }), map[string]any{"a": -1}, []string{"config: a: is -1, want 0 to 255"}},
		{"above an unsigned range", new(struct{ A uint8 }), map[string]any{"a": uint(256)}, []string{"config: a: is 256, want 0 to 255"}},
		{"above an int64", new(struct{ A int64 }), map[string]any{"a": "9223372036854775808"}, []string{`config: a: is "9223372036854775808", want -9223372036854775808 to 9223372036854775807`}},
		{"a float32 that overflows", new(struct{ A float32 }), map[string]any{"a": 1e39}, []string{"config: a: is 1e+39, want a number"}},
		{"other digits", new(struct{ A, B, C int }), map[string]any{"a": "+5", "b": "0x5", "c": " 5"}, []string{
			`config: a: is "+5", want a whole number`, `config: b: is "0x5", want a whole number`, `config: c: is " 5", want a whole number`,
		}},
		{"a size for a count", new(retry.Policy), map[string]any{"max_attempts": "5KiB"}, []string{`config: max_attempts: is "5KiB", want a whole number`}},
		{"a decimal size", new(audit.Config), map[string]any{"max_event": "5MB"}, []string{`config: max_event: is "5MB", want a whole number, or a size such as "64MiB"`, "config: audit: Sink is missing"}},
		{"a size that overflows", new(struct{ Bytes int64 }), map[string]any{"bytes": "16777216TiB"}, []string{`config: bytes: is "16777216TiB", want a whole number, or a size such as "64MiB"`}},
		{"an enumeration", &cache.Config[int, int]{Capacity: 1}, map[string]any{"eviction": "LRU"}, []string{`config: eviction: is "LRU", want adaptive or lru`}},
		{"the number of an enumeration", &cache.Config[int, int]{Capacity: 1}, map[string]any{"eviction": 1}, []string{"config: eviction: is 1, want adaptive or lru"}},
		{"a limit", new(ratelimit.Config), map[string]any{"limits": []any{"1/s", "100", 5, []any{}}}, []string{
			`config: limits[1]: ratelimit: limit "100": want the form "100/s burst 20"`,
			`config: limits[2]: is a number, want a limit such as "100/s burst 20"`, `config: limits[3]: is a list, want a limit such as "100/s burst 20"`,
		}},
		{"a zone", new(ratelimit.Quota), map[string]any{"n": 1, "location": "Europe/Nowhere"}, []string{`config: location: is "Europe/Nowhere", want a time zone such as "Europe/Berlin"`}},
		{"a zone outside of the database", new(ratelimit.Quota), map[string]any{"n": 1, "location": "../../etc/passwd"}, []string{`config: location: is "../../etc/passwd", want a time zone such as "Europe/Berlin"`}},
		{"a backoff", new(retry.Policy), map[string]any{"backoff": "linear"}, []string{
			`config: backoff: is "linear", want a section with exponential, decorrelated, constant or sequence`,
		}},
		{"two backoffs", new(retry.Policy), map[string]any{"backoff": map[string]any{"constant": "1s", "sequence": []any{}}}, []string{
			"config: backoff: has 2 keys, want a section with exponential, decorrelated, constant or sequence",
		}},
		{"a backoff without its value", new(retry.Policy), map[string]any{"backoff": "constant"}, []string{
			`config: backoff.constant: is a section, want a duration such as "5s"`,
		}},
		{"a key in two letter cases", new(retry.Policy), map[string]any{"Name": "a", "name": "b", "NAME": "c"}, []string{
			"config: name: is there twice, as NAME and Name", "config: name: is there twice, as Name and name",
		}},
		{"a key that is no text", new(service), map[string]any{"retry": map[any]any{5: 1}}, []string{"config: retry: has a key that is no text"}},
		{"Validate", new(service), map[string]any{"breaker": map[string]any{"window": "1ns", "probes": -1}}, []string{
			"config: breaker: breaker: Window is 1ns, want at least 10ns", "config: breaker: breaker: Probes is -1, want 1 to 1000",
		}},
		{"Validate of a part", new(retry.Policy), map[string]any{"backoff": map[string]any{"exponential": map[string]any{"factor": 0.5}}}, []string{
			"config: retry: Exponential.Factor is 0.5, want 0 or at least 1",
		}},
		{"Validate without what the program must set", new(audit.Config), map[string]any{}, []string{"config: audit: Sink is missing"}},
		{"every problem", new(breaker.Config), map[string]any{"jitter": 2, "window": 5, "prob": 1, "open_for": "-1s"}, []string{
			"config: prob: is unknown, want name, window, window_calls, min_calls, failure_ratio, consecutive, slow_call, slow_ratio, " +
				"open_for, max_open_for, jitter, probes or probe_timeout",
			`config: window: is 5, want a duration such as "5s"`,
			"config: breaker: Jitter is 2, want a share in (0, 1], or a negative number",
			"config: breaker: OpenFor is -1s, want more than 0",
		}},
		{"too deep", new(ring), nested.(map[string]any), []string{"config: " + strings.Repeat("next.", 32) + "next: is nested too deeply, want at most 32 levels"}},
		{"a long key", new(retry.Latency), map[string]any{strings.Repeat("k", 1000): 1}, []string{
			"config: \"" + strings.Repeat("k", 64) + "\"…: is unknown, want p or warm",
		}},
		{"a long text", new(retry.Policy), map[string]any{"max_elapsed": strings.Repeat("1", 1000)}, []string{
			"config: max_elapsed: is \"" + strings.Repeat("1", 64) + "\"…, want a duration such as \"5s\"",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := fmt.Sprintf("%+v", reflect.ValueOf(test.into).Elem())
			err := config.Decode(test.m, test.into)
			checkProblems(t, err, test.want...)
			if after := fmt.Sprintf("%+v", reflect.ValueOf(test.into).Elem()); after != before {
				t.Errorf("the value changed from %s to %s", before, after)
			}
			for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
				if e, ok := errors.AsType[*config.Error](err); !ok || !strings.Contains(err.Error(), e.Path) {
					t.Errorf("%v is no *config.Error", err)
				}
			}
		})
	}
}

// A knot contains nothing but itself.
type knot struct{ A, B *knot }

// The target must be a pointer that Decode can set.
func TestDecodeTargets(t *testing.T) {
	for _, target := range []any{nil, retry.Policy{}, (*retry.Policy)(nil), new(int), new(func()), new(map[int]string), new(any), new([]string), new(knot)} {
		err := config.Decode(map[string]any{}, target)
		checkProblems(t, err, fmt.Sprintf("config: cannot decode into %T, want a pointer to a struct or to a map", target))
	}
	var policies map[string]retry.Policy
	if err := config.Decode(map[string]any{"a": map[string]any{"name": "x"}}, &policies); err != nil || policies["a"].Name != "x" {
		t.Errorf("got %v, %v", policies, err)
	}
	var limit ratelimit.Limit
	if err := config.Decode(map[string]any{"n": 5, "per": "1s"}, &limit); err != nil || limit.N != 5 {
		t.Errorf("got %v, %v", limit, err)
	}
	var proxy struct{ HTTPProxy, URL, ID2Name string }
	if err := config.Decode(map[string]any{"http_proxy": "a", "url": "b", "id2_name": "c"}, &proxy); err != nil || proxy.HTTPProxy+proxy.URL+proxy.ID2Name != "abc" {
		t.Errorf("got %v, %v", proxy, err)
	}
	if err := config.Decode(nil, &policies); err != nil || len(policies) != 1 {
		t.Errorf("got %v, %v", policies, err)
	}
}

// Decode changes nothing that the value of the program points to, also without
// an error.
func TestDecodeSharesNothingThatChanges(t *testing.T) {
	budget := &retry.TokenBudget{Name: "shared", Burst: 7}
	base := retry.Policy{Budget: budget, Backoff: retry.Exponential{Base: time.Second, Max: time.Minute}}
	changed, same := base, base
	if err := config.Decode(parse(t, `{"budget": {"token_budget": {"burst": 9}}, "backoff": {"exponential": {"max": "5s"}}}`), &changed); err != nil {
		t.Fatal(err)
	}
	checkEqual(t, budget.Burst, 7)
	checkEqual(t, changed.Budget.(*retry.TokenBudget).Burst, 9)
	checkEqual(t, changed.Budget.(*retry.TokenBudget).Name, "shared")
	checkEqual(t, changed.Backoff, retry.Backoff(retry.Exponential{Base: time.Second, Max: 5 * time.Second}))

	// A budget whose fields do not change keeps its tokens.
	budget.Withdraw(nil)
	if err := config.Decode(parse(t, `{"budget": {"token_budget": {"burst": 7}}}`), &same); err != nil {
		t.Fatal(err)
	}
	if same.Budget != retry.Budget(budget) {
		t.Error("a budget that does not change was replaced")
	}

	// A section for another type replaces the value.
	if err := config.Decode(parse(t, `{"backoff": {"constant": "2s"}}`), &same); err != nil {
		t.Fatal(err)
	}
	checkEqual(t, same.Backoff, retry.Backoff(retry.Constant(2*time.Second)))

	list := []ratelimit.Limit{ratelimit.PerSecond(1)}
	limits := ratelimit.Config{Limits: list}
	if err := config.Decode(parse(t, `{"limits": ["5/s"]}`), &limits); err != nil {
		t.Fatal(err)
	}
	checkEqual(t, list[0], ratelimit.PerSecond(1))
	checkEqual(t, limits.Limits, []ratelimit.Limit{ratelimit.PerSecond(5)})
}

type judged struct {
	Inner breaker.Config
	Err   string
}

var errJudge = errors.New("judge: no")

func (j *judged) Validate() error {
	if j.Err != "" {
		return errors.Join(errJudge, fmt.Errorf("judge: Err is %s", j.Err))
	}
	return nil
}

// Validate is called for the outermost value that has it, if the map names the
// value, and its errors can be found.
func TestDecodeValidates(t *testing.T) {
	var v struct {
		A, B judged
		L    []judged
		P    *judged
		M    map[string]judged
	}
	v.B.Err = "kept"
	m := parse(t, `{"a": {"inner": {"probes": -1}}, "l": [{}, {"err": "x"}], "p": {"err": "y"}, "m": {"k": {"err": "z"}}}`)
	err := config.Decode(m, &v)
	checkProblems(
		t, err,
		"config: l[1]: judge: no", "config: l[1]: judge: Err is x",
		"config: m.k: judge: no", "config: m.k: judge: Err is z",
		"config: p: judge: no", "config: p: judge: Err is y",
	)
	if !errors.Is(err, errJudge) {
		t.Error("the error of Validate cannot be found")
	}
	if err := config.Decode(map[string]any{}, &audit.Config{}); !errors.Is(err, audit.ErrInvalid) {
		t.Errorf("got %v, want audit.ErrInvalid", err)
	}
}

// A struct has the Validate of a configuration that it embeds, which does not
// know the other parts.
func TestDecodeValidatesBesideAnEmbeddedValidate(t *testing.T) {
	var v struct {
		retry.Policy
		Breaker breaker.Config
	}
	err := config.Decode(parse(t, `{"policy": {"backoff": {"exponential": {"factor": 0.5}}}, "breaker": {"probes": -1}}`), &v)
	checkProblems(
		t, err, "config: breaker: breaker: Probes is -1, want 1 to 1000",
		"config: policy: retry: Exponential.Factor is 0.5, want 0 or at least 1",
	)
}

// No error contains a secret.
func TestErrorsContainNoSecret(t *testing.T) {
	type secrets struct {
		Password audit.Secret[string]
		Header   map[string][]string
		Keys     []audit.TokenKey
		Limit    ratelimit.Limit
	}
	m := map[string]any{
		"password": 4711, "header": map[string]any{"X": []any{4711.0, true}},
		"keys": []any{map[string]any{"key": json.Number("4711")}, "4711"}, "limit": 4711,
	}
	for _, m := range []map[string]any{m, {"keys": "4711"}, {"header": "4711"}, {"header": map[string]any{"X": "4711"}}} {
		if err := config.Decode(m, &secrets{}); err == nil || strings.Contains(err.Error(), "4711") {
			t.Errorf("got %v", err)
		}
	}
	var v secrets
	if err := config.Decode(map[string]any{"password": "4711"}, &v); err != nil || v.Password.Reveal() != "4711" {
		t.Errorf("got %v, %v", v.Password.Reveal(), err)
	}
	if m, err := config.Encode(v); err != nil || len(m) != 0 {
		t.Errorf("got %v, %v, want an empty map", m, err)
	}
}

// The work, the memory and the error for a hostile map are bounded.
func TestDecodeIsBounded(t *testing.T) {
	wide := map[string]any{}
	for i := range 1 << 16 {
		wide[fmt.Sprint(i)] = i
	}
	err := config.Decode(wide, &retry.Latency{})
	lines := strings.Split(err.Error(), "\n")
	checkEqual(t, len(lines), 65)
	checkEqual(t, lines[64], "config: 65472 more problems")

	wide["more"] = 1
	checkProblems(t, config.Decode(wide, &retry.Latency{}), "config: has 65537 values, want at most 65536 in the whole map")
	many := make([]any, 1<<17)
	for i := range many {
		many[i] = "1/s"
	}
	checkProblems(t, config.Decode(map[string]any{"limits": many}, &ratelimit.Config{}),
		"config: limits: has 131072 values, want at most 65536 in the whole map")
	delete(wide, "more")
	for i := range 20 { // an alias of YAML makes many sections of a small file
		many[i] = wide
	}
	err = config.Decode(map[string]any{"l": many[:20]}, &struct{ L []retry.Latency }{})
	checkEqual(t, strings.Split(err.Error(), "\n")[0], "config: l[0]: has 65536 values, want at most 65536 in the whole map")
	large := strings.Repeat("9", 1<<17)
	checkProblems(t, config.Decode(map[string]any{"limits": []any{large}}, &ratelimit.Config{}), "config: limits[0]: has 131072 bytes, want at most 65536")
	if err := config.Decode(map[string]any{"a": large, "b": large}, &struct {
		A float64
		B time.Duration
	}{}); err == nil || len(err.Error()) > 400 {
		t.Errorf("got %v", err)
	}
}

func TestErrorIsALogValue(t *testing.T) {
	err := config.Decode(map[string]any{"name": 5}, &retry.Policy{})
	e, ok := errors.AsType[*config.Error](err)
	if !ok {
		t.Fatal(err)
	}
	checkEqual(t, e.LogValue().String(), "[path=name problem=is a number, want a text]")
	checkEqual(t, (&config.Error{Err: errJudge}).Error(), "config: judge: no")
}

// A field of an interface, a channel or an object without fields keeps the
// value of the program, and a Scanner inside of another struct too.
func TestHooksRemain(t *testing.T) {
	counters := &logscan.Counters{Name: "x"}
	s := struct{ Scanner logscan.Scanner }{logscan.Scanner{Parser: logscan.JSON(), Stats: counters, Join: &logscan.Joiner{Start: func([]byte) bool { return true }}}}
	if err := config.Decode(parse(t, `{"scanner": {"max_line": "1KiB", "join": {"max_lines": 5}}}`), &s); err != nil {
		t.Fatal(err)
	}
	if s.Scanner.Stats != counters || s.Scanner.Parser == nil || s.Scanner.Join.Start == nil {
		t.Error("a part of the program is gone")
	}
	checkEqual(t, []int{s.Scanner.MaxLine, s.Scanner.Join.MaxLines}, []int{1024, 5})
}
