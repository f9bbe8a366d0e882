package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
	"github.com/redoubt-go/redoubt/logscan/follow"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// maxOffenders bounds the table of the report: an attacker with many networks
// must not fill the memory.
const maxOffenders = 10_000

// A watcher reads logins and decides. It uses the times of the log, so that an
// old log leads to the same decisions. Only the question whether a ban is still
// in force depends on the clock.
type watcher struct {
	options
	out       io.Writer
	failures  *detect.Window[netip.Prefix]
	names     *detect.Distinct[netip.Prefix]
	guessed   *detect.Sequence[netip.Prefix]
	logins    *ratelimit.Keyed[netip.Prefix] // an SSH server would ask it before each login
	log       *audit.Log
	offenders map[netip.Prefix]*offender
}

// An offender is a row of the report.
type offender struct {
	network netip.Prefix
	failed  int // known logins
	banned  int // of these, during a ban
	bans    int
	until   time.Time // the end of the last ban
	why     string    // and its reason
}

// newWatcher returns a watcher that records its decisions in sink.
func newWatcher(o options, sink audit.Sink, out io.Writer) *watcher {
	o.failures.Cooldown = o.ban // a banned network causes no further alert
	hour := detect.Config{Per: time.Hour, Cooldown: o.ban}
	names, guesses := hour, hour
	names.Limit, guesses.Limit = 10, 5
	return &watcher{
		options: o, out: out,
		failures: detect.NewWindow[netip.Prefix](o.failures),
		names:    detect.NewDistinct[netip.Prefix](names),
		guessed:  detect.NewSequence[netip.Prefix](guesses),
		// If there are too many bans, the ban that ends first is dropped. Other
		// networks must not inherit it.
		logins:    ratelimit.NewKeyed[netip.Prefix](ratelimit.KeyedConfig{Limit: ratelimit.PerSecond(1).WithBurst(30), OnFull: ratelimit.ForgiveDebt}),
		log:       audit.New(audit.Config{Sink: sink}),
		offenders: map[netip.Prefix]*offender{},
	}
}

// observe examines a login and reports whether it caused a decision.
func (w *watcher) observe(ctx context.Context, rec *logscan.Record) (decided bool, err error) {
	addr, ok := detect.ParseAddr(rec.Get("addr"))
	if !ok {
		return false, nil // a host name, which the owner of its DNS can change
	}
	network := detect.Network(addr, 32, 64) // an IPv6 host can use a whole /64
	at, n, user := rec.Time(), rec.Weight(), rec.Get("user")
	switch string(rec.Get("outcome")) {
	case "failed":
		if o := w.offenders[network]; o != nil {
			o.failed += n
			if at.Before(o.until) {
				o.banned += n
			}
		}
		w.guessed.Fail(at, network, n, rec.Line)
		if a, ok := w.failures.Observe(at, network, n, rec.Line); ok {
			decided, err = true, w.ban(ctx, at, a, fmt.Sprintf("%d failed logins", a.Count))
		}
		if a, ok := w.names.Observe(at, network, user, rec.Line); ok {
			decided, err = true, errors.Join(err, w.ban(ctx, at, a, fmt.Sprintf("%d user names", a.Count)))
		}
	case "accepted":
		if a, ok := w.guessed.Succeed(at, network, rec.Line); ok {
			decided, err = true, w.ban(ctx, at, a, fmt.Sprintf("let in as %.32q after %d failures", user, a.Count))
		}
	}
	return decided, err
}

// ban records a decision and then carries it out. A decision that cannot be
// recorded is not carried out.
func (w *watcher) ban(ctx context.Context, at time.Time, a detect.Alert[netip.Prefix], why string) error {
	until := at.Add(w.options.ban)
	err := w.log.Record(ctx, audit.Event{
		Action: "network.ban", Outcome: audit.Success, Reason: why,
		Target: audit.Target{Type: "network", ID: a.Key.String()},
		Attrs: []slog.Attr{
			slog.Time("first", a.First), slog.Time("last", at), slog.Time("until", until),
			slog.String("evidence", strings.Join(a.Evidence, "\n")),
		},
	})
	if err != nil {
		return err
	}
	w.enforce(a.Key, until)
	fmt.Fprintf(w.out, "%s  %v is banned for %v: %s since %s\n",
		at.Format(time.DateTime), a.Key, w.options.ban, why, a.First.Format(time.TimeOnly))
	for _, line := range a.Evidence[max(0, len(a.Evidence)-1):] { // the last; the ledger contains more
		fmt.Fprintf(w.out, "    %q\n", line) // quoted: the attacker chose a part of it
	}
	o := w.offenders[a.Key]
	if o == nil && len(w.offenders) < maxOffenders {
		o = &offender{network: a.Key, failed: a.Count}
		w.offenders[a.Key] = o
	}
	if o != nil {
		o.bans, o.until, o.why = o.bans+1, until, why
	}
	return nil
}

