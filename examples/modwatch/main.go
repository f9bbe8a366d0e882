// Modwatch asks which of a project's Go modules are outdated or have a known advisory, politely and through a storm.
//
// It starts a module proxy on loopback that serves recorded version lists, lets a storm loose on it (slow answers, 503,
// 429, stalled and closed connections, all drawn from a seed), and asks it the same questions with two clients: a bare
// http.Client with a timeout, and one that goes through redoubt's cache, retry, breaker and ratelimit. It shows how the
// two come through, what is to be done about the modules, and what the run's log (read by logscan) and its
// tamper-evident ledger (written by audit) say.
//
//	go run ./examples/modwatch                        about 12 s, this repository's own modules
//	go run ./examples/modwatch -fast -seed 7          about 2 s, another storm
//	go run ./examples/modwatch -mod go.mod            another project's requirements, as far as they are recorded
//	go run ./examples/modwatch -live                  ask the proxy of GOPROXY instead: no storm, 5 requests a second
//	go run ./examples/modwatch -http 127.0.0.1:6060   watch it in a browser
//
// To read it as a tutorial begin with watch.go, where the guards are put together, and go on with verdict.go (semver),
// ledger.go (audit), runlog.go (logscan) and proxy.go (errors that tell the guards what to do).
//
// Exit status: 0 the report was made; 1 the question could not be answered, or the ledger does not verify; 2 wrong
// usage; 3 with -fail-on vuln, a vulnerable module was found.
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

// run is the whole program but for the exit: its status is what it returns.
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

// watch opens what the run needs, so that what cannot be had is told at once, and then runs.
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

// conclude makes the last state of a run, with what its log and its ledger say. The state is good with an error too.
func conclude(ctx context.Context, o options, t *trial, logFile string) (state, error) {
	interrupted := ctx.Err() != nil
	ctx = context.WithoutCancel(ctx) // after Ctrl-C the report so far is still due
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
