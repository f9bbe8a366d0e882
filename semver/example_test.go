package semver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/redoubt-go/redoubt/semver"
)

func Example() {
	advisory := []semver.Event{{Introduced: "0"}, {Fixed: "1.4.2"}}
	available := []semver.Version{semver.New(1, 3, 0), semver.New(1, 4, 2), semver.New(4, 0, 0)}

	want := semver.MustParseRange("^1.2 || >=3.1 <4")
	vuln, err := semver.ParseOSV(advisory...)
	best, ok := want.Difference(vuln).Max(slices.Values(available))
	gate := semver.Rules(semver.In(want), semver.NotIn(vuln), semver.Stable)
	refused := gate(semver.MustParse("1.4.0"))

	fmt.Println(err)
	fmt.Println(best, ok)
	fmt.Println(refused)
	// Output:
	// <nil>
	// 1.4.2 true
	// semver: 1.4.0: excluded (not in ">=0.0.0 <1.4.2 ; pre >=0.0.0-0 <1.4.2")
}

func ExampleNew() {
	fmt.Println(semver.New(1, 2, 3) == semver.MustParse("1.2.3"))
	// Output: true
}

func ExampleParse() {
	v, err := semver.Parse("1.2.3-rc.1+b7")
	fmt.Println(v.Major(), v.Minor(), v.Patch(), v.Prerelease(), v.Build(), err)
	_, err = semver.Parse("1.02.3")
	fmt.Println(err)
	fmt.Println(errors.Is(err, semver.ErrLeadingZero))
	// Output:
	// 1 2 3 rc.1 b7 <nil>
	// semver: version "1.02.3": leading zero in a number at byte 2
	// true
}

func ExampleMustParse() {
	fmt.Println(semver.MustParse("1.2.3").Bump(semver.Minor))
	// Output: 1.3.0
}

func ExampleValid() {
	fmt.Println(semver.Valid("1.2.3"), semver.Valid("1.2.3\n"), semver.Valid("v1.2.3"), semver.Valid("1.2"))
	// Output: true false false false
}

func ExampleMode() {
	parse := semver.AllowV.Parse // a func(string) (Version, error)
	fmt.Println(parse("v1.2.3"))
	fmt.Println(semver.Tolerant.Parse(" v2025.04\n"))
	// Output:
	// 1.2.3 <nil>
	// 2025.4.0 <nil>
}

func ExampleVersion() {
	seen := map[semver.Version]bool{semver.MustParse("1.2.3+a"): true}
	fmt.Println(seen[semver.MustParse("1.2.3+a")], seen[semver.MustParse("1.2.3+b")])
	// Output: true false
}

func ExampleVersion_Compare() {
	vs := []semver.Version{semver.MustParse("1.0.0"), semver.MustParse("1.0.0-rc.10"), semver.MustParse("1.0.0-rc.2")}
	slices.SortFunc(vs, semver.Version.Compare)
	fmt.Println(vs)
	// Output: [1.0.0-rc.2 1.0.0-rc.10 1.0.0]
}

func ExampleVersion_BumpPre() {
	v := semver.MustParse("1.2.3-rc.9")
	fmt.Println(v.BumpPre("rc"))
	_, err := v.BumpPre("beta")
	fmt.Println(err)
	// Output:
	// 1.2.3-rc.10 <nil>
	// semver: 1.2.3-beta.0: would not be a higher version (above 1.2.3-rc.9)
}

func ExampleVersion_UnmarshalText() {
	var config struct{ From, To semver.Version }
	err := json.Unmarshal([]byte(`{"From": "1.2.3", "To": "2.0.0-rc.1"}`), &config)
	fmt.Println(config.From, config.To, err)
	err = json.Unmarshal([]byte(`{"From": "1.2"}`), &config)
	fmt.Println(err)
	// Output:
	// 1.2.3 2.0.0-rc.1 <nil>
	// semver: version "1.2": syntax error at byte 3
}

func ExampleVersion_AppendBinary() {
	store := map[string]string{}
	for _, s := range []string{"1.10.0", "1.9.0", "1.9.0-rc.1"} {
		key, _ := semver.MustParse(s).AppendBinary(nil)
		store[string(key)] = s
	}
	for _, key := range slices.Sorted(maps.Keys(store)) {
		fmt.Println(store[key])
	}
	// Output:
	// 1.9.0-rc.1
	// 1.9.0
	// 1.10.0
}

func ExampleCompareStrings() {
	fmt.Println(semver.CompareStrings("v1.10.0", "1.9"))
	// Output: 1
}

