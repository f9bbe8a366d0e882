package logscan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// buildCommand builds the logscan command.
func buildCommand(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "logscan")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/redoubt-go/redoubt/logscan/cmd/logscan").CombinedOutput(); err != nil {
		b.Skipf("the command cannot be built: %s", out)
	}
	return path
}

// corpusFile writes a corpus, ten times, to a file.
func corpusFile(b *testing.B, c corpus) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "corpus.log")
	if err := os.WriteFile(path, bytes.Repeat(c.text, 10), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// programs runs each program once per iteration, as a process. All must print
// the same after check. A program that is not installed is skipped.
func programs(b *testing.B, bytes int64, check func([]byte) string, lines map[string][]string) {
	want := ""
	for _, name := range []string{"redoubt", "rg", "jq"} {
		line := lines[name]
		if line == nil {
			continue
		}
		b.Run("impl="+name, func(b *testing.B) {
			if _, err := exec.LookPath(line[0]); err != nil {
				b.Skip(err)
			}
			b.SetBytes(bytes)
			for b.Loop() {
				out, err := exec.Command(line[0], line[1:]...).Output()
				if err != nil && len(out) > 0 {
					b.Fatal(err)
				}
				if got := check(out); want == "" {
					want = got
				} else if got != want {
					b.Fatalf("%s: got %s, want %s", name, got, want)
				}
			}
		})
	}
}

// BenchmarkCommandSearch prints the lines with a text.
func BenchmarkCommandSearch(b *testing.B) {
	path, command := corpusFile(b, levels()), buildCommand(b)
	lines := func(out []byte) string { return fmt.Sprint(bytes.Count(out, []byte("\n")), len(out)) }
	for _, text := range []string{"no such text", "invoices/700007?", "[ERROR]"} {
		b.Run("text="+strings.Fields(text)[0], func(b *testing.B) {
			programs(b, 10*int64(len(levels().text)), lines, map[string][]string{
				"redoubt": {command, "where", text, "--", path},
				"rg":      {"rg", "-F", "-N", text, path},
			})
		})
	}
}

// BenchmarkCommandCountBy counts records by a field of JSON.
func BenchmarkCommandCountBy(b *testing.B) {
	path, command := corpusFile(b, jsonLines()), buildCommand(b)
	counts := func(out []byte) string {
		total, keys := 0, 0
		d := json.NewDecoder(bytes.NewReader(out))
		for d.More() {
			var row struct{ Count int }
			if err := d.Decode(&row); err != nil {
				return err.Error()
			}
			total, keys = total+row.Count, keys+1
		}
		return fmt.Sprint(total, keys)
	}
	programs(b, 10*int64(len(jsonLines().text)), counts, map[string][]string{
		"redoubt": {command, "count", "-json", "-by", "level", path},
		"jq":      {"jq", "-cn", `reduce inputs as $r ({}; .[$r.level] += 1) | to_entries[] | {level: .key, count: .value}`, path},
	})
}
