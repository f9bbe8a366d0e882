package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// A printer selects events and prints them.
type printer struct {
	since, until  time.Time
	actor, target string
	from          uint64
	json, lines   bool
}

// define defines the flags of a printer.
func (p *printer) define(flags *flag.FlagSet) {
	for name, t := range map[string]*time.Time{"since": &p.since, "until": &p.until} {
		flags.Func(name, "", func(s string) (err error) {
			if *t, err = time.Parse(time.RFC3339, s); err != nil {
				err = errors.New("not a time like 2026-01-02T15:04:05Z")
			}
			return err
		})
	}
	flags.StringVar(&p.actor, "actor", "", "")
	flags.StringVar(&p.target, "target", "", "")
	flags.Uint64Var(&p.from, "from", 0, "")
	flags.BoolVar(&p.json, "json", false, "")
	flags.BoolVar(&p.lines, "lines", false, "")
}

// takes reports whether the filter selects e. The actor may also be the
// identity on whose behalf another actor acted.
func (p *printer) takes(e *audit.Event) bool {
	t := e.Target
	return !e.Time.Before(p.since) && (p.until.IsZero() || e.Time.Before(p.until)) &&
		(p.actor == "" || p.actor == e.Actor.ID || p.actor == e.Actor.OnBehalfOf) &&
		(p.target == "" || p.target == t.ID || p.target == t.Type || p.target == t.Type+"/"+t.ID)
}

// print prints r if it is selected.
func (p *printer) print(w io.Writer, r ledger.Record) error {
	if !p.takes(&r.Event) {
		return nil
	}
	line := string(r.Line)
	switch {
	case p.lines:
	case p.json:
		line = string(r.Event.AppendJSON(nil))
	default:
		line = readable(r)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

// cat prints the selected events in the order of the log.
func cat(ctx context.Context, args []string, w io.Writer) error {
	flags := flag.NewFlagSet("cat", flag.ContinueOnError)
	var p printer
	p.define(flags)
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	dir, err := logIn(flags.Arg(0))
	if err != nil {
		return err
	}
	for r, err := range ledger.Events(dir, p.from) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = p.print(w, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// follow prints the selected events until ctx is done. It keeps the place after
// each printed event in the file of the cursor.
func follow(ctx context.Context, args []string, w io.Writer) error {
	flags := flag.NewFlagSet("follow", flag.ContinueOnError)
	var p printer
	p.define(flags)
	file := flags.String("cursor", "", "")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	dir, err := logIn(flags.Arg(0))
	if err != nil {
		return err
	}
	at := ledger.Cursor{Next: p.from}
	if *file != "" {
		text, err := os.ReadFile(*file)
		if err == nil {
			err = at.UnmarshalText(bytes.TrimSpace(text))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("-cursor: %w", err)
		}
	}
	for r, err := range ledger.Follow(ctx, dir, at) {
		if ctx.Err() != nil {
			return nil // interrupted
		}
		if err == nil {
			err = p.print(w, r)
		}
		if err == nil && *file != "" {
			err = keep(*file, r.Next)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keep replaces the file of a cursor.
func keep(file string, c ledger.Cursor) error {
	text, err := c.MarshalText()
	if err == nil {
		err = os.WriteFile(file+".new", append(text, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	return err
}

// readable returns an event in the form "42 2026-01-02T03:04:05Z alice modify
// success user/u-1 api_key: *** > ***".
func readable(r ledger.Record) string {
	e := &r.Event
	words := []string{strconv.FormatUint(r.Seq, 10), e.Time.Format(time.RFC3339), text(e.Actor.ID)}
	if e.Actor.ID == "" {
		words[2] = "(" + text(e.Actor.Type) + ")"
	}
	if e.Actor.OnBehalfOf != "" {
		words = append(words, "for", text(e.Actor.OnBehalfOf))
	}
	words = append(words, text(string(e.Action)), text(string(e.Outcome)))
	if e.Target != (audit.Target{}) {
		words = append(words, text(e.Target.Type)+"/"+text(e.Target.ID))
	}
	for _, word := range [...]struct{ name, text string }{
		{"code", string(e.Code)}, {"reason", e.Reason}, {"request", e.RequestID}, {"source", e.Source},
	} {
		if word.text != "" {
			words = append(words, word.name+"="+text(word.text))
		}
	}
	for _, c := range e.Changes {
		words = append(words, text(c.Field)+": "+text(c.Old)+" > "+text(c.New))
	}
	for _, a := range e.Attrs {
		words = append(words, text(a.Key)+"="+text(a.Value.String()))
	}
	return strings.Join(words, " ")
}

// text quotes a text that contains spaces, quotes or characters that are not
// printable.
func text(s string) string {
	odd := func(r rune) bool {
		return !unicode.IsPrint(r) || r == ' ' || r == '"' || r == '\\' || r == unicode.ReplacementChar
	}
	if s == "" || strings.ContainsFunc(s, odd) {
		return strconv.Quote(s)
	}
	return s
}
