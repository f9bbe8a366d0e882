package main

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/journal"
)

// An auto is a parser that recognizes the format of each line. It tries the
// format of the line before first. A line in no format has no fields.
type auto struct {
	names   []string
	parsers []logscan.Parser
	last    atomic.Int32
	strict  bool // the format was given
	times   logscan.TimeParser
}

// stamps are the names under which logs of JSON and logfmt have their time.
var stamps = []string{"time", "ts", "timestamp", "@timestamp", "t", "date", "eventTime"}

// newAuto returns a parser for the format, or for all formats.
func newAuto(format string, zone *time.Location) (*auto, error) {
	a := &auto{times: logscan.TimeParser{Location: zone}, strict: format != ""}
	a.names = []string{"journal", "json", "container", "clf", "syslog", "error", "cef", "logfmt"}
	switch {
	case format == "":
	case slices.Contains(a.names, format):
		a.names = []string{format}
	case strings.Contains(format, "<"):
		if _, err := logscan.Pattern(format); err != nil {
			return nil, err
		}
		a.names = []string{format}
	default:
		return nil, fmt.Errorf("-f is %s, want journal, json, container, clf, syslog, error, cef, logfmt, or a pattern with <fields>", quote.Text(format))
	}
	return a, nil
}

// use makes the parsers for a command that uses some fields. Without fields,
// all are kept.
func (a *auto) use(fields []string) {
	fields = slices.DeleteFunc(fields, func(f string) bool { return f == "" || slices.Contains(derived, f) })
	keys := fields
	if len(keys) > 0 {
		keys = append(slices.Clone(fields), stamps...)
	}
	for _, name := range a.names {
		var p logscan.Parser
		switch name {
		case "journal":
			p = journal.Parser(fields...)
		case "json":
			p = &stamped{logscan.JSON(keys...), a.times}
		case "container":
			p = logscan.ContainerLog()
		case "clf":
			p = logscan.CLF(a.times)
		case "syslog":
			p = logscan.Syslog(a.times)
		case "error":
			p = logscan.ErrorLog(a.times)
		case "cef":
			p = logscan.CEF()
		case "logfmt":
			p = pairs{&stamped{logscan.Logfmt(), a.times}, a.strict}
		default:
			p = &stamped{logscan.MustPattern(name), a.times}
		}
		a.parsers = append(a.parsers, p)
	}
}

// Parse implements logscan.Parser.
func (a *auto) Parse(r *logscan.Record) error {
	last := a.last.Load()
	if a.parsers[last].Parse(r) == nil {
		return nil
	}
	for i, p := range a.parsers {
		if int32(i) != last && p.Parse(r) == nil {
			a.last.Store(int32(i))
			return nil
		}
	}
	if a.strict {
		return logscan.ErrMalformed
	}
	return none.Parse(r)
}

// none is a parser that removes the fields of the others.
var none = logscan.MustPattern("<line>")

// A stamped parser sets the time from a field with a usual name.
type stamped struct {
	p logscan.Parser
	t logscan.TimeParser
}

// Parse implements logscan.Parser.
func (s *stamped) Parse(r *logscan.Record) error {
	if err := s.p.Parse(r); err != nil {
		return err
	}
	for _, name := range stamps {
		if v := r.Get(name); v != nil && s.t.Set(r, v) == nil {
			break
		}
	}
	return nil
}

// pairs is logfmt, whose parser accepts every text: without a given format, a
// line needs a value.
type pairs struct {
	p      logscan.Parser
	strict bool
}

// Parse implements logscan.Parser.
func (p pairs) Parse(r *logscan.Record) error {
	if err := p.p.Parse(r); err != nil || p.strict {
		return err
	}
	first, values := true, 0
	for _, v := range r.Fields() {
		if first && len(v) == 0 {
			return logscan.ErrMalformed
		}
		first = false
		if len(v) > 0 {
			values++
		}
	}
	if values == 0 {
		return logscan.ErrMalformed
	}
	return nil
}

// derived are the fields that every record has.
var derived = []string{"line", "source", "minute", "hour", "day"}

// value returns the value of a field, also of the derived fields.
func value(r *logscan.Record, field string) []byte {
	if v := r.Get(field); v != nil {
		return v
	}
	layout := ""
	switch field {
	case "line":
		return r.Line
	case "source":
		return []byte(r.Source)
	case "minute":
		layout = "2006-01-02T15:04Z07:00"
	case "hour":
		layout = "2006-01-02T15Z07:00"
	case "day":
		layout = "2006-01-02"
	}
	if layout == "" || r.Time().IsZero() {
		return nil
	}
	return r.Time().AppendFormat(nil, layout)
}
