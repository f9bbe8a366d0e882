package metrics_test

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/internal/metrics"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// Every field of the statistics has its part in some value. Its oracle is the
// struct itself.
func TestAllFieldsAreReported(t *testing.T) {
	sums := []string{"Stats.Calls", "Stats.Records"} // of other fields
	metrics.Figures(func(zero any, values func(any) []float64) {
		var walk func(v reflect.Value, whole reflect.Value)
		walk = func(v, whole reflect.Value) {
			for i := range v.NumField() {
				field, name := v.Field(i), v.Type().Name()+"."+v.Type().Field(i).Name
				if field.Kind() == reflect.Struct {
					walk(field, whole)
					continue
				}
				before := values(whole.Interface())
				switch {
				case field.Kind() == reflect.String || slices.Contains(sums, name):
					continue
				case field.Kind() == reflect.Bool:
					field.SetBool(true)
				case field.CanUint():
					field.SetUint(1)
				case field.CanInt():
					field.SetInt(int64(time.Second))
				default:
					field.SetFloat(0.5)
				}
				if slices.Equal(before, values(whole.Interface())) {
					t.Errorf("%s of %T shows nowhere", name, zero)
				}
			}
		}
		s := reflect.New(reflect.TypeOf(zero)).Elem()
		walk(s, s)
	})
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
		if (m.Key == "") != (len(m.Values) == 0) {
			t.Errorf("%s: label %q with values %q", m.Name, m.Key, m.Values)
		}
		if !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s: help %q is no sentence", m.Name, m.Help)
		}
	}
}

func TestSourceOfForeignTypesIsNil(t *testing.T) {
	for _, x := range []any{nil, 1, time.Now(), struct{}{}} {
		if src := metrics.SourceOf(x); src != nil {
			t.Errorf("%T has metrics: %v", x, src.Metrics)
		}
	}
}

// A Source returns a value for each metric and each value of its label.
func TestSourcesReadWhatTheyList(t *testing.T) {
	src := metrics.SourceOf(ratelimit.New(ratelimit.PerHour(7)))
	if src == nil {
		t.Fatal("a Limiter has no metrics")
	}
	got := src.Read()
	if len(got) != len(src.Metrics) {
		t.Fatalf("%d values for %d metrics", len(got), len(src.Metrics))
	}
	for i, m := range src.Metrics {
		if len(got[i]) != max(1, len(m.Values)) {
			t.Errorf("%s: %d values", m.Name, len(got[i]))
		}
	}
	if got[0][0] != 7 {
		t.Errorf("%v tokens, want 7", got[0][0])
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
