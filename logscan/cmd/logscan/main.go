package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/journal"
)

// The exit statuses.
const (
	found   = 0
	nothing = 1
	failed  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// A command is a row of the table of commands.
type command struct {
	name    string
	args    string
	summary string
	work    func(*call, []string) (int, error)
}

func commands() []command {
	return []command{
		{"where", "[CONDITION...] [-- FILE...]", "print the lines that fulfil all conditions", where},
		{"count", "[FILE...]", "count records, with -by for each value of a field", count},
		{"top", "[FILE...]", "print the most frequent values of a field", top},
		{"quantile", "FIELD [FILE...]", "print quantiles of a number, with -by for each value of a field", quantile},
		{"detect", "[FILE...]", "print the keys with many events in a short time, such as failed logins", detectCommand},
		{"fields", "[FILE...]", "print the fields of a log, with an example each", listFields},
	}
}

// A call is a single execution of a command.
type call struct {
	ctx         context.Context
	in          io.Reader
	out         *bufio.Writer
	err         io.Writer
	terminal    bool // of err
	failed      bool // an error was printed
	counters    logscan.Counters
	auto        *auto
	conditions  []condition
	since       time.Time
	until       time.Time
	zone        *time.Location
	by          string
	n           int
	json        bool
	follow      bool
	format      string
	limit       int
	per         time.Duration
	percentiles []float64
}

// run is main without the process. It returns the exit status.
func run(ctx context.Context, args []string, in io.Reader, out, stderr io.Writer) int {
	c := &call{ctx: ctx, in: in, out: bufio.NewWriter(out), err: stderr, terminal: isTerminal(stderr), zone: time.UTC}
	if len(args) == 0 {
		help(stderr)
		return failed
	}
	name, args := args[0], args[1:]
	if slices.Contains([]string{"help", "-h", "-help", "--help"}, name) {
		help(out)
		return found
	}
	i := slices.IndexFunc(commands(), func(cmd command) bool { return cmd.name == name })
	if i < 0 {
		fmt.Fprintf(stderr, "logscan: no command %s; logscan help lists the commands\n", quote.Text(name))
		return failed
	}
	cmd := commands()[i]
	status, err := c.do(cmd, args)
	if e := c.out.Flush(); err == nil {
		err = e
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return found
	case err != nil && !errors.Is(err, context.Canceled):
		c.complain(err)
	}
	if c.failed {
		return failed
	}
	return status
}

func help(w io.Writer) {
	fmt.Fprintln(w, "usage: logscan COMMAND [FLAGS] [FILE...]")
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  %-9s %s\n", cmd.name, cmd.summary)
	}
	fmt.Fprintln(w, "logscan COMMAND -h lists the flags of a command.")
}

// complain prints an error.
func (c *call) complain(err error) {
	fmt.Fprintf(c.err, "logscan: %s\n", strings.TrimPrefix(err.Error(), "logscan: "))
	c.failed = true
}

// conditionFlag collects the values of -where.
type conditionFlag struct{ c *call }

func (f conditionFlag) String() string { return "" }

func (f conditionFlag) Set(text string) error {
	cond, err := parseCondition(text)
	f.c.conditions = append(f.c.conditions, cond)
	return err
}

