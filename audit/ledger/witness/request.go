package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/internal/retryafter"
)

const (
	maxAnswer   = 64 << 10 // bytes of an answer
	maxProof    = 63       // hashes of a request
	maxRequests = 4        // to a witness for a checkpoint
	firstPause  = 200 * time.Millisecond
)

// proofs contains the consistency proofs to a checkpoint, so that the log is
// read once for all witnesses with the same state.
type proofs struct {
	log  fs.FS
	size uint64

	mu    sync.Mutex
	known map[uint64][]ledger.Hash
}

// from returns the proof from an older size.
func (p *proofs) from(old uint64) ([]ledger.Hash, error) {
	if old == 0 || old == p.size {
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if proof, ok := p.known[old]; ok {
		return proof, nil
	}
	proof, err := ledger.ProveConsistency(p.log, old, p.size)
	if err == nil && len(proof) > maxProof {
		err = formatError("proof has %d hashes, want at most %d", len(proof), maxProof)
	}
	if err != nil {
		return nil, err
	}
	p.known[old] = proof
	return proof, nil
}

// A request submits a checkpoint to a witness.
type request struct {
	client  *Client
	witness member
	cp      ledger.Checkpoint
	text    string
	proofs  *proofs
	old     uint64 // size that the witness has cosigned
}

// An outcome is the cosignature of a witness, or its failure.
type outcome struct {
	line     string
	at       time.Time
	status   int
	requests int
	err      error
}

// do sends requests until the witness cosigns. The witness may know another
// size than expected, and some failures pass.
func (r request) do(ctx context.Context) (o outcome) {
	pause := firstPause
	for o.requests < maxRequests {
		proof, err := r.proofs.from(r.old)
		if err != nil {
			o.err = err
			return o
		}
		o.requests++
		a, err := r.send(ctx, proof)
		o.status, o.err = a.status, err
		switch {
		case ctx.Err() != nil:
			o.err = ctxerr.New(ctx, "witness: request")
			return o
		case err == nil && a.status == http.StatusOK:
			o.line, o.at, o.err = r.cosignature(a.body)
			return o
		case err == nil && a.status == http.StatusConflict:
			if r.old, o.err = r.size(a.body); o.err != nil {
				return o
			}
			o.err = errMoves
			continue
		case err == nil && a.status != http.StatusTooManyRequests && a.status < 500:
			o.err = refusal(a)
			return o
		case err == nil:
			o.err = refusal(a)
		}
		if !sleep(ctx, max(pause, a.after)) {
			return o
		}
		pause *= 2
	}
	return o
}

// errMoves is the failure of a witness that refuses each size, also the size
// that it reported.
var errMoves = errors.New("it refuses the size that it reports")

// sleep waits unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// refusal returns the error of an answer without a cosignature.
func refusal(a httpAnswer) error {
	switch a.status {
	case http.StatusForbidden:
		return errors.New("it does not know the key of the log")
	case http.StatusNotFound:
		return errors.New("it does not know the log")
	case http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: it refuses the consistency proof", ErrConflict)
	}
	text, _, _ := strings.Cut(a.body, "\n")
	return errors.New("unexpected answer " + quote.Text(text))
}

// An httpAnswer is the answer to a request.
type httpAnswer struct {
	status int
	body   string
	after  time.Duration // of Retry-After
}

// send sends a request. It reads a bounded body and follows no redirect.
func (r request) send(ctx context.Context, proof []ledger.Hash) (a httpAnswer, err error) {
	var b strings.Builder
	fmt.Fprintf(&b, "old %d\n", r.old)
	for _, h := range proof {
		b.WriteString(h.String() + "\n")
	}
	b.WriteString("\n" + r.cp.Note)
	target := strings.TrimRight(r.witness.url, "/") + "/add-checkpoint"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(b.String()))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := r.client.http.Do(req)
	if err != nil {
		return a, withoutURL(err)
	}
	defer func() { _ = resp.Body.Close() }()
	a.status = resp.StatusCode
	a.after, _ = retryafter.Parse(resp.Header, time.Now())
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = formatError("answer has more than %d bytes", maxAnswer)
	}
	a.body = string(body)
	return a, err
}

// withoutURL returns the cause of an error of an http.Client.
func withoutURL(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// cosignature takes the cosignature of the witness from an answer. It ignores
// signatures of other keys.
func (r request) cosignature(body string) (line string, at time.Time, err error) {
	sigs, err := parseSignatures(body)
	if err != nil {
		return "", at, err
	}
	s, at, err := find(r.text, sigs, r.witness.key)
	if err == nil && s.line == "" {
		err = formatError("answer has no signature of the key %s", quote.Text(r.witness.key.String()))
	}
	if err != nil {
		return "", time.Time{}, err
	}
	return s.line, at, nil
}

// size reads the size in an answer of a witness that expected another old size.
func (r request) size(body string) (uint64, error) {
	digits, ok := strings.CutSuffix(body, "\n")
	n, err := strconv.ParseUint(digits, 10, 64)
	switch {
	case !ok || err != nil || strconv.FormatUint(n, 10) != digits:
		return 0, formatError("size %s is not a number", quote.Text(digits))
	case n > r.cp.Size:
		return 0, fmt.Errorf("%w: it has cosigned %d records, and the log has %d", ErrConflict, n, r.cp.Size)
	}
	return n, nil
}
