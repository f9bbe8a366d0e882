package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// writerFlags defines the flags of a writer.
func writerFlags(flags *flag.FlagSet) *ledger.Config {
	c := &ledger.Config{Sync: ledger.SyncEvery(time.Second)}
	for name, to := range map[string]**ledger.Signer{"sign": &c.Signer, "previous": &c.Previous} {
		flags.Func(name, "", func(file string) error {
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			*to, err = ledger.ParseSigner(strings.TrimSpace(string(data)))
			return err
		})
	}
	flags.StringVar(&c.Mark, "mark", "", "")
	return c
}

// appendEvents appends the events that it reads. Close makes them durable.
func appendEvents(ctx context.Context, args []string, r io.Reader, w io.Writer) (err error) {
	flags := flag.NewFlagSet("append", flag.ContinueOnError)
	c := writerFlags(flags)
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	l, err := ledger.Open(ctx, flags.Arg(0), *c)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	log := audit.New(audit.Config{Sink: l})
	for n := 1; err == nil && lines.Scan(); n++ {
		var e audit.Event
		if err = e.UnmarshalJSON(lines.Bytes()); err == nil {
			err = log.Record(audit.WithActor(ctx, e.Actor), e)
		}
		if err != nil {
			err = fmt.Errorf("line %d: %w", n, err)
		}
	}
	err = errors.Join(err, lines.Err(), l.Close())
	h := l.Head()
	_, werr := fmt.Fprintf(w, "%d:%s\n", h.Size, h.Root)
	return errors.Join(err, werr)
}

// rotate starts another segment.
func rotate(ctx context.Context, args []string, _ io.Writer) error {
	flags := flag.NewFlagSet("rotate", flag.ContinueOnError)
	c := writerFlags(flags)
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	if _, err := logIn(flags.Arg(0)); err != nil {
		return err
	}
	l, err := ledger.Open(ctx, flags.Arg(0), *c)
	if err != nil {
		return err
	}
	return errors.Join(l.Rotate(ctx), l.Close())
}

// head prints the last checkpoint.
func head(_ context.Context, args []string, w io.Writer) error {
	flags := flag.NewFlagSet("head", flag.ContinueOnError)
	keys := keyFlags(flags)
	note := flags.Bool("note", false, "")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	dir, err := logIn(flags.Arg(0))
	if err != nil {
		return err
	}
	cp, err := ledger.LastCheckpoint(dir)
	if err == nil && len(*keys) > 0 {
		cp, err = ledger.ParseCheckpoint(cp.Note, *keys...)
	}
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%d:%s\n", cp.Size, cp.Root)
	if *note {
		text = cp.Note
	}
	_, err = io.WriteString(w, text)
	return err
}
