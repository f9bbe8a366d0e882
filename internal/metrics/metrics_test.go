package metrics_test

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/internal/metrics"
	"github.com/redoubt-go/redoubt/internal/metrics/metricstest"
	"github.com/redoubt-go/redoubt/logscan/detect"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

var update = flag.Bool("update", false, "rewrite testdata/fields.txt")

func checkEqual(t *testing.T, got, want any) {
	t.Helper()
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("got differs from want (-want +got):\n%s", d)
	}
}

func sourceOf(t *testing.T, x any, keys ...any) *metrics.Source {
	t.Helper()
	src, err := metrics.SourceOf(x, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// read returns the values of src by the text of their series.
func read(src *metrics.Source) map[string]float64 {
	all := map[string]float64{}
	for i, v := range src.Read(nil) {
		s := src.Series[i]
		m := src.Metrics[s.Metric]
		all[strings.Join(strings.Fields(m.Name+" "+s.Key+" "+s.Label), " ")] = v
	}
	return all
}

// testdata/fields.txt lists the fields of the statistics, each with the series
// that change with it. So two labels or two fields that are exchanged in a
// table change the listing, and a field that no series shows stands alone.
func TestFieldsAndTheirSeries(t *testing.T) {
	var got bytes.Buffer
	things, seen := metricstest.Things(t), map[reflect.Type]bool{}
	for _, name := range slices.Sorted(maps.Keys(things)) {
		s := metricstest.StatsOf(things[name])
		if seen[s] {
			continue
		}
		seen[s] = true
		fmt.Fprintln(&got, name)
		value := reflect.New(s).Elem()
		fn := reflect.FuncOf(nil, []reflect.Type{s}, false)
		x := reflect.MakeFunc(fn, func([]reflect.Value) []reflect.Value { return []reflect.Value{value} }).Interface()
		src := sourceOf(t, x)
		for i := range s.NumField() {
			value.SetZero()
			before := read(src)
			metricstest.Fill(value.Field(i), 1)
			after := read(src)
			var changed []string
			for _, series := range slices.Sorted(maps.Keys(after)) {
				if delta := after[series] - before[series]; delta != 0 {
					changed = append(changed, fmt.Sprintf("%s %+g", strings.TrimPrefix(series, "redoubt."), delta))
				}
			}
			fmt.Fprintln(&got, strings.TrimRight(fmt.Sprintf("\t%s: %s", s.Field(i).Name, strings.Join(changed, ", ")), " "))
		}
	}
	const file = "testdata/fields.txt"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("%s is stale; look at the difference, then run: go test . -update\n%s", file, d)
	}
}

// The label of a field is its name, but for the plural.
func TestLabelsAreTheNamesOfTheirFields(t *testing.T) {
	listing, err := os.ReadFile("testdata/fields.txt")
	if err != nil {
		t.Fatal(err)
	}
	plural := map[string]string{"success": "successes", "failure": "failures", "hit": "hits", "miss": "misses"}
	noLetter, n := regexp.MustCompile(`[^a-z]`), 0
	for line := range strings.Lines(string(listing)) {
		field, series, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if slices.Contains([]string{"State", "WindowCalls", "WindowFailures", "Events"}, field) {
			continue // TestLabelsOfOtherNames
		}
		for _, change := range strings.Split(series, ", ") {
			words := strings.Fields(change) // metric, label, difference
			if len(words) < 3 {
				continue
			}
			label := strings.Join(words[1:len(words)-1], " ")
			n++
			if got := cmp.Or(plural[label], noLetter.ReplaceAllString(label, "")); got != strings.ToLower(field) {
				t.Errorf("%s shows as %s", field, change)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d labels", n)
	}
}

func TestLabelsOfOtherNames(t *testing.T) {
	for _, x := range []any{
		metricstest.Of(breaker.Stats{State: breaker.StateHalfOpen, WindowCalls: 5, WindowFailures: 2}),
		metricstest.Of(breaker.ThrottleStats{WindowCalls: 5, WindowFailures: 2}),
		metricstest.Of(ledger.Stats{Events: 3}),
	} {
		got := read(sourceOf(t, x))
		for series, want := range map[string]float64{
			"redoubt.breaker.state half-open": 1, "redoubt.breaker.state closed": 0,
			"redoubt.breaker.window.calls success": 3, "redoubt.breaker.window.calls failure": 2,
			"redoubt.breaker.throttle.window.calls success": 3, "redoubt.breaker.throttle.window.calls failure": 2,
			"redoubt.ledger.events written": 3, "redoubt.ledger.events failed": 0,
		} {
			if v, ok := got[series]; ok {
				checkEqual(t, v, want)
			}
		}
	}
}

// Every field of the statistics has its part in some value, except sums of
// other fields and texts.
func TestAllFieldsAreReported(t *testing.T) {
	except := []string{
		"breaker.Name", "breaker.Reason", "breaker.Hint", "breaker.Usual", "group.Len", "logscan.Records",
	}
	listing, err := os.ReadFile("testdata/fields.txt")
	if err != nil {
		t.Fatal(err)
	}
	name := ""
	for line := range strings.Lines(string(listing)) {
		line = strings.TrimRight(line, "\n")
		field, ok := strings.CutSuffix(line, ":")
		if !strings.Contains(line, ":") {
			name = line
		} else if field = name + "." + strings.TrimSpace(field); ok && !slices.Contains(except, field) && !strings.HasSuffix(field, ".Name") {
			t.Errorf("%s shows nowhere", field)
		}
	}
}

// A Metric's name, unit and label follow the conventions of OpenTelemetry, from
// which the names of Prometheus are derived.
func TestMetricsAreWellNamed(t *testing.T) {
	name := regexp.MustCompile(`^redoubt(\.[a-z]+(_[a-z]+)*){2,4}$`)
	unit := regexp.MustCompile(`^(s|By|1|\{[a-z]+\})$`)
	seen := map[string]bool{}
	for _, m := range metrics.All() {
		if !name.MatchString(m.Name) || seen[m.Name] {
			t.Errorf("%s: malformed, or there twice", m.Name)
		}
		seen[m.Name] = true
		if !unit.MatchString(m.Unit) {
			t.Errorf("%s: unit %q", m.Name, m.Unit)
		}
		if (m.Label == "") != (len(m.Values) == 0) {
			t.Errorf("%s: label %q with values %q", m.Name, m.Label, m.Values)
		}
		if !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s: help %q is no sentence", m.Name, m.Help)
		}
		if len(m.Keys) > metrics.MaxKeys {
			t.Errorf("%s: keys %q", m.Name, m.Keys)
		}
	}
	for _, x := range metricstest.Things(t) {
		for _, m := range sourceOf(t, x).Metrics {
			if !seen[m.Name] {
				t.Errorf("%s is not in All", m.Name)
			}
		}
	}
}

func TestValuesOfCountsAreWhole(t *testing.T) {
	for _, x := range metricstest.Filled(t) {
		src := sourceOf(t, x)
		for i, v := range src.Read(nil) {
			if m := src.Metrics[src.Series[i].Metric]; m.Whole() && v != float64(int64(v)) {
				t.Errorf("%s: %v", m.Name, v)
			}
		}
	}
	l := ratelimit.New(ratelimit.PerHour(3600))
	l.AllowN(3600)
	checkEqual(t, read(sourceOf(t, l))["redoubt.ratelimit.tokens"], 0.0) // and a fraction
	b := &retry.TokenBudget{}
	for range 3 {
		b.Withdraw(nil)
	}
	if got := read(sourceOf(t, b))["redoubt.retry.budget.tokens"]; got != float64(int64(got)) {
		t.Errorf("%v tokens", got)
	}
}

func TestSourceOfForeignTypesFails(t *testing.T) {
	detector := detect.NewWindow[string](detect.Config{Limit: 1, Per: time.Second}) // belongs to one goroutine
	for _, x := range []any{
		nil, 1, time.Now(),
		struct{}{},
		func() {}, func() int { return 1 }, detector,
		(*ratelimit.Limiter)(nil), (func() breaker.Stats)(nil),
	} {
		if src, err := metrics.SourceOf(x); err == nil {
			t.Errorf("%T has metrics: %v", x, src.Metrics)
		}
	}
	for _, guard := range []any{(*breaker.Breaker)(nil), (*breaker.Throttle)(nil)} {
		sourceOf(t, guard)
	}
	src := sourceOf(t, detector.Stats)
	checkEqual(t, src.Kind, "detect")
}

// A Source returns a value for each of its series, and the name of its object.
func TestSourcesReadWhatTheyList(t *testing.T) {
	for name, x := range metricstest.Things(t) {
		src := sourceOf(t, x)
		if got := src.Read(make([]float64, 0, 1)); len(got) != len(src.Series) || len(got) == 0 {
			t.Errorf("%s: %d values for %d series", name, len(got), len(src.Series))
		}
	}
	src := sourceOf(t, ratelimit.New(ratelimit.Limit{N: 7, Per: time.Hour}, ratelimit.Limit{N: 9, Per: time.Hour}))
	checkEqual(t, read(src), map[string]float64{
		"redoubt.ratelimit.tokens": 7, "redoubt.ratelimit.requests allowed": 0, "redoubt.ratelimit.requests refused": 0,
	})
	checkEqual(t, sourceOf(t, breaker.New(breaker.Config{Name: "billing"})).Name, "billing")
}

func TestKeysOfAGroup(t *testing.T) {
	g := breaker.NewGroup(breaker.GroupConfig[string]{Name: "hosts", Max: 1})
	src := sourceOf(t, g, "a", "b")
	checkEqual(t, src.Name, "hosts")
	ok := func(context.Context) error { return nil }
	for range 3 {
		_ = g.Do(t.Context(), "a", ok)
	}
	got := read(src)
	checkEqual(t, got["redoubt.breaker.calls a success"], 3.0)
	checkEqual(t, got["redoubt.breaker.calls b success"], 0.0)
	checkEqual(t, got["redoubt.breaker.state b closed"], 1.0)
	checkEqual(t, got["redoubt.breaker.group.breakers closed"], 1.0)
	_ = g.Do(t.Context(), "b", ok) // the group forgets a
	_ = g.Do(t.Context(), "a", ok) // and makes another
	got = read(src)
	checkEqual(t, got["redoubt.breaker.group.forgotten"], 2.0)
	checkEqual(t, got["redoubt.breaker.calls a success"], 4.0)
	checkEqual(t, got["redoubt.breaker.calls b success"], 0.0) // it came and went between two snapshots
	checkEqual(t, got["redoubt.breaker.group.calls success"], 5.0)
}

func TestKeysOfAKeyed(t *testing.T) {
	type user string
	k := ratelimit.NewKeyed[user](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(5)})
	src := sourceOf(t, k, "ada", user("ben"))
	k.AllowN("ada", 2)
	got := read(src)
	checkEqual(t, got["redoubt.ratelimit.tokens ada"], 3.0)
	checkEqual(t, got["redoubt.ratelimit.tokens ben"], 5.0)
	checkEqual(t, got["redoubt.ratelimit.requests allowed"], 1.0)
}

func TestWrongKeysAreErrors(t *testing.T) {
	group := breaker.NewGroup(breaker.GroupConfig[string]{})
	many := make([]any, 1001)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for _, row := range []struct {
		x    any
		keys []any
	}{
		{group, []any{1}},
		{group, []any{nil}},
		{group, []any{"a", "a"}},
		{group, []any{""}},
		{group, []any{"\xff"}},
		{group, many},
		{breaker.New(breaker.Config{}), []any{"a"}},
		{ratelimit.New(ratelimit.PerHour(1)), []any{"a"}},
		{metricstest.Of(breaker.GroupStats{}), []any{"a"}},
	} {
		if _, err := metrics.SourceOf(row.x, row.keys...); err == nil {
			t.Errorf("%T with %d keys: no error", row.x, len(row.keys))
		}
	}
}

// A breaker that replaces a forgotten breaker does not let the counters fall,
// whichever snapshot comes between.
func TestKeysNeverFall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := breaker.NewGroup(breaker.GroupConfig[int]{Max: 2})
		src := sourceOf(t, g, 0, 1, 2, 3)
		last := map[string]float64{}
		for i := range 500 {
			_ = g.Do(t.Context(), i*7%5, func(context.Context) error { return nil })
			if i%3 == 0 {
				time.Sleep(time.Millisecond)
			}
			now := read(src)
			for series, v := range now {
				if strings.Contains(series, ".calls ") && !strings.Contains(series, "window") && v < last[series] {
					t.Fatalf("%s: %v after %v", series, v, last[series])
				}
			}
			last = now
		}
		if last["redoubt.breaker.calls 1 success"] < 50 {
			t.Error(last)
		}
	})
}

