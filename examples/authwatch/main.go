// Authwatch reads the log of an SSH server, finds attackers who guess
// passwords, and bans them.
//
// Three detectors examine each login: too many failures of a network, too many
// user names from a network, and a success after many failures. A finding is
// first recorded in a tamper-evident ledger, and then becomes a ban if it is
// recent. After a restart the program reads the bans from the ledger. A ban is
// an entry in a rate limiter that a server would ask. No firewall is changed.
//
//	go run ./examples/authwatch                            a generated log
//	go run ./examples/authwatch -f /var/log/auth.log.2.gz  a real log
//	go run ./examples/authwatch -f auth.log -follow -state place -ledger bans
//
// Read watch.go first. Exit status: 0 if the log was read, 1 if it could not be
// read to its end, 2 for wrong usage.
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
	file          string // empty: a generated log
	follow        bool
	state, ledger string
	seed          uint64
	failures      detect.Config // more failures of a network are an attack
	ban           time.Duration
}

// run is the program without the exit. It returns the exit status.
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

// parse reads the flags. For -help it prints the usage and returns
// flag.ErrHelp.
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

// input returns the log that is read to its end.
func (o options) input() logscan.Inputs {
	if o.file != "" {
		return logscan.Files(o.file)
	}
	return logscan.Readers("made up", strings.NewReader(sample(time.Now(), o.seed)))
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
