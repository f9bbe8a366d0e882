package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/semver/advisory"
	semvercmd "github.com/redoubt-go/redoubt/semver/cmd/semver"
)

// result is the outcome of a command.
type result struct {
	status      int
	stdout, err string
}

func call(stdin string, args ...string) result {
	var out, errs bytes.Buffer
	status := semvercmd.Run(context.Background(), args, strings.NewReader(stdin), &out, &errs)
	return result{status, out.String(), errs.String()}
}

// words splits a command line at spaces, and replaces each "_" by a space.
func words(line string) []string {
	var all []string
	for _, w := range strings.Fields(line) {
		all = append(all, strings.ReplaceAll(w, "_", " "))
	}
	return all
}

// lines joins lines of input or output.
func lines(l ...string) string { return strings.Join(append(l, ""), "\n") }

func TestCommands(t *testing.T) {
	advisory := filepath.Join("testdata", "tasks", "advisory.json")
	for _, row := range []struct {
		name, line, stdin string
		want              result
	}{
		{"valid prints versions as written", "valid v1.2.3 1.0.0-rc.1+b", "", result{0, lines("v1.2.3", "1.0.0-rc.1+b"), ""}},
		{"valid reports where a fault is", "valid", lines("1.2.3", "", "1.02.3"), result{1, "1.2.3\n", "line 3: version \"1.02.3\": leading zero in a number at byte 2; -mode tolerant admits it\n"}},
		{"valid strict", "valid -mode strict v1.2.3", "", result{1, "", "argument 1: version \"v1.2.3\": syntax error at byte 0; -mode tolerant admits it\n"}},
		{"valid skips", "valid -skip x 1.2.3", "", result{0, "1.2.3\n", ""}},
		{"valid tolerant with CRLF", "valid -mode tolerant", "v1.2\r\n1\r\n", result{0, lines("v1.2", "1"), ""}},
		{"valid by bits of the mode", "valid -mode v|partial v1.2", "", result{0, "v1.2\n", ""}},
		{"valid after a byte order mark", "valid", "\ufeff1.2.3\n", result{0, "1.2.3\n", ""}},
		{"valid go", "valid -mode go go1.26rc2", "", result{0, "go1.26rc2\n", ""}},
		{"valid coerce", "valid -mode coerce release_2.4_(stable)", "", result{0, "2.4.0\n", ""}},
		{"valid coerce without a version", "valid -mode coerce none", "", result{1, "", "argument 1: no version in \"none\"\n"}},
		{"valid as JSON", "valid -json v1.2.3-rc.1+b x", "", result{1, lines(
			`{"text":"v1.2.3-rc.1+b","version":"1.2.3-rc.1+b","major":"1","minor":"2","patch":"3","prerelease":"rc.1","build":"b"}`,
			`{"text":"x","error":"version \"x\": syntax error at byte 0"}`,
		), ""}},
		{"valid as JSON with a number beyond 64 bits", "valid -json 99999999999999999999.0.0", "", result{0, `{"text":"99999999999999999999.0.0","version":"99999999999999999999.0.0","major":"99999999999999999999","minor":"0","patch":"0"}` + "\n", ""}},

		{"valid by a template", "valid -format {{.Major}}.{{.Minor}} v1.2.3", "", result{0, "1.2\n", ""}},
		{"bump by a template", "bump -format v{{.Major}} minor v1.2.3", "", result{0, "v1\n", ""}},

		{"compare", "compare 1.2.3 v1.10.0", "", result{0, "-1\n", ""}},
		{"compare equal", "compare 1.2.3+a 1.2.3+b", "", result{0, "0\n", ""}},
		{"compare with build", "compare -build 1.2.3+b 1.2.3+a", "", result{0, "1\n", ""}},
		{"compare holds", "compare 1.2.3 lt 1.10.0", "", result{0, "", ""}},
		{"compare holds not", "compare 1.2.3 ge 1.10.0", "", result{1, "", ""}},
		{"compare with a sign", "compare 1.2.3 != 1.2.3", "", result{1, "", ""}},
		{"compare as JSON", "compare -json 1.2.3 1.3.0", "", result{0, `{"a":"1.2.3","b":"1.3.0","order":-1,"diff":"minor"}` + "\n", ""}},
		{"diff", "diff 1.2.3 1.2.4-rc.1", "", result{0, "patch\n", ""}},
		{"diff as JSON", "diff -json 1.2.3 2.0.0", "", result{0, `{"diff":"major"}` + "\n", ""}},

		{"sort", "sort", lines("v1.10.0", "1.9.0", "1.10.0-rc.1", "1.9.0+b", "1.9.0+a"), result{0, lines("1.9.0", "1.9.0+a", "1.9.0+b", "1.10.0-rc.1", "v1.10.0"), ""}},
		{"sort descending", "sort -r 1.0.0 2.0.0", "", result{0, lines("2.0.0", "1.0.0"), ""}},
		{"sort once", "sort -u v1.0.0 1.0.0 1.0.0+b", "", result{0, "v1.0.0\n", ""}},
		{"sort tags once for each variant", "sort -u -variant a* 1.0-a1 1.0-a2 1.0.0-a1", "", result{0, lines("1.0-a1", "1.0-a2"), ""}},
		{"sort nothing", "sort", "", result{0, "", ""}},
		{"sort reports", "sort x 1.0.0", "", result{2, "1.0.0\n", "semver sort: argument 1: version \"x\": syntax error at byte 0\n"}},

		{"filter", "filter -range ^1.2", lines("v1.2.3", "v2.0.0", "v1.3.0-rc.1"), result{0, "v1.2.3\n", ""}},
		{"filter with flags after arguments", "filter v1.2.3 -range ^1.2", "", result{0, "v1.2.3\n", ""}},
		{"filter with pre-releases", "filter -pre all -range ^1.2 1.3.0-rc.1", "", result{0, "1.3.0-rc.1\n", ""}},
		{"filter by a dialect", "filter -dialect cargo -range 1.2 1.9.0 1.2.0", "", result{0, lines("1.9.0", "1.2.0"), ""}},
		{"filter by a dialect and its rule", "filter -dialect npm+none -range >=1.0.0-a 1.0.0-b 1.0.0", "", result{0, "1.0.0\n", ""}},
		{"filter by several ranges", "filter -range ^1 -range >=1.5 -not 1.6.0 1.4.0 1.5.0 1.6.0 1.7.0", "", result{0, lines("1.5.0", "1.7.0"), ""}},
		{"filter by a vers specifier", "filter -not vers:npm/>=1.0.0|<1.4.2 1.4.1 1.4.2", "", result{0, "1.4.2\n", ""}},
		{"filter by a printed set", "filter -not plain_>=1.0.0_<1.4.2 1.4.2-rc.1 1.4.2", "", result{0, "1.4.2\n", ""}},
		{"filter by a printed set in two kinds", "filter -range >=1.0.0_<2.0.0_;_pre_>=1.0.1-0_<1.4.2 1.4.0-rc.1 1.5.0-rc.1", "", result{0, "1.4.0-rc.1\n", ""}},
		{"filter after --", "filter -range ^1 -- 1.0.0", "", result{0, "1.0.0\n", ""}},
		{"valid takes no flag after --", "valid -- -json", "", result{1, "", "argument 1: version \"-json\": syntax error at byte 0\n"}},
		{"filter finds none", "filter -range ^3 1.0.0", "", result{1, "", ""}},
		{"filter reports a line and goes on", "filter -range ^1", lines("x", "1.0.0"), result{2, "1.0.0\n", "semver filter: line 1: version \"x\": syntax error at byte 0\n"}},
		{"filter hints at tags", "filter 1.27rc1", "", result{2, "", "semver filter: argument 1: version \"1.27rc1\": syntax error at byte 4; -mode tag admits it\n"}},
		{"filter hints at toolchains", "filter go1.26.0", "", result{2, "", "semver filter: argument 1: version \"go1.26.0\": syntax error at byte 0; -mode go admits it\n"}},
		{"filter leaves other tags out", "filter -prefix a/ a/v1.0.0 b/v2.0.0", "", result{0, "a/v1.0.0\n", ""}},
		{"filter as JSON", "filter -json -variant alpine* -range ^1 1.27-alpine3", "", result{0, `{"text":"1.27-alpine3","version":"1.27.0","major":"1","minor":"27","patch":"0","variant":"alpine3"}` + "\n", ""}},

		{"max", "max 1.9.0 1.10.0 1.10.0-rc.1", "", result{0, "1.10.0\n", ""}},
		{"max of the longest tag", "max -mode tag 1.27 1.27.0 1.26", "", result{0, "1.27.0\n", ""}},
		{"min", "min -stable 1.9.0-rc.1 1.10.0 1.9.0", "", result{0, "1.9.0\n", ""}},
		{"max finds none", "max -range ^3 1.9.0", "", result{1, "", ""}},
		{"max is silent if it cannot know", "max x 1.9.0", "", result{2, "", "semver max: argument 1: version \"x\": syntax error at byte 0\n"}},

		{"gate passes", "gate -range ^1 1.2.3", "", result{0, "1.2.3: pass\n", ""}},
		{"gate is quiet", "gate -q -range ^1 1.2.3", "", result{0, "", ""}},
		{"gate gives every reason", "gate -range ^1 -stable -from 1.5.0 -step patch 1.6.0-rc.1", "", result{1, "1.6.0-rc.1: refused: pre-release not allowed (in \"^1\"); pre-release not allowed (stable); too large a step (at most a patch step from 1.5.0)\n", ""}},
		{"gate below", "gate -from 1.5.0 1.4.0", "", result{1, "1.4.0: refused: below every allowed version (no downgrade from 1.5.0); next release that passes: 1.5.0\n", ""}},
		{"gate finds the next release outside a range", "gate -not ^1.2 1.2.0", "", result{1, "1.2.0: refused: excluded (not in \"^1.2\"); next release that passes: 2.0.0\n", ""}},
		{"gate names the advisory", "gate -osv " + advisory + " 1.3.0", "", result{1, "1.3.0: refused: excluded (EXAMPLE-2026-1); next release that passes: 1.4.1\n", ""}},
		{"gate selects the package", "gate -package example.com/widget -osv " + advisory + " 1.3.0", "", result{1, "1.3.0: refused: excluded (EXAMPLE-2026-1); next release that passes: 1.4.1\n", ""}},
		{"gate notes an unknown package", "gate -package other -osv " + advisory + " 1.3.0", "", result{0, "1.3.0: pass\n", "semver gate: note: no OSV record concerns other\n"}},
		{"gate reads a folder", "gate -osv " + filepath.Dir(advisory) + " 1.4.1", "", result{0, "1.4.1: pass\n", ""}},
		{"gate as JSON", "gate -json -range ^1 2.0.0 1.0.0 x", "", result{2, lines(
			`{"text":"2.0.0","version":"2.0.0","pass":false,"reasons":[{"rule":"in \"^1\"","reason":"above every allowed version"}]}`,
			`{"text":"1.0.0","version":"1.0.0","pass":true}`,
			`{"text":"x","pass":false,"error":"version \"x\": syntax error at byte 0"}`,
		), ""}},
		{"gate does not pass what it cannot read", "gate -range ^1", lines("1.0.0", "latest"), result{2, lines("1.0.0: pass", "latest: not understood: version \"latest\": syntax error at byte 0"), ""}},
		{"gate refuses another format", "gate -stable -prefix a/ b/v1.0.0", "", result{2, "b/v1.0.0: not understood: tag: other prefix or variant: \"b/v1.0.0\", want \"a/VERSION\"\n", ""}},
		{"gate skips", "gate -skip -range ^1 x 1.0.0", "", result{0, "1.0.0: pass\n", ""}},

		{"why not", "why >=1.19 1.20.0-rc.1", "", result{1, lines(
			`1.20.0-rc.1 is not in ">=1.19": pre-release not allowed; the next member is 1.20.0, see -vendors if it is the build of a vendor`,
			"  npm                 no   pre-release not allowed, reads >=1.19.0",
			"  npm+all             yes  reads plain >=1.19.0-0",
			"  cargo               no   pre-release not allowed, reads >=1.19.0",
			"  helm                no   pre-release not allowed, reads >=1.19.0",
			"  terraform           no   pre-release not allowed, reads >=1.19.0",
			"  terraform-provider  no   pre-release not allowed, reads >=1.19.0",
		), ""}},
		{"why in, and other dialects", "why -dialect cargo 1.2 1.9.0", "", result{0, lines(
			`1.9.0 is in "1.2"`,
			"  cargo               yes  reads >=1.2.0 <2.0.0",
			"  npm                 no   above every allowed version, reads >=1.2.0 <1.3.0",
			"  helm                no   above every allowed version, reads >=1.2.0 <1.3.0",
			"  terraform           no   above every allowed version, reads 1.2.0",
			"  terraform-provider  no   above every allowed version, reads 1.2.0",
		), ""}},
		{"why as JSON", "why -json -dialect terraform ~>_5 6.0.0", "", result{0, `{"text":"6.0.0","range":"~> 5","in":true,"answers":[` +
			`{"dialect":"terraform","in":true,"range":">=5.0.0"},` +
			`{"dialect":"npm","in":false,"range":">=5.0.0 <6.0.0","reason":"above every allowed version"},` +
			`{"dialect":"cargo","in":false,"error":"range \"~> 5\": syntax error at byte 0"},` +
			`{"dialect":"helm","in":false,"range":">=5.0.0 <6.0.0","reason":"above every allowed version"},` +
			`{"dialect":"terraform-provider","in":false,"range":">=5.0.0 <6.0.0","reason":"above every allowed version"}]}` + "\n", ""}},

		{"bump", "bump minor v1.2.3 1.2.0-rc.1", "", result{0, lines("v1.3.0", "1.2.0"), ""}},
		{"bump from lines", "bump major", "v1.2.3\n", result{0, "v2.0.0\n", ""}},
		{"bump begins a line", "bump -pre rc minor v1.2.3", "", result{0, "v1.3.0-rc.0\n", ""}},
		{"bump begins at a number", "bump -pre rc.1 pre 1.2.3", "", result{0, "1.2.4-rc.1\n", ""}},
		{"bump continues a line", "bump -pre rc pre 1.2.3-rc.9", "", result{0, "1.2.3-rc.10\n", ""}},
		{"bump to the release", "bump release v1.2.3-rc.9", "", result{0, "v1.2.3\n", ""}},
		{"bump adds build metadata", "bump -build b7 patch 1.2.3", "", result{0, "1.2.4+b7\n", ""}},
		{"bump writes a tag", "bump -variant alpine -prefix x- -build b7 minor x-v1.2-alpine", "", result{0, "x-v1.3.0_b7-alpine\n", ""}},
		{"bump of toolchains", "bump -mode go patch go1.26.1 1.26rc2", "", result{0, lines("go1.26.2", "1.26.0"), ""}},
		{"bump coerces", "bump -mode coerce minor version_1.2", "", result{0, "1.3.0\n", ""}},
		{"bump never goes down", "bump -pre beta pre 1.2.3-rc.1 1.2.3-alpha", "", result{1, "1.2.3-beta.0\n", "semver bump: argument 1: 1.2.3-beta.0: would not be a higher version (above 1.2.3-rc.1)\n"}},
		{"bump of a release to the release", "bump release 1.2.3", "", result{1, "", "semver bump: argument 1: 1.2.3: would not be a higher version (release)\n"}},
		{"bump as JSON", "bump -json minor v1.2.3", "", result{0, `{"text":"v1.3.0","version":"1.3.0","major":"1","minor":"3","patch":"0"}` + "\n", ""}},

		{"range show", "range show ^1.2", "", result{0, ">=1.2.0 <2.0.0\n", ""}},
		{"range show of a dialect", "range show -dialect helm >=1.19-0", "", result{0, "plain >=1.19.0-0\n", ""}},
		{"range and", "range and ^1 >=1.2 <1.5", "", result{0, ">=1.2.0 <1.5.0\n", ""}},
		{"range or", "range or ^1 ^2", "", result{0, ">=1.0.0 <3.0.0\n", ""}},
		{"range or of lines", "range or", lines("^1", "^2", "^3"), result{0, ">=1.0.0 <4.0.0\n", ""}},
		{"range minus", "range minus ^1 1.2.3 1.2.4", "", result{0, ">=1.0.0 <1.2.3 || >=1.2.5 <2.0.0\n", ""}},
		{"range not", "range not plain_<1.0.0", "", result{0, "plain >=1.0.0\n", ""}},
		{"range as vers", "range show -vers npm plain_>=1.0.0_<1.4.2", "", result{0, "vers:npm/>=1.0.0|<1.4.2\n", ""}},
		{"range as JSON", "range show -json ^1", "", result{0, `{"range":">=1.0.0 <2.0.0","intervals":[{"lo":"1.0.0","hi":"2.0.0","releases":true,"prereleases":false}]}` + "\n", ""}},
		{"range as JSON without a bound", "range show -json plain_>=1.0.0", "", result{0, `{"range":"plain >=1.0.0","intervals":[{"lo":"1.0.0","releases":true,"prereleases":true}]}` + "\n", ""}},
		{"range subset", "range subset ^1.2 ^1", "", result{0, "", ""}},
		{"range subset with a witness", "range subset ^1 ^1.2", "", result{1, "", "semver range subset: no: 1.0.0 is in the first range only\n"}},
		{"range equal", "range equal ^1 1.x", "", result{0, "", ""}},
		{"range equal with a witness", "range equal ^1.2 ^1", "", result{1, "", "semver range equal: no: 1.0.0 is in the second range only\n"}},
		{"range overlaps", "range overlaps ^1 >=1.5", "", result{0, "", ""}},
		{"range overlaps not", "range overlaps ^1 ^2", "", result{1, "", "semver range overlaps: no: no version is in both\n"}},
		{"range relation as JSON", "range subset -json ^1 ^1.2", "", result{1, `{"holds":false,"witness":"1.0.0"}` + "\n", ""}},
		{"range relation that holds as JSON", "range subset -json ^1.2 ^1", "", result{0, `{"holds":true}` + "\n", ""}},
		{"range overlap that does not hold as JSON", "range overlaps -json ^1 ^2", "", result{1, `{"holds":false}` + "\n", ""}},
		{"range overlap as JSON", "range overlaps -json ^1 >=1.5", "", result{0, `{"holds":true,"witness":"1.5.0"}` + "\n", ""}},
		{"range least", "range least >1.2.3", "", result{0, "1.2.4\n", ""}},
		{"range least from", "range least -from 1.3.0 ^1.2", "", result{0, "1.3.0\n", ""}},
		{"range least of none", "range least <0.0.0", "", result{1, "", ""}},
		{"range least as JSON", "range least -json ^1", "", result{0, `{"least":"1.0.0"}` + "\n", ""}},

		{"osv", "osv " + advisory, "", result{0, "EXAMPLE-2026-1\tGo/example.com/widget\tplain >=1.3.0 <1.4.1 || 1.9.0\n", ""}},
		{"osv of a package", "osv -package Go/example.com/widget " + advisory, "", result{0, "EXAMPLE-2026-1\tGo/example.com/widget\tplain >=1.3.0 <1.4.1 || 1.9.0\n", ""}},
		{"osv of another package", "osv -package other " + advisory, "", result{1, "", ""}},
		{"osv as JSON", "osv -json " + advisory, "", result{0, `{"id":"EXAMPLE-2026-1","package":"Go/example.com/widget","range":"plain >=1.3.0 <1.4.1 || 1.9.0"}` + "\n", ""}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := call(row.stdin, words(row.line)...)
			if diff := cmp.Diff(row.want, got, cmp.AllowUnexported(result{})); diff != "" {
				t.Errorf("semver %s, -want +got:\n%s", row.line, diff)
			}
		})
	}
}