// A key whose breaker the group has forgotten, or that only the sketch knows,
// has the state that the group reports.
func TestStatesOfKeysWithoutBreakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := breaker.NewGroup(breaker.GroupConfig[string]{Max: 1, Config: func(string) breaker.Config {
			return breaker.Config{Consecutive: 1}
		}})
		src := sourceOf(t, g, "a", "b")
		check := func(key string, want breaker.State) {
			t.Helper()
			checkEqual(t, g.State(key), want)
			for _, s := range []breaker.State{breaker.StateClosed, breaker.StateHalfOpen, breaker.StateOpen} {
				is := 0.0
				if s == want {
					is = 1
				}
				checkEqual(t, read(src)[fmt.Sprintf("redoubt.breaker.state %s %s", key, s)], is)
			}
		}
		fail := func(context.Context) error { return context.DeadlineExceeded }
		_ = g.Do(t.Context(), "a", fail)
		check("a", breaker.StateOpen)
		_ = g.Do(t.Context(), "b", fail) // there is no room for its breaker
		check("b", breaker.StateOpen)
		time.Sleep(time.Hour)
		_ = g.Do(t.Context(), "c", fail) // the search sees that a is not used
		time.Sleep(time.Hour)
		_ = g.Do(t.Context(), "d", func(context.Context) error { return nil }) // it takes the place of a
		if _, ok := g.Peek("a"); ok {
			t.Fatal("a is not forgotten")
		}
		check("a", breaker.StateClosed)
		checkEqual(t, read(src)["redoubt.breaker.openings a"], 1.0)
	})
}

