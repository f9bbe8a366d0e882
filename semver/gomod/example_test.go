package gomod_test

import (
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/gomod"
)

func ExampleParsePseudo() {
	v, err := semver.AllowV.Parse("v1.2.4-0.20191109021931-daa7c04131f5")
	p, ok := gomod.ParsePseudo(v)
	fmt.Println(p.Base, p.Time.Format(time.DateOnly), p.Rev, ok, err)
	// Output: 1.2.3 2019-11-09 daa7c04131f5 true <nil>
}

func ExamplePseudo_Version() {
	p := gomod.Pseudo{Time: time.Date(2019, 11, 9, 2, 19, 31, 0, time.UTC), Rev: "daa7c04131f5"}
	fmt.Println(p.Version(2))
	p.Base, p.HasBase = semver.New(2, 3, 4), true
	fmt.Println(p.Version(2))
	// Output:
	// 2.0.0-20191109021931-daa7c04131f5 <nil>
	// 2.3.5-0.20191109021931-daa7c04131f5 <nil>
}

func ExamplePseudo() {
	_, ok := gomod.ParsePseudo(semver.MustParse("1.2.4-rc.1"))
	fmt.Println(ok)
	// Output: false
}

func ExampleParseToolchain() {
	have, err := gomod.ParseToolchain("go1.26.0")
	need, err := gomod.ParseToolchain("1.26rc2")
	ok := !have.Less(need)
	fmt.Println(have, need, ok, err)
	// Output: 1.26.0 1.26.0-rc.2 true <nil>
}

func ExampleToolchainName() {
	fmt.Println(gomod.ToolchainName(semver.MustParse("1.26.0-rc.2")))
	// Output: go1.26rc2 true
}

func ExampleParseRetract() {
	retracted, err := gomod.ParseRetract("[v1.0.0, v1.1.0]")
	ok := !retracted.Contains(semver.New(1, 0, 3))
	fmt.Println(retracted, ok, err)
	// Output: plain >=1.0.0 <=1.1.0 false <nil>
}
