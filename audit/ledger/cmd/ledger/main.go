package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// The exit statuses.
const (
	clean      = 0
	tampered   = 1
	cannotTell = 2
)

const usage = `usage: ledger verify [-key K]... [-known H] [-closed] [-pruned] DIR
       ledger cat [-since T] [-until T] [-actor A] [-target X] [-json] DIR
       ledger prove DIR SEQ
       ledger check -key K... FILE
       ledger keygen NAME FILE
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without its process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	commands := map[string]func(context.Context, []string, io.Writer) error{
		"verify": verify, "cat": cat, "prove": prove, "check": check, "keygen": keygen,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(stderr, usage)
		return cannotTell
	}
	err := commands[args[0]](ctx, args[1:], stdout)
	switch {
	case err == nil:
		return clean
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stderr, usage)
	case errors.Is(err, ledger.ErrTampered):
		fmt.Fprintln(stderr, err)
		return tampered
	default:
		fmt.Fprintln(stderr, err)
	}
	return cannotTell
}

// parse reads flags and wants n arguments after them.
func parse(fs *flag.FlagSet, args []string, n int) error {
	fs.SetOutput(io.Discard)
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("ledger %s: %w", fs.Name(), err)
	}
	if fs.NArg() != n {
		return fmt.Errorf("ledger %s: %d arguments instead of %d", fs.Name(), fs.NArg(), n)
	}
	return nil
}

// keyFlags collects the public keys of repeated -key flags.
func keyFlags(fs *flag.FlagSet) *[]*ledger.Verifier {
	var keys []*ledger.Verifier
	fs.Func("key", "public key, or a file that holds one", func(s string) error {
		if !strings.Contains(s, "+") {
			data, err := os.ReadFile(s)
			if err != nil {
				return err
			}
			s = strings.TrimSpace(string(data))
		}
		k, err := ledger.ParseVerifier(s)
		keys = append(keys, k)
		return err
	})
	return &keys
}

// parseKnown reads SIZE:ROOT, or the file of a checkpoint.
func parseKnown(s string, keys []*ledger.Verifier) (*ledger.Head, error) {
	size, root, ok := strings.Cut(s, ":")
	if n, err := strconv.ParseUint(size, 10, 64); ok && err == nil {
		h := &ledger.Head{Size: n}
		return h, h.Root.UnmarshalText([]byte(root))
	}
	data, err := os.ReadFile(s)
	if err != nil {
		return nil, err
	}
	cp, err := ledger.ParseCheckpoint(string(data), keys...)
	if err != nil {
		// A note that does not hold says nothing of the log.
		return nil, fmt.Errorf("%s is not a checkpoint by these keys", s)
	}
	return &cp.Head, nil
}

func verify(ctx context.Context, args []string, w io.Writer) error {
	fs := flag.NewFlagSet("verify", flag.ContinueOnError)
	keys := keyFlags(fs)
	known := fs.String("known", "", "")
	closed := fs.Bool("closed", false, "")
	pruned := fs.Bool("pruned", false, "")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	c := ledger.VerifyConfig{Keys: *keys, Pruned: *pruned}
	if *closed {
		c.MaxUnsealed = -1
	}
	if *known != "" {
		h, err := parseKnown(*known, *keys)
		if err != nil {
			return fmt.Errorf("ledger verify: known: %w", err)
		}
		c.Known = h
	}
	r, err := ledger.Verify(ctx, os.DirFS(fs.Arg(0)), c)
	if r == nil {
		return err
	}
	for _, p := range r.Problems {
		fmt.Fprintln(w, p)
	}
	fmt.Fprintf(w, "%s: %d records", text(r.Origin), r.Records)
	if r.First > 0 {
		fmt.Fprintf(w, " from %d on", r.First)
	}
	if len(*keys) > 0 {
		fmt.Fprintf(w, ", sealed up to %d", r.Sealed)
	}
	if r.Unfinished > 0 {
		fmt.Fprintf(w, ", %d bytes unfinished", r.Unfinished)
	}
	fmt.Fprintf(w, ", head %d:%s\n", r.First+r.Records, r.Root)
	return err
}

// filter says which events cat prints.
type filter struct {
	since, until  time.Time
	actor, target string
}

func (f filter) takes(e *audit.Event) bool {
	t := e.Target
	return !e.Time.Before(f.since) && (f.until.IsZero() || e.Time.Before(f.until)) &&
		(f.actor == "" || f.actor == e.Actor.ID || f.actor == e.Actor.OnBehalfOf) &&
		(f.target == "" || f.target == t.ID || f.target == t.Type || f.target == t.Type+"/"+t.ID)
}

func cat(ctx context.Context, args []string, w io.Writer) error {
	fs := flag.NewFlagSet("cat", flag.ContinueOnError)
	var f filter
	for name, t := range map[string]*time.Time{"since": &f.since, "until": &f.until} {
		fs.Func(name, "", func(s string) (err error) {
			*t, err = time.Parse(time.RFC3339, s)
			return err
		})
	}
	fs.StringVar(&f.actor, "actor", "", "")
	fs.StringVar(&f.target, "target", "", "")
	asJSON := fs.Bool("json", false, "")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	for r, err := range ledger.Events(os.DirFS(fs.Arg(0))) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if !f.takes(&r.Event) {
			continue
		}
		line := string(r.Event.AppendJSON(nil))
		if !*asJSON {
			line = readable(r)
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// readable is an event as "42 2026-01-02T03:04:05Z alice modify success user/u-1
// api_key: *** > ***".
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

// text quotes what a terminal or a reader could take for something else.
func text(s string) string {
	odd := func(r rune) bool {
		return !unicode.IsPrint(r) || r == ' ' || r == '"' || r == '\\' || r == unicode.ReplacementChar
	}
	if s == "" || strings.ContainsFunc(s, odd) {
		return strconv.Quote(s)
	}
	return s
}

func prove(_ context.Context, args []string, w io.Writer) error {
	fs := flag.NewFlagSet("prove", flag.ContinueOnError)
	if err := parse(fs, args, 2); err != nil {
		return err
	}
	seq, err := strconv.ParseUint(fs.Arg(1), 10, 64)
	if err != nil {
		return fmt.Errorf("ledger prove: %q is not the number of a record", fs.Arg(1))
	}
	p, err := ledger.Prove(os.DirFS(fs.Arg(0)), seq)
	if err != nil {
		return err
	}
	out, err := p.MarshalText()
	if err == nil {
		_, err = w.Write(out)
	}
	return err
}

func check(_ context.Context, args []string, w io.Writer) error {
	fs := flag.NewFlagSet("check", flag.ContinueOnError)
	keys := keyFlags(fs)
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if len(*keys) == 0 {
		return errors.New("ledger check: needs a -key")
	}
	data, err := os.ReadFile(fs.Arg(0))
	if err != nil {
		return err
	}
	var p ledger.Proof
	if err := p.UnmarshalText(data); err != nil {
		return err
	}
	cp, err := p.Verify(*keys...)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s: record %d of %d: %s\n", text(cp.Origin), p.Index, cp.Size, p.Line)
	return err
}

func keygen(_ context.Context, args []string, w io.Writer) error {
	fs := flag.NewFlagSet("keygen", flag.ContinueOnError)
	if err := parse(fs, args, 2); err != nil {
		return err
	}
	skey, vkey, err := ledger.GenerateKey(fs.Arg(0))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(fs.Arg(1), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(skey + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, vkey)
	return err
}