// hostile is an error whose methods panic or never end.
type hostile struct{}

func (hostile) Error() string   { panic("Error") }
func (hostile) Is(error) bool   { panic("Is") }
func (h hostile) Unwrap() error { return h }

// The reason of an abandoned call is the error of the program.
func TestOutcomeOfHostileErrors(t *testing.T) {
	checkEqual(t, metrics.Outcome(hostile{}), "other")
}

func TestKeysOfEvents(t *testing.T) {
	listed := metrics.Listed{"a": true, "billing: eu": true, "load users": true, "example.com": true, "7": true}
	of := func(keys [metrics.MaxKeys]string) [metrics.MaxKeys]string { return listed.Of(keys) }
	retries, breakers, limits := metrics.ActionsOf[retry.Event](), metrics.ActionsOf[breaker.Event](), metrics.ActionsOf[ratelimit.Event]()
	for _, row := range []struct{ got, want [metrics.MaxKeys]string }{
		{of(retries.KeyOf(retry.Event{Name: "a", Op: "GET example.com/users"}, listed)), [2]string{"a", "example.com"}},
		{of(retries.KeyOf(retry.Event{Name: "b", Op: "GET evil.example/users"}, listed)), [2]string{"other", "other"}},
		{of(retries.KeyOf(retry.Event{Name: "a"}, listed)), [2]string{"a", ""}},
		{of(retries.KeyOf(retry.Event{Op: "a"}, listed)), [2]string{"", "a"}},
		{of(retries.KeyOf(retry.Event{Op: "load a"}, listed)), [2]string{"", "other"}},
		{of(retries.KeyOf(retry.Event{Op: "load users"}, listed)), [2]string{"", "load users"}},
		{of(breakers.KeyOf(breaker.Event{Name: "hosts: a"}, listed)), [2]string{"a", ""}},
		{of(breakers.KeyOf(breaker.Event{Name: "a"}, listed)), [2]string{"a", ""}},
		{of(breakers.KeyOf(breaker.Event{Name: "billing: eu"}, listed)), [2]string{"billing: eu", ""}},
		{of(breakers.KeyOf(breaker.Event{Name: "billing: us"}, listed)), [2]string{"other", ""}},
		{of(limits.KeyOf(ratelimit.Event{Key: 7}, listed)), [2]string{"7", ""}},
		{of(limits.KeyOf(ratelimit.Event{Key: "a"}, listed)), [2]string{"a", ""}},
		{of(limits.KeyOf(ratelimit.Event{}, listed)), [2]string{}},
		{metrics.Listed(nil).Of([2]string{"a", "b"}), [2]string{}},
	} {
		checkEqual(t, row.got, row.want)
	}
	if got := metrics.ActionsOf[bulkhead.Event]().Keys; got != nil {
		t.Errorf("a bulkhead has keys: %q", got)
	}
}

