// Package golden compares the pictures of package chart with their files in
// docs. With -update it writes the files.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"

	"github.com/redoubt-go/redoubt/internal/bench/chart"
)

var update = flag.Bool("update", false, "write the pictures to docs")

// varying are the elements of lines that differ from run to run, and the names,
// whose places depend on all lines.
var varying = regexp.MustCompile(`(?m)^<(path class="[^"]* varies"|text class="of [^"]*") .*$`)

// Check fails if a form of c is not the file of its name in docs. It does not
// compare lines that vary.
func Check(t *testing.T, c *chart.Chart) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("other processors may round differently")
	}
	if problem := c.Outside(); problem != "" {
		t.Error(problem)
	}
	for suffix, narrow := range map[string]bool{"": false, "-narrow": true} {
		name := filepath.Join(chart.Root(), "docs", c.Name+suffix+".svg")
		got := c.SVG(narrow)
		if *update {
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if varying.ReplaceAllString(got, "") != varying.ReplaceAllString(string(want), "") {
			t.Errorf("%s is not the picture that this test draws; if the picture has changed: go test -run %s -update", name, t.Name())
		}
	}
}

// Updating reports whether Check writes files.
func Updating() bool { return *update }