func ExampleSortStrings() {
	tags := []string{"v1.10.0", "latest", "v1.9.0", "v1.10.0-rc.1"}
	semver.SortStrings(tags)
	fmt.Println(tags)
	// Output: [latest v1.9.0 v1.10.0-rc.1 v1.10.0]
}

func ExamplePart() {
	cur, next := semver.New(1, 2, 3), semver.New(2, 0, 0)
	if d := cur.Diff(next); d >= semver.Major {
		fmt.Println("ask first:", d)
	}
	// Output: ask first: major
}

func ExamplePseudo() {
	v, _ := semver.AllowV.Parse("v1.2.4-0.20191109021931-daa7c04131f5")
	p, ok := v.Pseudo()
	fmt.Println(p.Base, p.Time.Format("2006-01-02"), p.Rev, ok)
	// Output: 1.2.3 2019-11-09 daa7c04131f5 true
}

func ExampleParseRange() {
	r, err := semver.ParseRange("^1.2.3 || 3.x")
	fmt.Println(r.Contains(semver.New(1, 9, 0)), r.Contains(semver.New(2, 0, 0)), err)
	_, err = semver.ParseRange("^1.2.3 - 2.0.0")
	fmt.Println(err)
	// Output:
	// true false <nil>
	// semver: range "^1.2.3 - 2.0.0": syntax error at byte 7
}

func ExampleMustParseRange() {
	fmt.Println(semver.MustParseRange(">1.x").Canonical())
	// Output: >=2.0.0
}

func ExampleDialect() {
	for _, d := range []semver.Dialect{semver.NPM, semver.Cargo, semver.Helm, semver.Terraform} {
		r, err := d.ParseRange("1.2")
		fmt.Println(r.Canonical(), err)
	}
	// Output:
	// >=1.2.0 <1.3.0 <nil>
	// >=1.2.0 <2.0.0 <nil>
	// >=1.2.0 <1.3.0 <nil>
	// 1.2.0 <nil>
}

func ExamplePrereleases() {
	eks := semver.MustParse("1.34.1-eks-3025e55")
	for _, d := range []semver.Dialect{semver.NPM, semver.NPM.With(semver.PreAll)} {
		r, _ := d.ParseRange(">=1.19")
		fmt.Println(r.Check(eks))
	}
	// Output:
	// semver: 1.34.1-eks-3025e55: pre-release not allowed (in ">=1.19")
	// <nil>
}

func ExampleRange() {
	have, need := semver.MustParseRange(">=1.2 <4"), semver.MustParseRange("^3.1")
	fmt.Println(need.SubsetOf(have), have.Overlaps(need), have.Difference(need))
	// Output: true true >=1.2.0 <3.1.0
}

func ExampleRange_Ceil() {
	vuln := semver.Below(semver.MustParse("1.4.2"))
	fix, ok := vuln.Complement().Ceil(semver.MustParse("1.3.0"))
	fmt.Println(fix, ok)
	// Output: 1.4.2 true
}

func ExampleInterval() {
	for iv := range semver.MustParseRange("^1.2.3-rc.1").Intervals() {
		fmt.Println(iv.Lo, iv.Hi, iv.Releases, iv.Prereleases)
	}
	// Output:
	// 1.2.3-rc.1 1.2.4-0 true true
	// 1.2.4-0 2.0.0 true false
}

func ExampleAll() {
	fmt.Println(semver.All().Contains(semver.MustParse("0.0.0-0")))
	// Output: true
}

func ExampleReleases() {
	fmt.Println(semver.Releases().Contains(semver.MustParse("1.2.3-rc.1")))
	// Output: false
}

func ExampleExactly() {
	allowed := semver.Exactly(semver.New(1, 0, 0), semver.New(1, 1, 0))
	fmt.Println(allowed, allowed.Contains(semver.MustParse("1.1.0+build")))
	// Output: 1.0.0 || 1.1.0 true
}

func ExampleAtLeast() {
	fmt.Println(semver.AtLeast(semver.New(1, 2, 0)).Contains(semver.MustParse("1.3.0-rc.1")))
	// Output: true
}

func ExampleBelow() {
	fmt.Println(semver.Below(semver.New(2, 0, 0)).Contains(semver.MustParse("2.0.0-rc.1")))
	// Output: true
}

func ExampleBetween() {
	fmt.Println(semver.Between(semver.New(1, 0, 0), semver.New(2, 0, 0)).VERS("npm"))
	// Output: vers:npm/>=1.0.0|<2.0.0 <nil>
}