func TestKindsHaveNames(t *testing.T) {
	for k, want := range map[metrics.Kind]string{
		metrics.KindCounter: "counter", metrics.KindHistogram: "histogram", 7: "Kind(7)",
	} {
		if got := k.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A snapshot of a plain object allocates nothing.
func TestReadAllocatesNothing(t *testing.T) {
	src := sourceOf(t, breaker.New(breaker.Config{}))
	dst := make([]float64, 0, len(src.Series))
	if got := testing.AllocsPerRun(100, func() { dst = src.Read(dst[:0]) }); got > 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

// All counters of a key go on when its breaker is replaced, and no gauge does.
func TestSumsOfAKey(t *testing.T) {
	var past, now breaker.Stats
	p, n := reflect.ValueOf(&past).Elem(), reflect.ValueOf(&now).Elem()
	for i := range p.NumField() {
		metricstest.Fill(p.Field(i), 100+i)
		metricstest.Fill(n.Field(i), i)
	}
	got := reflect.ValueOf(metrics.SumOf(past, now))
	for i := range p.NumField() {
		want := n.Field(i)
		if want.Kind() == reflect.Uint64 {
			checkEqual(t, got.Field(i).Uint(), want.Uint()+p.Field(i).Uint())
		} else if !got.Field(i).Equal(want) {
			t.Errorf("%s is %v, want %v", p.Type().Field(i).Name, got.Field(i), want)
		}
	}
}
