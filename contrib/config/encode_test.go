package config_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/contrib/config"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/retry"
)

// fill sets the parts of v that a map can contain to random values, and keeps
// others: about half of the values that are present, so that required ones
// remain.
func fill(t *testing.T, rnd *rand.Rand, v reflect.Value) {
	t.Helper()
	pick := func(n int) int { return rnd.IntN(n) }
	if !v.IsZero() && pick(2) == 0 {
		return
	}
	switch x := v.Addr().Interface().(type) {
	case **time.Location:
		*x = []*time.Location{nil, time.UTC, must(time.LoadLocation("Europe/Berlin"))}[pick(3)]
		return
	case *time.Time:
		*x = time.Unix(rnd.Int64N(1<<33), rnd.Int64N(1e9)).UTC()
		return
	case *time.Duration:
		*x = []time.Duration{0, 1, -1, 5 * time.Second, 90 * time.Minute, cache.NoExpiry, time.Duration(rnd.Int64N(1e10))}[pick(7)]
		return
	case *ledger.SyncPolicy:
		*x = []ledger.SyncPolicy{ledger.SyncAlways, ledger.SyncNever, ledger.SyncEvery(time.Duration(rnd.Int64N(1e10)))}[pick(3)]
		return
	case *retry.Jitter:
		*x = []retry.Jitter{retry.Full, retry.Equal, retry.None, retry.Spread(rnd.Float64()), retry.Jitter(rnd.Float64())}[pick(5)]
		return
	case *ratelimit.Limit:
		n := rnd.Int64N(1 << 20)
		*x = []ratelimit.Limit{
			{},
			ratelimit.Inf(), ratelimit.PerSecond(n), ratelimit.PerDay(n).WithBurst(3), ratelimit.PerHour(n).WithName("slow one"),
			{N: n, Per: time.Duration(1 + rnd.Int64N(1e12))},
			ratelimit.Rate(rnd.ExpFloat64(), 4), ratelimit.PerMinute(n).WithBurst(ratelimit.NoBurst),
		}[pick(8)]
		return
	case *retry.Backoff:
		e := &retry.Exponential{}
		fill(t, rnd, reflect.ValueOf(e).Elem())
		*x = []retry.Backoff{
			nil, *e, retry.Constant(rnd.Int64N(1e10)),
			retry.Decorrelated{Base: 5},
			retry.Sequence{},
			retry.Sequence{time.Duration(rnd.Int64N(1e10)), 0, time.Minute},
		}[pick(6)]
		return
	case *retry.Budget:
		b := &retry.TokenBudget{}
		fill(t, rnd, reflect.ValueOf(b).Elem())
		*x = []retry.Budget{nil, b}[pick(2)]
		return
	case **regexp.Regexp:
		*x = regexp.MustCompile([]string{`a+`, `(?i)token=(\S{1,9})`}[pick(2)])
		return
	case *audit.Action:
		*x = []audit.Action{"user.delete", "order.refund"}[pick(2)]
		return
	case *audit.Secret[string], *audit.Secret[[]byte], *ledger.Hash:
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(pick(2) == 0)
	case reflect.String:
		v.SetString([]string{"", "api", "x.y", "a b,c", "höhe", "5", "true"}[pick(7)])
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{0, 1, 2, -1, 10, 100, 4096, math.MaxInt32, rnd.Int64N(1000), rnd.Int64() >> (64 - v.Type().Bits())}[pick(10)])
	case reflect.Uint8:
		v.SetUint(uint64(pick(4)))
	case reflect.Uint64:
		v.SetUint([]uint64{0, 1, 1 << 20, rnd.Uint64()}[pick(4)])
	case reflect.Float64:
		v.SetFloat([]float64{0, 0.1, 0.5, 1, 2.5, -1, rnd.Float64(), 1 / 3.0}[pick(8)])
	case reflect.Slice:
		list := reflect.MakeSlice(v.Type(), pick(4), 4)
		for i := range list.Len() {
			fill(t, rnd, list.Index(i))
		}
		v.Set(list)
	case reflect.Map: // http.Header
		v.Set(reflect.ValueOf(map[string][]string{"X-Team": {"a", "b"}}).Convert(v.Type()))
	case reflect.Pointer:
		if elem := v.Type().Elem(); elem.Kind() == reflect.Struct && elem.NumField() > 0 && pick(2) == 0 {
			v.Set(reflect.New(elem))
			fill(t, rnd, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); hasKey(t, v.Addr().Interface(), f) {
				fill(t, rnd, v.Field(i))
			}
		}
	}
}

