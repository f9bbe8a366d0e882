package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	osv "github.com/redoubt-go/redoubt/semver/advisory"
)

// Records as the two databases publish them, cut to what is read and a little
// more.
const (
	vulnGoDev = `{"schema_version":"1.3.1","id":"GO-2026-9001","modified":"2026-01-01T00:00:00Z","aliases":["CVE-2026-1"],"summary":"made up",
"affected":[{"package":{"name":"example.com/m","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.0"}]}],
"ecosystem_specific":{"imports":[{"path":"example.com/m/p","symbols":["F"]}]}}],"database_specific":{"url":"https://pkg.go.dev/vuln/GO-2026-9001","review_status":"REVIEWED"}}`
	osvDev = `{"id":"GHSA-aaaa-bbbb-cccc","affected":[{"package":{"name":"example.com/m","ecosystem":"Go","purl":"pkg:golang/example.com/m"},
"ranges":[{"type":"SEMVER","events":[{"introduced":"1.4.0"},{"last_affected":"1.4.3"}]},{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.1.0"}]}],"versions":["1.4.1"]},
{"package":{"name":"m","ecosystem":"npm"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`
	withdrawn = `{"id":"GO-2026-9002","withdrawn":"2026-02-01T00:00:00Z","affected":[{"package":{"name":"example.com/m","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`
)

// folder writes files by name into a new folder.
func folder(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadOSV(t *testing.T) {
	dir := folder(t, map[string]string{
		"ID/GO-2026-9001.json": vulnGoDev, "GHSA-aaaa-bbbb-cccc.json": osvDev, "ID/GO-2026-9002.json": withdrawn,
		"index/modules.json": `[{"path":"example.com/m"}]`, "README": "no record",
	})
	known, err := readOSV(dir)
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string][]string{
		"1.0.0": {"GHSA-aaaa-bbbb-cccc", "GO-2026-9001"}, "1.1.9": {"GO-2026-9001"}, "1.2.0": nil, "1.4.3": {"GHSA-aaaa-bbbb-cccc"}, "1.4.4": nil,
	} {
		v := judge(module{"example.com/m", "v" + version}, known, []string{"v1.2.0", "v1.4.4"}, nil)
		if got := slices.Sorted(slices.Values(v.Advisories)); !slices.Equal(got, want) {
			t.Errorf("%s: advisories %q, want %q", version, got, want)
		}
	}
	if len(known) != 1 {
		t.Errorf("%d modules, want one: the other is npm's", len(known))
	}
}

func TestReadOSVNamesTheBrokenFile(t *testing.T) {
	for name, text := range map[string]string{
		"list.json":      `["GO-2026-9001"]`,
		"cut.json":       vulnGoDev[:100],
		"nameless.json":  `{"affected":[]}`,
		"trickster.json": `{"id":"\u001b[2J"}`,
		"version.json":   strings.Replace(vulnGoDev, "1.2.0", "one", 1),
		"events.json":    strings.Replace(vulnGoDev, `{"introduced":"0"},`, "", 1),
		"large.json":     `{"id":"GO-2026-9001","details":"` + strings.Repeat("x", maxOSVBytes) + `"}`,
	} {
		dir := folder(t, map[string]string{name: text, "fine.json": osvDev})
		_, err := readOSV(dir)
		if err == nil || !strings.Contains(err.Error(), name) || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%s: want an error of one line that names the file, got %v", name, err)
		}
	}
}

// Every entry of the built-in table can be read, and names a module that is
// recorded.
func TestAdvisoriesAreOfRecordedModules(t *testing.T) {
	recorded := map[string]bool{}
	for _, m := range ownModules() {
		recorded[m.Path] = true
	}
	for _, a := range advisories {
		if _, err := osv.ParseOSV(a.events...); err != nil || !recorded[a.module] {
			t.Errorf("%s: recorded %v, %v", a.id, recorded[a.module], err)
		}
	}
}
