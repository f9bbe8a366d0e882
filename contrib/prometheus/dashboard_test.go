package redoubtprometheus_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	redoubtprometheus "github.com/redoubt-go/redoubt/contrib/prometheus"
	"github.com/redoubt-go/redoubt/internal/metrics"
)

// The dashboard is made from the tables of metrics: an overview for an
// incident, and then a row for each package with a panel for each metric. Other
// settings are the defaults of Grafana.

type dashboard struct {
	Title         string         `json:"title"`
	UID           string         `json:"uid"`
	Tags          []string       `json:"tags"`
	SchemaVersion int            `json:"schemaVersion"`
	Refresh       string         `json:"refresh"`
	Time          map[string]any `json:"time"`
	Templating    map[string]any `json:"templating"`
	Panels        []panel        `json:"panels"`
}

type panel struct {
	ID          int            `json:"id"`
	Type        string         `json:"type"`
	Title       string         `json:"title"`
	Description string         `json:"description,omitempty"`
	GridPos     map[string]int `json:"gridPos"`
	Datasource  *source        `json:"datasource,omitempty"`
	FieldConfig map[string]any `json:"fieldConfig,omitempty"`
	Targets     []target       `json:"targets,omitempty"`
}

type source struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type target struct {
	RefID  string `json:"refId"`
	Expr   string `json:"expr"`
	Legend string `json:"legendFormat"`
}

func datasource() *source { return &source{"prometheus", "${datasource}"} }

// An overviewPanel answers a question of an incident.
type overviewPanel struct{ title, help, expr, legend, unit string }

// overview returns the panels of the first row. The selector $of stands for the
// variables.
func overview() []overviewPanel {
	return []overviewPanel{
		{"Open circuit breakers", "Processes in which a breaker is open, half-open or forced open.", `sum by (job, name, key) (redoubt_breaker_state{$of, state=~"open|half-open|forced open"}) > 0`, "{{job}} {{name}} {{key}}", "short"},
		{"Open circuit breakers of groups", "Breakers of a group that are open, half-open or forced open.", `sum by (job, name) (redoubt_breaker_group_breakers{$of, state=~"open|half-open|forced open"})`, "{{job}} {{name}}", "short"},
		{"Refused by breakers", "Calls that were not made.", `sum by (job, name) (rate(redoubt_breaker_rejections_total{$of}[$__rate_interval]))`, "{{job}} {{name}}", "ops"},
		{"Retries", "Additional load by retries.", `sum by (job, name, policy, host) (rate(redoubt_retry_retries_total{$of}[$__rate_interval]))`, "{{job}} {{name}} {{policy}} {{host}}", "ops"},
		{"Failed calls of retry policies", "By the reason why there was no further attempt.", `sum by (job, name, outcome) (rate(redoubt_retry_calls_total{$of, outcome!="success"}[$__rate_interval]))`, "{{job}} {{name}} {{outcome}}", "ops"},
		{"Refused by limits", "Share of the requests.", `sum by (job, name) (rate(redoubt_ratelimit_requests_total{$of, outcome="refused"}[$__rate_interval])) / (sum by (job, name) (rate(redoubt_ratelimit_requests_total{$of}[$__rate_interval])) > 0)`, "{{job}} {{name}}", "percentunit"},
		{"Places taken", "Share of the places of a bulkhead.", `sum by (job, name) (redoubt_bulkhead_inflight{$of}) / sum by (job, name) (redoubt_bulkhead_limit{$of})`, "{{job}} {{name}}", "percentunit"},
		{"Cache hits", "Share of the lookups.", `sum by (job, name) (rate(redoubt_cache_lookups_total{$of, outcome="hit"}[$__rate_interval])) / (sum by (job, name) (rate(redoubt_cache_lookups_total{$of}[$__rate_interval])) > 0)`, "{{job}} {{name}}", "percentunit"},
		{"Audit events that are not stored for certain", "An audit trail with a gap.", `sum by (job, name, result) (rate(redoubt_audit_events_total{$of, result=~"failed|uncertain"}[$__rate_interval]))`, "{{job}} {{name}} {{result}}", "ops"},
	}
}

