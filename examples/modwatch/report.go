package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// text returns the report for the terminal, and for curl from -http.
func text(s state) string {
	var b strings.Builder
	fmt.Fprintf(&b, "modwatch: %s\n", subject(s))
	if !s.Live {
		fmt.Fprintf(&b, "storm: %s\n", schedule(s.Phases))
	}
	b.WriteByte('\n')
	if !s.Done {
		fmt.Fprintf(&b, "%s\n\n", progress(s))
	}
	fmt.Fprintf(&b, "%s\n\n", headline(s))
	textScores(&b, s)
	b.WriteByte('\n')
	textVerdicts(&b, s.Verdicts)
	b.WriteByte('\n')
	if s.Log != nil {
		fmt.Fprintf(&b, "log: %v\n", s.Log)
	}
	if s.Ledger != nil {
		fmt.Fprintf(&b, "ledger: %v\n", s.Ledger)
	}
	return b.String()
}

// subject returns the subject of the run.
func subject(s state) string {
	about := fmt.Sprintf("%d modules, asked %s each over %v", s.Modules, times(s.Rounds), s.Total)
	if s.Live {
		return about + ", live"
	}
	return fmt.Sprintf("%s, seed %d", about, s.Seed)
}

// headline describes the benefit of the guards in a sentence.
func headline(s state) string {
	g, bare := s.guarded(), s.bare()
	if bare == nil {
		return fmt.Sprintf("%d of %d questions answered.", g.Answered, g.Asked)
	}
	less := ""
	if sent, bareSent := g.Sum().Sent, bare.Sum().Sent; sent < bareSent {
		less = fmt.Sprintf(", with %d %% fewer requests", 100-sent*100/bareSent)
	}
	return fmt.Sprintf("Same questions, same storm: the bare client got %d of %d answers, redoubt's %d%s.",
		bare.Answered, bare.Asked, g.Answered, less)
}

// times prints a number of times.
func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// columns returns the headings of the scores, and cells the values below them.
// Only the proxy on loopback counts its requests.
var columns = []string{"client", "asked", "answered", "stale", "requests", "wasted", "p50", "p99"}

func cells(s state, c score) []string {
	sum, sent, wasted := c.Sum(), "-", "-"
	if !s.Live {
		sent, wasted = fmt.Sprint(sum.Sent), fmt.Sprint(sum.Wasted)
	}
	return []string{
		c.Name, fmt.Sprint(c.Asked), fmt.Sprint(c.Answered), fmt.Sprint(c.Stale), sent, wasted, ms(c.P50), ms(c.P99),
	}
}

// ms prints a duration with a readable precision.
func ms(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

func textScores(b *strings.Builder, s state) {
	tw := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, strings.Join(columns, "\t")+"\t")
	for _, c := range s.Clients {
		fmt.Fprintln(tw, strings.Join(cells(s, c), "\t")+"\t")
	}
	tw.Flush()
}

// notable returns the verdicts to report, the vulnerable modules first.
func notable(verdicts []verdict) []verdict {
	some := slices.DeleteFunc(slices.Clone(verdicts), func(v verdict) bool { return !v.notable() })
	slices.SortStableFunc(some, func(a, b verdict) int { return cmp.Compare(len(b.Advisories), len(a.Advisories)) })
	return some
}

// summary summarizes the verdicts in a sentence.
func summary(verdicts []verdict) string {
	count := func(is func(verdict) bool) (n int) {
		for _, v := range verdicts {
			if is(v) {
				n++
			}
		}
		return n
	}
	vulnerable, outdated := count(verdict.vulnerable), count(verdict.outdated)
	unheard := count(func(v verdict) bool { return v.Step == "not asked" })
	unknown := count(func(v verdict) bool { return v.Step == "no answer" || v.Step == "not recorded" })
	s := fmt.Sprintf("Of %d modules, %d have a known advisory and %d are outdated", len(verdicts), vulnerable, outdated)
	if unknown > 0 {
		s += fmt.Sprintf("; of %d nothing is known", unknown)
	}
	if unheard > 0 {
		s += fmt.Sprintf("; %d are not asked about yet", unheard)
	}
	return s + "."
}

// headings returns the headings of the table of modules, and row the values
// below them.
var headings = []string{"module", "in use", "move to", "advisories", "step", "latest", "allowed by ^"}

func (v verdict) row() []string {
	return []string{
		v.Path, v.Version, dash(v.MoveTo), dash(strings.Join(v.Advisories, " ")), v.Step, dash(v.Latest), dash(v.Allowed),
	}
}

func textVerdicts(b *strings.Builder, verdicts []verdict) {
	fmt.Fprintln(b, summary(verdicts))
	tw := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for i, v := range notable(verdicts) {
		if i == 0 {
			fmt.Fprintln(tw, strings.ToUpper(strings.Join(headings, "\t")))
		}
		fmt.Fprintln(tw, strings.Join(v.row(), "\t"))
	}
	tw.Flush()
}

func dash(s string) string { return cmp.Or(s, "-") }

// progress describes the state of the run in a line, for pipes.
func progress(s state) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%5.1fs  %-8s", s.Elapsed.Seconds(), s.Weather)
	for _, c := range s.Clients {
		fmt.Fprintf(&b, "  %s %d of %d", c.Name, c.Answered, c.Asked)
	}
	return b.String() + ", breaker " + s.Breaker
}
