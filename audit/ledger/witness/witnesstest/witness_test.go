package witnesstest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/witness"
	"github.com/redoubt-go/redoubt/audit/ledger/witness/witnesstest"
)

// post sends a body to a witness.
func post(w http.Handler, body string) *http.Response {
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/w1/add-checkpoint", strings.NewReader(body)))
	return rec.Result()
}

// TestWitnessFollowsTheSpecification sends each kind of request that
// c2sp.org/tlog-witness describes.
func TestWitnessFollowsTheSpecification(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	skey, _, err := ledger.GenerateKey("example.com/billing")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.ParseSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	led, err := ledger.Open(ctx, dir, ledger.Config{Signer: signer, CheckpointDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = led.Close() })
	grow := func() (cp ledger.Checkpoint) {
		for range 3 {
			if err := led.WriteEvents(ctx, []*audit.Event{{Action: "test", Outcome: audit.Success}}); err != nil {
				t.Fatal(err)
			}
		}
		if cp, err = led.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
		return cp
	}
	first, second := grow(), grow()
	proof, err := ledger.ProveConsistency(os.DirFS(dir), first.Size, second.Size)
	if err != nil {
		t.Fatal(err)
	}
	request := func(old uint64, cp ledger.Checkpoint, proof ...ledger.Hash) string {
		s := fmt.Sprintf("old %d\n", old)
		for _, h := range proof {
			s += h.String() + "\n"
		}
		return s + "\n" + cp.Note
	}
	unsigned, damaged, foreign := second, second, second
	unsigned.Note = strings.Replace(second.Note, "— example.com/billing", "— example.com/other", 1)
	damaged.Note = strings.Replace(second.Note, fmt.Sprintf("\n%d\n", second.Size), fmt.Sprintf("\n%d\n", second.Size+1), 1)
	foreign.Note = strings.ReplaceAll(second.Note, "example.com/billing", "example.com/other")

	w := witnesstest.New("witness.example/w1", signer.Verifier())
	for _, row := range []struct {
		name, body string
		status     int
	}{
		{"proof from nothing", request(0, first, proof...), 422},
		{"old too large", request(first.Size+1, first), 400},
		{"old unknown", request(1, first), 409},
		{"first", request(0, first), 200},
		{"same", request(first.Size, first), 200},
		{"old too small", request(0, first), 409},
		{"no proof", request(first.Size, second), 422},
		{"wrong proof", request(first.Size, second, append(proof, proof[0])...), 422},
		{"65 lines", request(first.Size, second, make([]ledger.Hash, 64)...), 400},
		{"unknown key", request(first.Size, unsigned, proof...), 403},
		{"invalid signature", request(first.Size, damaged, proof...), 403},
		{"unknown log", request(first.Size, foreign, proof...), 404},
		{"empty", "", 400},
		{"old 01", strings.Replace(request(1, second), "old 1", "old 01", 1), 400},
		{"not base64", "old 1\nx\n\n" + second.Note, 400},
		{"second", request(first.Size, second, proof...), 200},
	} {
		resp := post(w, row.body)
		if resp.StatusCode != row.status {
			t.Errorf("%s: status %d, want %d", row.name, resp.StatusCode, row.status)
		}
		if isSize := resp.Header.Get("Content-Type") == "text/x.tlog.size"; isSize != (row.status == 409) {
			t.Errorf("%s: Content-Type %q", row.name, resp.Header.Get("Content-Type"))
		}
	}
	if got := w.Head("example.com/billing"); got != second.Head {
		t.Errorf("head %v, want %v", got, second.Head)
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/add-checkpoint", nil))
	if rec.Code != 404 {
		t.Errorf("GET: status %d", rec.Code)
	}
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

func ExampleWitness() {
	w := witnesstest.New("witness.example/w1")
	fmt.Println(post(w, "old 0\n\nexample.com/other\n").StatusCode, w.Head("example.com/other").Size)
	// Output: 404 0
}

func ExampleNew() {
	fmt.Println(witnesstest.New("witness.example/w1").Key().Name())
	// Output: witness.example/w1
}
