// Modwatch asks which of a project's Go modules are outdated or have a known advisory, politely and through a storm.
//
// It starts a module proxy on loopback that serves recorded version lists, lets a storm loose on it (slow answers, 503,
// 429, stalled and closed connections, all drawn from a seed), and asks it the same questions with two clients: a bare
// http.Client with a timeout, and one that goes through redoubt's cache, retry, breaker and ratelimit. Then it prints
// how the two came through, what is to be done about the modules, and what the run's log (read by logscan) and its
// tamper-evident ledger (written by audit) say.
//
//	go run ./examples/modwatch                  about 12 s, this repository's own modules
//	go run ./examples/modwatch -fast -seed 7    about 2 s, another storm
//	go run ./examples/modwatch -mod go.mod      another project's requirements, as far as they are recorded
//	go run ./examples/modwatch -live            ask the proxy of GOPROXY instead: no storm, 5 requests a second
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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

type options struct {
	fast, live         bool
	seed               uint64
	mod, storm, ledger string
	failOn             string
	tamper             int
}

// parse reads the flags. Its errors are one line each; for -help it prints the usage and returns flag.ErrHelp.
func parse(args []string, stdout io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("modwatch", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&o.fast, "fast", false, "run for about 2 s instead of 12")
	flags.BoolVar(&o.live, "live", false, "ask the proxy named by GOPROXY, without a storm, 5 times a second at most")
	flags.Uint64Var(&o.seed, "seed", 1, "draw the storm and the order of the questions from this `number`")
	flags.StringVar(&o.storm, "storm", "on", "let the storm loose: `on or off`")
	flags.StringVar(&o.mod, "mod", "", "ask about the requirements of this go.mod `file`")
	flags.StringVar(&o.ledger, "ledger", "", "keep the ledger in this `folder` instead of a temporary one")
	flags.IntVar(&o.tamper, "tamper", 0, "forge verdict `N` before the ledger is verified")
	flags.StringVar(&o.failOn, "fail-on", "", "`vuln`: exit with status 3 when a vulnerable module is found")
	err = flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, "Modwatch tells which Go modules are outdated or have a known advisory, asked through a storm.\n\nFlags:")
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return o, err
	case err != nil:
		return o, fmt.Errorf("%w; see -help", err)
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q: modwatch takes flags only, see -help", flags.Arg(0))
	case o.storm != "on" && o.storm != "off":
		return o, fmt.Errorf("-storm %q: must be on or off", o.storm)
	case o.failOn != "" && o.failOn != "vuln":
		return o, fmt.Errorf("-fail-on %q: must be vuln", o.failOn)
	case o.tamper < 0:
		return o, fmt.Errorf("-tamper %d: must be the number of a verdict, 1 or more", o.tamper)
	}
	return o, nil
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
	verdicts, err := watch(ctx, o, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "modwatch:", err)
		return 1
	}
	if o.failOn == "vuln" && slices.ContainsFunc(verdicts, verdict.vulnerable) {
		return 3
	}
	return 0
}

// watch asks, reports, records and verifies.
func watch(ctx context.Context, o options, stdout, stderr io.Writer) ([]verdict, error) {
	modules := ownModules()
	if o.mod != "" {
		var err error
		if modules, err = modulesOf(ctx, o.mod); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "modwatch-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	logFile, err := os.Create(filepath.Join(dir, "run.jsonl"))
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	log := slog.New(slog.NewJSONHandler(logFile, nil))

	var t *trial
	if o.live {
		t, err = liveTrial(ctx, modules, log)
	} else {
		var stop func()
		t, stop, err = loopbackTrial(o, modules, log)
		defer stop()
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(stdout, "modwatch: %d modules, asked %d times each over %v, seed %d\n", len(modules), t.rounds, t.total, o.seed)
	if t.storm != nil {
		fmt.Fprintln(stdout, "storm:", schedule(t.storm.phases))
	}
	t.run(ctx, o.seed, stderr)
	return report(ctx, o, t, dir, stdout)
}

// report prints all that a run has shown, and leaves the verdicts in the ledger.
func report(ctx context.Context, o options, t *trial, dir string, stdout io.Writer) ([]verdict, error) {
	interrupted := ctx.Err() != nil
	ctx = context.WithoutCancel(ctx) // after Ctrl-C the report so far is still due
	guard := t.guarded()
	verdicts := guard.verdicts(t.modules)
	fmt.Fprintln(stdout)
	t.printScores(stdout)
	fmt.Fprintln(stdout)
	printVerdicts(stdout, verdicts)
	fmt.Fprintln(stdout)
	if err := printLog(ctx, stdout, filepath.Join(dir, "run.jsonl")); err != nil {
		return nil, err
	}
	if o.ledger == "" {
		o.ledger = filepath.Join(dir, "ledger")
	}
	if err := recordVerdicts(ctx, o.ledger, verdicts); err != nil {
		return nil, err
	}
	if o.tamper > 0 {
		if err := tamper(o.ledger, o.tamper); err != nil {
			return nil, err
		}
	}
	if err := printLedger(ctx, stdout, o.ledger); err != nil {
		return nil, err
	}
	if interrupted {
		return nil, errors.New("interrupted: the report covers what was answered until then")
	}
	if _, answered := guard.score(); answered == 0 {
		return nil, errors.New("no question was answered: is the proxy reachable?")
	}
	return verdicts, nil
}
