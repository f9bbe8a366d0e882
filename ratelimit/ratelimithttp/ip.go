package ratelimithttp

import (
	"net/http"
	"net/netip"
	"strings"
)

// maxHops bounds how many addresses of X-Forwarded-For are read, from the right.
const maxHops = 32

// ClientIP returns a function that finds the address of the client of a request. That is the TCP peer unless it is one
// of the trusted proxies; then it is the last address in X-Forwarded-For that is not. All lines of the field
// count as one. An address that cannot be read, or more than 32 trusted ones, make the last trusted hop the client: what
// is further to the left may be made up. The result is not valid if the peer is unknown.
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

// parseAddr reads an address with or without port, brackets, blanks around and a zone. An IPv4 address in IPv6 form
// becomes IPv4.
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

// IPKey returns the prefix of a under which it should be counted, of v4 bits for IPv4 and v6 bits for IPv6; usual are 32
// and 64. Numbers out of range count as the whole address. IPv4 in IPv6 form and behind NAT64 counts as IPv4, and a zone
// is left out. All addresses that are not valid have the zero Prefix: one key, so that they are limited too.
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

// ByIP returns a function for Config.Key that limits all requests, by the [IPKey] of 32 and 64 bits of what find returns:
// see [ClientIP].
func ByIP(find func(*http.Request) netip.Addr) func(*http.Request) (string, bool) {
	return func(r *http.Request) (string, bool) {
		p := IPKey(find(r), 32, 64)
		if !p.IsValid() {
			return "", true
		}
		b := p.Addr().As16() // keeps IPv4 and IPv6 apart
		return string(b[:]), true
	}
}
