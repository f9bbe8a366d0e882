package config_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/contrib/config"
)

func TestEnv(t *testing.T) {
	for _, test := range []struct {
		name    string
		environ []string
		want    map[string]any
	}{
		{"nothing", nil, map[string]any{}},
		{"other variables", []string{"HOME=/root", "SHOP=1", "SHOP_X=1", "MYSHOP__X=1", "=C:=x", ""}, map[string]any{}},
		{"a value", []string{"SHOP__LISTEN=:8080"}, map[string]any{"listen": ":8080"}},
		{"a value with a sign", []string{"SHOP__KEY=a=b__c"}, map[string]any{"key": "a=b__c"}},
		{"an empty value", []string{"SHOP__LISTEN="}, map[string]any{"listen": ""}},
		{
			"sections",
			[]string{"SHOP__RETRY__PAYMENTS__MAX_ATTEMPTS=5", "SHOP__RETRY__MAIL__NAME=m", "SHOP__DEBUG=true"},
			map[string]any{"debug": "true", "retry": map[string]any{
				"payments": map[string]any{"max_attempts": "5"}, "mail": map[string]any{"name": "m"},
			}},
		},
		{"a list", []string{"SHOP__LIMITS__1=5/s", "SHOP__LIMITS__0=9/m"}, map[string]any{"limits": []any{"9/m", "5/s"}}},
		{
			"a list of sections",
			[]string{"SHOP__QUOTAS__0__N=9", "SHOP__QUOTAS__0__UNIT=day"},
			map[string]any{"quotas": []any{map[string]any{"n": "9", "unit": "day"}}},
		},
		{"lists in lists", []string{"SHOP__A__0__0=x"}, map[string]any{"a": []any{[]any{"x"}}}},
		{"a gap is no list", []string{"SHOP__A__0=x", "SHOP__A__2=y"}, map[string]any{"a": map[string]any{"0": "x", "2": "y"}}},
		{"other digits are no list", []string{"SHOP__A__00=x", "SHOP__B__+0=y"}, map[string]any{"a": map[string]any{"00": "x"}, "b": map[string]any{"+0": "y"}}},
		{"more than two underscores", []string{"SHOP___A=x"}, map[string]any{"_a": "x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := config.Env(test.environ, "SHOP")
			if err != nil {
				t.Fatal(err)
			}
			checkEqual(t, got, test.want)
		})
	}
}

func TestEnvErrors(t *testing.T) {
	const deep = "config: is no path, want 1 to 32 keys"
	for _, test := range []struct {
		name    string
		environ []string
		want    []string
	}{
		{"an empty part", []string{"SHOP__=1", "SHOP__A____B=2"}, []string{
			"config: SHOP__: is no path, want 1 to 32 keys", "config: SHOP__A____B: is no path, want 1 to 32 keys",
		}},
		{"twice", []string{"SHOP__A=1", "SHOP__a=2"}, []string{"config: SHOP__a: is there twice, or also a section"}},
		{"a value and a section", []string{"SHOP__A__B=2", "SHOP__A=1"}, []string{"config: SHOP__A__B: is inside of a variable with a value"}},
		{"a section and a value", []string{"SHOP__A__B=2", "SHOP__a=1"}, []string{"config: SHOP__a: is there twice, or also a section"}},
		{"too deep", []string{"SHOP" + strings.Repeat("__A", 33) + "=1"}, []string{"config: \"SHOP" + strings.Repeat("__A", 20) + "\"…: " + deep[len("config: "):]}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := config.Env(test.environ, "SHOP")
			checkProblems(t, err, test.want...)
		})
	}
}

// flat returns the variables of a map.
func flat(name string, x any, to []string) []string {
	switch x := x.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(x)) {
			to = flat(name+"__"+key, x[key], to)
		}
	case []any:
		for i, e := range x {
			to = flat(fmt.Sprintf("%s__%d", name, i), e, to)
		}
	default:
		to = append(to, fmt.Sprintf("%s=%v", name, x))
	}
	return to
}

// A map of Encode that is written as environment variables means the same. The
// variables cannot contain empty sections and lists, so that the values are
// chosen without them.
func TestEnvContainsEveryValue(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, base := range all() {
		if !isKeyed(base) {
			continue
		}
		for tested, tries := 0, 0; tested < 20 && tries < 10000; tries++ {
			v := copyOf(base)
			fill(t, rnd, v.Elem())
			judge, ok := v.Interface().(interface{ Validate() error })
			if ok && judge.Validate() != nil {
				continue
			}
			m := must(config.Encode(v.Interface()))
			if text := fmt.Sprint(m); strings.Contains(text, "[]") || strings.Contains(text, ":map[") && strings.Contains(text, "map[]") {
				continue
			}
			tested++
			environ := flat("P", m, nil)
			rnd.Shuffle(len(environ), func(i, j int) { environ[i], environ[j] = environ[j], environ[i] })
			back, err := config.Env(environ, "P")
			if err != nil {
				t.Fatal(err)
			}
			got := without(t, base)
			if err := config.Decode(back, got.Interface()); err != nil {
				t.Fatalf("%s: %q: %v", nameOf(base), environ, err)
			}
			if _, isHeader := m["header"]; isHeader {
				continue // the letter case of keys is lost
			}
			if d := diff("", v.Elem(), got.Elem()); d != "" {
				t.Fatalf("%s: %q: %s differs", nameOf(base), environ, d)
			}
		}
	}
}
