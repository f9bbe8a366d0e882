package breakerhttp

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/redoubt-go/redoubt/breaker"
)

// One returns a function for Transport.Gate that guards all requests with g.
func One(g breaker.Gate) func(*http.Request) breaker.Gate {
	return func(*http.Request) breaker.Gate { return g }
}

// PerHost returns a function for Transport.Gate that guards each origin with a
// breaker of its own. The key of the group is the origin: the scheme, the host
// and, unless it is the default of the scheme, the port, such as
// "https://example.com". Letter case and a final dot of the host do not matter.
// Hosts longer than 255 bytes, which cannot exist, share a breaker.
func PerHost(g *breaker.Group[string]) func(*http.Request) breaker.Gate {
	return func(req *http.Request) breaker.Gate { return g.For(origin(req.URL)) }
}

// origin returns the scheme, host and port of u in one spelling.
func origin(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), u.Host
	if len(host) > 255 || len(scheme) > 64 {
		return "" // the sender chooses the length
	}
	name, port := u.Hostname(), u.Port()
	if scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		port = ""
	}
	name = strings.ToLower(strings.TrimRight(name, "."))
	switch {
	case port != "":
		host = net.JoinHostPort(name, port)
	case strings.Contains(name, ":"):
		host = "[" + name + "]"
	default:
		host = name
	}
	return scheme + "://" + host
}