// diff returns the path of the first difference between two values, or "".
// Functions and other parts that a program sets are equal if both are set.
func diff(path string, a, b reflect.Value) string {
	differ := func(different bool) string {
		if different {
			return path
		}
		return ""
	}
	if a.Type() != b.Type() {
		return path
	}
	switch x := a.Interface().(type) {
	case *time.Location:
		y := b.Interface().(*time.Location)
		return differ((x == nil) != (y == nil) || x != nil && x.String() != y.String())
	case *regexp.Regexp:
		return differ(x.String() != b.Interface().(*regexp.Regexp).String())
	case time.Time:
		return differ(!x.Equal(b.Interface().(time.Time)))
	case audit.Secret[string], audit.Secret[[]byte]:
		return ""
	}
	switch a.Kind() {
	case reflect.Func, reflect.Chan:
		return differ(a.IsNil() != b.IsNil())
	case reflect.Interface, reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return differ(a.IsNil() != b.IsNil())
		}
		return diff(path, a.Elem(), b.Elem())
	case reflect.Slice:
		if a.Len() != b.Len() || a.IsNil() != b.IsNil() {
			return path
		}
		for i := range a.Len() {
			if d := diff(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Struct:
		for i := range a.NumField() {
			if f := a.Type().Field(i); f.IsExported() {
				if d := diff(path+"."+f.Name, a.Field(i), b.Field(i)); d != "" {
					return d
				}
			}
		}
		return ""
	}
	return differ(!reflect.DeepEqual(a.Interface(), b.Interface()))
}

func copyOf(v any) reflect.Value {
	p := reflect.New(reflect.TypeOf(v).Elem())
	p.Elem().Set(reflect.ValueOf(v).Elem())
	return p
}

// isKeyed reports whether a map has a key for a field of the type of v.
func isKeyed(v any) bool {
	_, err := config.Encode(v)
	return err == nil
}

// hasKey reports whether a map can contain a field of the struct that v points
// to.
func hasKey(t *testing.T, v any, f reflect.StructField) bool {
	t.Helper()
	if !f.IsExported() {
		return false
	}
	id := nameOf(v) + "." + f.Name
	has, known := keyed[id]
	if !known {
		has = values(t, v, f) != byProgram
		keyed[id] = has
	}
	return has
}

// keyed remembers the results of hasKey.
var keyed = map[string]bool{}

// without returns a copy of v without the parts that a map can contain.
func without(t *testing.T, v any) reflect.Value {
	t.Helper()
	p := copyOf(v)
	for i := range p.Elem().NumField() {
		if f := p.Elem().Type().Field(i); hasKey(t, v, f) {
			p.Elem().Field(i).SetZero()
		}
	}
	return p
}

// throughJSON returns the map that a program reads from a file of JSON.
func throughJSON(t *testing.T, m map[string]any) (out map[string]any) {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Each valid value of each type becomes a map that becomes the same value,
// directly and as JSON. The oracle is diff, which compares field by field.
func TestEncodeAndDecodeAreInverse(t *testing.T) {
	const wanted = 300
	for _, base := range all() {
		if !isKeyed(base) {
			continue
		}
		t.Run(nameOf(base), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, 2))
			valid := 0
			for tries := 0; valid < wanted; tries++ {
				if tries == 100*wanted {
					t.Fatalf("only %d of %d random values are valid", valid, tries)
				}
				v := copyOf(base)
				fill(t, rnd, v.Elem())
				if judge, ok := v.Interface().(interface{ Validate() error }); ok && judge.Validate() != nil {
					continue
				}
				valid++
				m, err := config.Encode(v.Interface())
				if err != nil {
					t.Fatalf("%+v: %v", v.Elem(), err)
				}
				for _, m := range []map[string]any{m, throughJSON(t, m)} {
					got := without(t, base)
					if err := config.Decode(m, got.Interface()); err != nil {
						t.Fatalf("%v: %v", m, err)
					}
					if d := diff("", v.Elem(), got.Elem()); d != "" {
						t.Fatalf("%v: %s differs:\n%+v\n%+v", m, d, v.Elem(), got.Elem())
					}
				}
			}
		})
	}
}

// The oracle of the property notices each field that a map can contain: a
// change of the field changes the map, and diff reports it.
func TestTheOracleNoticesEachField(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, base := range all() {
		typ := reflect.TypeOf(base).Elem()
		for i := range typ.NumField() {
			f := typ.Field(i)
			if !hasKey(t, base, f) || f.Name == "Authorization" { // a secret
				continue
			}
			v := copyOf(base)
			for tries := 0; diff("", reflect.ValueOf(base).Elem(), v.Elem()) == ""; tries++ {
				if tries == 1000 {
					t.Fatalf("%s: the generator never changes %s, or diff does not see it", nameOf(base), f.Name)
				}
				fill(t, rnd, v.Elem().Field(i))
			}
			before := must(config.Encode(base))
			if after, err := config.Encode(v.Interface()); err == nil && reflect.DeepEqual(before, after) {
				t.Errorf("%s: %s does not change the map %v", nameOf(base), f.Name, after)
			}
		}
	}
}

