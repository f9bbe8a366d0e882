package detect_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/redoubt-go/redoubt/logscan/detect"
)

func TestAddresses(t *testing.T) {
	for s, want := range map[string]string{
		"::ffff:1.2.3.4": "1.2.3.4", "1.2.3.4": "1.2.3.4", "fe80::1%eth0": "fe80::1", "192.030.0.6": "", "host": "", "": "", "1.2.3": "", "1.2.3.4.": "", "::1%": "", "2001:db8::1": "2001:db8::1",
	} {
		a, ok := detect.ParseAddr([]byte(s))
		if got := fmt.Sprint(a); ok != (want != "") || ok && got != want {
			t.Errorf("%q: got %s, %v, want %q", s, got, ok, want)
		}
	}
	if got := detect.Network(netip.MustParseAddr("::ffff:10.1.2.3"), 24, 64).String(); got != "10.1.2.0/24" {
		t.Errorf("mapped: got %s", got)
	}
	if got := detect.Network(netip.Addr{}, 24, 64); got.IsValid() {
		t.Errorf("no address: got %s", got)
	}
}

// Oracle: net/netip.
func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"::", "1::2", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "fe80::1%eth0", "1.2.3.04", "1::2::3", "12345::", "::G", "::1:", "1:2:3:4:5:6:7::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := detect.ParseAddr([]byte(s))
		want, err := netip.ParseAddr(s)
		if ok != (err == nil) || ok && got != want.Unmap().WithZone("") {
			t.Errorf("%q: got %v, %v, want %v, %v", s, got, ok, want, err)
		}
	})
}
