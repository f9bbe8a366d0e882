package redoubtprometheus_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	redoubtprometheus "github.com/redoubt-go/redoubt/contrib/prometheus"
	"github.com/redoubt-go/redoubt/internal/metrics"
)

// The dashboard is made from the tables of metrics: a row for each package, a
// panel for each metric. What is not of interest here is left to Grafana's
// defaults.

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

// generate returns the dashboard of rows.
func generate(rows []metrics.Metric) dashboard {
	d := dashboard{
		Title: "redoubt", UID: "redoubt", Tags: []string{"redoubt", "go"}, SchemaVersion: 39, Refresh: "30s",
		Time: map[string]any{"from": "now-3h", "to": "now"},
		Templating: map[string]any{"list": []map[string]any{
			{"name": "datasource", "type": "datasource", "query": "prometheus"},
			{
				"name": "name", "type": "query", "datasource": datasource(), "refresh": 2, "includeAll": true, "multi": true, "allValue": ".*",
				"query": `label_values({__name__=~"redoubt_.+"}, name)`,
			},
		}},
	}
	pkg, x, y := "", 0, 0
	for _, r := range rows {
		if p := strings.Split(r.Name, ".")[1]; p != pkg {
			if pkg != "" {
				y += 8
			}
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

func grid(x, y, w, h int) map[string]int { return map[string]int{"x": x, "y": y, "w": w, "h": h} }

func panelOf(r metrics.Metric, id int, pos map[string]int) panel {
	expr, legend, unit := query(r)
	return panel{
		ID: id, Type: "timeseries", Title: redoubtprometheus.FullName(r), Description: r.Help, GridPos: pos, Datasource: datasource(),
		FieldConfig: map[string]any{"defaults": map[string]any{"unit": unit, "min": 0}, "overrides": []any{}},
		Targets:     []target{{"A", expr, legend}},
	}
}

// query returns what to show of a metric: the rate of a counter, the 99th
// percentile of a histogram, a state by its name, the sum over processes of
// what there is of something, and each of what means nothing in a sum.
func query(r metrics.Metric) (expr, legend, unit string) {
	by, legend := "name", "{{name}}"
	if r.Label != "" {
		by, legend = by+", "+r.Label, legend+" {{"+r.Label+"}}"
	}
	units := map[string]string{"s": "s", "By": "bytes", "1": "percentunit"}
	unit = units[r.Unit]
	if unit == "" {
		unit = "short"
	}
	series := redoubtprometheus.FullName(r) + `{name=~"$name"}`
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

// Each expression of the dashboard is about a metric that is scraped, with
// labels it has, and each metric is in one.
func TestDashboardIsAboutWhatIsScraped(t *testing.T) {
	families := scrape(t, everything(t))
	missing := slices.Collect(maps.Keys(families))
	identifier := regexp.MustCompile(`redoubt_\w+`)
	grouping := regexp.MustCompile(`by \(([^)]*)\)`)
	for _, p := range generate(metrics.All()).Panels {
		for _, target := range p.Targets {
			name := strings.TrimSuffix(identifier.FindString(target.Expr), "_bucket")
			f := families[name]
			if f == nil {
				t.Errorf("%s: nothing of the name is scraped", target.Expr)
				continue
			}
			missing = slices.DeleteFunc(missing, func(m string) bool { return m == name })
			have := []string{"le"}
			for _, l := range f.GetMetric()[0].GetLabel() {
				have = append(have, l.GetName())
			}
			for _, by := range grouping.FindAllStringSubmatch(target.Expr, -1) {
				for label := range strings.SplitSeq(by[1], ", ") {
					if !slices.Contains(have, label) {
						t.Errorf("%s: no label %s", target.Expr, label)
					}
				}
			}
			if !balanced(target.Expr) {
				t.Errorf("%s: parentheses", target.Expr)
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("not in the dashboard: %q", missing)
	}
}

// balanced reports whether the brackets of expr close in order.
func balanced(expr string) bool {
	var open []rune
	for _, r := range expr {
		if i := strings.IndexRune(")]}", r); i >= 0 {
			if len(open) == 0 || open[len(open)-1] != []rune("([{")[i] {
				return false
			}
			open = open[:len(open)-1]
		} else if strings.ContainsRune("([{", r) {
			open = append(open, r)
		}
	}
	return len(open) == 0
}