// do parses the flags and does the work.
func (c *call) do(cmd command, args []string) (int, error) {
	flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	flags.SetOutput(c.err)
	flags.Usage = func() {
		fmt.Fprintf(c.err, "usage: logscan %s [FLAGS] %s\n%s\n", cmd.name, cmd.args, cmd.summary)
		flags.PrintDefaults()
	}
	var since, until, zone, percentiles string
	flags.Var(conditionFlag{c}, "where", "a `condition`, such as status>=500, path~^/api, or a text; may be repeated")
	flags.StringVar(&since, "since", "", "no records before this `time`, or duration before now")
	flags.StringVar(&until, "until", "", "no records at this `time` or later")
	flags.StringVar(&zone, "tz", "UTC", "the `zone` of times without a zone, such as Local or Europe/Berlin")
	flags.StringVar(&c.format, "f", "", "the `format`: journal, json, container, clf, syslog, error, cef, logfmt, or a pattern; default: recognized")
	flags.BoolVar(&c.json, "json", false, "print JSON, an object per line")
	if cmd.name != "where" && cmd.name != "fields" {
		flags.StringVar(&c.by, "by", "", "the `field` to group by")
	}
	switch cmd.name {
	case "top":
		flags.IntVar(&c.n, "n", 10, "the `number` of values")
	case "quantile":
		flags.StringVar(&percentiles, "p", "50,90,99,100", "the `percentiles`")
	case "detect":
		flags.IntVar(&c.limit, "limit", 5, "the number of tolerated `events`")
		flags.DurationVar(&c.per, "per", 10*time.Minute, "the length of the `window`")
	}
	if cmd.name == "detect" || cmd.name == "where" {
		flags.BoolVar(&c.follow, "follow", false, "go on with lines that are written to the file, also after its rotation")
	}
	files, err := parse(flags, args)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return found, err
		}
		c.failed = true // package flag has printed it
		return failed, nil
	}
	for text, t := range map[string]*time.Time{since: &c.since, until: &c.until} {
		if err := parseTime(text, t); err != nil {
			return failed, err
		}
	}
	if c.zone, err = time.LoadLocation(zone); err != nil {
		return failed, fmt.Errorf("-tz is %s, want a time zone such as Europe/Berlin", quote.Text(zone))
	}
	if c.percentiles, err = parsePercentiles(cmp.Or(percentiles, "50")); err != nil {
		return failed, err
	}
	if c.auto, err = newAuto(c.format, c.zone); err != nil {
		return failed, err
	}
	return cmd.work(c, files)
}

// parse parses flags before, between and after the other arguments. The
// arguments behind "--" are files.
func parse(flags *flag.FlagSet, args []string) (rest []string, err error) {
	var files []string
	if i := slices.Index(args, "--"); i >= 0 {
		files = append([]string{"--"}, args[i+1:]...)
		args = args[:i]
	}
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return append(rest, files...), nil
		}
		rest = append(rest, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// noDashes returns the files in the arguments of a command.
func noDashes(args []string) []string {
	return slices.DeleteFunc(args, func(s string) bool { return s == "--" })
}

// parseTime parses a time, or a duration before now.
func parseTime(text string, t *time.Time) error {
	if text == "" {
		return nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		*t = time.Now().Add(-d.Abs())
		return nil
	}
	var p logscan.TimeParser
	at, err := p.Parse([]byte(text))
	if err != nil {
		return fmt.Errorf("time %s, want a time such as 2026-03-01T12:00:00Z, or a duration before now such as 2h", quote.Text(text))
	}
	*t = at
	return nil
}

// scanner returns the scanner for a command that uses the fields. Without
// fields, all fields are kept.
func (c *call) scanner(fields ...string) logscan.Scanner {
	for _, cond := range c.conditions {
		fields = append(fields, cond.field)
	}
	c.auto.use(fields)
	s := logscan.Scanner{Parser: c.auto, Stats: &c.counters, Decoders: decoders()}
	for _, cond := range c.conditions {
		if cond.op == "" {
			s.Require = []string{cond.value} // the others are looked at later
			break
		}
	}
	return s
}

// decoders unpack zstd and xz by the programs of these names, if there are any.
func decoders() (all []logscan.Decoder) {
	for name, magic := range map[string]string{"zstd": "\x28\xb5\x2f\xfd", "xz": "\xfd7zXZ\x00"} {
		if path, err := exec.LookPath(name); err == nil {
			all = append(all, logscan.Decoder{Name: name, Magic: magic, New: func(r io.Reader) (io.ReadCloser, error) {
				cmd := exec.Command(path, "-dcq")
				cmd.Stdin = r
				out, err := cmd.StdoutPipe()
				if err != nil {
					return nil, err
				}
				return &program{out, cmd}, cmd.Start()
			}})
		}
	}
	return append(all, journal.Export(), logscan.JSONArray("Records"))
}

// A program is the output of a decoder that is a program.
type program struct {
	io.ReadCloser
	cmd *exec.Cmd
}

// Read returns the error of the program in place of io.EOF.
func (p *program) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	if err == io.EOF {
		if e := p.cmd.Wait(); e != nil {
			err = e
		}
	}
	return n, err
}

