package main

import (
	"strings"
	"testing"
	"time"
)

// The program runs to its end and counts every call.
func TestStorm(t *testing.T) {
	var out strings.Builder
	if err := run(&out, 25*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(phases)+1 || !strings.Contains(lines[1], "calm, 10") {
		t.Errorf("the table is\n%s", out.String())
	}
}
