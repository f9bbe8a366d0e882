package main

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
	"github.com/redoubt-go/redoubt/logscan/follow"
	"github.com/redoubt-go/redoubt/logscan/sketch"
)

const (
	maxGroups = 10000 // values of -by that are told apart by quantile
	maxTop    = 20000 // candidates of top and count
)

var errSource = errors.New("-follow needs one file")

// records returns the records of the files, or of a file that grows.
func (c *call) records(s logscan.Scanner, files []string) (iter.Seq2[*logscan.Record, error], error) {
	if !c.follow {
		return s.Records(c.ctx, c.inputs(files)), nil
	}
	if len(files) != 1 {
		return nil, errSource
	}
	if _, err := os.Stat(files[0]); err != nil {
		return nil, err
	}
	f := follow.Follower{Scanner: s, Path: files[0], AtEnd: c.since.IsZero(), Since: c.since}
	return func(yield func(*logscan.Record, error) bool) {
		for rec, err := range f.Records(c.ctx) {
			if err == nil {
				c.out.Flush()
			}
			if !yield(rec.Record, err) {
				return
			}
		}
	}, nil
}

// where prints lines.
func where(c *call, args []string) (int, error) {
	files, conditions := args, []string(nil)
	if i := indexOf(args, "--"); i >= 0 {
		conditions, files = args[:i], args[i+1:]
	} else {
		conditions, files = splitConditions(args)
	}
	for _, text := range conditions {
		cond, err := parseCondition(text)
		if err != nil {
			return failed, err
		}
		c.conditions = append(c.conditions, cond)
	}
	if len(c.conditions) == 0 && c.since.IsZero() && c.until.IsZero() {
		return failed, errors.New("where needs a condition, such as level=ERROR")
	}
	var fields []string
	if !c.json {
		fields = []string{"line"} // only the fields of the conditions
		for _, cond := range c.conditions {
			fields = append(fields, cond.field)
		}
		if len(c.conditions) == 1 && c.conditions[0].op == "" && c.since.IsZero() && c.until.IsZero() {
			return c.grep(files)
		}
	}
	records, err := c.records(c.scannerOf(fields), files)
	if err != nil {
		return failed, err
	}
	return c.print(records, len(files) > 1)
}

// scannerOf is scanner; without JSON output, no other field is kept.
func (c *call) scannerOf(fields []string) logscan.Scanner {
	s := c.scanner(fields...)
	if c.json {
		c.auto.parsers = nil
		c.auto.use(nil)
	}
	return s
}

// grep prints the lines that contain a text. No line is parsed.
func (c *call) grep(files []string) (int, error) {
	s := logscan.Scanner{Require: []string{c.conditions[0].value}, Stats: &c.counters, Decoders: decoders()}
	if c.follow {
		records, err := c.records(s, files)
		if err != nil {
			return failed, err
		}
		return c.print(records, false)
	}
	named, status := len(files) > 1, nothing
	defer c.progress()()
	lines := logscan.Map(c.ctx, s, c.inputs(files), func(r *logscan.Record) (string, bool) {
		if named {
			return r.Source + ":" + string(r.Line) + "\n", true
		}
		return string(r.Line) + "\n", true
	})
	for line, err := range lines {
		if err != nil {
			if err := c.warn(err); err != nil {
				return failed, err
			}
			continue
		}
		status = found
		if _, err := c.out.WriteString(line); err != nil {
			return failed, err
		}
	}
	return status, nil
}

// print prints the wanted records.
func (c *call) print(records iter.Seq2[*logscan.Record, error], named bool) (int, error) {
	status := nothing
	for rec, err := range records {
		switch {
		case err != nil:
			if err := c.warn(err); err != nil {
				return status, err
			}
			continue
		case !c.wanted(rec):
			continue
		}
		status = found
		if err := c.printRecord(rec, named); err != nil {
			return failed, err
		}
	}
	return status, nil
}

