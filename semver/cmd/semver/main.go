package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/semver"
)

// The exit statuses.
const (
	yes    = 0
	no     = 1
	failed = 2
)

func main() {
	// Without a signal handler an interrupt ends a read from a terminal.
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// A command is a row of the table of commands.
type command struct {
	name    string
	args    string // the arguments, for the help
	summary string
	setup   func(*call) func(args []string) (int, error) // defines flags and returns the work
}

// commands returns the table of commands in the order of the help.
func commands() []command {
	return []command{
		{"valid", "[VERSION...]", "print the versions that are well formed", valid},
		{"compare", "A [OP] B", "print -1, 0 or 1; with OP (lt le eq ne ge gt) only exit 0 or 1", compare},
		{"diff", "A B", "print the part that differs: major, minor, patch, pre, build or same", diff},
		{"sort", "[VERSION...]", "print the versions in ascending order", sorted},
		{"filter", "[VERSION...]", "print the versions that pass every rule", filter},
		{"max", "[VERSION...]", "print the highest version that passes every rule", highest},
		{"min", "[VERSION...]", "print the lowest version that passes every rule", lowest},
		{"gate", "[VERSION...]", "print for each version whether it passes, and otherwise every reason", gate},
		{"why", "RANGE VERSION...", "explain why a version is in a range or not, in every dialect", why},
		{"bump", "PART [VERSION...]", "print the next major, minor, patch, pre or release version", bump},
		{"range", "OP RANGE...", "set operations: show and or not minus, subset equal overlaps, least", ranges},
		{"osv", "FILE...", "print the vulnerable versions of each OSV record", osv},
	}
}

// A call is a single execution of a command.
type call struct {
	ctx    context.Context
	name   string
	flags  *flag.FlagSet
	in     *bufio.Reader
	out    *bufio.Writer
	err    io.Writer
	failed bool // an error was printed

	json    bool
	format  *template.Template // how print prints a version, nil: as it was written
	skip    bool
	input   input
	dialect semver.Dialect
	pre     semver.Prereleases
}

// run is main without the process. It returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &call{ctx: ctx, in: bufio.NewReaderSize(stdin, maxLine), out: bufio.NewWriter(stdout), err: stderr}
	if len(args) == 0 {
		help(stderr)
		return failed
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		return c.help(args)
	}
	cmd, ok := find(name)
	if !ok {
		fmt.Fprintf(stderr, "semver: no command %s%s; semver help lists the commands\n", quote.Text(name), suggestion(name))
		return failed
	}
	status, err := c.do(cmd, args)
	if errors.Is(err, flag.ErrHelp) {
		c.describe(cmd)
		status, err = yes, nil
	}
	if e := c.out.Flush(); e != nil && err == nil {
		err = e
	}
	if err != nil {
		c.complain(err)
	}
	if c.failed {
		return failed
	}
	return status
}

// do defines the flags of the command, parses them and does the work.
func (c *call) do(cmd command, args []string) (int, error) {
	c.name = cmd.name
	c.flags = flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	c.flags.SetOutput(io.Discard)
	c.flags.BoolVar(&c.json, "json", false, "print JSON, an object per line")
	work := cmd.setup(c)
	args, err := c.parseFlags(args)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return yes, err
		}
		return failed, fmt.Errorf("%w; semver help %s lists the flags", err, cmd.name)
	}
	if err := c.input.check(); err != nil {
		return failed, err
	}
	return work(args)
}

