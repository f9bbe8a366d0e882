//go:build browser

// The page in a real browser. It needs chromium and chromedriver, and keeps its
// pictures in $SHOTS if that is set:
//
//	go test -tags browser -run TestBrowser ./examples/modwatch
package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// find reads lines until one matches, and lets the rest go by.
func find(r io.Reader, pattern string) string {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(lines.Text()); found != nil {
			go io.Copy(io.Discard, r)
			return found[1]
		}
	}
	return "none"
}

func TestBrowser(t *testing.T) {
	dir := cmp.Or(os.Getenv("SHOTS"), t.TempDir())
	driver := exec.CommandContext(t.Context(), "chromedriver", "--port=0")
	stdout, _ := driver.StdoutPipe()
	if err := driver.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { driver.Process.Kill(); driver.Wait() }()
	address := "http://127.0.0.1:" + find(stdout, `successfully on port (\d+)`)
	quiet, loud := open(t, address, false), open(t, address, true)
	defer quiet.do("DELETE", "", nil, nil)
	defer loud.do("DELETE", "", nil, nil)

	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	status := make(chan int, 1)
	go func() { status <- run(ctx, []string{"-http", "127.0.0.1:0"}, io.Discard, w) }()
	page := find(r, `(http://\S+)`)

	answers := regexp.MustCompile(`redoubt \d+ of`)
	for _, b := range []window{loud, quiet} { // both see the run go on, one by events and one by reloading
		b.do("POST", "/url", map[string]string{"url": page}, nil)
		seen := map[string]bool{}
		b.awaits(6, func(source string) bool {
			seen[answers.FindString(source)] = true
			return len(seen) > 3
		})
	}
	quiet.do("POST", "/element", object{"using": "css selector", "value": "noscript meta"}, nil) // an element only without JavaScript
	loud.shoot(dir, "running-1200", 1200, "light")
	for _, b := range []window{loud, quiet} {
		b.awaits(30, func(source string) bool {
			return strings.Contains(source, "verified") && strings.Contains(source, "GO-2026-6061")
		})
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{1200, 400, 350} {
			loud.shoot(dir, fmt.Sprintf("%s-%d", scheme, width), width, scheme)
			quiet.shoot(dir, fmt.Sprintf("noscript-%s-%d", scheme, width), width, scheme)
			var over bool
			loud.do("POST", "/execute/sync", object{"script": "return document.documentElement.scrollWidth > innerWidth", "args": []any{}}, &over)
			if over {
				t.Errorf("at %d pixels the page scrolls sideways", width)
			}
		}
	}
	var messages []struct{ Level, Message string }
	loud.do("POST", "/se/log", map[string]string{"type": "browser"}, &messages)
	for _, m := range messages {
		t.Errorf("console: %s %s", m.Level, m.Message)
	}
	cancel() // Ctrl-C
	if got := <-status; got != 0 {
		t.Errorf("status %d, want 0", got)
	}
}
