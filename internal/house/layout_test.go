package house_test

import "testing"

func TestLayout(t *testing.T) {
	bites(t, "layout", files{"README.md": "# redoubt"}, "LICENSE: missing")
	bites(t, "layout", files{"contrib/redis/go.mod": "module x"}, "contrib/redis/README.md: missing")
}

func TestPages(t *testing.T) {
	bites(t, "pages", files{}, "docs/retry.md: missing")
	bites(t, "pages", files{
		"docs/retry.md": "# retry", "retry/doc.go": "// Package retry retries.\npackage retry\n",
	}, "retry/doc.go: does not mention docs/retry.md")
	bites(t, "pages", files{"docs/README.md": "[cache](cache.md)", "docs/retry.md": "x"}, "docs/README.md: no link to docs/retry.md")
}