// Close ends the program.
func (p *program) Close() error {
	_ = p.cmd.Process.Kill() // an error means that it has ended
	_ = p.cmd.Wait()         // it was killed
	return nil
}

// inputs returns the inputs for the files.
func (c *call) inputs(files []string) logscan.Inputs {
	if len(files) == 0 {
		return logscan.Readers("-", c.in)
	}
	return func(yield func(logscan.Input, error) bool) {
		for _, file := range files {
			info, err := os.Stat(file)
			in := logscan.Files(file)
			switch {
			case err != nil:
				if !yield(logscan.Input{Name: file}, err) {
					return
				}
				continue
			case info.IsDir():
				in = within(file)
			}
			for input, err := range in {
				if !yield(input, err) {
					return
				}
			}
		}
	}
}

// within returns the files of a folder under their paths.
func within(dir string) logscan.Inputs {
	return func(yield func(logscan.Input, error) bool) {
		for input, err := range logscan.Walk(os.DirFS(dir), nil) {
			input.Name = filepath.Join(dir, filepath.FromSlash(input.Name))
			if !yield(input, err) {
				return
			}
		}
	}
}

// wanted reports whether a record fulfils all conditions.
func (c *call) wanted(r *logscan.Record) bool {
	if t := r.Time(); !c.since.IsZero() && t.Before(c.since) || !c.until.IsZero() && !t.Before(c.until) {
		return false
	}
	for i := range c.conditions {
		if !c.conditions[i].holds(r) {
			return false
		}
	}
	return true
}

// progress shows how much was read, if the scan takes long and standard error
// is a terminal.
func (c *call) progress() (stop func()) {
	if !c.terminal {
		return func() {}
	}
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		begin, shown := time.Now(), false
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				if shown {
					fmt.Fprint(c.err, "\r\x1b[K")
				}
				return
			case <-tick.C:
				if s := c.counters.Stats(); time.Since(begin) > 2*time.Second {
					shown = true
					fmt.Fprintf(c.err, "\r%d files, %s, %d lines\x1b[K", s.Inputs, bytesText(s.DecodedBytes), s.Records)
				}
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

func bytesText(n uint64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if n < 10<<10 {
			return fmt.Sprintf("%d %s", n, unit)
		}
		n >>= 10
	}
	return fmt.Sprintf("%d TiB", n)
}

// isTerminal reports whether w is a terminal, where progress makes sense.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0
}

// object prints fields as a JSON object on a line.
func (c *call) object(pairs ...any) error {
	c.out.WriteByte('{')
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			c.out.WriteByte(',')
		}
		key, err := json.Marshal(pairs[i])
		if err != nil {
			return err
		}
		value, err := json.Marshal(pairs[i+1])
		if err != nil {
			return err
		}
		c.out.Write(key)
		c.out.WriteByte(':')
		c.out.Write(value)
	}
	_, err := c.out.WriteString("}\n")
	return err
}

// table prints rows in columns. The first column is text, and the others are
// aligned to the right.
func (c *call) table(rows [][]string) {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		for i := 1; i < len(row); i++ {
			fmt.Fprintf(c.out, "%*s  ", width[i], row[i])
		}
		c.out.WriteString(row[0])
		c.out.WriteByte('\n')
	}
}

// shown returns text from a log for a terminal.
func shown(s string) string {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0xfffd {
			return fmt.Sprintf("%q", s)
		}
	}
	return s
}

// warn reports an error of an input that does not end the scan, and returns
// every other error.
func (c *call) warn(err error) error {
	var in *logscan.InputError
	if err == nil || !errors.As(err, &in) {
		return err
	}
	c.complain(err)
	return nil
}

// failures reports the errors that Reduce has joined.
func (c *call) failures(err error) error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range all.Unwrap() {
			if err := c.warn(e); err != nil {
				return err
			}
		}
		return nil
	}
	return c.warn(err)
}