func TestEncode(t *testing.T) {
	for _, test := range []struct {
		name string
		v    any
		want string
	}{
		{"zero fields are left out", retry.Policy{}, `{}`},
		{"a pointer", &retry.Policy{MaxAttempts: retry.Unlimited}, `{"max_attempts":-1}`},
		{"a duration", retry.Policy{MaxElapsed: 90 * time.Second}, `{"max_elapsed":"1m30s"}`},
		{
			"a backoff, a budget",
			retry.Policy{Backoff: retry.Exponential{Base: 1e9, Jitter: retry.Equal}, Budget: &retry.TokenBudget{}},
			`{"backoff":{"exponential":{"base":"1s","jitter":"equal"}},"budget":{"token_budget":{}}}`,
		},
		{"a backoff of a program", retry.Policy{Backoff: retry.BackoffFunc(nil)}, `{}`},
		{
			"limits",
			ratelimit.Config{Limits: []ratelimit.Limit{ratelimit.PerSecond(100).WithBurst(20), ratelimit.PerDay(5).WithName("day")}},
			`{"limits":["100/s burst 20",{"burst":5,"n":5,"name":"day","per":"24h0m0s"}]}`,
		},
		{"an integer that a float64 rounds", ratelimit.Quota{N: math.MaxInt64}, `{"n":"9223372036854775807"}`},
		{"a negative integer that a float64 rounds", ratelimit.Quota{N: math.MinInt64}, `{"n":"-9223372036854775808"}`},
		{"an integer that a float64 contains", ratelimit.Quota{N: 1<<53 - 1}, `{"n":9007199254740991}`},
		{"an integer to which a float64 rounds others", ratelimit.Quota{N: 1 << 53}, `{"n":"9007199254740992"}`},
		{"an unsigned integer", cache.Config[int, int]{MaxWeight: math.MaxUint64}, `{"max_weight":"18446744073709551615"}`},
		{"names", ratelimit.KeyedConfig{OnFull: ratelimit.ForgiveDebt}, `{"on_full":"forgive_debt"}`},
		{"a map", map[string]retry.Policy{"a.b": {Name: "x"}}, `{"a.b":{"name":"x"}}`},
		{"a secret", audit.TokenKey{ID: "k", Key: audit.NewSecret([]byte("0123456789abcdef"))}, `{"id":"k"}`},
		{"an empty list is not nil", struct{ Keys []string }{[]string{}}, `{"keys":[]}`},
		{"any value", struct{ A, B any }{A: map[string]any{"x": 1}}, `{"a":{"x":1}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := config.Encode(test.v)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(must(json.Marshal(m))); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

type ring struct {
	Name string
	Next *ring
}

// A drift is a type with a broken UnmarshalText.
type drift int

func (d drift) MarshalText() ([]byte, error) { return fmt.Append(nil, int(d)), nil }

func (d *drift) UnmarshalText(text []byte) error {
	_, err := fmt.Sscan(string(text), (*int)(d))
	*d++
	return err
}

func TestEncodeErrors(t *testing.T) {
	loop := &ring{}
	loop.Next = loop
	type zones struct{ Zone *time.Location }
	for _, test := range []struct {
		name string
		v    any
		want []string
	}{
		{"nil", nil, []string{"config: cannot encode <nil>, want a struct or a map"}},
		{"a nil pointer", (*retry.Policy)(nil), []string{"config: cannot encode *retry.Policy, want a struct or a map"}},
		{"a number", 5, []string{"config: cannot encode int, want a struct or a map"}},
		{
			"every problem",
			retry.Hedge[int]{Latency: &retry.Latency{P: math.NaN()}, Budget: &retry.TokenBudget{Ratio: math.Inf(1)}},
			[]string{"config: latency.p: is NaN, want a finite number", "config: budget.token_budget.ratio: is +Inf, want a finite number"},
		},
		{
			"an unknown value",
			struct{ Evictions []cache.Eviction }{[]cache.Eviction{cache.LRU, 9}},
			[]string{"config: evictions[1]: is 9, want adaptive or lru"},
		},
		{"a zone without a name", zones{time.FixedZone("here", 5)}, []string{`config: zone: is "here", want a time zone with a name`}},
		{"a zone without any name", zones{time.FixedZone("", 5)}, []string{`config: zone: is "", want a time zone with a name`}},
		{"a text of another value", struct{ Drift drift }{5}, []string{`config: drift: has the text "5", which means another value`}},
		{"a nil element", struct{ Lists []*retry.Latency }{[]*retry.Latency{nil}}, []string{"config: lists[0]: has no text"}},
		{"a secret in a list", struct{ S []audit.Secret[string] }{make([]audit.Secret[string], 1)}, []string{"config: s[0]: has no text"}},
		{"a cycle", loop, []string{"nested too deeply, want at most 32 levels"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := config.Encode(test.v)
			if err == nil {
				t.Fatalf("no error, but %v", m)
			}
			got := strings.Split(err.Error(), "\n")
			if len(got) != len(test.want) {
				t.Fatalf("got %q, want %q", got, test.want)
			}
			for i, want := range test.want {
				if !strings.HasSuffix(got[i], want) {
					t.Errorf("got %q, want %q", got[i], want)
				}
			}
		})
	}
}
