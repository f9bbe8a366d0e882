package witnesstest

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/witness"
)

// A Witness is an HTTP handler that cosigns checkpoints, as
// c2sp.org/tlog-witness requires. Its state is in memory, so it is only for
// tests. It is safe for concurrent use.
type Witness struct {
	cosigner *witness.Cosigner
	logs     []*ledger.Verifier

	mu    sync.Mutex
	heads map[string]ledger.Head // by origin
}

// New returns a witness with a new key for logs with these keys. It panics if
// name is not the name of a key.
func New(name string, logs ...*ledger.Verifier) *Witness {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	c, err := witness.NewCosigner(name, key)
	if err != nil {
		panic(err)
	}
	return &Witness{cosigner: c, logs: logs, heads: map[string]ledger.Head{}}
}

// Key returns the public key of the witness.
func (w *Witness) Key() *witness.Key { return w.cosigner.Key() }

// Head returns the last state of a log that the witness has cosigned.
func (w *Witness) Head(origin string) ledger.Head {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.heads[origin]
}

// ServeHTTP answers POST requests with a path that ends in /add-checkpoint.
func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/add-checkpoint") || r.Method != http.MethodPost {
		http.NotFound(rw, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, 1<<20))
	if err != nil {
		http.Error(rw, "body is too long", http.StatusBadRequest)
		return
	}
	status, text := w.add(string(body))
	if status == http.StatusConflict {
		rw.Header().Set("Content-Type", "text/x.tlog.size")
	}
	rw.WriteHeader(status)
	_, _ = io.WriteString(rw, text)
}

// add handles a request and returns its answer.
func (w *Witness) add(body string) (status int, text string) {
	old, proof, note, ok := parse(body)
	if !ok {
		return http.StatusBadRequest, "malformed request\n"
	}
	origin, _, _ := strings.Cut(note, "\n")
	known := func(v *ledger.Verifier) bool { return v.Name() == origin }
	if !slices.ContainsFunc(w.logs, known) {
		return http.StatusNotFound, "unknown log\n"
	}
	cp, err := ledger.ParseCheckpoint(note, w.logs...)
	switch {
	case errors.Is(err, ledger.ErrTampered):
		return http.StatusForbidden, "no valid signature\n"
	case err != nil || old > cp.Size:
		return http.StatusBadRequest, "malformed checkpoint\n"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.heads[origin]
	if last.Size != old {
		return http.StatusConflict, fmt.Sprintf("%d\n", last.Size)
	}
	if old == 0 && len(proof) > 0 || old > 0 && ledger.CheckConsistency(last, cp.Head, proof) != nil {
		return http.StatusUnprocessableEntity, "invalid consistency proof\n"
	}
	line, err := w.cosigner.Cosign(note, time.Now())
	if err != nil {
		return http.StatusBadRequest, "malformed checkpoint\n"
	}
	w.heads[origin] = cp.Head
	return http.StatusOK, line
}

// parse reads the body of a request.
func parse(body string) (old uint64, proof []ledger.Hash, note string, ok bool) {
	head, note, found := strings.Cut(body, "\n\n")
	lines := strings.Split(head, "\n")
	digits, isOld := strings.CutPrefix(lines[0], "old ")
	old, err := strconv.ParseUint(digits, 10, 64)
	if !found || !isOld || err != nil || strconv.FormatUint(old, 10) != digits || len(lines) > 64 {
		return 0, nil, "", false
	}
	proof = make([]ledger.Hash, len(lines)-1)
	for i, line := range lines[1:] {
		if proof[i].UnmarshalText([]byte(line)) != nil {
			return 0, nil, "", false
		}
	}
	return old, proof, note, true
}
