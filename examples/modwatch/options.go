package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
)

type options struct {
	fast, live                               bool
	seed                                     uint64
	mod, osv, storm, ledger, html, svg, http string
	failOn                                   string
	attempts, tamper                         int
}

const usage = `Modwatch reports which Go modules are outdated or have a known advisory. It asks a module proxy in a storm of
failures, with a bare http.Client, with three attempts and with redoubt, and shows the difference.

  modwatch                        this repository's modules, recorded, through a storm; about 12 s, no network
  modwatch -fast -seed 7          another storm, in about 2 s
  modwatch -mod path/to/go.mod    another project's requirements, as far as they are recorded
  modwatch -live -mod go.mod      ask the proxy of GOPROXY instead: no storm, 5 requests a second
  modwatch -html report.html      write the report as a page; -svg only its picture
  modwatch -http 127.0.0.1:6060   watch it in a browser, or with curl

Exit status: 0 the report was made; 1 the question could not be answered, or the ledger does not verify;
2 wrong usage; 3 with -fail-on vuln, a vulnerable module was found.

Flags:
`

// parse reads the flags. Its errors have a single line. For -help it prints the
// usage and returns flag.ErrHelp.
func parse(args []string, stdout io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("modwatch", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&o.fast, "fast", false, "run for about 2 s instead of 12")
	flags.BoolVar(&o.live, "live", false, "ask the proxy named by GOPROXY, without a storm, 5 times a second at most")
	flags.Uint64Var(&o.seed, "seed", 1, "draw the storm and the order of the questions from this `number`")
	flags.IntVar(&o.attempts, "attempts", 3, "let the second client ask up to `N` times")
	flags.StringVar(&o.storm, "storm", "on", "let the storm loose: `on or off`")
	flags.StringVar(&o.mod, "mod", "", "ask about the requirements of this go.mod `file`")
	flags.StringVar(&o.osv, "osv", "", "take the advisories from the OSV records in this `folder`, instead of a small built-in table")
	flags.StringVar(&o.html, "html", "", "write the report to this `file`, as a page")
	flags.StringVar(&o.svg, "svg", "", "write the timelines to this `file`, as a picture")
	flags.StringVar(&o.http, "http", "", "serve the report at this `address` while it is made, and after that until Ctrl-C")
	flags.StringVar(&o.ledger, "ledger", "", "keep the ledger in this `folder` instead of a temporary one")
	flags.IntVar(&o.tamper, "tamper", 0, "forge verdict `N` before the ledger is verified")
	flags.StringVar(&o.failOn, "fail-on", "", "`vuln`: exit with status 3 when a vulnerable module is found")
	err = flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		io.WriteString(stdout, usage)
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return o, err
	case err != nil:
		return o, fmt.Errorf("%w; see -help", err)
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q: modwatch takes flags only, see -help", flags.Arg(0))
	}
	return o, o.check()
}

// check returns an error for a wrong value.
func (o options) check() error {
	if o.http != "" {
		if _, _, err := net.SplitHostPort(o.http); err != nil {
			return fmt.Errorf("-http %q: must be an address such as 127.0.0.1:6060", o.http)
		}
	}
	switch {
	case o.storm != "on" && o.storm != "off":
		return fmt.Errorf("-storm %q: must be on or off", o.storm)
	case o.failOn != "" && o.failOn != "vuln":
		return fmt.Errorf("-fail-on %q: must be vuln", o.failOn)
	case o.attempts < 1:
		return fmt.Errorf("-attempts %d: must be 1 or more", o.attempts)
	case o.tamper < 0:
		return fmt.Errorf("-tamper %d: must be the number of a verdict, 1 or more", o.tamper)
	}
	return nil
}
