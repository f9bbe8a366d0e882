package detect

import (
	"bytes"
	"net/netip"
)

// ParseAddr returns the IP address in b. It accepts the text that
// [netip.ParseAddr] accepts, without allocating. An IPv4 address mapped to IPv6
// is returned as IPv4 and a zone is dropped, so that a host is a single key. A
// host name is not an address, nor is 192.030.0.6.
func ParseAddr(b []byte) (netip.Addr, bool) {
	if bytes.IndexByte(b, ':') < 0 {
		if a, ok := parse4(b); ok {
			return netip.AddrFrom4(a), true
		}
		return netip.Addr{}, false
	}
	b, zone, hasZone := bytes.Cut(b, []byte{'%'})
	if hasZone && len(zone) == 0 {
		return netip.Addr{}, false
	}
	if a, ok := parse6(b); ok {
		return netip.AddrFrom16(a).Unmap(), true
	}
	return netip.Addr{}, false
}

// Network returns the network of a: the first v4 bits of an IPv4 address, the
// first v6 bits of an IPv6 address. Common values are 32 and 64. If a is not
// valid or the bits are out of range, Network returns the zero Prefix.
func Network(a netip.Addr, v4, v6 int) netip.Prefix {
	bits := v6
	if a = a.Unmap(); a.Is4() {
		bits = v4
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// parse4 reads 192.0.2.1: four numbers up to 255. It refuses leading zeros,
// which some systems read as octal.
func parse4(b []byte) (a [4]byte, ok bool) {
	for i := range a {
		n, digits := 0, 0
		for digits < len(b) && digits < 4 && b[digits]-'0' <= 9 {
			n = n*10 + int(b[digits]-'0')
			digits++
		}
		if digits == 0 || n > 255 || digits > 1 && b[0] == '0' {
			return a, false
		}
		a[i], b = byte(n), b[digits:]
		if i < 3 {
			if len(b) == 0 || b[0] != '.' {
				return a, false
			}
			b = b[1:]
		}
	}
	return a, len(b) == 0
}

// parse6 reads 2001:db8::1 and ::ffff:192.0.2.1 (RFC 4291, section 2.2). Groups
// have up to four digits. There may be a gap of one or more groups, and an IPv4
// address in place of the last two groups.
func parse6(b []byte) (a [16]byte, ok bool) {
	i, gap := 0, -1
	if bytes.HasPrefix(b, []byte("::")) {
		gap, b = 0, b[2:]
	}
	for len(b) > 0 {
		if i == 16 {
			return a, false
		}
		n, digits := hex16(b)
		if digits < len(b) && b[digits] == '.' {
			v4, ok := parse4(b)
			if !ok || i > 12 || i < 12 && gap < 0 {
				return a, false
			}
			copy(a[i:], v4[:])
			i, b = i+4, nil
			break
		}
		if digits == 0 {
			return a, false
		}
		a[i], a[i+1] = byte(n>>8), byte(n)
		i, b = i+2, b[digits:]
		if len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return a, false
		}
		if b = b[1:]; b[0] == ':' {
			if gap >= 0 {
				return a, false
			}
			gap, b = i, b[1:]
		}
	}
	return spread(a, i, gap)
}

// hex16 reads up to four hexadecimal digits.
func hex16(b []byte) (n, digits int) {
	for digits < len(b) && digits < 4 {
		d := bytes.IndexByte([]byte("0123456789abcdef"), b[digits]|0x20&-(b[digits]>>6))
		if d < 0 {
			break
		}
		n = n<<4 | d
		digits++
	}
	return n, digits
}

// spread moves the groups behind the gap of :: to the end. n bytes have been
// read.
func spread(a [16]byte, n, gap int) ([16]byte, bool) {
	if gap < 0 || n == 16 {
		return a, gap < 0 && n == 16
	}
	var all [16]byte
	copy(all[:], a[:gap])
	copy(all[16-(n-gap):], a[gap:n])
	return all, true
}
