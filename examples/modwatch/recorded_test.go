package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "run the storm anew for testdata/run.json, and write all that is drawn from it")

// UnmarshalText reads a weather by its name, from recorded runs.
func (w *weather) UnmarshalText(text []byte) error {
	for *w = calm; *w <= dead; *w++ {
		if w.String() == string(text) {
			return nil
		}
	}
	return fmt.Errorf("no such weather: %q", text)
}

// recordedRun is the last state of a run in virtual time. A run is not the same
// twice, for clients that wait for the same moment wake up in any order; what
// is drawn from a recorded one is.
func recordedRun(t *testing.T) (s state) {
	t.Helper()
	text, err := os.ReadFile("testdata/run.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// record runs the storm and keeps its last state.
func record(t *testing.T) {
	s := simulate(t, options{seed: 1})
	s.Done = true
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("testdata/run.json", append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// golden holds got equal to the text of a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		n := 0
		for n < min(len(gotLines), len(wantLines))-1 && gotLines[n] == wantLines[n] {
			n++
		}
		t.Errorf("%s:%d: what is drawn now differs; if it should: go test ./examples/modwatch -run TestRecordedRun -update\n got %s\nwant %s",
			name, n+1, gotLines[n], wantLines[n])
	}
}

// halfway is what the recorded run looked like in the middle, as far as its
// ticks tell.
func halfway(s state) state {
	s.Done, s.Elapsed, s.Weather, s.Breaker = false, s.Total/2, "dead", "open"
	s.Openings = slices.DeleteFunc(slices.Clone(s.Openings), func(o span) bool { return o.From > s.Elapsed })
	s.Clients = slices.Clone(s.Clients)
	for i := range s.Clients {
		c := &s.Clients[i]
		c.Ticks = slices.Concat(c.Ticks[:parts/2], make([]tick, parts/2))
		c.Answered = c.Sum().Answers + c.Sum().Late
		c.Asked = c.Sum().Asked
	}
	return s
}

// Everything drawn from the recorded run is what is committed: the picture of
// the README, the report and the frames.
func TestRecordedRun(t *testing.T) {
	if *update {
		record(t)
	}
	s := recordedRun(t)
	golden(t, "../../docs/modwatch.svg", standalone(s, wide))
	golden(t, "../../docs/modwatch-narrow.svg", standalone(s, narrow))
	golden(t, "testdata/report.txt", text(s))
	golden(t, "testdata/end.frame", frameText(frame(s), false))
	golden(t, "testdata/halfway.frame", frameText(frame(halfway(s)), false))
	golden(t, "testdata/colours.frame", frameText(frame(halfway(s)), true))
	live := s
	live.Live, live.Phases, live.Clients, live.Weather = true, nil, s.Clients[2:], "live"
	golden(t, "testdata/live.frame", frameText(frame(live), false))
}

// frameText makes a painted frame legible: a line a line, and escapes spelt
// out.
func frameText(lines []string, colour bool) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(strings.TrimRight(strings.ReplaceAll(colours(line, colour), "\x1b", "^"), " ") + "\n")
	}
	return b.String()
}

func TestEveryFrameFitsTheScreen(t *testing.T) {
	s := recordedRun(t)
	states := []state{s, halfway(s), {Total: time.Second, Clients: []score{{Name: "redoubt"}}}}
	for seed := range uint64(50) {
		other := s
		other.Phases = forecast(seed, s.Total)
		states = append(states, other)
	}
	for i, s := range states {
		lines := frame(s)
		if len(lines) != rows {
			t.Errorf("state %d: %d lines, want %d", i, len(lines), rows)
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(colours(line, false)); n > cols {
				t.Errorf("state %d: %d columns, want at most %d: %q", i, n, cols, line)
			}
		}
	}
}

// Pictures and pages are well-formed in every state: XML for the one, tags that
// close for the other.
func TestPicturesAndPagesAreWellFormed(t *testing.T) {
	s := recordedRun(t)
	live := s
	live.Live, live.Phases, live.Clients = true, nil, s.Clients[2:]
	empty := state{Total: time.Second, Clients: []score{{Name: "bare"}, {Name: "redoubt"}}}
	for i, s := range []state{s, halfway(s), live, empty} {
		if err := errors.Join(wellFormed(standalone(s, wide), true), wellFormed(standalone(s, narrow), true)); err != nil {
			t.Errorf("state %d: picture: %v", i, err)
		}
		for _, served := range []bool{false, true} {
			var b strings.Builder
			if err := page(&b, s, served); err != nil {
				t.Fatal(err)
			}
			if err := wellFormed(b.String(), false); err != nil {
				t.Errorf("state %d: page: %v", i, err)
			}
			if got := strings.Contains(b.String(), "<script"); got != (served && !s.Done) {
				t.Errorf("state %d, served %v: script %v", i, served, got)
			}
		}
	}
}

func wellFormed(text string, strict bool) error {
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict, d.Entity = strict, xml.HTMLEntity
	if !strict {
		d.AutoClose = []string{"meta", "link"}
	}
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