// parseFlags parses flags before, between and after arguments, up to "--". No
// argument of a command begins with a hyphen.
func (c *call) parseFlags(args []string) (rest []string, err error) {
	for {
		if err := c.flags.Parse(args); err != nil {
			return nil, err
		}
		left := c.flags.Args()
		if n := len(args) - len(left); len(left) == 0 || n > 0 && args[n-1] == "--" {
			return append(rest, left...), nil
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

// usage returns the error for a wrong number or kind of arguments.
func (c *call) usage(format string, args ...any) error {
	cmd, _ := find(c.name)
	return fmt.Errorf("%s; usage: semver %s [FLAGS] %s", fmt.Sprintf(format, args...), cmd.name, cmd.args)
}

// complain prints an error on a line of standard error.
func (c *call) complain(err error) {
	c.failed = true
	fmt.Fprintf(c.err, "semver %s: %s\n", c.name, plain(err))
}

// plain returns the text of err on a single line and without the prefix of the
// package.
func plain(err error) string {
	return strings.ReplaceAll(strings.ReplaceAll(err.Error(), "\n", "; "), "semver: ", "")
}

// printJSON prints a value as a line of JSON.
func (c *call) printJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// find returns the command with a name.
func find(name string) (command, bool) {
	for _, cmd := range commands() {
		if cmd.name == name {
			return cmd, true
		}
	}
	return command{}, false
}

// suggestion returns a hint for the names of other tools and for npm's flags.
func suggestion(name string) string {
	other := map[string]string{
		"validate": "valid", "check": "gate", "satisfies": "filter", "find": "max", "latest": "max", "inc": "bump",
		"next": "bump", "up": "bump", "get": "valid -json", "cmp": "compare", "test": "gate", "explain": "why",
		"intersect": "range and", "union": "range or", "subset": "range subset", "vuln": "osv",
		"-r": "filter -range", "--range": "filter -range", "-i": "bump", "--increment": "bump", "-c": "valid -mode coerce",
	}[name]
	if _, err := semver.AllowV.Parse(name); err == nil {
		other = "valid " + name
	}
	if other == "" {
		return ""
	}
	return ", perhaps semver " + other
}

// help prints the help of a command, or of all commands.
func (c *call) help(args []string) int {
	if len(args) == 0 {
		help(c.out)
	} else if cmd, ok := find(args[0]); ok {
		if _, err := c.do(cmd, []string{"-h"}); errors.Is(err, flag.ErrHelp) {
			c.describe(cmd)
		}
	} else {
		fmt.Fprintf(c.err, "semver help: no command %s\n", quote.Text(args[0]))
		return failed
	}
	if c.out.Flush() != nil {
		return failed
	}
	return yes
}

// describe prints the help of a command.
func (c *call) describe(cmd command) {
	fmt.Fprintf(c.out, "usage: semver %s [FLAGS] %s\n\n%s\n\nflags:\n", cmd.name, cmd.args, cmd.summary)
	c.flags.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		fmt.Fprintf(c.out, "  %-20s %s\n", strings.TrimSpace("-"+f.Name+" "+value), text)
	})
}

// help prints the help of all commands.
func help(w io.Writer) {
	fmt.Fprint(w, "usage: semver COMMAND [FLAGS] [ARGUMENT...]\n\ncommands:\n")
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  %-26s %s\n", cmd.name+" "+cmd.args, cmd.summary)
	}
	fmt.Fprint(w, `
Versions are arguments, or else lines of standard input, and are printed as they
were written. semver help COMMAND lists the flags.

  -mode MODE       how a version is written: v (the default: 1.2.3 or v1.2.3),
                   strict, tolerant, tag (v1.2.3, 1.27, 1.27rc1), go (go1.26rc2),
                   coerce (the first version in a text)
  -dialect NAME    how a range is written: npm (the default), cargo, helm,
                   terraform, terraform-provider
  -json            print JSON, an object per line
  -format TEMPLATE print a text made of the parts: {{.Major}}.{{.Minor}}

examples:
  git tag | semver max -skip -stable | semver bump minor
  semver gate -range '^1.4' -stable -from v1.4.1 -step minor v1.5.0
  semver filter -osv advisory.json < versions
  semver why '>=1.19' v1.34.1-eks-3025e55
  semver range subset '^1.4' '>=1.3 <2'

exit status: 0 yes, 1 no, 2 not understood: a line on standard error has the
reason. A line that is no version is an error; -skip leaves it out.
`)
}

// sign returns the order of a and b by precedence, or by total order.
func sign(a, b semver.Version, total bool) int {
	if total {
		return a.CompareTotal(b)
	}
	return a.Compare(b)
}