// TestErrors checks that a wrong command line or text ends with status 2,
// prints nothing on standard output and gives the reason on a line.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(text string) string {
		f, err := os.CreateTemp(dir, "*.json")
		if err == nil {
			_, err = f.WriteString(text)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		return f.Name()
	}
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	affected := func(rest string) string {
		return `{"id":"X-1","affected":[{"package":{"ecosystem":"npm","name":"p"}` + rest + `}]}`
	}
	for _, row := range []struct {
		args []string
		want string
	}{
		{words("dance"), `no command "dance"`},
		{words("validate"), "perhaps semver valid;"},
		{words("-r ^1"), "perhaps semver filter -range"},
		{words("v1.2.3"), "perhaps semver valid v1.2.3"},
		{words("help dance"), `no command "dance"`},
		{words("valid -x"), "semver help valid lists the flags"},
		{words("valid"), "no version, neither"},
		{words("gate -range ^1"), "no version, neither"},
		{words("bump patch"), "no version, neither"},
		{words("why ^1"), "no version, neither"},
		{words("valid -format {{.Major 1.0.0"), "unclosed action"},
		{words("valid -format {{.Mayor}} 1.0.0"), "can't evaluate field Mayor"},
		{words("valid -mode x 1.0.0"), `no mode "x"`},
		{words("valid -mode strict -prefix a 1.0.0"), "describe tags"},
		{words("valid -variant [ 1.0.0"), "a pattern as in path.Match"},
		{words("compare 1.0.0"), "1 arguments; usage: semver compare [FLAGS] A [OP] B"},
		{words("compare 1.0.0 x"), "at byte 0"},
		{words("compare 1.0.0 around 2.0.0"), `no operator "around"`},
		{[]string{"compare", "1.0.0", ""}, "variable of the shell unset"},
		{words("diff 1.0.0"), "usage: semver diff"},
		{words("diff 1.0.0 x"), "at byte 0"},
		{words("filter -range ^1..2 1.0.0"), "at byte"},
		{words("filter -range >=1.19-0 1.0.0"), "-dialect helm reads it"},
		{[]string{"filter", "-range", "", "1.0.0"}, "empty alternative"},
		{[]string{"filter", "-range", "^1 || ", "1.0.0"}, "empty alternative"},
		{[]string{"filter", "-not", "", "1.0.0"}, "empty alternative"},
		{words("filter -range vers:npm/x 1.0.0"), "at byte"},
		{words("filter -dialect perl 1.0.0"), "it is npm, cargo"},
		{words("filter -pre some 1.0.0"), "it is all, none"},
		{words("filter -from x 1.0.0"), "-from: "},
		{words("filter -step minor 1.0.0"), "-step needs -from"},
		{words("filter -step tiny 1.0.0"), "unsupported"},
		{words("filter -package p 1.0.0"), "-package needs -osv"},
		{words("max -range 1..2 1.0.0"), "at byte"},
		{words("gate 1.0.0"), "no rule"},
		{[]string{"gate", "-osv", filepath.Join(dir, "none"), "1.0.0"}, "no such file"},
		{[]string{"gate", "-osv", empty, "1.0.0"}, "contains no .json file"},
		{[]string{"gate", "-osv", file(""), "1.0.0"}, "empty"},
		{[]string{"gate", "-osv", file("{"), "1.0.0"}, "unexpected EOF"},
		{[]string{"gate", "-osv", file(`{"a":1}`), "1.0.0"}, "not an OSV record"},
		{[]string{"gate", "-osv", file("[null]"), "1.0.0"}, "a record: not an OSV record"},
		{[]string{"gate", "-osv", file(`{"id":"X-1"}`), "1.0.0"}, "X-1: no affected package"},
		{[]string{"gate", "-osv", file("3"), "1.0.0"}, "cannot unmarshal"},
		{[]string{"gate", "-osv", file(affected("")), "1.0.0"}, "every version may be affected"},
		{[]string{"gate", "-osv", file(affected(`,"ranges":[{"type":"GIT","events":[]}]`)), "1.0.0"}, "every version may be affected"},
		{[]string{"gate", "-osv", file(affected(`,"ranges":[{"type":"SEMVER","events":[]}]`)), "1.0.0"}, "malformed OSV events"},
		{[]string{"gate", "-osv", file(affected(`,"versions":["x"]`)), "1.0.0"}, "no SEMVER range"},
		{[]string{"gate", "-osv", file(affected(`,"versions":["1.0.0"]`) + affected(`,"versions":["1.0.0"]},{"package":{"name":"q"},"versions":["1.0.0"]`)), "1.0.0"}, "choose a package"},
		{words("bump"), "no part; usage: semver bump"},
		{words("bump tiny 1.0.0"), `no part "tiny"`},
		{words("bump preminor 1.0.0"), "write bump -pre rc minor"},
		{words("bump prerelease 1.0.0"), "write bump -pre rc pre"},
		{words("bump -pre rc release 1.0.0"), `no part "release"`},
		{words("bump -pre 01 pre 1.0.0"), "leading zero"},
		{words("bump -build ! patch 1.0.0"), "empty identifier"},
		{words("range"), "no operation; usage: semver range"},
		{words("range xor ^1"), `no operation "xor"`},
		{words("range show"), "no range"},
		{words("range show ^1 ^2"), "show takes 1 ranges, not 2"},
		{words("range subset ^1"), "subset takes 2 ranges, not 1"},
		{words("range show 1..2"), "at byte"},
		{words("range show -vers npm ^1"), "unsupported"},
		{words("range least -from x ^1"), "-from: "},
		{words("why"), "no range; usage"},
		{words("why 1..2 1.0.0"), "at byte"},
		{words("osv"), "no file; usage"},
		{words("osv nofile"), "no such file"},
	} {
		got := call("", row.args...)
		if got.status != 2 || got.stdout != "" || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, row.want) {
			t.Errorf("%q: got %+v, want status 2 and %q", row.args, got, row.want)
		}
	}
	if got := call("x..y\n", words("range show")...); got.status != 2 || !strings.Contains(got.err, "line 1: range") {
		t.Errorf("a bad line: got %+v", got)
	}
	if got := call(""); got.status != 2 || !strings.HasPrefix(got.err, "usage: semver") {
		t.Errorf("no arguments: got %+v", got)
	}
}

