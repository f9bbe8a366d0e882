package logscan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/logscan"
)

func TestJSONArray(t *testing.T) {
	s := logscan.Scanner{Decoders: []logscan.Decoder{logscan.JSONArray("Records")}, Parser: logscan.JSON("a")}
	for text, want := range map[string]string{
		`{"Records":[{"a":1},` + "\n" + `{"a":"x,]\"},"},{"b":[1,{"a":2}],` + "\n" + `"a":[3]}],"rest":{}}`: `["1" "x,]\"}," "[3]"] 0`,
		`{"Records":[{"a":1}]}`:                     `["1"] 0`,
		`{"Records":[]}`:                            `[] 0`,
		`{"Records":[{"a":1},{"a":`:                 `["1"] 1`,
		`{"Records": [{"a":1}]}`:                    `[""] 0`,
		`{"a":7}`:                                   `["7"] 0`,
		`{"Records":[` + strings.Repeat("[", 20000): `[] 1`,
	} {
		var got []string
		errs := 0
		for rec, err := range s.Records(t.Context(), logscan.Readers("x", strings.NewReader(text))) {
			if err != nil {
				errs++
				continue
			}
			got = append(got, string(rec.Get("a")))
		}
		if got := fmt.Sprintf("%q %d", got, errs); got != want {
			t.Errorf("%.40s: got %s, want %s", text, got, want)
		}
	}
}
