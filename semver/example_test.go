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
	available := []semver.Version{semver.New(1, 3, 0), semver.New(1, 4, 2), semver.New(4, 0, 0)}

	want := semver.MustParseRange("^1.2 || >=3.1 <4")
	vuln := semver.Below(semver.New(1, 4, 2))
	best, ok := want.Difference(vuln).Max(slices.Values(available))

	fmt.Println(best, ok)
	// Output: 1.4.2 true
}

func ExampleRules_gate() {
	want := semver.MustParseRange("^1.2 || >=3.1 <4")
	vuln := semver.Below(semver.New(1, 4, 2))
	running := semver.New(1, 2, 0)

	gate := semver.Rules(
		semver.In(want),
		semver.Named("vulnerable", semver.NotIn(vuln)),
		semver.Stable,
		semver.NoDowngrade(running),
	)
	err := gate(semver.MustParse("1.4.0"))

	fmt.Println(err)
	// Output: semver: 1.4.0: excluded (vulnerable)
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
	// 1.2.4 2.0.0 true false
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
	fmt.Println(semver.Between(semver.New(1, 0, 0), semver.New(2, 0, 0)))
	// Output: plain >=1.0.0 <2.0.0
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
	gate := semver.Rules(semver.Stable, semver.NoDowngrade(semver.New(1, 0, 0)))
	fmt.Println(gate(semver.MustParse("1.0.0-rc.1+b7")))
	// Output:
	// semver: 1.0.0-rc.1+b7: pre-release not allowed (stable)
	// semver: 1.0.0-rc.1+b7: below every allowed version (no downgrade from 1.0.0)
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

func ExampleParseError() {
	_, err := semver.AllowV.Parse("v1.2.3-rc..1")
	if e, ok := errors.AsType[*semver.ParseError](err); ok {
		fmt.Println(e.Kind, e.Offset, e.Err)
	}
	// Output: version 10 semver: empty identifier
}

func ExampleViolation() {
	err := semver.MustParseRange("^1 || ^3").Check(semver.New(2, 1, 0))
	if e, ok := errors.AsType[*semver.Violation](err); ok {
		fmt.Println(e.Version, e.Rule, e.Err)
	}
	// Output: 2.1.0 in "^1 || ^3" semver: excluded
}

func ExampleDialect_With() {
	chart, err := semver.Helm.ParseRange(">=1.19-0")
	admit, err := semver.NPM.With(semver.PreAll).ParseRange(">=1.19")

	eks := semver.MustParse("1.34.1-eks-3025e55")
	fmt.Println(chart.Contains(eks), admit.Contains(eks), err)
	// Output: true true <nil>
}

func ExampleRange_Intervals() {
	scan := func(lo, hi []byte) { fmt.Printf("%q to %q\n", lo, hi) }
	r := semver.Between(semver.New(1, 0, 0), semver.New(1, 4, 2))
	for iv := range r.Intervals() {
		lo, _ := iv.Lo.MarshalBinary()
		hi, _ := iv.Hi.MarshalBinary()
		scan(lo, hi)
	}
	// Output: "\x011\x010\x010\xff\x00" to "\x011\x014\x012\xff\x00"
}

func ExampleAbove() {
	fmt.Println(semver.Above(semver.New(1, 2, 3)).Least())
	// Output: 1.2.4-0 true
}

func ExampleAtMost() {
	fmt.Println(semver.AtMost(semver.New(1, 2, 3)))
	// Output: plain <=1.2.3
}

func ExampleClosed() {
	retracted := semver.Closed(semver.New(1, 0, 0), semver.New(1, 1, 0))
	fmt.Println(retracted, retracted.Contains(semver.New(1, 1, 0)))
	// Output: plain >=1.0.0 <=1.1.0 true
}

func ExampleNamed() {
	rule := semver.Named("end of life", semver.NotIn(semver.Below(semver.New(2, 0, 0))))
	fmt.Println(rule(semver.New(1, 9, 0)))
	// Output: semver: 1.9.0: excluded (end of life)
}
