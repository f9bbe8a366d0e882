package house_test

import "testing"

func TestGuards(t *testing.T) {
	const method = "type Breaker struct{}\n\nfunc (*Breaker) Do() error { return nil }\n\n"
	bites(t, "composition", files{"breaker/breaker.go": "package breaker\n\nfunc Do() {}\n\nfunc Wrap() {}\n\n" + method}, "breaker: no func WrapArg")
	bites(t, "composition", files{"semver/semver.go": "package semver\n\nfunc Wrap() {}\n"}, "semver: no func Do")
	bites(t, "composition", files{"breaker/breaker.go": "package breaker\n"}, "breaker: no method Do")
	accepts(t, "composition", files{"breaker/breaker.go": "package breaker\n\nfunc Do() {}\n\nfunc Wrap() {}\n\nfunc WrapArg() {}\n\n" + method})

	bites(t, "changes", files{"breaker/breaker.go": "package breaker\n\n" + method + "func (*Breaker) Set(n int) {}\n"}, "Breaker.Set is no Set(Config) error")
	bites(t, "changes", files{"breaker/breaker.go": "package breaker\n\n" + method + "func (*Breaker) Config(n int) {}\n"}, "Breaker.Config is no Config() Config")
	accepts(t, "changes", files{"breaker/breaker.go": "package breaker\n\n" + method + "func (*Breaker) Set(c Config) error { return nil }\n"})

	const trip = "package breakerhttp\n\ntype Transport struct{}\n\nfunc (*Transport) RoundTrip() {}\n"
	bites(t, "transports", files{"breaker/breakerhttp/t.go": trip}, "breaker/breakerhttp/t.go:3: Transport has no CloseIdleConnections")
	accepts(t, "transports", files{"breaker/breakerhttp/t.go": trip + "\nfunc (*Transport) CloseIdleConnections() {}\n"})
}