func ExampleParseOSV() {
	var record struct{ Events []semver.Event }
	doc := `{"events": [{"introduced": "1.0.0"}, {"fixed": "1.4.2"}, {"introduced": "2.0.0-rc.1"}]}`
	if err := json.Unmarshal([]byte(doc), &record); err != nil {
		fmt.Println(err)
	}
	vuln, err := semver.ParseOSV(record.Events...)
	fmt.Println(vuln.Contains(semver.New(1, 4, 1)), vuln.Contains(semver.New(1, 4, 2)), vuln.Contains(semver.New(2, 0, 0)), err)
	_, err = semver.ParseOSV()
	fmt.Println(err)
	// Output:
	// true false true <nil>
	// semver: malformed OSV events: none introduces the vulnerability
}

func ExampleEvent() {
	vuln, err := semver.ParseOSV(semver.Event{Introduced: "0"}, semver.Event{LastAffected: "1.4.1"})
	fmt.Println(vuln.Contains(semver.MustParse("0.0.0-alpha")), vuln.Contains(semver.New(1, 4, 1)), err)
	// Output: true true <nil>
}

func ExampleParseVERS() {
	typ, r, err := semver.ParseVERS("vers:npm/1.2.3|>=2.0.0|<5.0.0")
	fmt.Println(typ, r.Contains(semver.New(1, 2, 3)), r.Contains(semver.New(1, 2, 4)), err)
	// Output: npm true false <nil>
}

func ExampleRule() {
	var even semver.Rule = func(v semver.Version) error {
		if v.Minor()%2 != 0 {
			return fmt.Errorf("%s: odd minor versions are for development", v)
		}
		return nil
	}
	gate := semver.Rules(semver.Stable, even)
	fmt.Println(gate(semver.New(1, 3, 0)))
	// Output: 1.3.0: odd minor versions are for development
}

func ExampleRules() {
	gate := semver.Rules(semver.Stable, semver.NoBuild)
	fmt.Println(gate(semver.MustParse("1.0.0-rc.1+b7")))
	// Output:
	// semver: 1.0.0-rc.1+b7: pre-release not allowed (stable)
	// semver: 1.0.0-rc.1+b7: build metadata not allowed (no build metadata)
}

func ExampleIn() {
	rule := semver.In(semver.MustParseRange("^1.2"))
	fmt.Println(rule(semver.New(2, 0, 0)))
	// Output: semver: 2.0.0: above every allowed version (in "^1.2")
}

func ExampleNotIn() {
	var forgotten semver.Range
	fmt.Println(semver.NotIn(forgotten)(semver.New(1, 0, 0)))
	// Output: semver: 1.0.0: empty range (not in "<0.0.0-0")
}

func ExampleNoDowngrade() {
	fmt.Println(semver.NoDowngrade(semver.New(1, 2, 3))(semver.New(1, 2, 2)))
	// Output: semver: 1.2.2: below every allowed version (no downgrade from 1.2.3)
}

func ExampleMaxStep() {
	fmt.Println(semver.MaxStep(semver.New(1, 2, 3), semver.Minor)(semver.New(2, 0, 0)))
	// Output: semver: 2.0.0: too large a step (at most a minor step from 1.2.3)
}

func ExampleStable() {
	fmt.Println(semver.Stable(semver.MustParse("1.0.0-rc.1")))
	// Output: semver: 1.0.0-rc.1: pre-release not allowed (stable)
}

func ExampleFirstPatch() {
	fmt.Println(semver.FirstPatch(semver.MustParse("1.2.3+b.0")))
	// Output: semver: 1.2.3+b.0: not the first patch of its minor version (first patch)
}

func ExampleNoBuild() {
	fmt.Println(semver.NoBuild(semver.MustParse("1.2.3+b7")))
	// Output: semver: 1.2.3+b7: build metadata not allowed (no build metadata)
}

func ExampleParseError() {
	_, err := semver.AllowV.Parse("v1.2.3-rc..1")
	if e, ok := errors.AsType[*semver.ParseError](err); ok {
		fmt.Println(e.Kind, e.Offset, e.Err)
	}
	// Output: version 10 empty identifier
}

func ExampleViolation() {
	err := semver.MustParseRange("^1 || ^3").Check(semver.New(2, 1, 0))
	if e, ok := errors.AsType[*semver.Violation](err); ok {
		fmt.Println(e.Version, e.Rule, e.Err)
	}
	// Output: 2.1.0 in "^1 || ^3" excluded
}
