//go:build goexperiment.jsonv2

package audit_test

import (
	jsonv2 "encoding/json/v2"
	"fmt"
	"testing"
)

// The package encoding/json/v2 treats methods, embedding and map keys
// differently. Run with GOEXPERIMENT=jsonv2, which also implements
// encoding/json with it.
func TestNothingLeaksThroughJSONv2(t *testing.T) {
	for name, h := range holders() {
		b, err := jsonv2.Marshal(h)
		if got := string(b) + fmt.Sprint(err); leaks(got) {
			t.Errorf("%s through json/v2: %s", name, got)
		}
	}
}
