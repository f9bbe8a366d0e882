package breakerhttp_test

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/breaker/breakerhttp"
)

func named(origin string) breaker.Config {
	cfg := config()
	cfg.Name = origin
	return cfg
}

// keys returns the keys of the breakers that PerHost makes for urls.
func keys(t *testing.T, urls ...*url.URL) []string {
	t.Helper()
	g := breaker.NewGroup(breaker.GroupConfig[string]{Config: named})
	gate := breakerhttp.PerHost(g)
	for _, u := range urls {
		gate(&http.Request{URL: u})
	}
	got := map[string]bool{}
	for key := range g.All() {
		got[key] = true
	}
	return slices.Sorted(maps.Keys(got))
}

func TestOrigins(t *testing.T) {
	tests := []struct {
		urls string
		want string
	}{
		{"https://h https://h:443 https://H/x https://h. https://h.:443/ HTTPS://h https://user:pass@h", "https://h"},
		{"http://h http://h:80 http://h.:80", "http://h"},
		{"http://h https://h", "http://h https://h"},
		{"http://h:443 https://h:80 http://h:8080", "http://h:443 http://h:8080 https://h:80"},
		{"http://[::1] http://[::1]:80", "http://[::1]"},
		{"https://[fe80::1%25ETH0]:8443", "https://[fe80::1%eth0]:8443"},
		{"http:///path", "http://"},
	}
	for _, tt := range tests {
		t.Run(tt.urls, func(t *testing.T) {
			var urls []*url.URL
			for s := range strings.FieldsSeq(tt.urls) {
				u, err := url.Parse(s)
				if err != nil {
					t.Fatal(err)
				}
				urls = append(urls, u)
			}
			checkEqual(t, keys(t, urls...), strings.Fields(tt.want))
		})
	}
}

// TestHostsAreBounded shows that the sender of a URL does not choose how much a
// key takes.
func TestHostsAreBounded(t *testing.T) {
	long := strings.Repeat("example.", 100)
	checkEqual(t, keys(t, &url.URL{Scheme: "http", Host: long}, &url.URL{Scheme: "https", Host: "b." + long}, &url.URL{Scheme: long, Host: "h"}), []string{""})
}

func TestPerHost(t *testing.T) {
	g := breaker.NewGroup(breaker.GroupConfig[string]{Config: named})
	rt := &breakerhttp.Transport{Base: trip(func(req *http.Request) (*http.Response, error) {
		if req.URL.Scheme == "http" && strings.EqualFold(req.URL.Hostname(), "bad.example.com") {
			return status(500)(req)
		}
		return status(200)(req)
	}), Gate: breakerhttp.PerHost(g)}
	var last error
	for range 5 {
		_, last = exchange(rt, request(t, "http://BAD.example.com:80/"))
		for _, url := range []string{"http://good.example.com/", "https://bad.example.com/"} {
			if _, err := exchange(rt, request(t, url)); err != nil {
				t.Fatalf("a healthy origin is refused: %v", err)
			}
		}
	}
	var refusal *breaker.OpenError
	if !errors.As(last, &refusal) || refusal.Name != "http://bad.example.com" {
		t.Errorf("error %v, want a refusal by the breaker of the origin", last)
	}
}

// FuzzPerHost checks that the key of a URL is bounded, and that the key of a
// key is the key itself.
func FuzzPerHost(f *testing.F) {
	for _, s := range []string{"https h:443", "HTTP H.", "http [::1]:80", "https [fe80::1%eth0]:1", "foo a:b:c", " ", "https h:", "http :80", "http [::1", "http ]:80["} {
		scheme, host, _ := strings.Cut(s, " ")
		f.Add(scheme, host)
	}
	f.Fuzz(func(t *testing.T, scheme, host string) {
		key := keys(t, &url.URL{Scheme: scheme, Host: host})[0]
		if len(key) > 1024 {
			t.Errorf("a key of %d bytes", len(key))
		}
		if s, h, ok := strings.Cut(key, "://"); ok && !strings.Contains(scheme, ":") && len(h) <= 255 {
			checkEqual(t, keys(t, &url.URL{Scheme: s, Host: h}), []string{key})
		}
	})
}