// TestOSVForms reads a record, a sequence of records, an array, and the answer
// of a query. A withdrawn record does not count, and an empty set
// excludes nothing.
func TestOSVForms(t *testing.T) {
	record := `{"id":"A","affected":[{"package":{"ecosystem":"npm","name":"p"},"versions":["1.0.0","2.0.0","1.x"],"ranges":[{"type":"SEMVER","events":[{"introduced":"1.5.0"},{"fixed":"1.6.0"}]}]}]}`
	withdrawn := `{"id":"B","withdrawn":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"p"},"versions":["3.0.0"]}]}`
	none := `{"id":"C","affected":[{"package":{"ecosystem":"npm","name":"p"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"limit":"0.0.0-0"}]}]}]}`
	for _, text := range []string{
		record + withdrawn + none, record + "\n" + withdrawn + "\n", "[" + withdrawn + "," + record + "]",
		`{"vulns":[` + record + `,` + withdrawn + `]}`,
	} {
		name := filepath.Join(t.TempDir(), "osv.json")
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got := call("", "filter", "-osv", name, "1.0.0", "1.1.0", "1.5.1", "1.6.0", "2.0.0", "3.0.0")
		if want := (result{0, lines("1.1.0", "1.6.0", "3.0.0"), ""}); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

// TestOSVAnswerWithoutRecords reads the answer of a query without records.
func TestOSVAnswerWithoutRecords(t *testing.T) {
	name := filepath.Join(t.TempDir(), "osv.json")
	if err := os.WriteFile(name, []byte("{}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := result{0, "1.0.0: pass\n", "semver gate: note: no OSV record concerns any package\n"}
	if got := call("", "gate", "-osv", name, "1.0.0"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// FuzzOSV reads arbitrary records. The command reads each printed set again and
// prints it unchanged.
func FuzzOSV(f *testing.F) {
	for _, s := range []string{
		"{}", "[]", "null", `{"vulns":[]}`, `{"id":"A","affected":[{"package":{"name":"p"},"versions":["1.0.0"]}]}`,
		`{"id":"A","affected":[{"package":{"name":"p"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.0+b"}]}]}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := advisory.ReadOSV(bytes.NewReader(data), "")
		if err != nil {
			return
		}
		for _, a := range found {
			text := a.Range.Canonical()
			if got := call("", "range", "show", text); got.status != 0 || got.stdout != text+"\n" {
				t.Errorf("%q is printed as %+v", text, got)
			}
		}
	})
}

func TestHelp(t *testing.T) {
	all := call("", "help")
	var text strings.Builder
	text.WriteString(all.stdout)
	for _, name := range semvercmd.Names() {
		got := call("", "help", name)
		if other := call("", name, "-h"); got.status != 0 || got != other {
			t.Errorf("%s: help and -h differ: %+v, %+v", name, got, other)
		}
		fmt.Fprintf(&text, "\n%s", got.stdout)
		if doc := read(t, "doc.go"); !strings.Contains(doc, "//\tsemver "+name+" ") {
			t.Errorf("doc.go: no synopsis of %s", name)
		}
	}
	golden(t, filepath.Join("testdata", "help.txt"), text.String())
	if other := call("", "-h"); all != other || all.status != 0 {
		t.Errorf("help and -h differ")
	}
}

// TestStreams shows that a line is answered before the next line is written.
func TestStreams(t *testing.T) {
	in, stdin := io.Pipe()
	stdout, out := io.Pipe()
	done := make(chan int)
	go func() {
		status := semvercmd.Run(context.Background(), []string{"filter", "-range", "^1"}, in, out, io.Discard)
		_ = out.Close()
		done <- status
	}()
	for _, v := range []string{"1.0.0\n", "1.1.0\n"} {
		if _, err := io.WriteString(stdin, "2.0.0\n"+v); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(v))
		if _, err := io.ReadFull(stdout, got); err != nil || string(got) != v {
			t.Fatalf("got %q, %v, want %q", got, err, v)
		}
	}
	_ = stdin.Close()
	if status := <-done; status != 0 {
		t.Errorf("status %d", status)
	}
}

// TestLongLines shows that a line of any length costs a bounded error.
func TestLongLines(t *testing.T) {
	long := strings.Repeat("1", 1<<20)
	got := call(long+"\n1.0.0\n"+long, "filter")
	want := result{2, "1.0.0\n", "semver filter: line 1 has more than 65536 bytes\nsemver filter: line 3 has more than 65536 bytes\n"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got = call(strings.Repeat("1", 1000), "filter")
	if got.status != 2 || len(got.err) > 200 {
		t.Errorf("got %+v", got)
	}
}

// TestUnsafeTexts shows that a hostile version cannot write control characters
// to the report.
func TestUnsafeTexts(t *testing.T) {
	got := call("1.0.0\x1b[31m\n", "gate", "-range", "^1")
	if got.status != 2 || strings.Contains(got.stdout+got.err, "\x1b") {
		t.Errorf("got %+v", got)
	}
}

func TestBrokenStreams(t *testing.T) {
	broken := errors.New("broken")
	var errs bytes.Buffer
	for _, args := range [][]string{{"filter"}, {"valid"}, {"sort"}, {"max"}, {"range", "or"}} {
		errs.Reset()
		if got := semvercmd.Run(context.Background(), args, iotest.ErrReader(broken), io.Discard, &errs); got != 2 || !strings.Contains(errs.String(), "broken") {
			t.Errorf("%s from a broken input: status %d, %s", args, got, &errs)
		}
	}
	for _, args := range [][]string{
		{"valid"},
		{"valid", "-json"},
		{"sort"},
		{"filter"},
		{"max"},
		{"gate", "-range", "^1"},
		{"bump", "patch"},
		{"help"},
		{"compare", "1.0.0", "1.0.0"},
		{"diff", "1.0.0", "1.0.0"},
		{"range", "show", "^1"},
		{"why", "^1", "1.0.0"},
		{"osv", filepath.Join("testdata", "tasks", "advisory.json")},
	} {
		if got := semvercmd.Run(context.Background(), args, strings.NewReader("1.0.0\n"), failing{}, io.Discard); got != 2 {
			t.Errorf("%s to a broken output: status %d", args, got)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got := semvercmd.Run(ctx, []string{"filter"}, strings.NewReader("1.0.0\n"), io.Discard, &errs); got != 2 {
		t.Errorf("with a canceled context: status %d", got)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("failing") }
