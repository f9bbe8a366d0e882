package ratelimithttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// maxHops bounds the number of addresses that are read from a field, starting
// at the right.
const maxHops = 32

// ClientIP returns a function that finds the address of the client of a
// request. If the peer is not a trusted proxy, the peer is the client.
// Otherwise the client is the last address in X-Forwarded-For that is not
// trusted. All lines of the field count as one list.
//
// The zero Prefix trusts a peer without an IP address: a proxy that connects by
// a Unix socket. An IPv4-mapped IPv6 prefix counts as IPv4. ClientIP panics if
// another prefix is invalid.
//
// If an address is malformed, or more than 32 are trusted, the last trusted
// address is the client, because a client can forge everything to its left. The
// result is invalid if that is a peer without an IP address.
func ClientIP(trusted ...netip.Prefix) func(*http.Request) netip.Addr {
	return walker("X-Forwarded-For", trusted, func(line string) (rest string, hop netip.Addr, more bool) {
		comma := strings.LastIndexByte(line, ',')
		return line[:max(comma, 0)], parseAddr(line[comma+1:]), comma >= 0
	})
}

// ForwardedIP is [ClientIP] for proxies that set the Forwarded field (RFC 7239)
// in place of X-Forwarded-For. It reads the parameter "for". An unknown or
// obfuscated address is malformed.
func ForwardedIP(trusted ...netip.Prefix) func(*http.Request) netip.Addr {
	return walker("Forwarded", trusted, func(line string) (rest string, hop netip.Addr, more bool) {
		comma := lastComma(line)
		return line[:max(comma, 0)], forwardedFor(line[comma+1:]), comma >= 0
	})
}

// walker returns a function that goes through the list in a field from the
// right. last splits the last element off.
func walker(field string, trusted []netip.Prefix, last func(string) (string, netip.Addr, bool)) func(*http.Request) netip.Addr {
	prefixes, sockets := normal(trusted)
	trusts := func(a netip.Addr, peer string) bool {
		if !a.IsValid() {
			return sockets && (peer == "" || peer[0] == '@' || peer[0] == '/')
		}
		for _, p := range prefixes {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	return func(r *http.Request) netip.Addr {
		addr := parseAddr(r.RemoteAddr)
		lines := r.Header[field]
		for i, hops := len(lines)-1, 0; i >= 0; i-- {
			for line, more := lines[i], true; more; hops++ {
				if !trusts(addr, r.RemoteAddr) || hops == maxHops {
					return addr
				}
				var hop netip.Addr
				if line, hop, more = last(line); !hop.IsValid() {
					return addr
				}
				addr = hop
			}
		}
		return addr
	}
}

// normal returns prefixes with IPv4-mapped prefixes as IPv4, and whether the
// zero Prefix is among them.
func normal(prefixes []netip.Prefix) (all []netip.Prefix, zero bool) {
	for i, p := range prefixes {
		switch {
		case p == netip.Prefix{}:
			zero = true
			continue
		case !p.IsValid():
			panic(errors.New("ratelimithttp: trusted prefix " + fmt.Sprint(i) + " is invalid"))
		case p.Addr().Is4In6() && p.Bits() >= 96:
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		all = append(all, p)
	}
	return all, zero
}

// parseAddr parses an address with or without a port, brackets, surrounding
// blanks and a zone. It returns an IPv4-mapped IPv6 address as IPv4.
func parseAddr(s string) netip.Addr {
	s = strings.Trim(s, " \t")
	if len(s) > 80 {
		return netip.Addr{}
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plain(ap.Addr())
	}
	if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return plain(a)
}

// plain returns an IPv4-mapped IPv6 address as IPv4, and no zone.
func plain(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	return a.Unmap().WithZone("")
}

// lastComma returns the index of the last comma of s that is not quoted, or -1.
// It starts at the right, because a client may have forged the left.
func lastComma(s string) int {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == '"' && !escaped(s, i):
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return i
		}
	}
	return -1
}

// escaped reports whether an odd number of backslashes precedes s[i].
func escaped(s string, i int) bool {
	n := i - len(strings.TrimRight(s[:i], `\`))
	return n%2 == 1
}

// forwardedFor returns the address in the parameter "for" of an element of
// Forwarded. The address is invalid if the element is malformed.
func forwardedFor(s string) (addr netip.Addr) {
	for more := true; more; {
		s = strings.TrimLeft(s, " \t")
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			return netip.Addr{}
		}
		var value string
		if value, s, ok = forwardedValue(rest); !ok {
			return netip.Addr{}
		}
		if strings.EqualFold(name, "for") {
			if addr.IsValid() {
				return netip.Addr{} // twice
			}
			if addr = nodeAddr(value); !addr.IsValid() {
				return addr
			}
		}
		s = strings.TrimLeft(s, " \t")
		if more = s != ""; more {
			if s[0] != ';' {
				return netip.Addr{}
			}
			s = s[1:]
		}
	}
	return addr
}

// forwardedValue splits the token or quoted string off at the start of s.
func forwardedValue(s string) (value, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		i := strings.IndexAny(s, "; \t\"")
		if i < 0 {
			i = len(s)
		}
		return s[:i], s[i:], i > 0
	}
	for i := 1; i < len(s); i++ {
		if s[i] == '"' && !escaped(s, i) {
			return s[1:i], s[i+1:], true
		}
	}
	return "", "", false
}

// nodeAddr parses a node (RFC 7239, section 6), whose port may be obfuscated.
func nodeAddr(s string) netip.Addr {
	if end := strings.IndexByte(s, ']'); end > 0 && s[0] == '[' {
		if rest := s[end+1:]; rest != "" && rest[0] != ':' {
			return netip.Addr{}
		}
		return parseAddr(s[:end+1])
	}
	if strings.Count(s, ":") == 1 {
		s, _, _ = strings.Cut(s, ":")
	}
	return parseAddr(s)
}

// Prefixes by which IPv6 addresses contain IPv4 addresses: the last 32 bits
// (RFC 6052), or bits that the operator of a network selects (RFC 8215).
var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	nat64Local = netip.MustParsePrefix("64:ff9b:1::/48")
)

// IPKey returns the prefix that a client with the address a is counted under:
// v4 bits for IPv4, usually 32, and v6 bits for IPv6, usually 64. A number of
// bits out of range means the whole address.
//
// IPv4-mapped and NAT64 addresses (64:ff9b::/96) count as IPv4, and the zone is
// left out. Addresses of local NAT64 (64:ff9b:1::/48) are always counted as a
// whole, because each of them can be an IPv4 address. All invalid addresses
// share the zero Prefix, so that they are limited too.
func IPKey(a netip.Addr, v4, v6 int) netip.Prefix {
	a = plain(a)
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	bits := v6
	switch {
	case a.Is4():
		bits = v4
	case nat64Local.Contains(a):
		bits = 128
	}
	if bits < 0 || bits > a.BitLen() {
		bits = a.BitLen()
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// ByIP returns a function for Config.Key that limits all requests by the
// [IPKey], of 32 and 64 bits, of the address that find returns. See [ClientIP].
func ByIP(find func(*http.Request) netip.Addr) func(*http.Request) (string, bool) {
	return func(r *http.Request) (string, bool) {
		a := find(r)
		if a.Is4() { // the usual case
			b := a.As4()
			return string(b[:]), true
		}
		p := IPKey(a, 32, 64)
		if !p.IsValid() {
			return "", true
		}
		return string(p.Addr().AsSlice()), true // 4 bytes or 16
	}
}
