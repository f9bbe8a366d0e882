package tag_test

import (
	"errors"
	"fmt"
	"slices"

	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/tag"
)

func ExampleFormat_Latest() {
	pushed := []string{"1.26.3-alpine", "1.27-alpine3.20", "1.27.0-alpine3.20", "1.28rc1-alpine", "1.28.0", "latest"}

	want := semver.In(semver.MustParseRange("^1.26"))
	format := tag.Format{Variant: "alpine*"}
	best, ok := format.Latest(slices.Values(pushed), want)

	fmt.Println(best, best.Version, ok)
	// Output: 1.27.0-alpine3.20 1.27.0 true
}

func ExampleFormat_Parse() {
	module := tag.Format{Prefix: "contrib/redis/"}
	t, err := module.Parse("contrib/redis/v0.1.0")
	fmt.Println(t, t.Version, err)
	// Output: contrib/redis/v0.1.0 0.1.0 <nil>
}

func ExampleFormat() {
	cluster := tag.Format{Vendors: []string{"eks", "gke", "k3s"}}
	t, err := cluster.Parse("v1.34.1-eks-3025e55")
	fmt.Println(t.Version, semver.MustParseRange(">=1.34.1").Contains(t.Version), err)
	// Output: 1.34.1+eks-3025e55 true <nil>
}

func ExampleTag() {
	_, err := tag.Format{Variant: "alpine*"}.Parse("20-bookworm")
	fmt.Println(err, errors.Is(err, tag.ErrFormat))
	// Output: tag: other prefix or variant: "20-bookworm", want "VERSION-alpine*" true
}

func ExampleCoerce() {
	v, ok := tag.Coerce("release of version 2.4 (stable)")
	fmt.Println(v, ok)
	// Output: 2.4.0 true
}

func ExampleCoerceFull() {
	fmt.Println(tag.CoerceFull("image:2.4-rc.1"))
	// Output: 2.4.0-rc.1 true
}
