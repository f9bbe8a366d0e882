package logscan

import (
	"bytes"
	"fmt"
)

var (
	errSyslog     = fmt.Errorf("%w: syslog", ErrMalformed)
	errSyslogTime = fmt.Errorf("%w: syslog: time", ErrMalformed)
)

type syslogParser struct{ t TimeParser }

// Syslog returns a parser for syslog lines of RFC 5424 and RFC 3164. The latter
// may be as syslogd writes them to files: with or without <PRI>, and with a
// time of RFC 3339. t reads the times; its zero value means UTC and the latest
// year that Input.ModTime allows.
//
// The fields are host, app, pid and message and, if the line has them, pri,
// msgid and data (the structured data, verbatim). [Record.Time] returns the
// time. A "-" of RFC 5424 does not set a field. The message "message repeated 3
// times: [ text]" becomes text, with a [Record.Weight] of 3.
func Syslog(t TimeParser) Parser { return &syslogParser{t} }

// Parse implements Parser.
func (p *syslogParser) Parse(r *Record) error {
	r.reset()
	b := r.Line
	if len(b) > 0 && b[0] == '<' {
		end := bytes.IndexByte(b, '>')
		pri, rest, ok := leadingDigits(b[1:], max(end-1, 0))
		if end < 2 || end > 4 || !ok || pri > 191 {
			return errSyslog
		}
		r.Set("pri", b[1:end:end])
		b = rest[1:]
		if len(b) > 2 && b[0] == '1' && b[1] == ' ' {
			return p.rfc5424(r, b[2:])
		}
	}
	return p.rfc3164(r, b)
}

// rfc3164 reads TIME HOST APP[PID]: MESSAGE.
func (p *syslogParser) rfc3164(r *Record, b []byte) error {
	var stamp []byte
	if len(b) > 0 && digit(b[0]) {
		stamp, b, _ = bytes.Cut(b, space)
	} else {
		stamp, b = stampOf(b)
	}
	if p.t.Set(r, stamp) != nil {
		return errSyslogTime
	}
	host, b, ok := bytes.Cut(b, space)
	if !ok || len(host) == 0 {
		return errSyslog
	}
	r.Set("host", host[:len(host):len(host)])
	setMessage(r, tag(r, b))
	return nil
}

var space = []byte{' '}

// stampOf cuts "Jan _2 15:04:05 " off b.
func stampOf(b []byte) (stamp, rest []byte) {
	for spaces, i := 0, 0; i < len(b) && i < 32; i++ {
		if b[i] != ' ' || i > 0 && b[i-1] == ' ' {
			continue
		}
		if spaces++; spaces == 3 {
			return b[:i], b[i+1:]
		}
	}
	return nil, b
}

// tag sets the fields of APP[PID]: and returns the rest. A message may lack a
// tag.
func tag(r *Record, b []byte) []byte {
	i := bytes.IndexAny(b, " [:")
	if i <= 0 || b[i] == ' ' {
		return b
	}
	app, pid, rest := b[:i:i], []byte(nil), b[i:]
	if rest[0] == '[' {
		end := bytes.IndexByte(rest, ']')
		if end < 0 {
			return b
		}
		pid, rest = rest[1:end:end], rest[end+1:]
	}
	rest, ok := cutByte(rest, ':')
	if !ok {
		return b
	}
	r.Set("app", app)
	if len(pid) > 0 {
		r.Set("pid", pid)
	}
	rest, _ = cutByte(rest, ' ')
	return rest
}

// rfc5424 reads TIME HOST APP PID MSGID DATA [MESSAGE].
func (p *syslogParser) rfc5424(r *Record, b []byte) error {
	stamp, b, _ := bytes.Cut(b, space)
	if string(stamp) != "-" && p.t.Set(r, stamp) != nil {
		return errSyslogTime
	}
	for _, name := range [...]string{"host", "app", "pid", "msgid"} {
		v, rest, ok := bytes.Cut(b, space)
		if !ok || len(v) == 0 {
			return errSyslog
		}
		if b = rest; string(v) != "-" {
			r.Set(name, v[:len(v):len(v)])
		}
	}
	n := structured(b)
	if n == 0 || n < len(b) && b[n] != ' ' {
		return errSyslog
	}
	if b[0] != '-' {
		r.Set("data", b[:n:n])
	}
	if n < len(b) {
		setMessage(r, bytes.TrimPrefix(b[n+1:], []byte(bom)))
	}
	return nil
}

// structured returns the length of the structured data at the beginning of b,
// or 0 if it is incomplete. A ] within quotes does not end an element, nor does
// an escaped ].
func structured(b []byte) int {
	if len(b) > 0 && b[0] == '-' {
		return 1
	}
	n, inside, quoted := 0, false, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case inside && c == '"':
			quoted = !quoted
		case quoted:
		case inside && c == ']':
			inside, n = false, i+1
		case !inside && c == '[':
			inside = true
		case !inside:
			return n
		}
	}
	if inside {
		return 0
	}
	return n
}

// setMessage sets the message and the weight.
func setMessage(r *Record, b []byte) {
	text, n := b, 0
	if rest, ok := bytes.CutPrefix(b, []byte("message repeated ")); ok {
		n, rest = count(rest)
		rest, ok = bytes.CutPrefix(rest, []byte(" times: ["))
		if inner, closed := bytes.CutSuffix(rest, []byte("]")); n > 0 && ok && closed {
			text, _ = cutByte(inner, ' ')
			r.SetWeight(n)
		}
	}
	r.Set("message", text[:len(text):len(text)])
}

// count reads a number of up to nine digits.
func count(b []byte) (n int, rest []byte) {
	i := 0
	for i < len(b) && i < 9 && digit(b[i]) {
		n = n*10 + int(b[i]-'0')
		i++
	}
	return n, b[i:]
}
