package house_test

import (
	"strings"
	"testing"
)

const head = "module github.com/redoubt-go/redoubt\n\ngo 1.26.0\n\n"

func TestModules(t *testing.T) {
	bites(t, "go.mod", files{"go.mod": head + "require github.com/x/y v1.0.0\n"}, "go.mod:5: require github.com/x/y")
	bites(t, "go.mod", files{"go.mod": head + "replace a => b\n"}, "go.mod:5: replace a => b")
	accepts(t, "go.mod", files{"go.mod": head + "require golang.org/x/sync v0.24.0\n"})

	bites(t, "go.sum", files{"go.sum": strings.Repeat("a v1.0.0 h1:x=\n", 9)}, "go.sum: 9 lines")

	bites(t, "nested modules", files{"contrib/redis/go.mod": "module example.com/redis\n\ngo 1.26.0\n"},
		"contrib/redis/go.mod: no line \"module github.com/redoubt-go/redoubt/contrib/redis\"")
	bites(t, "nested modules", files{"contrib/redis/go.mod": "require github.com/redoubt-go/redoubt v0.0.0\n"},
		"no line \"replace github.com/redoubt-go/redoubt => ../..\"")
}
