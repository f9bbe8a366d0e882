package detect

import (
	"bytes"
	"fmt"

	"github.com/redoubt-go/redoubt/logscan"
)

var errSSH = fmt.Errorf("%w: no sshd authentication message", logscan.ErrMalformed)

type sshAuth struct{}

// SSHAuth returns a parser for the login messages of OpenSSH. In a
// [logscan.Chain] it follows [logscan.Syslog]. It sets these fields:
//
//   - outcome: "failed", "accepted", or "invalid" for a user that does not
//     exist
//   - user: the user name, which the client chooses
//   - addr: the address or host name of the client, as text
//
// "PAM 2 more authentication failures" has the weight 2.
//
// A user name may imitate the rest of a message. The address is therefore the
// last address in the line that is followed by a port, a protocol and perhaps a
// colon with further text. Old versions write no port. After the colon, sshd
// also writes the key ID of a certificate, which the client can choose: a
// forged ID can still name a false address.
func SSHAuth() logscan.Parser { return sshAuth{} }

// heads are the beginnings of the messages, up to the user (auth.c and
// auth-pam.c of OpenSSH). After the first two come the method of authentication
// and "for".
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

// from divides USER from ADDR [port N [ssh2[: ...]]] at the last possible
// place. A user name, which comes before the address, may contain a whole
// message.
func from(b []byte) (user, addr []byte, ok bool) {
	first := bytes.Index(b, sep)
	for at := first; at >= 0; {
		after := at + len(sep)
		word, rest, _ := bytes.Cut(b[after:], space)
		if len(word) > 0 && tail(rest, at == first) {
			user, addr, ok = b[:at:at], word[:len(word):len(word)], true
		}
		i := bytes.Index(b[after-1:], sep) // " from from " contains two
		if at = after - 1 + i; i < 0 {
			break
		}
	}
	return user, addr, ok
}

var sep, space = []byte(" from "), []byte{' '}

// tail reports whether b is the text of sshd after an address. If only, the
// address is the first of the line: older versions write no port.
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

// pamMore reads N more authentication failures; ... rhost=ADDR user=USER.
// libpam writes it once for all failures of a connection after the first.
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
