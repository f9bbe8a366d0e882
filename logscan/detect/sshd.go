package detect

import (
	"bytes"
	"fmt"

	"github.com/redoubt-go/redoubt/logscan"
)

var errSSH = fmt.Errorf("%w: no sshd authentication message", logscan.ErrMalformed)

type sshAuth struct{}

// SSHAuth returns a parser for the messages of OpenSSH about logins; in a
// logscan.Chain it follows logscan.Syslog. The fields are outcome ("failed",
// "accepted" or "invalid", for a user who does not exist), user and addr, as text:
// a host name is not looked up. "PAM 2 more authentication failures" has weight 2.
//
// A user name is chosen by the attacker and may read like the rest of a message.
// Therefore the address is the last in the line after which only what sshd
// writes comes: a port, the protocol and what follows its colon.
func SSHAuth() logscan.Parser { return sshAuth{} }

// heads are what the messages begin with, before the user.
var heads = []struct{ head, outcome []byte }{
	{[]byte("Failed "), failed},
	{[]byte("Accepted "), []byte("accepted")},
	{[]byte("Invalid user "), []byte("invalid")},
	{[]byte("Illegal user "), []byte("invalid")},
	{[]byte("error: PAM: Authentication failure for "), failed},
}

var failed = []byte("failed")

// Parse implements logscan.Parser.
func (sshAuth) Parse(r *logscan.Record) error {
	if rest, ok := bytes.CutPrefix(r.Line, []byte("PAM ")); ok {
		return pamMore(r, rest)
	}
	for i, h := range heads {
		rest, ok := bytes.CutPrefix(r.Line, h.head)
		if !ok {
			continue
		}
		if i < 2 { // the method, a word, comes first
			method, after, ok := bytes.Cut(rest, []byte(" for "))
			if !ok || bytes.IndexByte(method, ' ') >= 0 {
				return errSSH
			}
			rest = after
		}
		rest = bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte("invalid user ")), []byte("illegal user "))
		user, addr, ok := from(rest)
		if !ok {
			return errSSH
		}
		r.Set("outcome", h.outcome)
		r.Set("user", user)
		r.Set("addr", addr)
		return nil
	}
	return errSSH
}

// from divides USER from ADDR [port N [ssh2[: ...]]] at the last place it can.
func from(b []byte) (user, addr []byte, ok bool) {
	sep := []byte(" from ")
	for end := len(b); ; {
		i := bytes.LastIndex(b[:end], sep)
		if i < 0 {
			return nil, nil, false
		}
		addr, rest, _ := bytes.Cut(b[i+len(sep):], []byte{' '})
		if len(addr) > 0 && tail(rest, i == bytes.Index(b, sep)) {
			return b[:i:i], addr[:len(addr):len(addr)], true
		}
		end = i
	}
}

// tail reports whether b is what sshd writes after an address. only says that
// the address is the first of the line: older versions write no port.
func tail(b []byte, only bool) bool {
	if len(b) == 0 {
		return only
	}
	b, ok := bytes.CutPrefix(b, []byte("port "))
	n := 0
	for n < len(b) && b[n]-'0' <= 9 {
		n++
	}
	if !ok || n == 0 || n > 5 {
		return false
	}
	b = b[n:]
	if len(b) == 0 || string(b) == " [preauth]" {
		return true
	}
	if len(b) < 5 || string(b[:4]) != " ssh" || b[4] != '1' && b[4] != '2' {
		return false
	}
	return len(b) == 5 || b[5] == ':' || string(b[5:]) == " [preauth]"
}

// pamMore reads N more authentication failures; ... rhost=ADDR  user=USER.
func pamMore(r *logscan.Record, b []byte) error {
	n, i := 0, 0
	for i < len(b) && i < 6 && b[i]-'0' <= 9 {
		n = n*10 + int(b[i]-'0')
		i++
	}
	rest, ok := bytes.CutPrefix(b[i:], []byte(" more authentication failure"))
	_, rest, found := bytes.Cut(rest, []byte(" rhost="))
	if n == 0 || !ok || !found {
		return errSSH
	}
	addr, rest, _ := bytes.Cut(rest, []byte{' '})
	user, _ := bytes.CutPrefix(bytes.TrimLeft(rest, " "), []byte("user="))
	if len(addr) == 0 {
		return errSSH
	}
	r.SetWeight(n)
	r.Set("outcome", failed)
	r.Set("user", user)
	r.Set("addr", addr[:len(addr):len(addr)])
	return nil
}
