package logscan

import (
	"bytes"
	"fmt"
)

var errErrorLog = fmt.Errorf("%w: error log", ErrMalformed)

type errorLogParser struct{ t TimeParser }

// ErrorLog returns a parser for the error logs of Apache and nginx:
//
//	[Wed Oct 11 14:32:52 2000] [core:error] [pid 7] [client 1.2.3.4:5] text
//	2000/10/11 14:32:52 [error] 7#8: *9 text, client: 1.2.3.4, server: x
//
// The fields are level, message and, if the line has them, pid, tid, addr (the
// client, without its port) and module. [Record.Time] returns the time. The
// message is the whole text: a client chooses parts of it, and may imitate
// "client:". Of nginx, addr is therefore set only if the text has a single
// ", client: ".
func ErrorLog(t TimeParser) Parser { return &errorLogParser{t} }

// Parse implements Parser.
func (p *errorLogParser) Parse(r *Record) error {
	r.reset()
	if len(r.Line) > 0 && r.Line[0] == '[' {
		return p.apache(r)
	}
	return p.nginx(r)
}

func (p *errorLogParser) apache(r *Record) error {
	stamp, b, ok := bytes.Cut(r.Line[1:], []byte("] "))
	if !ok || p.t.Set(r, stamp) != nil {
		return errErrorLog
	}
	for n := 0; len(b) > 0 && b[0] == '['; n++ {
		item, rest, ok := bytes.Cut(b[1:], []byte("] "))
		if !ok {
			break
		}
		name, value, _ := bytes.Cut(item, space)
		switch {
		case n == 0: // level, or module:level
			module, level, found := bytes.Cut(item, []byte{':'})
			if !found {
				module, level = nil, item
			}
			if len(module) > 0 {
				r.Set("module", module[:len(module):len(module)])
			}
			r.Set("level", level[:len(level):len(level)])
		case string(name) == "pid":
			pid, tid, _ := bytes.Cut(value, []byte(":tid "))
			r.Set("pid", pid[:len(pid):len(pid)])
			if len(tid) > 0 {
				r.Set("tid", tid[:len(tid):len(tid)])
			}
		case string(name) == "client" || string(name) == "remote":
			// Apache 2.4 writes a port behind every address, also
			// of IPv6.
			if i := bytes.LastIndexByte(value, ':'); i > 0 && (r.Get("pid") != nil || bytes.Count(value, []byte{':'}) == 1) {
				value = value[:i]
			}
			value = bytes.Trim(value, "[]")
			r.Set("addr", value[:len(value):len(value)])
			r.Set("message", rest[:len(rest):len(rest)]) // the client chooses parts of the rest
			return nil
		default:
			r.Set("message", b[:len(b):len(b)])
			return nil
		}
		b = rest
	}
	r.Set("message", b[:len(b):len(b)])
	return nil
}

func (p *errorLogParser) nginx(r *Record) error {
	b := r.Line
	if len(b) < 20 || b[19] != ' ' || p.t.Set(r, b[:19]) != nil {
		return errErrorLog
	}
	level, rest, ok := bytes.Cut(b[20:], []byte("] "))
	if !ok || len(level) < 2 || level[0] != '[' {
		return errErrorLog
	}
	r.Set("level", level[1:len(level):len(level)])
	id, message, ok := bytes.Cut(rest, []byte(": "))
	if !ok {
		return errErrorLog
	}
	pid, tid, ok := bytes.Cut(id, []byte{'#'})
	if !ok {
		return errErrorLog
	}
	r.Set("pid", pid[:len(pid):len(pid)])
	r.Set("tid", tid[:len(tid):len(tid)])
	r.Set("message", message[:len(message):len(message)])
	mark := []byte(", client: ")
	if i := bytes.Index(message, mark); i >= 0 && i == bytes.LastIndex(message, mark) {
		addr, _, _ := bytes.Cut(message[i+len(mark):], []byte{','})
		r.Set("addr", addr[:len(addr):len(addr)])
	}
	return nil
}
