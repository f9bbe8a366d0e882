package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/redoubt-go/redoubt/logscan"
)

// printVerdicts lists the modules that something is to be said of, the vulnerable ones first.
func printVerdicts(w io.Writer, verdicts []verdict) {
	notable := slices.DeleteFunc(slices.Clone(verdicts), func(v verdict) bool {
		return !v.vulnerable() && !v.outdated() && v.step != "no answer" && v.step != "not recorded"
	})
	if len(notable) == 0 {
		fmt.Fprintf(w, "All %d modules are up to date, and no known advisory names them.\n", len(verdicts))
		return
	}
	slices.SortStableFunc(notable, func(a, b verdict) int { return cmp.Compare(len(b.advisories), len(a.advisories)) })
	fmt.Fprintf(w, "%d of %d modules are outdated, vulnerable or unknown:\n", len(notable), len(verdicts))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "MODULE\tIN USE\tALLOWED BY ^\tLATEST\tSTEP\tADVISORIES\tMOVE TO")
	for _, v := range notable {
		fmt.Fprintln(tw, strings.Join([]string{
			v.path, v.version, dash(v.allowed), dash(v.latest), v.step, dash(strings.Join(v.advisories, " ")), dash(v.moveTo),
		}, "\t"))
	}
	tw.Flush()
}

func dash(s string) string { return cmp.Or(s, "-") }

// printLog closes the report with what the run's own log says of the guarded client's requests.
func printLog(ctx context.Context, w io.Writer, file string) error {
	var (
		scanner         = logscan.Scanner{Parser: logscan.JSON("msg", "module", "status", "ms", "to")}
		statuses        = map[string]int{}
		waits, openings int
		slowest         float64
		slowModule      string
	)
	for rec, err := range scanner.Records(ctx, logscan.Files(file)) {
		switch {
		case err != nil:
			return err
		case rec.Is("msg", "request"):
			statuses[string(rec.Get("status"))]++
			if ms, err := strconv.ParseFloat(string(rec.Get("ms")), 64); err == nil && ms > slowest {
				slowest, slowModule = ms, string(rec.Get("module"))
			}
		case rec.Is("msg", "attempt failed, will retry"):
			waits++
		case rec.Is("to", "open"):
			openings++
		}
	}
	fmt.Fprintf(w, "log: %s; %d waits before another try; the breaker opened %d times; slowest call %.0f ms (%s)\n",
		mix(statuses), waits, openings, slowest, slowModule)
	return nil
}

// mix prints how often each status was seen; 0 stands for a request without an answer.
func mix(statuses map[string]int) string {
	var parts []string
	for status, n := range statuses {
		if status == "0" {
			status = "no answer"
		}
		parts = append(parts, fmt.Sprintf("%s x%d", status, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