func (c *call) printRecord(rec *logscan.Record, named bool) error {
	if c.json {
		var pairs []any
		if named {
			pairs = append(pairs, "source", rec.Source)
		}
		if t := rec.Time(); !t.IsZero() {
			pairs = append(pairs, "time", t.Format(time.RFC3339Nano))
		}
		n := len(pairs)
		for name, v := range rec.Fields() {
			if name != "time" {
				pairs = append(pairs, name, string(v))
			}
		}
		if len(pairs) == n {
			pairs = append(pairs, "line", string(rec.Line))
		}
		return c.object(pairs...)
	}
	if named {
		c.out.WriteString(rec.Source)
		c.out.WriteByte(':')
	}
	c.out.Write(rec.Line)
	err := c.out.WriteByte('\n')
	if c.follow {
		err = c.out.Flush()
	}
	return err
}

// splitConditions divides the arguments of where without "--": the arguments
// from the first that is a file on are files.
func splitConditions(args []string) (conditions, files []string) {
	for i, arg := range args {
		if i > 0 {
			if _, err := os.Stat(arg); err == nil {
				return args[:i], args[i:]
			}
		}
	}
	return args, nil
}

func indexOf(list []string, s string) int {
	for i, v := range list {
		if v == s {
			return i
		}
	}
	return -1
}

// A tally counts the values of a field.
type tally struct {
	c     *call
	top   *sketch.TopK
	n     uint64
	total uint64
}

func (t *tally) Add(r *logscan.Record) {
	if !t.c.wanted(r) {
		return
	}
	n := uint64(r.Weight())
	t.total += n
	if t.c.by == "" {
		return
	}
	if v := value(r, t.c.by); v != nil {
		t.top.Add(v, n)
		t.n += n
	}
}

func (t *tally) Merge(o *tally) error {
	t.n += o.n
	t.total += o.total
	return t.top.Merge(o.top)
}

// tally counts the values of -by.
func (c *call) tally(files []string) (*tally, error) {
	defer c.progress()()
	t, err := logscan.Reduce(c.ctx, c.scanner(c.by, "line"), c.inputs(noDashes(files)), func() *tally { return &tally{c: c, top: sketch.NewTopK(maxTop)} })
	return t, c.failures(err)
}

// count counts records.
func count(c *call, files []string) (int, error) {
	t, err := c.tally(files)
	if err != nil {
		return failed, err
	}
	if c.by != "" {
		return c.printTop(t, maxTop)
	}
	if c.json {
		err = c.object("count", t.total)
	} else {
		fmt.Fprintln(c.out, t.total)
	}
	if t.total == 0 {
		return nothing, err
	}
	return found, err
}

// top prints the most frequent values.
func top(c *call, files []string) (int, error) {
	if c.by == "" {
		return failed, errors.New("top needs -by FIELD; logscan fields lists the fields of a log")
	}
	if c.n < 1 {
		return failed, fmt.Errorf("-n is %d, want at least 1", c.n)
	}
	t, err := c.tally(files)
	if err != nil {
		return failed, err
	}
	return c.printTop(t, c.n)
}

// printTop prints the first values of a tally. Times are in their order.
func (c *call) printTop(t *tally, n int) (int, error) {
	items := t.top.Items()
	if t.n == 0 {
		return nothing, c.noField(c.by, t.total)
	}
	over := false
	items = items[:min(n, len(items))]
	for _, it := range items {
		over = over || it.Err > 0
	}
	if c.by == "minute" || c.by == "hour" || c.by == "day" {
		byKey(items)
	}
	var rows [][]string
	for _, it := range items {
		if c.json {
			if err := c.object(c.by, it.Key, "count", it.Count, "at_most_too_high", it.Err); err != nil {
				return failed, err
			}
			continue
		}
		row := []string{shown(it.Key), strconv.FormatUint(it.Count, 10)}
		if over {
			row = append(row, fmt.Sprintf("at most -%d", it.Err))
		}
		rows = append(rows, row)
	}
	c.table(rows)
	return found, nil
}

// noField reports that no record had a field, which is often a mistake.
func (c *call) noField(field string, records uint64) error {
	if records > 0 {
		fmt.Fprintf(c.err, "logscan: none of %d records has the field %s; logscan fields lists the fields\n", records, quote.Text(field))
	}
	return nil
}

