// Modwatch finds the Go modules of a project that are outdated or have a known
// advisory, through a failing proxy.
//
// It starts a module proxy on loopback that serves recorded version lists. A
// storm disturbs the proxy: slow answers, 503, 429, connections that hang or
// close, all drawn from a seed. Three clients ask the same questions: a bare
// http.Client with a timeout, the same with three attempts, and a client with
// the cache, retry, breaker and ratelimit of redoubt. The report compares the
// clients and lists the modules to update. It also summarizes the log of the
// run (read by logscan) and its tamper-evident ledger (written by audit).
//
//	go run ./examples/modwatch                 12 s, the modules of redoubt
//	go run ./examples/modwatch -fast -seed 7   2 s, another storm
//	go run ./examples/modwatch -mod go.mod     the requirements of a go.mod
//	go run ./examples/modwatch -live           asks the proxy of GOPROXY
//	go run ./examples/modwatch -http :6060     shows the run in a browser
//
// To read it as a tutorial, begin with watch.go, which combines the guards.
// Then read verdict.go (semver), ledger.go (audit), runlog.go (logscan) and
// proxy.go (errors with methods that the guards read).
//
// Exit status:
//
//   - 0: the report is complete;
//   - 1: no answer, or the ledger does not verify;
//   - 2: wrong usage;
//   - 3: with -fail-on vuln, a module is vulnerable.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait for the report
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program without the exit. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "modwatch:", err)
		return 2
	}
	s, err := watch(ctx, o, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "modwatch:", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
	if o.failOn == "vuln" && slices.ContainsFunc(s.Verdicts, verdict.vulnerable) {
		return 3
	}
	return 0
}

// watch opens all files and listeners, so that an error is reported at once,
// and then runs.
func watch(ctx context.Context, o options, stdout, stderr io.Writer) (s state, err error) {
	q := question{ownModules(), builtIn()}
	if o.mod != "" {
		if q.modules, err = modulesOf(ctx, o.mod); err != nil {
			return s, err
		}
	}
	if o.osv != "" {
		if q.hazards, err = readOSV(o.osv); err != nil {
			return s, err
		}
	}
	if o.tamper > len(q.modules) {
		return s, fmt.Errorf("-tamper %d: there are only %d verdicts", o.tamper, len(q.modules))
	}
	out, err := openOutputs(o)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, out.close()) }()
	dir, err := os.MkdirTemp("", "modwatch-")
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	if o.ledger == "" {
		o.ledger = filepath.Join(dir, "ledger")
	}
	logFile, err := os.Create(filepath.Join(dir, "run.jsonl"))
	if err != nil {
		return s, err
	}
	defer logFile.Close()

	t, stop, err := newTrialFor(ctx, o, q, slog.New(slog.NewJSONHandler(logFile, nil)))
	if err != nil {
		return s, err
	}
	defer stop()
	b := newBoard(t.state)
	if out.listener != nil {
		t.served = "http://" + out.listener.Addr().String()
		defer serve(out.listener, b)()
		fmt.Fprintln(stderr, "modwatch:", t.served)
	}
	show(ctx, t, stdout, stderr)
	s, err = conclude(ctx, o, t, logFile.Name())
	b.finish(s)
	io.WriteString(stdout, text(s))
	if err := errors.Join(err, out.write(s)); err != nil {
		return s, err
	}
	if out.listener != nil {
		fmt.Fprintf(stderr, "modwatch: the report stays at %s until Ctrl-C\n", t.served)
		<-ctx.Done()
	}
	return s, nil
}

// conclude returns the last state of a run, with the summaries of its log and
// its ledger. The state is also valid with an error.
func conclude(ctx context.Context, o options, t *trial, logFile string) (state, error) {
	interrupted := ctx.Err() != nil
	ctx = context.WithoutCancel(ctx) // after Ctrl-C it still prints the report
	s := t.state()
	s.Done = true
	var err error
	if s.Log, err = readLog(ctx, logFile); err != nil {
		return s, err
	}
	if err := recordVerdicts(ctx, o.ledger, s.Verdicts); err != nil {
		return s, err
	}
	if o.tamper > 0 {
		if err := tamper(o.ledger, o.tamper); err != nil {
			return s, err
		}
	}
	if s.Ledger, err = verifyLedger(ctx, o.ledger); err != nil {
		return s, err
	}
	if interrupted {
		return s, errors.New("interrupted: the report covers what was answered until then")
	}
	if s.guarded().Answered == 0 {
		return s, errors.New("no question was answered: is the proxy reachable?")
	}
	return s, nil
}
