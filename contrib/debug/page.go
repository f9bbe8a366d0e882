package debug

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

//go:embed page.tmpl
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"plain": plain}).Parse(pageText))

// A view is an object on the page.
type view struct {
	ID      string       `json:"id"` // in ASCII, as parsers of HTML and of JSON change other characters
	Object  string       `json:"-"`
	State   string       `json:"state,omitempty"`
	Figures []viewFigure `json:"figures"`
	Type    string       `json:"-"`
	Actions []action     `json:"-"`
}

type viewFigure struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Zero bool   `json:"zero,omitempty"`
}

func views(objects []object, withActions bool) []view {
	list := make([]view, len(objects))
	for i, o := range objects {
		v := view{ID: strconv.QuoteToASCII(o.Name), Object: o.Name, State: o.State, Type: o.Type}
		for _, f := range o.figures {
			zero := f.Text == "0" || f.Text == "0s" || f.Text == "" || f.Text == "false" || f.Text == "null"
			v.Figures = append(v.Figures, viewFigure{f.Name, f.Text, zero})
		}
		if withActions {
			v.Actions = actions(o.value)
		}
		list[i] = v
	}
	return list
}

// summary answers the first question of an incident.
func summary(objects []object) (text string, bad bool) {
	var breakers int
	var open []string
	for _, o := range objects {
		if o.State != "" {
			breakers++
			if o.State != breaker.StateClosed.String() {
				open = append(open, plain(o.Name)+" is "+o.State)
			}
		}
	}
	switch {
	case len(open) > 0:
		more := ""
		if len(open) > 5 {
			open, more = open[:5], fmt.Sprintf(" and %d more", len(open)-5)
		}
		return strings.Join(open, ", ") + more, true
	case breakers == 1:
		return "the circuit breaker is closed", false
	case breakers > 0:
		return fmt.Sprintf("all %d circuit breakers are closed", breakers), false
	}
	return "", false
}

func servePage(w http.ResponseWriter, c *Config) {
	objects := look(c.Objects)
	nonce, live := rand.Text(), c.MaxStreams > 0
	text, bad := summary(objects)
	var body bytes.Buffer
	if err := page.Execute(&body, map[string]any{
		"Name": c.Name, "Nonce": nonce, "Live": live, "Summary": text, "Bad": bad,
		"Objects": views(objects, c.Authorize != nil), "Time": time.Now().Format(time.TimeOnly),
	}); err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+"'; script-src 'nonce-"+nonce+
		"'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	_, _ = w.Write(body.Bytes())
}

func serveJSON(w http.ResponseWriter, c *Config) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "\t")
	_ = encoder.Encode(struct {
		Name    string    `json:"name"`
		Time    time.Time `json:"time"`
		Objects []object  `json:"objects"`
	}{c.Name, time.Now().UTC(), look(c.Objects)})
}

// serveText writes a line for each object, with its state, and a line for each
// figure that is not zero.
func serveText(w http.ResponseWriter, c *Config) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	objects := look(c.Objects)
	if text, _ := summary(objects); text != "" {
		fmt.Fprintf(w, "%s: %s\n", c.Name, text)
	} else {
		fmt.Fprintln(w, c.Name)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range views(objects, false) {
		fmt.Fprintf(table, "\n%s\t%s\n", plain(v.Object), strings.TrimSpace(v.Type+" "+v.State))
		for _, f := range v.Figures {
			if !f.Zero {
				fmt.Fprintf(table, "  %s\t%s\n", f.Name, f.Text)
			}
		}
	}
	_ = table.Flush()
}
