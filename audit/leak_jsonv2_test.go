//go:build goexperiment.jsonv2

package audit_test

import (
	jsonv2 "encoding/json/v2"
	"fmt"
	"testing"
)

// The second engine has its own idea of methods, embedding and map keys. Run
// with GOEXPERIMENT=jsonv2, which also puts encoding/json on top of it.
func TestNothingLeaksThroughJSONv2(t *testing.T) {
	for name, h := range holders() {
		b, err := jsonv2.Marshal(h)
		if got := string(b) + fmt.Sprint(err); leaks(got) {
			t.Errorf("%s through json/v2: %s", name, got)
		}
	}
}
