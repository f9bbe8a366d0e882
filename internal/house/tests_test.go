package house_test

import (
	"strings"
	"testing"
)

func TestTests(t *testing.T) {
	with := func(code string) files { return files{"retry/retry_test.go": "package retry_test\n\n" + code} }
	bites(t, "external tests", files{"retry/retry_test.go": "package retry\n"}, "retry/retry_test.go: package retry")
	accepts(t, "external tests", files{"retry/export_test.go": "package retry\n"})

	bites(t, "test names", with("func TestTrap24_Grow(t *testing.T) {}\n"), "retry/retry_test.go:3: TestTrap24_Grow")
	bites(t, "test names", with("func FuzzP7(f *testing.F) {}\n"), "retry/retry_test.go:3: FuzzP7")
	accepts(t, "test names", with("func TestPermitsAreReturned(t *testing.T) {}\n\nfunc TestRetry2xx(t *testing.T) {}\n"))

	bites(t, "test files", with(strings.Repeat("//\n", 1000)), "retry/retry_test.go: 1002 lines, at most 1000")

	bites(t, "banned words", with("// See the handbook.\n"), "retry/retry_test.go:3: handbook")
	bites(t, "banned words", files{"docs/retry.md": "The traps:\n"}, "docs/retry.md:1: traps")
	bites(t, "banned words", files{"retry/example_handbook_test.go": "package retry_test\n"}, "the name of the file")
	accepts(t, "banned words", with("// A strap.\n"))
}
