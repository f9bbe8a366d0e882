// Authwatch reads the log of an SSH server, finds who tries passwords, and bans them.
//
// Three detectors look at each login: too many failures of one network, too many user names tried from one, and a login
// that succeeds after many that failed. What they find becomes a ban, for as long as the attempt is recent enough; but
// first it becomes a record in a tamper-evident ledger, from which the bans are known again after a restart. The bans are
// those of a limiter that a server would ask; no firewall is touched.
//
//	go run ./examples/authwatch                            a log made up for the occasion
//	go run ./examples/authwatch -f /var/log/auth.log.2.gz  a real one, compressed or not
//	go run ./examples/authwatch -f /var/log/auth.log -follow -state place -ledger bans
//
// Read watch.go first. Exit status: 0 the log was read; 1 it could not be, or not to its end; 2 wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

type options struct {
	file          string // empty: one that is made up
	follow        bool
	state, ledger string
	seed          uint64
	failures      detect.Config // more from one network than this are an attack
	ban           time.Duration
}

// run is the whole program but for the exit: its status is what it returns.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "authwatch: %s; see -help\n", oneLine(err))
		return 2
	}
	if err := watch(ctx, o, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "authwatch:", oneLine(err))
		return 1
	}
	return 0
}

// parse reads the flags. For -help it prints the usage and returns flag.ErrHelp.
func parse(args []string, stdout io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("authwatch", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.file, "f", "", "read this `file`, compressed or not, instead of a log that is made up")
	flags.BoolVar(&o.follow, "follow", false, "go on reading what is written to the file, until Ctrl-C")
	flags.StringVar(&o.state, "state", "", "with -follow, keep the place in this `file` and go on from there")
	flags.StringVar(&o.ledger, "ledger", "", "keep the decisions in this `folder`, instead of a temporary one")
	flags.Uint64Var(&o.seed, "seed", 1, "make up the log from this `number`")
	flags.IntVar(&o.failures.Limit, "limit", 5, "put up with `n` failed logins of a network")
	flags.DurationVar(&o.failures.Per, "per", 10*time.Minute, "in this `time`")
	flags.DurationVar(&o.ban, "ban", time.Hour, "ban for this `time`")
	err = flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, "Authwatch finds who tries passwords on an SSH server. Without flags it makes up a log.\n\nFlags:")
		flags.SetOutput(stdout)
		flags.PrintDefaults()
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q: name the log with -f", flags.Arg(0))
	case o.follow && o.file == "":
		err = errors.New("-follow needs -f")
	case o.state != "" && !o.follow:
		err = errors.New("-state needs -follow")
	case o.ban <= 0:
		err = fmt.Errorf("-ban %v: must be more than nothing", o.ban)
	default:
		err = o.failures.Validate()
	}
	return o, err
}

// input is the log that is read to its end.
func (o options) input() logscan.Inputs {
	if o.file != "" {
		return logscan.Files(o.file)
	}
	return logscan.Readers("made up", strings.NewReader(sample(time.Now(), o.seed)))
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
