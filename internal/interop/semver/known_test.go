package semver

import (
	"regexp"
	"strings"
	"testing"
)

// The patterns of the known deviations. docs/semver.md gives the reasons.
var (
	zeroTilde   = regexp.MustCompile(`~>? *v?0+\.0+\.0`)
	partialNot  = regexp.MustCompile(`!= *v?(\d+(\.\d+)?|\d+\.[xX*](\.[xX*])?|\d+\.\d+\.[xX*]|[xX*](\.[xX*])*)-`)
	beyond      = regexp.MustCompile(`\d{16,}`)
	minusFive   = regexp.MustCompile(`-(-5)\b`)
	fourNumbers = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+`)
	preZero     = regexp.MustCompile(`[-.]0\d+\b`)
	emptyPre    = regexp.MustCompile(`[-+]( *,| *$|[^,]*\.\.)`)
	noVersion   = regexp.MustCompile(`[<>=~] *(,|$)`)
	lastComma   = regexp.MustCompile(`, *$`)
	hyphenAfter = regexp.MustCompile(`\|\|\S* +- `)
	hyphenWith  = regexp.MustCompile(`\S\|\|\S+ +- `)
	spaces      = regexp.MustCompile(`^ |  |[<>=~] `)
	loneBuild   = regexp.MustCompile(`(^| )\+`)
	deletedStar = regexp.MustCompile(`\*\d|[<>]\*`)
	equalUpper  = regexp.MustCompile(` - =`)
	glued       = regexp.MustCompile(`\d!=`)
	overlong    = regexp.MustCompile(`[xX*]\.[xX*][\dxX*]`)
	wideNumber  = regexp.MustCompile(`[-.]\d{20,}`)
	noHyphen    = regexp.MustCompile(`\d[a-z]|~\w`)
	equalBuild  = regexp.MustCompile(`(^|[=,])[ v]*\d[^,]*\+`)
)

func npmKnown(text, version string, got bool) string {
	switch {
	case version != "":
		return ""
	case !got && loneBuild.MatchString(text):
		return "npm deletes build metadata before it splits a range"
	case !got && deletedStar.MatchString(text):
		return "npm deletes * beside a number or an operator"
	case !got && equalUpper.MatchString(text):
		return "npm with includePrerelease: = before the upper end of a hyphen range"
	case !got && strings.ContainsRune(text, '\u00a0'):
		return "npm: every white space of Unicode"
	case !got:
		return ""
	case strings.Contains(text, "!="):
		return "npm has no !="
	case strings.Contains(text, ","):
		return "npm has no comma"
	case beyond.MatchString(text):
		return "npm's numbers end at 2^53"
	}
	return ""
}

func cargoKnown(text, version string, got bool) string {
	if version == "" && got && beyond.MatchString(text) {
		return "Rust: numbers end at 2^64"
	}
	return ""
}

func helmKnown(text, version string, got bool) string {
	switch {
	case version == "" && got && hyphenAfter.MatchString(text):
		return "Masterminds: no hyphen range directly after ||"
	case version == "" && got && len(text) > 512:
		return "Masterminds: at most 512 bytes"
	case version == "" && got && strings.Count(text, "||") >= 32:
		return "Masterminds: at most 32 alternatives"
	case version == "" && got && beyond.MatchString(text):
		return "Masterminds: numbers end at 2^64"
	case version == "" && !got && glued.MatchString(text):
		return "Masterminds: != directly after a version"
	case version == "" && !got && overlong.MatchString(text):
		return "Masterminds: a text after the third wildcard"
	case version == "":
		return ""
	case wideNumber.MatchString(text + " " + version):
		return "Masterminds: a pre-release number over 2^64 is a text"
	case !got && hyphenWith.MatchString(text):
		return "Masterminds: || is a part of the lower end of a hyphen range"
	case !got && zeroTilde.MatchString(text):
		return "Masterminds: ~0.0.0 is every version"
	case got && partialNot.MatchString(text):
		return "Masterminds: != with missing numbers excludes a pre-release of many versions"
	}
	return ""
}

func terraformKnown(text, version string, got bool) string {
	switch {
	case minusFive.MatchString(text) || minusFive.MatchString(version):
		return "go-version: -5 is a number"
	case version == "" && got && beyond.MatchString(text):
		return "go-version: numbers end at 2^63"
	case version != "" && continued(text, version):
		return "go-version: alpha is above alpha.beta"
	case version != "" || got:
		return ""
	case fourNumbers.MatchString(text):
		return "go-version: any count of numbers"
	case preZero.MatchString(text):
		return "go-version: a pre-release number may begin with 0"
	case emptyPre.MatchString(text):
		return "go-version: a pre-release or build metadata may be empty"
	case noHyphen.MatchString(text):
		return "go-version: a pre-release without a hyphen, or with ~"
	}
	return ""
}

func providerKnown(text, version string, got bool) string {
	switch {
	case got && strings.HasPrefix(version, "0.0.0"):
		return "go-versions: 0.0.0 is in no set"
	case version != "" && equalBuild.MatchString(text):
		return "go-versions: = and != compare build metadata"
	case version == "" && got && beyond.MatchString(text):
		return "go-versions: panics at 2^64"
	case version == "" && got && spaces.MatchString(text):
		return "go-versions: at most one space, after an operator or a comma"
	case version != "" || got:
		return ""
	case preZero.MatchString(text):
		return "go-versions: a pre-release number may begin with 0"
	case emptyPre.MatchString(text):
		return "go-versions: a pre-release, build metadata or identifier may be empty"
	case lastComma.MatchString(text):
		return "go-versions: a comma at the end"
	case noVersion.MatchString(text):
		return "go-versions: an operator without a version"
	case text == "":
		return "go-versions: an empty text is every version"
	}
	return ""
}

// continued reports whether the pre-release of a bound continues the
// pre-release of the version, or the reverse, by an identifier that is a text.
func continued(text, version string) bool {
	_, pre, ok := strings.Cut(version, "-")
	if !ok {
		return false
	}
	for _, m := range bound.FindAllStringSubmatch(text, -1) {
		p := strings.TrimPrefix(m[3], "-")
		longer, found := strings.CutPrefix(p, pre+".")
		if !found {
			longer, found = strings.CutPrefix(pre, p+".")
		}
		if found && p != "" && strings.Trim(longer, "0123456789.") != "" {
			return true
		}
	}
	return false
}

// deviations returns, for each tool, a constraint and a version for each
// reason.
func deviations() map[string][]question {
	q := func(text, version string) question { return question{text, []string{version}} }
	return map[string][]question{
		"npm": {
			q("^1 !=1.5.0", "1.5.1"), q(">=1.2.3,<2", "1.5.0"), q("^9007199254740993.0.0", "1.0.0"),
			q("1.2.3+b +c", "1.2.3"), q("1.2.3\u00a01.2.3", "1.2.3"), q("2.*1.0", "2.1.0"),
		},
		"cargo":   {q(">=18446744073709551616.0.0", "1.0.0")},
		"npm+all": {q("1 - =1.2.3", "1.0.0")},
		"helm": {
			q("~0.0.0", "9.9.9"), q("!=4.1-alpha", "4.1.1-alpha"), q("1 ||2 - 3", "2.0.0"), q("1||2 - 3", "9.0.0"), q("1 - 2!=1.5", "1.2.0"), q("1.x.x1", "1.1.0"),
			q(">=1.0.0"+strings.Repeat(" ", 512), "1.0.0"), q(strings.Repeat("1 || ", 32)+"2", "1.0.0"), q(">=18446744073709551616.0.0", "1.0.0"), q("< 1.0.0-100000000000000000000", "1.0.0-99999999999999999999"),
		},
		"terraform": {
			q("< 1.0.0--5", "1.0.0-0"), q("1.2.3.4", "1.2.3"), q("1.0-01", "1.0.0"), q("1.0-", "1.0.0"),
			q("< 1.0.0-alpha", "1.0.0-alpha.beta"), q("1.0beta2", "1.0.0"), q(">= 9223372036854775808.0", "1.0.0"),
		},
		"terraform-provider": {
			q(">= 0", "0.0.0"), q("= 1.0.0+b", "1.0.0"), q("1.0-01", "1.0.0"), q("1.0-", "1.0.0"), q("1.0,", "1.0.0"), q("< , 1.0", "1.0.0"), q(">=  1.0", "1.0.0"), q(">= 18446744073709551616.0", "1.0.0"), q("", "1.0.0"),
		},
	}
}

// TestKnownDeviations shows that each known deviation still exists. Without it
// the list would hide an error.
func TestKnownDeviations(t *testing.T) {
	all := deviations()
	for _, x := range tools() {
		questions := all[x.name]
		if questions == nil {
			continue
		}
		rows := x.answers(t, "known", questions)
		reasons := map[string]bool{}
		for i, q := range questions {
			o := x.compare(questions[i:i+1], rows[i:i+1], func(string, ...any) {})
			if len(o.known) != 1 || o.wrong != 0 {
				t.Errorf("%s: %q, %s: got %+v, want a known deviation", x.name, q.text, q.versions, o)
			}
			for reason := range o.known {
				reasons[reason] = true
			}
		}
		if len(reasons) != len(questions) {
			t.Errorf("%s: %d reasons for %d deviations: %v", x.name, len(reasons), len(questions), reasons)
		}
	}
}
