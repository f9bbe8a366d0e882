// Rollout deploys twenty services to a platform that fails often. Each service
// ends in a version that works.
//
// It works on five services at a time. For each service, it asks a gate whether
// the version may be deployed, tests it in a temporary environment, deploys it,
// and waits until it is healthy. If the version does not become healthy, it
// restores the old version. A lock protects the rollout, and all services share
// a few sessions. A failure of a service does not stop the others.
//
//	go run ./examples/rollout                    about 1.5 s
//	go run ./examples/rollout -strategy replace  without canaries
//
// Read deploy.go first. platform.go is the platform; it listens on loopback and
// keeps everything in memory. Exit status:
//
//   - 0: every service runs a version that works;
//   - 1: a service may not, or the rollout could not start;
//   - 2: wrong usage;
//   - 3: with -strict, a service does not run the wanted version.
package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"

	"github.com/redoubt-go/redoubt/semver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

type options struct {
	strategy strategy
	plan     []change
	atOnce   int
	strict   bool
}

// run is the program without the exit. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "rollout:", oneLine(err))
		return 2
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(stderr, "rollout: no platform:", err)
		return 1
	}
	srv := &http.Server{Handler: newPlatform(o.plan)}
	go srv.Serve(l) // until Close
	defer srv.Close()
	return rollOut(ctx, o, newClient("http://"+l.Addr().String(), http.DefaultTransport), stdout, stderr)
}

// parse reads the flags and the plan. For -help it prints the usage and returns
// flag.ErrHelp.
func parse(args []string, stdout io.Writer) (o options, err error) {
	known, err := strategies()
	if err != nil {
		return o, err
	}
	flags := flag.NewFlagSet("rollout", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	strategy := flags.String("strategy", "canary", "how a service is replaced: "+strings.Join(known.names(), " or "))
	file := flags.String("plan", "", "deploy what this `file` says, lines of: service running wanted")
	flags.IntVar(&o.atOnce, "at-once", 5, "deploy `n` services at a time")
	flags.BoolVar(&o.strict, "strict", false, "exit with status 3 unless every service runs the version wanted")
	err = flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, "Rollout deploys services to a flaky platform on loopback, safely.\n\nFlags:")
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return o, err
	case err != nil:
		return o, fmt.Errorf("%w; see -help", err)
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q: rollout takes flags only, see -help", flags.Arg(0))
	case o.atOnce < 1:
		return o, fmt.Errorf("-at-once %d: must be 1 or more", o.atOnce)
	}
	if o.strategy, err = known.get(*strategy); err != nil {
		return o, fmt.Errorf("-strategy: %w", err)
	}
	text := plan
	if *file != "" {
		if text, err = os.ReadFile(*file); err != nil {
			return o, fmt.Errorf("-plan: %w", err)
		}
	}
	if o.plan, err = parsePlan(text); err != nil {
		return o, fmt.Errorf("-plan %s: %w", *file, err)
	}
	return o, nil
}

//go:embed plan.txt
var plan []byte

var serviceName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// parsePlan reads lines of three fields. It reports every malformed line.
func parsePlan(text []byte) (changes []change, err error) {
	seen := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 3 || !serviceName.MatchString(fields[0]) || seen[fields[0]] {
			err = errors.Join(err, fmt.Errorf("line %d: want a service not named before, its version and the one wanted", n))
			continue
		}
		from, fromErr := semver.Parse(fields[1])
		to, toErr := semver.Parse(fields[2])
		if e := errors.Join(fromErr, toErr); e != nil {
			err = errors.Join(err, fmt.Errorf("line %d: %w", n, e))
		}
		seen[fields[0]] = true
		changes = append(changes, change{fields[0], from, to})
	}
	if err = errors.Join(err, lines.Err()); err == nil && len(changes) == 0 {
		err = errors.New("no services in it")
	}
	return changes, err
}

// A registry contains the strategies by name. It is a value that functions
// receive, not a package variable in which packages register themselves. So a
// test has its own registry, and all strategies are listed in one place.
type registry map[string]strategy

func strategies() (registry, error) {
	r := registry{}
	return r, errors.Join(r.add("canary", canary), r.add("replace", replace))
}

func (r registry) add(name string, s strategy) error {
	if r[name] != nil {
		return fmt.Errorf("there are two strategies %q", name)
	}
	r[name] = s
	return nil
}

func (r registry) get(name string) (strategy, error) {
	if s := r[name]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("no strategy %q, but %s", name, strings.Join(r.names(), " and "))
}

func (r registry) names() []string { return slices.Sorted(maps.Keys(r)) }

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