func byKey(items []sketch.Item) {
	for i := 1; i < len(items); i++ {
		for j := i; j > 0 && items[j].Key < items[j-1].Key; j-- {
			items[j], items[j-1] = items[j-1], items[j]
		}
	}
}

// A spread estimates quantiles.
type spread struct {
	c       *call
	field   string
	q       *sketch.Quantiles
	records uint64
}

func (s *spread) Add(r *logscan.Record) {
	if !s.c.wanted(r) {
		return
	}
	s.records++
	v, ok := r.Float(s.field)
	if !ok {
		var d time.Duration
		if d, ok = r.Duration(s.field, time.Second); !ok {
			return
		}
		v = d.Seconds()
	}
	var key []byte
	if s.c.by != "" {
		if key = value(r, s.c.by); key == nil {
			return
		}
	}
	s.q.Add(key, v)
}

func (s *spread) Merge(o *spread) error {
	s.records += o.records
	return s.q.Merge(o.q)
}

// quantile prints quantiles of a field.
func quantile(c *call, args []string) (int, error) {
	if len(args) == 0 || args[0] == "--" {
		return failed, errors.New("quantile needs a FIELD, such as latency_ms")
	}
	field, files := args[0], noDashes(args[1:])
	stop := c.progress()
	s, err := logscan.Reduce(c.ctx, c.scanner(field, c.by), c.inputs(files), func() *spread {
		return &spread{c: c, field: field, q: sketch.NewQuantiles(maxGroups)}
	})
	stop()
	if err := c.failures(err); err != nil {
		return failed, err
	}
	head := []string{c.by, "count"} // the column without a name is empty
	for _, p := range c.percentiles {
		head = append(head, "p"+strconv.FormatFloat(p, 'f', -1, 64))
	}
	rows := [][]string{head}
	for key, q := range s.q.All() {
		pairs, row := []any{}, []string{shown(key), strconv.FormatUint(q.Count(), 10)}
		if c.by != "" {
			pairs = append(pairs, c.by, key)
		}
		pairs = append(pairs, "count", q.Count())
		for i, p := range c.percentiles {
			v := q.Value(p / 100)
			pairs = append(pairs, head[i+2], v)
			row = append(row, strconv.FormatFloat(v, 'g', 4, 64))
		}
		if rows = append(rows, row); c.json {
			if err := c.object(pairs...); err != nil {
				return failed, err
			}
		}
	}
	if len(rows) == 1 {
		return nothing, c.noField(field, s.records)
	}
	if !c.json {
		c.table(rows)
	}
	return found, nil
}

// parsePercentiles parses the value of -p.
func parsePercentiles(text string) (all []float64, err error) {
	for _, part := range strings.Split(text, ",") {
		p, err := strconv.ParseFloat(part, 64)
		if err != nil || p < 0 || p > 100 {
			return nil, fmt.Errorf("-p contains %s, want numbers from 0 to 100", quote.Text(part))
		}
		all = append(all, p)
	}
	return all, nil
}

// detectCommand prints keys with many events. Without -by and -where, the keys
// are the networks of failed logins at sshd.
func detectCommand(c *call, files []string) (int, error) {
	config := detect.Config{Limit: c.limit, Per: c.per}
	if err := config.Validate(); err != nil {
		return failed, err
	}
	s := c.scanner("line")
	by := c.by
	if by == "" {
		c.auto.parsers = nil
		c.auto.use(nil)
		s.Parser = logins{c.auto}
		by = "addr"
	} else {
		c.auto.parsers = nil
		s = c.scanner(by)
	}
	records, err := c.records(s, noDashes(files))
	if err != nil {
		return failed, err
	}
	w := detect.NewWindow[string](config)
	status := nothing
	for rec, err := range records {
		switch {
		case err != nil:
			if err := c.warn(err); err != nil {
				return status, err
			}
			continue
		case !c.wanted(rec), c.by == "" && !rec.Is("outcome", "failed"):
			continue
		}
		key := value(rec, by)
		if key == nil || rec.Time().IsZero() {
			continue
		}
		a, ok := w.Observe(rec.Time(), network(key), rec.Weight(), rec.Line)
		if !ok {
			continue
		}
		status = found
		if err := c.printAlert(by, a); err != nil {
			return failed, err
		}
	}
	return status, nil
}

