package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redoubt-go/redoubt/logscan"
)

// A logSummary summarizes the requests of the guarded client in the log of the
// run.
type logSummary struct {
	Statuses   map[string]int `json:"statuses"` // the number of each; 0 is a request without an answer
	Waits      int            `json:"waits"`    // before another attempt
	Openings   int            `json:"openings"` // of the breaker
	SlowestMS  float64        `json:"slowest_ms"`
	SlowModule string         `json:"slow_module"`
}

// readLog reads the log of the run, in the JSON of log/slog.
func readLog(ctx context.Context, file string) (*logSummary, error) {
	scanner := logscan.Scanner{Parser: logscan.JSON("msg", "module", "status", "ms", "to")}
	s := &logSummary{Statuses: map[string]int{}}
	for rec, err := range scanner.Records(ctx, logscan.Files(file)) {
		switch {
		case err != nil:
			return nil, err
		case rec.Is("msg", "request"):
			s.Statuses[string(rec.Get("status"))]++
			if ms, err := strconv.ParseFloat(string(rec.Get("ms")), 64); err == nil && ms > s.SlowestMS {
				s.SlowestMS, s.SlowModule = ms, string(rec.Get("module"))
			}
		case rec.Is("msg", "attempt failed, will retry"):
			s.Waits++
		case rec.Is("to", "open"):
			s.Openings++
		}
	}
	return s, nil
}

// Rows returns the statuses with their numbers.
func (s *logSummary) Rows() (rows [][2]string) {
	for _, status := range slices.Sorted(maps.Keys(s.Statuses)) {
		name := status
		if status == "0" {
			name = "no answer"
		}
		rows = append(rows, [2]string{name, strconv.Itoa(s.Statuses[status])})
	}
	return rows
}

func (s *logSummary) String() string {
	var parts []string
	for _, row := range s.Rows() {
		parts = append(parts, row[0]+" x"+row[1])
	}
	return fmt.Sprintf("%s; %d pauses before another attempt; the breaker opened %s; slowest request %.0f ms (%s)",
		dash(strings.Join(parts, ", ")), s.Waits, times(s.Openings), s.SlowestMS, dash(s.SlowModule))
}
