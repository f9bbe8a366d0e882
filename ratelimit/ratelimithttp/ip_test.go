package ratelimithttp_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
)

func TestIPKey(t *testing.T) {
	tests := []struct{ addr, want string }{
		{"192.0.2.1", "192.0.2.1/32"},
		{"::ffff:192.0.2.1", "192.0.2.1/32"},
		{"64:ff9b::c000:201", "192.0.2.1/32"},
		{"64:ff9b:1::c000:201", "64:ff9b:1::c000:201/128"},
		{"64:ff9b:1:c000:2:100::", "64:ff9b:1:c000:2:100::/128"},
		{"64:ff9b:2::c000:201", "64:ff9b:2::/64"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"fe80::1%eth0", "fe80::/64"},
	}
	for _, tt := range tests {
		if got := ratelimithttp.IPKey(netip.MustParseAddr(tt.addr), 32, 64).String(); got != tt.want {
			t.Errorf("IPKey(%s) = %s, want %s", tt.addr, got, tt.want)
		}
	}
	a := netip.MustParseAddr("2001:db8:1:2:3:4:5:6")
	if got := ratelimithttp.IPKey(a, -1, 56); got.String() != "2001:db8:1::/56" {
		t.Errorf("/56: got %v", got)
	}
	if got := ratelimithttp.IPKey(a, 0, 999); got.Bits() != 128 {
		t.Errorf("999 bits: got %v", got)
	}
	if got := ratelimithttp.IPKey(netip.Addr{}, 32, 64); got.IsValid() {
		t.Errorf("no address: got %v", got)
	}
	key := ratelimithttp.ByIP(ratelimithttp.ClientIP())
	seen := map[string]string{}
	for _, addr := range []string{"192.0.2.1:1", "[::1]:1", "[::]:1", "@", "0.0.0.0:1", "[2001:db8::1]:1"} {
		k, limited := key(&http.Request{RemoteAddr: addr})
		if other, ok := seen[k]; ok && !(strings.HasPrefix(addr, "[::") && strings.HasPrefix(other, "[::")) || !limited {
			t.Errorf("%s has the key of %s, or is not limited", addr, other)
		}
		seen[k] = addr
	}
}

func TestClientIP(t *testing.T) {
	tests := []struct {
		name, peer string
		lines      []string
		want       string
	}{
		{"no proxy", "203.0.113.9:1", nil, "203.0.113.9"},
		{"peer not trusted", "203.0.113.9:1", []string{"1.2.3.4"}, "203.0.113.9"},
		{"one hop", "10.0.0.1:1", []string{"1.2.3.4"}, "1.2.3.4"},
		{"made up on the left", "10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4"}, "1.2.3.4"},
		{"trusted hops are skipped", "10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4, 10.0.0.3,10.0.0.2"}, "1.2.3.4"},
		{"all lines count", "10.0.0.1:1", []string{"6.6.6.6", "1.2.3.4, 10.0.0.2", "10.0.0.3"}, "1.2.3.4"},
		{"stops at what cannot be read", "10.0.0.1:1", []string{"1.2.3.4, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"empty element", "10.0.0.1:1", []string{"1.2.3.4,,10.0.0.2"}, "10.0.0.2"},
		{"empty line", "10.0.0.1:1", []string{"1.2.3.4", ""}, "10.0.0.1"},
		{"all trusted", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"port", "10.0.0.1:1", []string{" 1.2.3.4:80\t"}, "1.2.3.4"},
		{"IPv6 with port", "10.0.0.1:1", []string{"[2001:db8::1]:80"}, "2001:db8::1"},
		{"IPv6 in brackets", "10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 with zone", "10.0.0.1:1", []string{"fe80::1%eth0"}, "fe80::1"},
		{"mapped peer", "[::ffff:10.0.0.1]:1", []string{"1.2.3.4"}, "1.2.3.4"},
		{"no port", "10.0.0.1", []string{"1.2.3.4"}, "1.2.3.4"},
		{"no address", "@", []string{"1.2.3.4"}, "invalid IP"},
		{"many hops", "10.0.0.1:1", []string{"1.2.3.4" + strings.Repeat(", 10.0.0.2", 1000)}, "10.0.0.2"},
		{"long", "10.0.0.1:1", []string{strings.Repeat("1", 10_000)}, "10.0.0.1"},
	}
	find := ratelimithttp.ClientIP(netip.MustParsePrefix("10.0.0.0/8"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": tt.lines, "X-Real-Ip": {"9.9.9.9"}}}
			if got := find(r).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func FuzzClientIP(f *testing.F) {
	f.Add("10.0.0.1:1", "1.2.3.4, [2001:db8::1]:5", "10.0.0.2")
	trusted := netip.MustParsePrefix("10.0.0.0/8")
	find := ratelimithttp.ClientIP(trusted)
	f.Fuzz(func(t *testing.T, peer, one, two string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {one, two}}}
		got, direct := find(r), find(&http.Request{RemoteAddr: peer})
		if !trusted.Contains(direct) && got != direct {
			t.Errorf("%q is not trusted, and yet made %v of %v", peer, got, direct)
		}
		if got.Zone() != "" || got.Is4In6() {
			t.Errorf("got %v, which is not canonical", got)
		}
	})
}

// A proxy that connects by a Unix socket has no address: the zero Prefix trusts
// it, and nothing else does.
func TestUnixSocketProxies(t *testing.T) {
	for _, peer := range []string{"@", "", "/run/proxy.sock", "garbage", "10.0.0.1:1"} {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {"6.6.6.6, 1.2.3.4"}, "Forwarded": {"for=6.6.6.6, for=1.2.3.4"}}}
		for name, find := range map[string]func(...netip.Prefix) func(*http.Request) netip.Addr{
			"ClientIP": ratelimithttp.ClientIP, "ForwardedIP": ratelimithttp.ForwardedIP,
		} {
			want := "invalid IP"
			if peer == "10.0.0.1:1" {
				want = "10.0.0.1"
			}
			if got := find()(r).String(); got != want {
				t.Errorf("%s: %q, nothing trusted: %s, want %s", name, peer, got, want)
			}
			if peer == "@" || peer == "" || peer[0] == '/' {
				want = "1.2.3.4"
			}
			if got := find(netip.Prefix{})(r).String(); got != want {
				t.Errorf("%s: %q, sockets trusted: %s, want %s", name, peer, got, want)
			}
		}
	}
}

