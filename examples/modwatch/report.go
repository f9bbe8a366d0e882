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

// headline describes the benefit of the guards and its price.
func headline(s state) string {
	g := s.guarded()
	line := fmt.Sprintf("redoubt answers %d of %d questions", g.Answered, g.Asked)
	if g.Answered == g.Asked {
		line = fmt.Sprintf("redoubt answers all %d questions", g.Asked)
	}
	if g.Answered > 0 {
		line += ", the slowest after " + ms(g.Slowest)
	}
	if n := len(s.Phases); n > 1 {
		line = fmt.Sprintf("A server fails for %s. %s", ms(s.Phases[n-1].From-s.Phases[1].From), line)
	}
	return line + "."
}

// percent returns the percentage of answered questions.
func percent(c score) string {
	if c.Asked == 0 {
		return "–"
	}
	return fmt.Sprintf("%d %%", c.Answered*100/c.Asked)
}

// times prints a number of times.
func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// figures returns the table of the clients, a column for each. Only the proxy
// on loopback counts its requests.
func figures(s state) (rows [][]string) {
	row := func(name string, of func(c score, sum tick) any) {
		cells := []string{name}
		for _, c := range s.Clients {
			cells = append(cells, fmt.Sprint(of(c, c.Sum())))
		}
		rows = append(rows, cells)
	}
	row("client", func(c score, _ tick) any { return c.Name })
	row("questions", func(c score, _ tick) any { return c.Asked })
	row("answered", func(c score, _ tick) any { return c.Answered })
	row("answered late", func(_ score, sum tick) any { return sum.Late })
	row("answered with an old list", func(c score, _ tick) any { return c.Old })
	if !s.Live {
		row("requests", func(_ score, sum tick) any { return sum.Sent })
		row("requests while down", func(_ score, sum tick) any { return sum.Down })
	}
	row("median time", func(c score, _ tick) any { return ms(c.P50) })
	row("slowest of 99 %", func(c score, _ tick) any { return ms(c.P99) })
	row("slowest", func(c score, _ tick) any { return ms(c.Slowest) })
	return rows
}

// ms prints a duration with a readable precision.
func ms(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 100*time.Millisecond:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", 1000*d.Seconds())
}

func textScores(b *strings.Builder, s state) {
	tw := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range figures(s) {
		fmt.Fprintln(tw, strings.Join(row, "\t")+"\t")
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
	unheard := count(func(v verdict) bool { return v.Update == "not asked" })
	unknown := count(func(v verdict) bool { return v.Update == "no answer" || v.Update == "not recorded" })
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
var headings = []string{"module", "in use", "move to", "advisories", "update", "latest", "latest in ^"}

func (v verdict) row() []string {
	return []string{
		v.Path, v.Version, dash(v.MoveTo), dash(strings.Join(v.Advisories, " ")), v.Update, dash(v.Latest), dash(v.Compatible),
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