// generate returns the dashboard of rows.
func generate(rows []metrics.Metric) dashboard {
	variable := func(name, query string) map[string]any {
		return map[string]any{
			"name": name, "type": "query", "datasource": datasource(), "refresh": 2, "includeAll": true, "multi": true, "allValue": ".*",
			"query": query,
		}
	}
	d := dashboard{
		Title: "redoubt", UID: "redoubt", Tags: []string{"redoubt", "go"}, SchemaVersion: 39, Refresh: "30s",
		Time: map[string]any{"from": "now-3h", "to": "now"},
		Templating: map[string]any{"list": []map[string]any{
			{"name": "datasource", "type": "datasource", "query": "prometheus"},
			variable("job", `label_values({__name__=~"redoubt_.+"}, job)`),
			variable("instance", `label_values({__name__=~"redoubt_.+", job=~"$job"}, instance)`),
			variable("name", `label_values({__name__=~"redoubt_.+", job=~"$job"}, name)`),
		}},
	}
	d.Panels = append(d.Panels, panel{ID: 1, Type: "row", Title: "overview", GridPos: grid(0, 0, 24, 1)})
	x, y := 0, 1
	for _, o := range overview() {
		if x == 24 {
			x, y = 0, y+8
		}
		p := panelOf(metrics.Metric{Help: o.help}, len(d.Panels)+1, grid(x, y, 8, 8))
		p.Title, p.Targets = o.title, []target{{"A", strings.ReplaceAll(o.expr, "$of", selector), o.legend}}
		p.FieldConfig["defaults"].(map[string]any)["unit"] = o.unit
		d.Panels = append(d.Panels, p)
		x += 8
	}
	pkg := "overview"
	for _, r := range rows {
		if p := strings.Split(r.Name, ".")[1]; p != pkg {
			y += 8
			pkg, x = p, 0
			d.Panels = append(d.Panels, panel{ID: len(d.Panels) + 1, Type: "row", Title: pkg, GridPos: grid(0, y, 24, 1)})
			y++
		}
		if x == 24 {
			x, y = 0, y+8
		}
		d.Panels = append(d.Panels, panelOf(r, len(d.Panels)+1, grid(x, y, 8, 8)))
		x += 8
	}
	return d
}

// selector selects by the variables of the dashboard.
const selector = `job=~"$job", instance=~"$instance", name=~"$name"`

func grid(x, y, w, h int) map[string]int { return map[string]int{"x": x, "y": y, "w": w, "h": h} }

func panelOf(r metrics.Metric, id int, pos map[string]int) panel {
	expr, legend, unit := query(r)
	return panel{
		ID: id, Type: "timeseries", Title: redoubtprometheus.FullName(r), Description: r.Help, GridPos: pos, Datasource: datasource(),
		FieldConfig: map[string]any{"defaults": map[string]any{"unit": unit, "min": 0}, "overrides": []any{}},
		Targets:     []target{{"A", expr, legend}},
	}
}

// query returns the query of a metric: the rate of a counter, the 99th
// percentile of a histogram, the sum over processes of a sum, and every series
// of another gauge.
func query(r metrics.Metric) (expr, legend, unit string) {
	labels := slices.Concat([]string{"job", "name"}, r.Keys)
	if r.Label != "" {
		labels = append(labels, r.Label)
	}
	by, legend := strings.Join(labels, ", "), "{{"+strings.Join(labels, "}} {{")+"}}"
	units := map[string]string{"s": "s", "By": "bytes", "1": "percentunit"}
	unit = units[r.Unit]
	if unit == "" {
		unit = "short"
	}
	series := redoubtprometheus.FullName(r) + "{" + selector + "}"
	switch {
	case r.Kind == metrics.KindCounter && r.Unit == "s":
		return fmt.Sprintf("sum by (%s) (rate(%s[$__rate_interval]))", by, series), legend, "percentunit"
	case r.Kind == metrics.KindCounter && r.Unit == "By":
		return fmt.Sprintf("sum by (%s) (rate(%s[$__rate_interval]))", by, series), legend, "Bps"
	case r.Kind == metrics.KindCounter:
		return fmt.Sprintf("sum by (%s) (rate(%s[$__rate_interval]))", by, series), legend, "ops"
	case r.Kind == metrics.KindHistogram:
		bucket := strings.Replace(series, "{", "_bucket{", 1)
		return fmt.Sprintf("histogram_quantile(0.99, sum by (le, %s) (rate(%s[$__rate_interval])))", by, bucket), legend + " p99", unit
	case r.Kind == metrics.KindSum:
		return fmt.Sprintf("sum by (%s) (%s)", by, series), legend, unit
	default:
		return series, legend + " {{instance}}", unit
	}
}

func TestDashboard(t *testing.T) {
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(generate(metrics.All())); err != nil {
		t.Fatal(err)
	}
	golden(t, "dashboard.json", got.Bytes())
}

// Each metric has a panel. TestPrometheus evaluates all queries.
func TestDashboardShowsAllMetrics(t *testing.T) {
	shown := map[string]bool{}
	for _, p := range generate(metrics.All()).Panels {
		shown[p.Title] = true
	}
	for name := range scrape(t, everything(t)) {
		if !shown[name] {
			t.Errorf("%s has no panel", name)
		}
	}
}