func TestTrustedPrefixes(t *testing.T) {
	r := &http.Request{RemoteAddr: "[::ffff:10.0.0.1]:1", Header: http.Header{"X-Forwarded-For": {"1.2.3.4"}}}
	for text, want := range map[string]string{
		"::ffff:10.0.0.0/104": "1.2.3.4", "::ffff:10.0.0.1/128": "1.2.3.4", "::ffff:0.0.0.0/96": "1.2.3.4",
		"::ffff:11.0.0.0/104": "10.0.0.1", "10.0.0.0/8": "1.2.3.4", "::/0": "10.0.0.1",
	} {
		if got := ratelimithttp.ClientIP(netip.MustParsePrefix(text))(r).String(); got != want {
			t.Errorf("%s trusted: %s, want %s", text, got, want)
		}
	}
	defer func() {
		if got := fmt.Sprint(recover()); got != "ratelimithttp: trusted prefix 1 is invalid" {
			t.Errorf("an invalid prefix panics with %s", got)
		}
	}()
	ratelimithttp.ClientIP(netip.Prefix{}, netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 99))
}

func TestForwardedIP(t *testing.T) {
	find := ratelimithttp.ForwardedIP(netip.MustParsePrefix("10.0.0.0/8"))
	for _, tt := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"none", nil, "10.0.0.1"},
		{"one", []string{"for=192.0.2.60"}, "192.0.2.60"},
		{"parameters", []string{"proto=http; FOR = 192.0.2.60"}, "10.0.0.1"},
		{"more parameters", []string{`proto=http;For=192.0.2.60 ; by="[2001:db8::1]";host="a,b;for=9.9.9.9"`}, "192.0.2.60"},
		{"port", []string{`for="192.0.2.60:4711"`}, "192.0.2.60"},
		{"obfuscated port", []string{`for="192.0.2.60:_x"`}, "192.0.2.60"},
		{"IPv6", []string{`for="[2001:db8:cafe::17]:4711"`}, "2001:db8:cafe::17"},
		{"IPv6, obfuscated port", []string{`for="[2001:db8:cafe::17]:_x"`}, "2001:db8:cafe::17"},
		{"mapped", []string{`for="[::ffff:192.0.2.60]"`}, "192.0.2.60"},
		{"trusted hops", []string{"for=6.6.6.6, for=192.0.2.60, for=10.0.0.3", `for="10.0.0.2:1"`}, "192.0.2.60"},
		{"unknown", []string{"for=192.0.2.60, for=unknown, for=10.0.0.2"}, "10.0.0.2"},
		{"hidden", []string{"for=192.0.2.60, for=_hidden"}, "10.0.0.1"},
		{"no for", []string{"for=192.0.2.60, by=203.0.113.43"}, "10.0.0.1"},
		{"twice", []string{"for=192.0.2.60;for=192.0.2.61"}, "10.0.0.1"},
		{"a forged quote", []string{`for="6.6.6.6, for=192.0.2.60`}, "192.0.2.60"},
		{"a forged escape", []string{`for="\", for=192.0.2.60`}, "192.0.2.60"},
		{"a forged list", []string{`for="a\\", x=", for=192.0.2.60`}, "192.0.2.60"},
		{"an open quote", []string{`for="192.0.2.60`}, "10.0.0.1"},
		{"no value", []string{"for="}, "10.0.0.1"},
		{"no pair", []string{"192.0.2.60"}, "10.0.0.1"},
		{"rest", []string{`for="192.0.2.60"x`}, "10.0.0.1"},
		{"rest after brackets", []string{`for="[::1]x"`}, "10.0.0.1"},
		{"empty element", []string{"for=192.0.2.60,,for=10.0.0.2"}, "10.0.0.2"},
		{"many", []string{"for=192.0.2.60" + strings.Repeat(", for=10.0.0.2", 1000)}, "10.0.0.2"},
	} {
		r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"Forwarded": tt.lines, "X-Forwarded-For": {"9.9.9.9"}}}
		if got := find(r).String(); got != tt.want {
			t.Errorf("%s: %q: %s, want %s", tt.name, tt.lines, got, tt.want)
		}
	}
}

// Whatever stands on the left of a field, the element that the proxy appended
// decides.
func FuzzForwardedIP(f *testing.F) {
	f.Add(`for="a, b`)
	f.Add(`for=1.2.3.4;x="\"`)
	f.Add(`\`)
	f.Fuzz(func(t *testing.T, left string) {
		for field, find := range map[string]func(...netip.Prefix) func(*http.Request) netip.Addr{
			"for=192.0.2.60": ratelimithttp.ForwardedIP, "192.0.2.60": ratelimithttp.ClientIP,
		} {
			lines := []string{left + ", " + field}
			r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"Forwarded": lines, "X-Forwarded-For": lines}}
			if got := find(netip.MustParsePrefix("10.0.0.0/8"))(r).String(); got != "192.0.2.60" {
				t.Errorf("%q: got %s", lines, got)
			}
			r.Header = http.Header{"Forwarded": {left}, "X-Forwarded-For": {left}}
			find(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"))(r)
		}
	})
}
