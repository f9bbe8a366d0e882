package ratelimithttp_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
)

func TestParseRateLimit(t *testing.T) {
	none := ratelimithttp.Quota{Limit: -1, Remaining: -1, Reset: -1}
	named := func(name string) ratelimithttp.Quota { q := none; q.Name = name; return q }
	good := map[string][]ratelimithttp.Quota{
		``:                                    nil,
		`"a"`:                                 {named("a")},
		`"a";pk=:c2Vj:;x;y=?1;z="s;,"; u=t/*`: {named("a")},
		`"a" , "b\"\\"`:                       {named("a"), named(`b"\`)},
		"  \"a\"\t,\t\"b\"  ":                 {named("a"), named("b")},
		`"a";x=1.234;y=-12;z=tok:en/x;*k`:     {named("a")},
		`"a";x=%"f%c3%bc";y=@-5;z=:YQ:`:       {named("a")},
		`"a";qu="requests";r=007`:             {{Name: "a", Limit: -1, Remaining: 7, Reset: -1}},
		`"a";qu="content-bytes";r=-0`:         {{Name: "a", Unit: "content-bytes", Limit: -1, Remaining: 0, Reset: -1}},
		`"a";r=5;r=6,"a";t=999999999999999`:   {{Name: "a", Limit: -1, Remaining: 6, Reset: 9223372036 * time.Second}},
	}
	for text, want := range good {
		got, err := ratelimithttp.ParseRateLimit(http.Header{"Ratelimit": {text}})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s (-want +got):\n%s%v", text, diff, err)
		}
	}
	for _, text := range malformed {
		for _, field := range []string{"Ratelimit", "Ratelimit-Policy"} {
			if got, err := ratelimithttp.ParseRateLimit(http.Header{field: {text}}); err == nil || got != nil || len(err.Error()) > 400 {
				t.Errorf("%s: %.40s: got %v, %v, want an error", field, text, got, err)
			}
		}
	}
}

// malformed fields, by RFC 9651 or by the types of the draft.
var malformed = []string{
	// Lists.
	`,`, `"a",`, `"a", `, `"a",,"b"`, `,"a"`, `"a" "b"`, `"a";"b"`, "\t\"a\"", "\"a\"\t", "\"a\"\n", `"a"; r=1,`, `("a" "b")`, `"a"=1`,
	// Members that are no strings.
	`a`, `a;r=1`, `1`, `1.5`, `?1`, `:YQ==:`, `@1`, `%"a"`, `'a'`,
	// Strings.
	`"a`, `"`, `"a\x"`, `"a\`, "\"\x00\"", "\"\x7f\"", `"ü"`, "\"a\tb\"",
	// Keys.
	`"a";`, `"a";;r=1`, `"a"; `, `"a";R=1`, `"a";1=1`, `"a";-x=1`, `"a" ;r=1`, "\"a\";\tr=1", `"a";r =1`, `"a";r= 1`,
	// Values of any parameter.
	`"a";x=`, `"a";x=;y`, `"a";x=(1 2)`, `"a";x=1.`, `"a";x=.5`, `"a";x=1.2345`, `"a";x=1234567890123.0`, `"a";x=-`, `"a";x=--1`, `"a";x=+1`,
	`"a";x=1e3`, `"a";x=0x1f`, `"a";x=1_000`, `"a";x=1 000`, `"a";x=?2`, `"a";x=?`, `"a";x=?true`, `"a";x=:YQ`, `"a";x=:Y Q=:`, `"a";x=:Y:`, `"a";x=:YQ=:`, `"a";x=:Y=Q=:`,
	`"a";x=:_-:`, `"a";x=@`, `"a";x=@1.5`, `"a";x=%"%GG"`, `"a";x=%"%C3%BC"`, `"a";x=%"%ff"`, `"a";x=%"a`, `"a";x=%a`, `"a";x="b`, `"a";x="b"c`, `"a";x=t"u"`, `"a";x={}`, `"a";x=[1]`,
	`"a";x=1000000000000000`, `"a";x=$`, `"a";x=é`,
	// Types of the draft.
	`"a";r`, `"a";r=-1`, `"a";r=1.0`, `"a";r="5"`, `"a";r=five`, `"a";r=?1`, `"a";r=@5`, `"a";r=1000000000000000`, `"a";q=-1`, `"a";q="1"`, `"a";w=0`, `"a";w=-1`, `"a";w=1.5`, `"a";t=-1`,
	`"a";t=0.5`, `"a";t="1"`, `"a";qu=requests`, `"a";qu=1`, `"a";pk="abc"`, `"a";pk=abc`, `"a";pk`, `"a";redoubt-burst=-1`, `"a";redoubt-burst=1.5`, `"a";r=1;r=x`,
	// Too long.
	strings.Repeat(`"a",`, 2000),
}

func FuzzParseRateLimit(f *testing.F) {
	f.Add(`"a";r=1;t=2, "b";q=3;w=4`)
	f.Add(`"a";pk=:c2:;x="\\"`)
	f.Fuzz(func(t *testing.T, text string) {
		quotas, err := ratelimithttp.ParseRateLimit(http.Header{"Ratelimit": {text}, "Ratelimit-Policy": {text}})
		if err != nil && (quotas != nil || len(err.Error()) > 500) {
			t.Errorf("%d quotas with an error of %d bytes", len(quotas), len(err.Error()))
		}
		for _, q := range quotas {
			if q.Burst < 0 || q.Limit < -1 || q.Remaining < -1 || q.Reset < -1 || q.Window < 0 {
				t.Errorf("%+v", q)
			}
		}
	})
}
