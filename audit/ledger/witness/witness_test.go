package witness_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/witness"
	"github.com/redoubt-go/redoubt/audit/ledger/witness/witnesstest"
)

const origin = "example.com/billing"

func checkEqual(t testing.TB, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func checkIs(t testing.TB, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("error %v, want %v", err, target)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A testLog is a signed log. Its checkpoints are written on demand only.
type testLog struct {
	*ledger.Ledger
	t      testing.TB
	dir    string
	signer *ledger.Signer
	key    *ledger.Verifier
}

func newLog(t testing.TB) *testLog {
	t.Helper()
	skey, vkey, err := ledger.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	l := &testLog{t: t, signer: must(ledger.ParseSigner(skey)), key: must(ledger.ParseVerifier(vkey))}
	l.open(t.TempDir())
	return l
}

// open opens a log of the same key.
func (l *testLog) open(dir string) {
	l.t.Helper()
	led, err := ledger.Open(context.Background(), dir, ledger.Config{
		Signer: l.signer, Sync: ledger.SyncNever, CheckpointDelay: -1, CheckpointEvery: -1,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.Ledger, l.dir = led, dir
	l.t.Cleanup(func() { _ = led.Close() })
}

func (l *testLog) fsys() fs.FS { return os.DirFS(l.dir) }

// grow appends n events and returns a checkpoint of them.
func (l *testLog) grow(n int) ledger.Checkpoint {
	l.t.Helper()
	for i := range n {
		e := &audit.Event{ID: fmt.Sprint(i), Action: "test", Outcome: audit.Success}
		if err := l.WriteEvents(context.Background(), []*audit.Event{e}); err != nil {
			l.t.Fatal(err)
		}
	}
	cp, err := l.Checkpoint(context.Background())
	if err != nil {
		l.t.Fatal(err)
	}
	return cp
}

// A network sends requests to handlers by host name, without sockets, so that
// it works in virtual time.
type network map[string]http.Handler

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	handler := n[r.URL.Host] // before the goroutine: tests change the map
	done := make(chan struct{})
	go func() {
		defer close(done)
		handler.ServeHTTP(rec, r)
	}()
	select {
	case <-done:
		return rec.Result(), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// counting counts the requests.
type counting struct {
	http.Handler
	n *int
}

func (c counting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	*c.n++
	c.Handler.ServeHTTP(w, r)
}

// policyOf returns a policy with these witnesses at hosts of their names.
func policyOf(quorum string, witnesses ...*witnesstest.Witness) *witness.Policy {
	var b strings.Builder
	names := ""
	for i, w := range witnesses {
		fmt.Fprintf(&b, "witness w%d %v http://w%d\n", i+1, w.Key(), i+1)
		names += fmt.Sprintf(" w%d", i+1)
	}
	fmt.Fprintf(&b, "group g %s%s\nquorum g\n", quorum, names)
	return must(witness.ParsePolicy([]byte(b.String())))
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// answer returns a handler with a fixed answer.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// noteOf returns the checkpoint in a request.
func noteOf(r *http.Request) string {
	_, note, _ := strings.Cut(string(must(io.ReadAll(r.Body))), "\n\n")
	return note
}

// cosigned returns a checkpoint of l with cosignatures of witnesses.
func cosigned(t testing.TB, l *testLog, cp ledger.Checkpoint, witnesses ...*witnesstest.Witness) string {
	t.Helper()
	n := network{}
	for i, w := range witnesses {
		n[fmt.Sprintf("w%d", i+1)] = w
	}
	c := witness.New(witness.Config{Policy: policyOf("all", witnesses...), Log: l.fsys(), Transport: n})
	if err := c.Anchor(context.Background(), cp); err != nil {
		t.Fatal(err)
	}
	return c.Last().Note
}

var later = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
