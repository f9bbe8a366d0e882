package advisory_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/advisory"
)

// osv returns an OSV record with a package that has the given members.
func osv(id, pkg, members string) string {
	return `{"id":"` + id + `","affected":[{"package":{"ecosystem":"Go","name":"` + pkg + `"}` + members + `}]}`
}

const below2 = `,"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"2.0.0"}]},{"type":"GIT","events":[]}]`

func TestReadOSV(t *testing.T) {
	listed := `,"versions":["v1.0.0","1.1.0"]`
	for name, row := range map[string]struct {
		doc, pkg string
		want     string // the IDs, packages and ranges
	}{
		"a record":               {osv("A", "p", below2), "", "A Go/p plain <2.0.0"},
		"a sequence":             {osv("A", "p", below2) + osv("B", "q", listed), "", "A Go/p plain <2.0.0, B Go/q 1.0.0 || 1.1.0"},
		"an array":               {"[" + osv("A", "p", listed) + "]", "", "A Go/p 1.0.0 || 1.1.0"},
		"an answer":              {`{"vulns":[` + osv("A", "p", listed) + "]}", "", "A Go/p 1.0.0 || 1.1.0"},
		"an answer without any":  {"{}", "", ""},
		"a package by name":      {osv("A", "p", below2) + osv("B", "q", listed), "q", "B Go/q 1.0.0 || 1.1.0"},
		"with its ecosystem":     {osv("A", "p", below2) + osv("B", "q", listed), "Go/q", "B Go/q 1.0.0 || 1.1.0"},
		"of another ecosystem":   {osv("A", "p", below2), "npm/p", ""},
		"withdrawn":              {`{"id":"A","withdrawn":"2026-01-01T00:00:00Z"}`, "", ""},
		"ranges and versions":    {osv("A", "p", below2+`,"versions":["2.1.0","x"]`), "", "A Go/p plain <2.0.0 || 2.1.0"},
		"nothing of the package": {`{"id":"A","affected":[]}`, "p", ""},
	} {
		found, err := advisory.ReadOSV(strings.NewReader(row.doc), row.pkg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for _, a := range found {
			got = append(got, a.ID+" "+a.Package+" "+a.Range.Canonical())
		}
		if strings.Join(got, ", ") != row.want {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
	}
}

func TestReadOSVFailsInDoubt(t *testing.T) {
	for doc, want := range map[string]string{
		"":                                 "advisory: empty",
		"{":                                "unexpected EOF",
		`{"a":1}`:                          "not an OSV record",
		`{"id":"A"}`:                       "A: no affected package",
		osv("A", "p", ""):                  "every version may be affected",
		osv("A", "p", `,"versions":["x"]`): "no SEMVER range",
		osv("A", "p", `,"ranges":[{"type":"SEMVER","events":[]}]`): "malformed OSV events",
	} {
		found, err := advisory.ReadOSV(strings.NewReader(doc), "")
		if err == nil || !strings.Contains(err.Error(), want) || found != nil {
			t.Errorf("%q: got %v, %v, want %q", doc, found, err, want)
		}
	}
	broken := errors.New("broken")
	if _, err := advisory.ReadOSV(iotest.ErrReader(broken), ""); !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of the reader", err)
	}
	large := strings.NewReader(`{"id":"` + strings.Repeat("x", 65<<20))
	if _, err := advisory.ReadOSV(large, ""); err == nil || !strings.Contains(err.Error(), "more than 67108864 bytes") {
		t.Errorf("got %v, want the bound", err)
	}
}

func TestTheRuleOfAnEmptySetPassesEveryVersion(t *testing.T) {
	if err := (advisory.Affected{ID: "A"}).Rule()(semver.New(1, 0, 0)); err != nil {
		t.Error(err)
	}
}
