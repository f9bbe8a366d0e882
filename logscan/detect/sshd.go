package detect

import (
	"bytes"
	"fmt"

	"github.com/redoubt-go/redoubt/logscan"
)

var errSSH = fmt.Errorf("%w: no sshd message about a client", logscan.ErrMalformed)

type sshAuth struct{}

// SSHAuth returns a parser for the messages in which OpenSSH names a client. In
// a [logscan.Chain] it follows [logscan.Syslog]. It sets these fields:
//
//   - outcome: see below
//   - user: the user name, if the message contains it; the client chooses it
//   - addr: the address or host name of the client, as text
//   - method: the method of authentication, if the message contains it
//
// The outcomes are:
//
//   - failed: a failed attempt to log in
//   - accepted: a login
//   - invalid: the user does not exist; the failed attempts follow
//   - refused: the configuration forbids this user or address to log in
//   - dropped: the connection ended without a login
//   - connected: a new connection, at LogLevel VERBOSE
//   - pam: a PAM module reports failures, which sshd reports as well
//
// To count each attempt once, count failed. A server that accepts only keys
// reports attempts as invalid and dropped. "PAM 2 more authentication failures"
// has the weight 2.
//
// The client chooses the user name and, in a certificate, the key ID. Both may
// imitate the rest of a message. SSHAuth follows the formats of sshd from both
// ends. A message that could name two addresses is malformed, so an addr is
// never chosen by the client.
//
// Source: auth.c, auth2.c, auth-pam.c, packet.c and sshd.c of OpenSSH 3 to 10.
func SSHAuth() logscan.Parser { return sshAuth{} }

// The outcomes.
var (
	failed    = []byte("failed")
	accepted  = []byte("accepted")
	invalid   = []byte("invalid")
	refused   = []byte("refused")
	dropped   = []byte("dropped")
	connected = []byte("connected")
	byPAM     = []byte("pam")
)

// A form is the format of messages that begin with head.
type form struct {
	head    string
	outcome []byte
	read    func(rest []byte) (message, bool)
}

// forms are the formats, by the first byte of the head.
var forms = func() (index [256][]form) {
	for _, f := range []form{
		{"Failed ", failed, readAttempt},
		{"Accepted ", accepted, readAttempt},
		{"Postponed ", connected, readAttempt},
		{"Partial ", connected, readAttempt},
		{"Invalid user ", invalid, readStranger},
		{"Illegal user ", invalid, readStranger},
		{"PAM: ", failed, readPam},
		{"User ", refused, readNotAllowed},
		{"ROOT LOGIN REFUSED FROM ", refused, readAddress},
		{"refused connect from ", refused, readWrapped},
		{"maximum authentication attempts exceeded for ", dropped, readExceeded},
		{"Disconnecting ", dropped, readEnded},
		{"Disconnected from ", dropped, readEnded},
		{"Connection closed by ", dropped, readEnded},
		{"Connection reset by ", dropped, readEnded},
		{"Received disconnect from ", dropped, readAddress},
		{"Did not receive identification string from ", dropped, readAddress},
		{"Bad protocol version identification ", dropped, readBanner},
		{"Timeout before authentication for connection from ", dropped, readAddress},
		{"Timeout before authentication for ", dropped, readAddress},
		{"Unable to negotiate with ", dropped, readAddress},
		{"banner exchange: Connection from ", dropped, readAddress},
		{"ssh_dispatch_run_fatal: Connection from ", dropped, readEnded},
		{"Connection from ", connected, readAddress},
		{"PAM ", byPAM, readPamMore},
		{"pam_", byPAM, readModule},
	} {
		index[f.head[0]] = append(index[f.head[0]], f)
	}
	return index
}()

// A message is the result of a form.
type message struct {
	user, addr, method []byte
	named              bool // there is a user
	weight             int
}

// Parse implements logscan.Parser.
func (sshAuth) Parse(r *logscan.Record) error {
	line := bytes.TrimRight(r.Line, " ")
	if rest, ok := bytes.CutPrefix(line, []byte("[ID ")); ok { // Solaris
		_, line, _ = bytes.Cut(rest, []byte("] "))
	}
	line = bytes.TrimPrefix(bytes.TrimPrefix(line, []byte("error: ")), []byte("fatal: "))
	if len(line) == 0 {
		return errSSH
	}
	for i := range forms[line[0]] {
		f := &forms[line[0]][i]
		if len(line) < len(f.head) || string(line[:len(f.head)]) != f.head {
			continue
		}
		m, ok := f.read(bytes.TrimSuffix(line[len(f.head):], []byte(" [preauth]")))
		if !ok {
			return errSSH
		}
		if m.weight > 0 {
			r.SetWeight(m.weight)
		}
		r.Set("outcome", f.outcome)
		if m.named {
			r.Set("user", m.user[:len(m.user):len(m.user)])
		}
		r.Set("addr", m.addr[:len(m.addr):len(m.addr)])
		if len(m.method) > 0 {
			r.Set("method", m.method[:len(m.method):len(m.method)])
		}
		return nil
	}
	return errSSH
}