// network returns the /64 of an IPv6 address, which a client has to itself, and
// every other key as it is.
func network(key []byte) string {
	addr, ok := detect.ParseAddr(key)
	if !ok || addr.Is4() {
		return string(key[:min(len(key), 256)])
	}
	return detect.Network(addr, 32, 64).String()
}

func (c *call) printAlert(by string, a detect.Alert[string]) error {
	first, last := a.First.Format(time.RFC3339), a.Last.Format(time.RFC3339)
	if c.json {
		return c.object(by, a.Key, "count", a.Count, "first", first, "last", last, "exact", a.Exact, "evidence", a.Evidence)
	}
	fmt.Fprintf(c.out, "%s  %d events from %s to %s\n", shown(a.Key), a.Count, first, last)
	if n := len(a.Evidence); n > 0 {
		fmt.Fprintf(c.out, "    %s\n", shown(a.Evidence[n-1]))
	}
	if c.follow {
		return c.out.Flush()
	}
	return nil
}

// logins is a parser for messages of sshd in any format with a message.
type logins struct{ p logscan.Parser }

// Parse implements logscan.Parser.
func (l logins) Parse(r *logscan.Record) error {
	if err := l.p.Parse(r); err != nil {
		return err
	}
	sub := logscan.Record{Line: r.Get("message")}
	if sub.Line == nil {
		sub.Line = r.Line
	}
	if err := sshd.Parse(&sub); err != nil {
		return err
	}
	for name, v := range sub.Fields() {
		r.Set(name, v)
	}
	if sub.Weight() > 1 {
		r.SetWeight(sub.Weight())
	}
	return nil
}

var sshd = detect.SSHAuth()

// A census collects the fields of a log.
type census struct {
	c       *call
	names   map[string]*example
	records uint64
	timed   uint64
}

type example struct {
	n    uint64
	text string
}

const maxNames = 1000

func (s *census) Add(r *logscan.Record) {
	if !s.c.wanted(r) {
		return
	}
	s.records++
	if !r.Time().IsZero() {
		s.timed++
	}
	for name, v := range r.Fields() {
		e := s.names[name]
		if e == nil {
			if len(s.names) == maxNames {
				continue
			}
			e = &example{text: quote.Cut(string(v))}
			s.names[name] = e
		}
		e.n++
	}
}

func (s *census) Merge(o *census) error {
	s.records += o.records
	s.timed += o.timed
	for name, e := range o.names {
		if mine := s.names[name]; mine != nil {
			mine.n += e.n
		} else if len(s.names) < maxNames {
			s.names[name] = e
		}
	}
	return nil
}

// listFields prints the fields of a log.
func listFields(c *call, files []string) (int, error) {
	stop := c.progress()
	c.auto.use(nil)
	scan := logscan.Scanner{Parser: c.auto, Stats: &c.counters, Decoders: decoders()}
	s, err := logscan.Reduce(c.ctx, scan, c.inputs(noDashes(files)), func() *census { return &census{c: c, names: map[string]*example{}} })
	stop()
	if err := c.failures(err); err != nil {
		return failed, err
	}
	var items []sketch.Item
	for name, e := range s.names {
		items = append(items, sketch.Item{Key: name, Count: e.n})
	}
	byKey(items)
	var rows [][]string
	for _, it := range items {
		text := s.names[it.Key].text
		if c.json {
			if err := c.object("field", it.Key, "count", it.Count, "example", text); err != nil {
				return failed, err
			}
			continue
		}
		rows = append(rows, []string{shown(it.Key) + "  " + shown(text), strconv.FormatUint(it.Count, 10)})
	}
	c.table(rows)
	if !c.json {
		fmt.Fprintf(c.err, "%d records, %d with a time\n", s.records, s.timed)
	}
	if len(items) == 0 {
		return nothing, nil
	}
	return found, nil
}
