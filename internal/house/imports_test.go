package house_test

import (
	"strings"
	"testing"
)

func TestImports(t *testing.T) {
	importing := func(dir, imp string) files {
		return files{dir + "/x.go": "package p\n\nimport _ \"" + imp + "\"\n"}
	}
	const redoubt = "github.com/redoubt-go/redoubt/"
	bites(t, "imports", importing("retry", "github.com/x/y"), "retry/x.go:3: imports github.com/x/y")
	bites(t, "imports", importing("retry", redoubt+"cache"), "imports "+redoubt+"cache")
	bites(t, "imports", importing("audit/siem", redoubt+"retry"), "imports "+redoubt+"retry")
	bites(t, "imports", importing("examples/gateway", redoubt+"internal/quote"), "imports "+redoubt+"internal/quote")
	accepts(t, "imports", importing("audit/siem", redoubt+"audit"))
	accepts(t, "imports", importing("audit/ledger/cmd/ledger", redoubt+"audit/ledger"))
	accepts(t, "imports", importing("semver/cmd/semver", redoubt+"semver/tag"))
	bites(t, "imports", importing("semver/cmd/semver", redoubt+"retry"), "imports "+redoubt+"retry")
	accepts(t, "imports", importing("retry", redoubt+"internal/quote"))
	accepts(t, "imports", importing("internal/metrics", redoubt+"cache"))
	accepts(t, "imports", importing("contrib/redis", "github.com/x/y"))
	accepts(t, "imports", importing("servehttp", redoubt+"retry/retryhttp"))
	bites(t, "imports", importing("retry", redoubt+"servehttp"), "imports "+redoubt+"servehttp")
	bites(t, "imports", importing("servehttp", redoubt+"examples/gateway"), "imports "+redoubt+"examples/gateway")

	bites(t, "core imports", importing("retry", "net/http"), "retry: imports net/http in retry")
	bites(t, "core imports", files{
		"retry/retry.go":           "package retry\n\nimport _ \"" + redoubt + "internal/retryafter\"\n",
		"internal/retryafter/r.go": "package retryafter\n\nimport _ \"net/http\"\n",
	}, "retry: imports net/http in internal/retryafter")
	accepts(t, "core imports", importing("retry/retryhttp", "net/http"))
}

func TestGroundFloor(t *testing.T) {
	floor := func(code string) files {
		return files{
			"retry/retry.go":       "package retry\n\nimport _ \"github.com/redoubt-go/redoubt/internal/quote\"\n",
			"internal/quote/q.go":  "package quote\n\n" + code,
			"internal/other/o.go":  "package other\n\nvar State int\n", // the guards do not share it
			"internal/quote/q2.go": "package quote\n",
		}
	}
	bites(t, "ground floor", floor("var n int\n"), "internal/quote/q.go:3: package variable n")
	bites(t, "ground floor", floor(""), "internal/quote: has no tests")
	bites(t, "ground floor", floor("func f() {\n"+strings.Repeat("\tf()\n", 120)+"}\n"), "code lines, want less than 120")
	bites(t, "imports", floor("import _ \"github.com/redoubt-go/redoubt/cache\"\n"), "internal/quote/q.go:3: imports")
}
