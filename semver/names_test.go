package semver_test

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/redoubt-go/redoubt/semver"
)

// checkText checks that a value of an enumeration has the text want, and that
// the text gives the value again.
func checkText[T comparable, P interface {
	*T
	encoding.TextUnmarshaler
}](t *testing.T, value T, want string) {
	t.Helper()
	b, err := json.Marshal(value)
	if err != nil || string(b) != `"`+want+`"` || fmt.Sprint(value) != want {
		t.Errorf("text %s, String %v, %v, want %s", b, value, err, want)
	}
	var back T
	if err := P(&back).UnmarshalText([]byte(want)); err != nil || back != value {
		t.Errorf("%s gives %v, %v", want, back, err)
	}
}

func TestEnumerationsHaveTexts(t *testing.T) {
	checkText(t, semver.Same, "same")
	checkText(t, semver.Major, "major")
	checkText(t, semver.Prereleases(0), "default")
	checkText(t, semver.PreSameCore, "same-core")
	checkText(t, semver.PreAll, "all")
	checkText(t, semver.PreGroup, "group")
	checkText(t, semver.PreExact, "exact")
	checkText(t, semver.PreNone, "none")
	checkText(t, semver.PreEachCore, "each-core")
	checkText(t, semver.NPM, "npm")
	checkText(t, semver.Cargo, "cargo")
	checkText(t, semver.Helm.With(semver.PreAll), "helm+all")
	checkText(t, semver.Terraform, "terraform")
	checkText(t, semver.TerraformProvider.With(semver.PreNone), "terraform-provider+none")
	checkText(t, semver.Strict, "strict")
	checkText(t, semver.Tolerant, "tolerant")
	checkText(t, semver.AllowV|semver.AllowPartial, "v|partial")
	checkText(t, semver.AllowZeros, "zeros")
	checkText(t, semver.AllowSpace|semver.AllowV, "v|space")
}

func TestUnknownEnumerations(t *testing.T) {
	for _, row := range []struct {
		value interface {
			fmt.Stringer
			encoding.TextMarshaler
		}
		want string
	}{
		{semver.Part(9), "Part(9)"},
		{semver.Prereleases(9), "Prereleases(9)"},
		{semver.Dialect(99), "Dialect(99)"},
		{semver.NPM.With(9), "npm+Prereleases(9)"},
		{semver.Mode(64), "Mode(64)"},
		{semver.AllowV | 64, "Mode(65)"},
	} {
		if got := row.value.String(); got != row.want {
			t.Errorf("got %s, want %s", got, row.want)
		}
		if b, err := row.value.MarshalText(); !errors.Is(err, semver.ErrUnsupported) {
			t.Errorf("%s: text %s, %v, want ErrUnsupported", row.want, b, err)
		}
	}
	for text, value := range map[string]encoding.TextUnmarshaler{
		"huge": new(semver.Part), "some": new(semver.Prereleases), "pip": new(semver.Dialect), "npm+some": new(semver.Dialect),
		"v|w": new(semver.Mode), "": new(semver.Mode),
	} {
		if err := value.UnmarshalText([]byte(text)); !errors.Is(err, semver.ErrUnsupported) {
			t.Errorf("%q: got %v, want ErrUnsupported", text, err)
		}
	}
}
