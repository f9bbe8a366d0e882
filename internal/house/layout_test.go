package house_test

import "testing"

func TestLayout(t *testing.T) {
	bites(t, "layout", files{"README.md": "# redoubt"}, "LICENSE: missing")
	bites(t, "layout", files{"contrib/redis/go.mod": "module x"}, "contrib/redis/README.md: missing")
}

func TestLinks(t *testing.T) {
	bites(t, "links", files{"docs/README.md": "See\n[retry](retry.md)."}, "docs/README.md:2: no file docs/retry.md")
	accepts(t, "links", files{"docs/README.md": "`lru.New[string](128)`"}) // code
	accepts(t, "links", files{
		"docs/README.md": "[a](../b/c.go#L1) [b](../b) [c](#d) [e](https://example.com/f)", "b/c.go": "package b\n",
	})
}

func TestPages(t *testing.T) {
	bites(t, "pages", files{}, "docs/retry.md: missing")
	bites(t, "pages", files{
		"docs/retry.md": "# retry", "retry/doc.go": "// Package retry retries.\npackage retry\n",
	}, "retry/doc.go: does not mention docs/retry.md")
	bites(t, "pages", files{"docs/README.md": "[cache](cache.md)", "docs/retry.md": "x"}, "docs/README.md: no link to docs/retry.md")
}
