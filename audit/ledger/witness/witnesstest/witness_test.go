package witnesstest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/witness"
	"github.com/redoubt-go/redoubt/audit/ledger/witness/witnesstest"
)

func TestWitness(t *testing.T) {
	witnesstest.Run(t, func(t *testing.T, log *ledger.Verifier) witnesstest.Subject {
		w := witnesstest.New("witness.example/w1", log)
		server := httptest.NewServer(w)
		t.Cleanup(server.Close)
		return witnesstest.Subject{Key: w.Key(), URL: server.URL}
	})
}

func Example() {
	skey, _, _ := ledger.GenerateKey("example.com/billing")
	signer, _ := ledger.ParseSigner(skey)
	log := signer.Verifier()

	w := witnesstest.New("witness.example/w1", log)
	server := httptest.NewServer(w)
	policy, err := witness.ParsePolicy(fmt.Appendf(nil,
		"witness w1 %v %s\nquorum w1\n", w.Key(), server.URL))

	fmt.Println(len(policy.Witnesses()), err)
	server.Close()
	// Output: 1 <nil>
}

func ExampleRun() {
	_ = func(t *testing.T) {
		type subject = witnesstest.Subject
		witnesstest.Run(t, func(t *testing.T, log *ledger.Verifier) subject {
			server := httptest.NewServer(newWitness("witness.example/w1", log))
			t.Cleanup(server.Close)
			return subject{Key: key, URL: server.URL}
		})
	}
	// Output:
}

// newWitness stands for another implementation.
func newWitness(name string, log *ledger.Verifier) http.Handler { return witnesstest.New(name, log) }

var key *witness.Key

func ExampleSubject() {
	w := witnesstest.New("witness.example/w1")
	s := witnesstest.Subject{Key: w.Key(), URL: "http://127.0.0.1:8080"}
	fmt.Println(s.Key.Name())
	// Output: witness.example/w1
}

func ExampleWitness() {
	w := witnesstest.New("witness.example/w1")
	rec := httptest.NewRecorder()
	body := strings.NewReader("old 0\n\nexample.com/other\n")
	w.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/add-checkpoint", body))
	fmt.Println(rec.Code, w.Head("example.com/other").Size)
	// Output: 404 0
}

func ExampleNew() {
	fmt.Println(witnesstest.New("witness.example/w1").Key().Name())
	// Output: witness.example/w1
}
