package house_test

import (
	"strings"
	"testing"
)

func TestSentinels(t *testing.T) {
	with := func(text string) files {
		return files{"audit/ledger/errors.go": "package ledger\n\nimport \"errors\"\n\nvar ErrStopped = errors.New(\"" + text + "\")\n"}
	}
	bites(t, "sentinels", with("stopped"), "audit/ledger/errors.go:5: ErrStopped is \"stopped\"")
	bites(t, "sentinels", with("audit: stopped"), "ErrStopped is \"audit: stopped\"")
	accepts(t, "sentinels", with("ledger: stopped"))
}

func TestEnumerations(t *testing.T) {
	const good = `package breaker

type Kind uint8

const (
	KindOpen Kind = iota
	KindClosed
)

func (k Kind) String() string { return fmt.Sprintf("Kind(%d)", uint8(k)) }

type Event struct{ Kind Kind }
`
	with := func(old, now string) files {
		return files{"breaker/event.go": strings.ReplaceAll(good, old, now)}
	}
	accepts(t, "enumerations", with("", ""))
	bites(t, "enumerations", with("KindOpen", "Opened"), "breaker/event.go:6: Opened is a Kind; name it KindOpened")
	bites(t, "enumerations", with("iota", "iota + 1"), "breaker/event.go:6: Kind does not start at 0")
	bites(t, "enumerations", with("Kind(%d)", "unknown"), "String prints no Kind(7)")
	bites(t, "enumerations", with(") String()", ") Text()"), "Kind has no String method")
	accepts(t, "enumerations", files{"breaker/event.go": strings.ReplaceAll(strings.ReplaceAll(good, "KindOpen", "Opened"), "Event", "Config")})
}

func TestKits(t *testing.T) {
	bites(t, "conformance kits", files{"cache/storetest/kit.go": "package storetest\n"}, "cache/storetest: want the name cachetest")
	bites(t, "conformance kits", files{"cache/cachetest/kit.go": "package cachetest\n\nfunc TestStore() error { return nil }\n"},
		"cache/cachetest: no func Run(t *testing.T, ...)")
	bites(t, "conformance kits", files{"cache/cachetest/kit.go": "package cachetest\n\nfunc Run(t *testing.T) {}\n"}, "Run has no subtests")
	accepts(t, "conformance kits", files{"cache/cachetest/kit.go": "package cachetest\n\nfunc Run(t *testing.T) { t.Run(\"a\", nil) }\n"})
}
