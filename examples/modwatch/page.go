package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
)

var (
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.tmpl
	pageText string
	//go:embed page/live.js
	liveJS string

	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
		"headline": headline, "summary": summary, "notable": notable, "figures": figures, "headings": func() []string { return headings },
		"wide":   func(s state) template.HTML { return template.HTML(timelines(s, wide, "wide")) }, // only numbers and names of this program
		"narrow": func(s state) template.HTML { return template.HTML(timelines(s, narrow, "narrow")) },
		"breakable": func(s string) template.HTML { // long names can wrap after / and -
			s = template.HTMLEscapeString(s)
			return template.HTML(strings.NewReplacer("/", "/<wbr>", "-", "-<wbr>").Replace(s))
		},
		"style":    func() template.CSS { return template.CSS(style()) },
		"progress": progress, "times": times, "ms": ms, "subject": subject,
	}).Parse(pageText))
)

// style is the style sheet of the page. The page is self-contained.
func style() string { return pageCSS + pictureCSS }

// policy is the Content-Security-Policy of the page: its own style and script
// only.
func policy() string {
	sum := sha256.Sum256([]byte(style()))
	return fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		base64.StdEncoding.EncodeToString(sum[:]))
}

// pageData is the input of the template: a state, and whether the page follows
// the run.
type pageData struct {
	Run    state
	Served bool
}

// page writes s as an HTML page. A served page follows the run.
func page(w io.Writer, s state, served bool) error {
	return pageTemplate.ExecuteTemplate(w, "page", pageData{s, served})
}

// fragment writes the part of the page that changes.
func fragment(w io.Writer, s state) error {
	return pageTemplate.ExecuteTemplate(w, "main", s)
}
