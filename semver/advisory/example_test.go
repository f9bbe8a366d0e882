package advisory_test

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/advisory"
)

func Example() {
	doc := []byte(`{"events": [{"introduced": "1.0.0"}, {"fixed": "1.4.2"}]}`)

	var record struct{ Events []advisory.Event }
	err := json.Unmarshal(doc, &record)
	vuln, err := advisory.ParseOSV(record.Events...)
	fmt.Println(vuln, err)

	fix, ok := vuln.Complement().Ceil(semver.MustParse("1.3.0"))
	fmt.Println(fix, ok)

	text, err := advisory.FormatVERS("npm", vuln)
	fmt.Println(text, err)
	// Output:
	// plain >=1.0.0 <1.4.2 <nil>
	// 1.4.2 true
	// vers:npm/>=1.0.0|<1.4.2 <nil>
}

func ExampleParseOSV() {
	vuln, err := advisory.ParseOSV(
		advisory.Event{Introduced: "1.0.0"}, advisory.Event{Fixed: "1.4.2"},
		advisory.Event{Introduced: "2.0.0-rc.1"},
	)
	fmt.Println(vuln, err)
	_, err = advisory.ParseOSV()
	fmt.Println(err)
	// Output:
	// plain >=1.0.0 <1.4.2 || >=2.0.0-rc.1 <nil>
	// advisory: malformed OSV events: no event is introduced
}

func ExampleEvent() {
	vuln, err := advisory.ParseOSV(advisory.Event{Introduced: "0"}, advisory.Event{LastAffected: "1.4.1"})
	fmt.Println(vuln, vuln.Contains(semver.MustParse("0.0.0-alpha")), err)
	// Output: plain <=1.4.1 true <nil>
}

func ExampleParseVERS() {
	scheme, r, err := advisory.ParseVERS("vers:npm/1.2.3|>=2.0.0|<5.0.0")
	fmt.Println(scheme, r, err)
	// Output: npm plain 1.2.3 || >=2.0.0 <5.0.0 <nil>
}

func ExampleFormatVERS() {
	fmt.Println(advisory.FormatVERS("npm", semver.Between(semver.New(1, 0, 0), semver.New(2, 0, 0))))
	_, err := advisory.FormatVERS("npm", semver.MustParseRange("^1"))
	fmt.Println(err)
	// Output:
	// vers:npm/>=1.0.0|<2.0.0 <nil>
	// advisory: vers: pre-releases apart: semver: unsupported
}

func ExampleReadOSV() {
	file := strings.NewReader(`{"id": "EXAMPLE-2026-1", "affected": [{
		"package": {"ecosystem": "Go", "name": "example.com/widget"},
		"ranges": [{"type": "SEMVER", "events": [{"introduced": "1.3.0"}, {"fixed": "1.4.1"}]}]
	}]}`)
	found, err := advisory.ReadOSV(file, "Go/example.com/widget")
	gate := semver.Stable
	for _, a := range found {
		gate = semver.Rules(gate, a.Rule())
	}
	fmt.Println(len(found), err)
	fmt.Println(gate(semver.New(1, 3, 0)))
	fmt.Println(gate(semver.New(1, 4, 1)))
	// Output:
	// 1 <nil>
	// semver: 1.3.0: excluded (EXAMPLE-2026-1)
	// <nil>
}

func ExampleAffected() {
	a := advisory.Affected{ID: "EXAMPLE-2026-1", Package: "Go/example.com/widget", Range: semver.Below(semver.New(1, 4, 1))}
	fmt.Println(a.Rule()(semver.New(1, 3, 0)))
	// Output: semver: 1.3.0: excluded (EXAMPLE-2026-1)
}
