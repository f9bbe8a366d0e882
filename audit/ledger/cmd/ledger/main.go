package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// The exit statuses.
const (
	clean    = 0
	tampered = 1
	failed   = 2
)

// forms contains the command lines, for the help and for errors.
var forms = map[string]string{
	"verify": "verify [-key K]... [-known H] [-closed] [-pruned] DIR",
	"cat":    "cat [-since T] [-until T] [-actor A] [-target X] [-json] DIR",
	"prove":  "prove DIR SEQ",
	"check":  "check -key K... FILE",
	"keygen": "keygen NAME FILE",
}

// help prints a short help. The complete text is in doc.go.
func help(w io.Writer) {
	fmt.Fprintf(w, `usage: ledger %s
           check every line, and with -key every seal, and print the changes
             -key K     public key, or a file with it; repeat in the order of use
             -known H   earlier state: SIZE:ROOT, or a file with a checkpoint
             -closed    nothing may follow the last seal, also no part of a line
             -pruned    the oldest segments may be missing
       ledger %s
           print the events, one per line
             -since T   from this time on, such as 2026-01-02T15:04:05Z
             -until T   before this time
             -actor A   by this actor, or on its behalf
             -target X  on this target: id, type, or type/id
             -json      as JSON, without the fields of the chain
       ledger %s
           print the proof that record SEQ is in the log
       ledger %s
           check a proof, without the log, and print the record
       ledger %s
           write a new private key to FILE and print the public key
exit status: 0 clean, 1 tampered with, 2 error
`, forms["verify"], forms["cat"], forms["prove"], forms["check"], forms["keygen"])
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	commands := map[string]func(context.Context, []string, io.Writer) error{
		"verify": verify, "cat": cat, "prove": prove, "check": check, "keygen": keygen,
	}
	switch {
	case len(args) == 0:
		help(stderr)
		return failed
	case slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]):
		help(stdout)
		return clean
	case commands[args[0]] == nil:
		fmt.Fprintf(stderr, "ledger: no command %q; it is one of cat, check, keygen, prove, verify\n", args[0])
		return failed
	}
	err := commands[args[0]](ctx, args[1:], stdout)
	switch {
	case err == nil:
		return clean
	case errors.Is(err, flag.ErrHelp):
		help(stderr)
	case errors.As(err, new(*ledger.TamperError)):
		return tampered // verify has printed the problems
	case errors.Is(err, ledger.ErrTampered):
		fmt.Fprintln(stderr, complaint(args[0], err))
		return tampered
	default:
		fmt.Fprintln(stderr, complaint(args[0], err))
	}
	return failed
}

// complaint returns err on one line that begins with the command.
func complaint(command string, err error) string {
	what := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", "; "), "ledger: ")
	return "ledger " + command + ": " + what
}

// parse reads the flags and requires n arguments after them.
func parse(flags *flag.FlagSet, args []string, n int) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if err == nil && flags.NArg() != n {
		err = fmt.Errorf("%d arguments instead of %d", flags.NArg(), n)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return fmt.Errorf("%w; usage: ledger %s", err, forms[flags.Name()])
	}
	return err
}

// logIn returns the log in dir. It checks that there is a segment, because the
// error of a missing segment would name a file that the user does not know.
func logIn(dir string) (fs.FS, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".jsonl") {
			return os.DirFS(dir), nil
		}
	}
	return nil, fmt.Errorf("%s holds no log: no file like %020d.jsonl", dir, 0)
}