// enforce refuses a network for the rest of its ban, and at most for the length
// of a ban: the times of the log may be ahead of the clock.
func (w *watcher) enforce(network netip.Prefix, until time.Time) {
	w.logins.Penalize(network, min(time.Until(until), w.options.ban))
}

// restore enforces the bans of earlier runs, which it reads from the ledger,
// and returns their number.
func (w *watcher) restore(dir fs.FS) (n int, err error) {
	for rec, err := range ledger.Events(dir, 0) {
		if err != nil {
			return n, err
		}
		network, err := netip.ParsePrefix(rec.Event.Target.ID)
		if err != nil || rec.Event.Action != "network.ban" {
			continue
		}
		for _, attr := range rec.Event.Attrs {
			if until, err := time.Parse(time.RFC3339Nano, attr.Value.String()); err == nil && attr.Key == "until" && time.Until(until) > 0 {
				w.enforce(network, until)
				n++
			}
		}
	}
	return n, nil
}

// read handles all records of the logs.
func (w *watcher) read(ctx context.Context, sc logscan.Scanner) error {
	for rec, err := range sc.Records(ctx, w.input()) {
		if err == nil {
			_, err = w.observe(ctx, rec)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tail handles the records that are written to the log until ctx ends. It saves
// its position after each decision, so that no decision is made twice, and
// otherwise once a second. A restart resets the counts of the detectors.
func (w *watcher) tail(ctx context.Context, sc logscan.Scanner, stderr io.Writer) error {
	f := follow.Follower{Path: w.file, Scanner: sc}
	if _, err := os.Stat(w.file); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(stderr, "authwatch: waiting for %s, which does not exist yet\n", w.file)
	}
	if w.state != "" {
		switch place, err := follow.LoadCheckpoint(w.state); {
		case err == nil:
			f.From = &place
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	var saved time.Time
	for rec, err := range f.Records(ctx) {
		if ctx.Err() != nil {
			return nil // Ctrl-C is the normal end
		}
		if gap, ok := errors.AsType[*follow.GapError](err); ok {
			fmt.Fprintln(stderr, "authwatch:", gap)
			continue
		}
		if err != nil {
			return err
		}
		decided, err := w.observe(ctx, rec.Record)
		if err != nil {
			return err // the next run reads this record again
		}
		if w.state != "" && (decided || time.Since(saved) > time.Second) {
			saved = time.Now()
			if err := follow.SaveCheckpoint(w.state, rec.Checkpoint()); err != nil {
				return err
			}
		}
	}
	return nil
}

// watch opens the ledger, reads the log, and reports.
func watch(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	if o.ledger == "" {
		if o.ledger, err = os.MkdirTemp("", "authwatch-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.ledger)
	}
	led, err := ledger.Open(ctx, o.ledger, ledger.Config{Origin: "authwatch"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	w := newWatcher(o, led, stdout)
	dir := os.DirFS(o.ledger)
	if n, err := w.restore(dir); err != nil {
		return err
	} else if n > 0 {
		fmt.Fprintf(stdout, "bans of earlier runs that are still in force: %d\n", n)
	}
	var counters logscan.Counters
	times := logscan.TimeParser{Location: time.Local} // for times without a zone; a time without a year is the nearest to now
	sc := logscan.Scanner{
		Parser:  logscan.Chain(logscan.Syslog(times), detect.SSHAuth()),
		Require: []string{"sshd"}, // other lines are skipped without parsing
		Stats:   &counters,
	}
	signed := audit.WithActor(ctx, audit.Actor{ID: "authwatch", Type: "program"})
	if o.follow {
		err = w.tail(signed, sc, stderr)
	} else {
		err = w.read(signed, sc)
	}
	w.report()
	st := counters.Stats()
	fmt.Fprintf(stdout, "\nlog: %d lines, %d of them about logins, %d too far out of order to count\n", st.Records, st.Delivered, w.failures.Stats().Late)
	report, verifyErr := ledger.Verify(context.WithoutCancel(ctx), dir, ledger.VerifyConfig{})
	if verifyErr == nil {
		fmt.Fprintf(stdout, "ledger: %d records, root %v, verified\n", report.Records, report.Root)
	}
	return errors.Join(err, verifyErr)
}

// report prints the offenders, the worst first.
func (w *watcher) report() {
	if len(w.offenders) == 0 {
		fmt.Fprintln(w.out, "no new bans")
		return
	}
	tw := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\nNETWORK\tFAILED\tWHILE BANNED\tBANS\tLEFT\tWHY")
	for _, o := range slices.SortedFunc(maps.Values(w.offenders), func(a, b *offender) int {
		return cmp.Or(cmp.Compare(b.failed, a.failed), a.network.Compare(b.network))
	}) {
		left := "over"
		if d := w.logins.Take(o.network, 1); !d.OK {
			left = fmt.Sprintf("%.0f min", d.RetryAfter.Minutes())
		}
		fmt.Fprintf(tw, "%v\t%d\t%d\t%d\t%s\t%s\n", o.network, o.failed, o.banned, o.bans, left, o.why)
	}
	tw.Flush()
}