var from, space = []byte(" from "), []byte{' '}

// readAttempt reads METHOD for [invalid user ]USER from ADDR port N ssh2[:
// INFO].
func readAttempt(b []byte) (m message, ok bool) {
	method, b, ok := bytes.Cut(b, []byte(" for "))
	if !ok || bytes.IndexByte(method, ' ') >= 0 {
		return m, false
	}
	b, unknown := cutInvalid(b)
	keyed := string(method) == "publickey" || string(method) == "hostbased"
	m, ok = split(b, from, unknown, func(rest []byte) bool {
		rest, _ = port(rest)
		if len(rest) == 0 {
			return true
		}
		n := 4 // " ssh", and a version in most releases
		if len(rest) < n || string(rest[:n]) != " ssh" {
			return false
		}
		for n < len(rest) && isDigit(rest[n]) {
			n++
		}
		info, ok := bytes.CutPrefix(rest[n:], []byte(": "))
		return len(rest) == n || ok && (!unknown || !keyed || keyInfo(info))
	})
	m.method = method
	return m, ok
}

// keyInfo reports whether b is a key as sshd writes it: TYPE FINGERPRINT, and
// of a certificate TYPE [FINGERPRINT ]ID ... (serial N) CA TYPE FINGERPRINT. A
// host key has further text after a comma.
func keyInfo(b []byte) bool {
	typ, rest, ok := bytes.Cut(b, space)
	if !ok || bytes.IndexByte(typ, ':') >= 0 {
		return false
	}
	word, more, _ := bytes.Cut(rest, space)
	if string(word) == "ID" {
		return true
	}
	if !fingerprint(bytes.TrimSuffix(word, []byte{','})) {
		return false
	}
	return len(more) == 0 || bytes.HasPrefix(more, []byte("ID ")) || bytes.HasSuffix(word, []byte{','})
}

// fingerprint reports whether b is HASH:TEXT, or the hexadecimal MD5 of old
// versions.
func fingerprint(b []byte) bool { return bytes.IndexByte(b, ':') > 0 && len(b) > 8 }

// readStranger reads USER from ADDR[ port N].
func readStranger(b []byte) (m message, ok bool) {
	return split(b, from, true, endsWithPort)
}

// readPam reads TEXT for [illegal user ]USER from ADDR[ via ADDR].
func readPam(b []byte) (m message, ok bool) {
	_, b, ok = bytes.Cut(b, []byte(" for "))
	if !ok {
		return m, false
	}
	b, unknown := cutInvalid(b)
	return split(b, from, unknown, func(rest []byte) bool {
		via, ok := bytes.CutPrefix(rest, []byte(" via "))
		return endsWithPort(rest) || ok && isAddr(via)
	})
}

// readNotAllowed reads USER from ADDR not allowed because REASON.
func readNotAllowed(b []byte) (m message, ok bool) {
	return split(b, from, false, func(rest []byte) bool {
		return bytes.HasPrefix(rest, []byte(" not allowed because "))
	})
}

// readExceeded reads [invalid user ]USER from ADDR port N[ ssh2].
func readExceeded(b []byte) (m message, ok bool) {
	b, unknown := cutInvalid(b)
	return split(b, from, unknown, func(rest []byte) bool {
		rest, ok := port(rest)
		return ok && (len(rest) == 0 || string(rest) == " ssh2")
	})
}

// readEnded reads [from ][[invalid|authenticating ]user USER ]ADDR port N[:
// REASON]. The reason may contain another name that the client has chosen.
func readEnded(b []byte) (m message, ok bool) {
	b = bytes.TrimPrefix(b, []byte("from "))
	for i, kind := range [...]string{"invalid user ", "authenticating user ", "user "} {
		rest, ok := bytes.CutPrefix(b, []byte(kind))
		if !ok {
			continue
		}
		return split(rest, space, i == 0, func(rest []byte) bool {
			rest, ok := port(rest)
			return ok && (len(rest) == 0 || rest[0] == ':')
		})
	}
	return readAddress(b)
}