// keyFlags collects the public keys of repeated -key flags.
func keyFlags(flags *flag.FlagSet) *[]*ledger.Verifier {
	var keys []*ledger.Verifier
	flags.Func("key", "public key, or a file that holds one", func(s string) error {
		if !strings.Contains(s, "+") {
			data, err := os.ReadFile(s)
			if err != nil {
				return fmt.Errorf("neither a key nor a file that holds one: %w", err)
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
		return nil, fmt.Errorf("neither SIZE:ROOT nor the file of a checkpoint: %w", err)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s needs a -key to be checked with", s)
	}
	cp, err := ledger.ParseCheckpoint(string(data), keys...)
	if err != nil {
		// An invalid note proves nothing about the log.
		return nil, fmt.Errorf("%s is not a checkpoint by these keys", s)
	}
	return &cp.Head, nil
}

// verify prints the problems and the verdict. It has printed an error that it
// returns together with a report.
func verify(ctx context.Context, args []string, w io.Writer) error {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	keys := keyFlags(flags)
	known := flags.String("known", "", "")
	closed := flags.Bool("closed", false, "")
	pruned := flags.Bool("pruned", false, "")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	c := ledger.VerifyConfig{Keys: *keys, Pruned: *pruned}
	if *closed {
		c.MaxUnsealed = -1
	}
	if *known != "" {
		h, err := parseKnown(*known, *keys)
		if err != nil {
			return fmt.Errorf("-known: %w", err)
		}
		c.Known = h
	}
	dir, err := logIn(flags.Arg(0))
	if err != nil {
		return err
	}
	r, err := ledger.Verify(ctx, dir, c)
	if r == nil {
		return err
	}
	for _, p := range r.Problems {
		fmt.Fprintln(w, p)
	}
	if r.Backward >= time.Second { // concurrent callers cause smaller differences
		fmt.Fprintf(w, "warning: record %d is %s earlier than a record before it\n", r.BackwardAt, r.Backward)
	}
	verdict := "clean"
	if errors.Is(err, fs.ErrNotExist) {
		verdict = "no problem"
		fmt.Fprintln(w, "not compared: the records of the known head were removed")
	}
	if len(r.Problems) > 0 {
		verdict = "tampered with"
	}
	fmt.Fprintf(w, "%s: %s: %d records", verdict, text(r.Origin), r.Records)
	if r.First > 0 {
		fmt.Fprintf(w, " from %d on", r.First)
	}
	if len(*keys) > 0 {
		fmt.Fprintf(w, ", sealed up to %d", r.Sealed)
	} else {
		fmt.Fprint(w, ", seals not checked without -key")
	}
	if r.Unfinished > 0 {
		fmt.Fprintf(w, ", %d bytes unfinished", r.Unfinished)
	}
	fmt.Fprintf(w, ", head %d:%s\n", r.First+r.Records, r.Root)
	return err
}

// A filter selects the events that cat prints.
type filter struct {
	since, until  time.Time
	actor, target string
}

// takes reports whether the filter selects e. The actor may also be the
// identity on whose behalf another actor acted.
func (f filter) takes(e *audit.Event) bool {
	t := e.Target
	return !e.Time.Before(f.since) && (f.until.IsZero() || e.Time.Before(f.until)) &&
		(f.actor == "" || f.actor == e.Actor.ID || f.actor == e.Actor.OnBehalfOf) &&
		(f.target == "" || f.target == t.ID || f.target == t.Type || f.target == t.Type+"/"+t.ID)
}

// cat prints the selected events in the order of the log.
func cat(ctx context.Context, args []string, w io.Writer) error {
	flags := flag.NewFlagSet("cat", flag.ContinueOnError)
	var f filter
	for name, t := range map[string]*time.Time{"since": &f.since, "until": &f.until} {
		flags.Func(name, "", func(s string) (err error) {
			if *t, err = time.Parse(time.RFC3339, s); err != nil {
				err = errors.New("not a time like 2026-01-02T15:04:05Z")
			}
			return err
		})
	}
	flags.StringVar(&f.actor, "actor", "", "")
	flags.StringVar(&f.target, "target", "", "")
	asJSON := flags.Bool("json", false, "")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	dir, err := logIn(flags.Arg(0))
	if err != nil {
		return err
	}
	for r, err := range ledger.Events(dir) {
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

// prove prints the proof of a record.
func prove(_ context.Context, args []string, w io.Writer) error {
	flags := flag.NewFlagSet("prove", flag.ContinueOnError)
	if err := parse(flags, args, 2); err != nil {
		return err
	}
	seq, err := strconv.ParseUint(flags.Arg(1), 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not the number of a record", flags.Arg(1))
	}
	dir, err := logIn(flags.Arg(0))
	if err != nil {
		return err
	}
	p, err := ledger.Prove(dir, seq)
	if err != nil {
		return err
	}
	out, err := p.MarshalText()
	if err == nil {
		_, err = w.Write(out)
	}
	return err
}

// check reads a proof and prints the proved record.
func check(_ context.Context, args []string, w io.Writer) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	keys := keyFlags(flags)
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	if len(*keys) == 0 {
		return errors.New("needs the -key of the log; usage: ledger " + forms["check"])
	}
	data, err := os.ReadFile(flags.Arg(0))
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

// keygen writes the private key to a new file, never to the terminal. It does
// not replace a file: a log cannot be sealed any more if its key is lost.
func keygen(_ context.Context, args []string, w io.Writer) error {
	flags := flag.NewFlagSet("keygen", flag.ContinueOnError)
	if err := parse(flags, args, 2); err != nil {
		return err
	}
	skey, vkey, err := ledger.GenerateKey(flags.Arg(0))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(flags.Arg(1), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
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
