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

// heads are what the messages begin with, before the user (auth.c and auth-pam.c
// of OpenSSH). The first two have the method of authentication and "for" in between.
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

// from divides USER from ADDR [port N [ssh2[: ...]]] at the last place it can:
// what sshd writes after the address cannot be chosen, but whatever comes before, a user
// name, may hold a whole message of its own.
func from(b []byte) (user, addr []byte, ok bool) {
	first := bytes.Index(b, sep)
	for at := first; at >= 0; {
		after := at + len(sep)
		word, rest, _ := bytes.Cut(b[after:], space)
		if len(word) > 0 && tail(rest, at == first) {
			user, addr, ok = b[:at:at], word[:len(word):len(word)], true
		}
		i := bytes.Index(b[after-1:], sep) // " from from " is two
		if at = after - 1 + i; i < 0 {
			break
		}
	}
	return user, addr, ok
}

var sep, space = []byte(" from "), []byte{' '}

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

// pamMore reads N more authentication failures; ... rhost=ADDR  user=USER, which
// libpam writes once for all failures of a connection after the first.
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
