package ratelimithttp

import (
	"net/http"
	"net/netip"
	"strings"
)

// maxHops bounds the number of addresses that are read from X-Forwarded-For,
// starting at the right.
const maxHops = 32

// ClientIP returns a function that finds the address of the client of a
// request. If the TCP peer is not a trusted proxy, the peer is the client.
// Otherwise the client is the last address in X-Forwarded-For that is not
// trusted. All lines of the field count as one list.
//
// If an address is malformed, or more than 32 are trusted, the last trusted
// address is the client, because a client can forge everything to its left.
// The result is invalid if the address of the peer is malformed.
func ClientIP(trusted ...netip.Prefix) func(*http.Request) netip.Addr {
	return func(r *http.Request) netip.Addr {
		addr := parseAddr(r.RemoteAddr)
		lines := r.Header["X-Forwarded-For"]
		for i, hops := len(lines)-1, 0; i >= 0; i-- {
			for line, more := lines[i], true; more; hops++ {
				if !contains(trusted, addr) || hops == maxHops {
					return addr
				}
				comma := strings.LastIndexByte(line, ',')
				hop := parseAddr(line[comma+1:])
				if !hop.IsValid() {
					return addr
				}
				addr = hop
				if more = comma >= 0; more {
					line = line[:comma]
				}
			}
		}
		return addr
	}
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parseAddr parses an address with or without a port, brackets, surrounding
// blanks and a zone. It returns an IPv4-mapped IPv6 address as IPv4.
func parseAddr(s string) netip.Addr {
	s = strings.Trim(s, " \t")
	if len(s) > 80 {
		return netip.Addr{}
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// nat64 is the prefix of IPv4 addresses behind a translator (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// IPKey returns the prefix that a client with the address a is counted under:
// v4 bits for IPv4, usually 32, and v6 bits for IPv6, usually 64. A number of
// bits out of range means the whole address. IPv4-mapped and NAT64 addresses
// count as IPv4, and the zone is left out. All invalid addresses share the zero
// Prefix, so that they are limited too.
func IPKey(a netip.Addr, v4, v6 int) netip.Prefix {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	bits := v6
	if a.Is4() {
		bits = v4
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
		p := IPKey(find(r), 32, 64)
		if !p.IsValid() {
			return "", true
		}
		b := p.Addr().As16() // distinguishes IPv4 from IPv6
		return string(b[:]), true
	}
}
