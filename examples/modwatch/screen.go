package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// show displays the run: as a live view on a terminal, otherwise as a line for
// every change of the weather. It restores the terminal in every case.
func show(ctx context.Context, t *trial, stdout, stderr io.Writer) {
	file, ok := stdout.(*os.File)
	if !ok || !isTerminal(file) {
		t.run(ctx, func(s state) { fmt.Fprintln(stderr, progress(s)) })
		return
	}
	colour := os.Getenv("NO_COLOR") == ""
	io.WriteString(file, "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J")       // another screen, no cursor, no wrapped lines
	defer io.WriteString(file, "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l") // and back
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t.run(ctx, nil)
	}()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		io.WriteString(file, paint(frame(t.state()), colour))
		select {
		case <-ended:
			return
		case <-ticker.C:
		}
	}
}

func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// The size of a frame.
const (
	rows   = 24
	cols   = 80
	margin = "         " // as wide as the names of the timelines
)

// frame draws a state as rows lines of at most cols characters. Between \x0e
// and \x0f are marks that paint turns into colors: g good, b bad, d dim, h
// heading.
func frame(s state) []string {
	lines := []string{
		mark('h', "modwatch") + "  " + subject(s),
		fmt.Sprintf("%5.1fs of %v  %s  %s", s.Elapsed.Seconds(), s.Total, gauge(s), s.Weather),
		margin + mark('d', s.Served),
	}
	for _, strip := range strips(s) {
		lines = append(lines, margin+mark('d', strip))
	}
	questions, requests := highest(s)
	for _, c := range s.Clients {
		lines = append(lines, clientLines(s, c, questions, requests)...)
	}
	state := 'g'
	if s.Breaker != "closed" {
		state = 'b'
	}
	lines = append(
		lines,
		fmt.Sprintf("breaker  %s, opened %s", mark(state, s.Breaker), times(len(s.Openings))),
		fmt.Sprintf("guards   %d attempts held back, %d pauses, %d answers from the cache",
			s.guarded().Sum().Refused, s.Waits, s.Hits),
		"",
		mark('h', "verdicts")+" "+mark('d', brief(s.Verdicts)),
	)
	room := rows - len(lines)
	for _, v := range s.Recent[max(0, len(s.Recent)-room):] {
		lines = append(lines, verdictLine(v))
	}
	for len(lines) < rows {
		lines = append(lines, "")
	}
	return lines[:rows]
}

// clientLines returns the figures of a client and its timeline, a character for
// each tick.
func clientLines(s state, c score, questions, requests int) []string {
	var good, bad, sent []int
	for _, t := range c.Ticks {
		good, bad, sent = append(good, t.Answers+t.Late), append(bad, t.Failures), append(sent, t.Sent)
	}
	sum := c.Sum()
	lines := []string{
		mark('h', fmt.Sprintf("%-9s", c.Name)) + mark('g', spark(good, questions)) + fmt.Sprintf(" %4d answered", c.Answered),
		margin + mark('b', spark(bad, questions)) + fmt.Sprintf(" %4d failed", sum.Failures),
	}
	if !s.Live {
		lines = append(lines, margin+mark('d', spark(sent, requests))+fmt.Sprintf(" %4d sent, %d down", sum.Sent, sum.Down))
	}
	return lines
}

// highest returns the most questions and the most requests of a client in a
// part of a run.
func highest(s state) (questions, requests int) {
	questions, requests = 1, 1
	for _, c := range s.Clients {
		for _, t := range c.Ticks {
			questions, requests = max(questions, t.Asked), max(requests, t.Sent)
		}
	}
	return questions, requests
}

// spark draws numbers up to most as columns in steps of an eighth of a line.
func spark(numbers []int, most int) string {
	var b strings.Builder
	for _, n := range numbers {
		b.WriteRune([]rune(" ▁▂▃▄▅▆▇█")[(n*8+most-1)/most])
	}
	return b.String()
}

// strips returns two lines with the names of the phases along the timelines,
// each at its beginning. The names alternate between the lines, so that short
// phases have room.
func strips(s state) (lines [2]string) {
	for i, p := range s.Phases {
		line := &lines[i%2]
		*line += strings.Repeat(" ", max(0, int(p.From*parts/s.Total)-utf8.RuneCountInString(*line))) + "╷" + p.Weather.String()
	}
	return lines
}

// gauge draws the progress of the run.
func gauge(s state) string {
	full := min(int(s.Elapsed*30/s.Total), 30)
	return mark('g', strings.Repeat("━", full)) + mark('d', strings.Repeat("─", 30-full))
}

// brief counts the verdicts.
func brief(verdicts []verdict) string {
	heard, vulnerable, outdated := 0, 0, 0
	for _, v := range verdicts {
		if v.Update != "not asked" {
			heard++
		}
		if v.vulnerable() {
			vulnerable++
		}
		if v.outdated() {
			outdated++
		}
	}
	return fmt.Sprintf("%d of %d: %d vulnerable, %d outdated", heard, len(verdicts), vulnerable, outdated)
}

func verdictLine(v verdict) string {
	text, kind := "up to date", 'd'
	switch {
	case v.vulnerable():
		text, kind = v.Advisories[0]+": "+goal(v), 'b'
	case v.outdated():
		text, kind = v.Update+": "+goal(v), 'g'
	case v.Update != "-":
		text = v.Update
	}
	return fmt.Sprintf("  %-40s ", clip(v.Path, 40)) + mark(kind, clip(text, cols-44))
}

// goal returns the version to move to.
func goal(v verdict) string {
	if v.MoveTo == noFix {
		return noFix
	}
	return "move to " + v.MoveTo
}

// clip cuts a text to n characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}

func mark(kind rune, s string) string { return "\x0e" + string(kind) + s + "\x0f" }

// paint returns the control sequences that draw a frame on the screen.
func paint(lines []string, colour bool) string {
	var b strings.Builder
	for i, line := range lines {
		fmt.Fprintf(&b, "\x1b[%d;1H\x1b[2K%s", i+1, colours(line, colour))
	}
	return b.String()
}

// colours turns the marks of a line into control sequences, or removes them.
func colours(line string, on bool) string {
	if on {
		return strings.NewReplacer("\x0eg", "\x1b[32m", "\x0eb", "\x1b[31m", "\x0ed", "\x1b[2m", "\x0eh", "\x1b[1m", "\x0f", "\x1b[0m").Replace(line)
	}
	return strings.NewReplacer("\x0eg", "", "\x0eb", "", "\x0ed", "", "\x0eh", "", "\x0f", "").Replace(line)
}
