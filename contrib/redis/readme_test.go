package redoubtredis_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The code in README.md and in the package comment is the code of an example.
func TestReadme(t *testing.T) {
	bare := func(code string) string {
		var b strings.Builder
		for line := range strings.Lines(code) {
			if line = strings.TrimSpace(strings.TrimPrefix(line, "//")); line != "" {
				b.WriteString(line + "\n")
			}
		}
		return b.String()
	}
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	example := bare(read("example_test.go"))
	code := regexp.MustCompile("(?s)```go\n(.*?)```").FindStringSubmatch(read("README.md"))
	if code == nil || !strings.Contains(example, bare(code[1])) {
		t.Errorf("README.md has code that no example has:\n%q", code)
	}
	if code != nil && !strings.Contains(bare(read("doc.go")), bare(code[1])) {
		t.Error("doc.go does not have the code of README.md")
	}
}