// readAddress reads ADDR[ port N], and ignores the rest.
func readAddress(b []byte) (m message, ok bool) {
	n := 0
	for n < len(b) && addrByte(b[n]) {
		n++
	}
	for n > 0 && b[n-1] == ':' && (n == len(b) || b[n] == ' ') {
		n-- // a text follows
	}
	m.addr = b[:n]
	return m, isAddr(m.addr)
}

// readBanner reads 'TEXT' from ADDR[ port N]. The client chooses the text.
func readBanner(b []byte) (m message, ok bool) {
	m, ok = split(b, from, true, endsWithPort)
	m.named = false
	return m, ok
}

// readWrapped reads NAME (ADDR), of the TCP wrappers.
func readWrapped(b []byte) (m message, ok bool) {
	b, ok = bytes.CutSuffix(b, []byte{')'})
	m.addr = b[bytes.LastIndexByte(b, '(')+1:]
	return m, ok && len(m.addr) < len(b) && isAddr(m.addr)
}

// readPamMore reads N more authentication failures; ... rhost=ADDR user=USER.
// libpam writes it once for all failures of a connection after the first.
func readPamMore(b []byte) (m message, ok bool) {
	n, i := 0, 0
	for i < len(b) && i < 6 && isDigit(b[i]) {
		n = n*10 + int(b[i]-'0')
		i++
	}
	rest, ok := bytes.CutPrefix(b[i:], []byte(" more authentication failure"))
	if n == 0 || !ok {
		return m, false
	}
	m, ok = rhost(rest)
	m.weight = n
	return m, ok
}

// readModule reads pam_NAME(sshd:auth): authentication failure; ... rhost=ADDR.
func readModule(b []byte) (m message, ok bool) {
	_, rest, ok := bytes.Cut(b, []byte("(sshd:auth): authentication failure; "))
	if !ok {
		return m, false
	}
	return rhost(rest)
}

// rhost reads ... rhost=ADDR[ user=USER].
func rhost(b []byte) (m message, ok bool) {
	_, rest, _ := bytes.Cut(b, []byte(" rhost="))
	m.addr, rest, _ = bytes.Cut(rest, space)
	m.user, m.named = bytes.CutPrefix(bytes.TrimLeft(rest, " "), []byte("user="))
	return m, isAddr(m.addr)
}

// cutInvalid cuts the mark of a user that does not exist.
func cutInvalid(b []byte) (rest []byte, unknown bool) {
	for _, mark := range [...]string{"invalid user ", "illegal user "} {
		if rest, ok := bytes.CutPrefix(b, []byte(mark)); ok {
			return rest, true
		}
	}
	return b, false
}

// split divides USER, sep and ADDR where the text after ADDR is a tail. A user
// that exists seldom has a space in its name. A user that is unknown may have
// any name, also a whole message. Two places are no answer.
func split(b, sep []byte, unknown bool, tail func(rest []byte) bool) (m message, ok bool) {
	found := 0
	for at := bytes.Index(b, sep); at >= 0; {
		after := at + len(sep)
		n := after
		for n < len(b) && addrByte(b[n]) {
			n++
		}
		for n > after && b[n-1] == ':' { // of a text that follows
			n--
		}
		if isAddr(b[after:n]) && tail(b[n:]) {
			found++
			m.user, m.addr, m.named = b[:at], b[after:n], true
			if !unknown && bytes.IndexByte(m.user, ' ') < 0 {
				return m, true
			}
		}
		next := bytes.Index(b[at+1:], sep)
		if at += 1 + next; next < 0 {
			break
		}
	}
	return m, found == 1
}

// endsWithPort reports whether b is nothing, or a port and perhaps the address
// of the server.
func endsWithPort(b []byte) bool {
	b, _ = port(b)
	on, ok := bytes.CutPrefix(b, []byte(" on "))
	return len(b) == 0 || ok && isAddr(on)
}

// port cuts " port N" off b.
func port(b []byte) (rest []byte, ok bool) {
	digits, ok := bytes.CutPrefix(b, []byte(" port "))
	n := 0
	for n < len(digits) && n < 6 && isDigit(digits[n]) {
		n++
	}
	if !ok || n == 0 || n > 5 {
		return b, false
	}
	return digits[n:], true
}

// isAddr reports whether b may be an address or a host name. "UNKNOWN" is the
// host name of sshd for a peer without an address.
func isAddr(b []byte) bool {
	for _, c := range b {
		if !addrByte(c) {
			return false
		}
	}
	return len(b) > 0 && string(b) != "UNKNOWN"
}

func addrByte(c byte) bool {
	return isDigit(c) || c|0x20-'a' < 26 || c == '.' || c == ':' || c == '-' || c == '_' || c == '%'
}

func isDigit(c byte) bool { return c-'0' <= 9 }
