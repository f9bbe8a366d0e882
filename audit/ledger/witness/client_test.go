package witness_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/witness"
	"github.com/redoubt-go/redoubt/audit/ledger/witness/witnesstest"
)

func TestWitnessesCosignAGrowingLog(t *testing.T) {
	l := newLog(t)
	w1, w2 := witnesstest.New("w1.example", l.key), witnesstest.New("w2.example", l.key)
	policy := policyOf("all", w1, w2)
	file := filepath.Join(t.TempDir(), "cosigned")
	var anchored []uint64
	requests := 0
	c := witness.New(witness.Config{
		Policy: policy, Log: l.fsys(), File: file, Transport: network{"w1": counting{w1, &requests}, "w2": w2},
		Anchor: func(_ context.Context, cp ledger.Checkpoint) error {
			_, err := policy.VerifyCheckpoint(cp.Note, l.key)
			anchored = append(anchored, cp.Size)
			return err
		},
	})
	var sizes []uint64
	for _, n := range []int{1, 1, 2, 5, 13, 100} {
		cp := l.grow(n)
		sizes = append(sizes, cp.Size)
		if err := c.Anchor(context.Background(), cp); err != nil {
			t.Fatal(err)
		}
		checkEqual(t, w1.Head(origin), cp.Head)
		checkEqual(t, w2.Head(origin), cp.Head)
	}
	checkEqual(t, anchored, sizes)
	checkEqual(t, requests, 6)
	note := string(must(os.ReadFile(file)))
	checkEqual(t, note, c.Last().Note)
	cp := must(policy.VerifyCheckpoint(note, l.key))
	checkEqual(t, cp.Size, sizes[5])
	checkEqual(t, len(cp.Cosignatures), 2)
	checkEqual(t, cp.Cosignatures[1].Witness, "w2")
	checkEqual(t, c.Stats(), witness.Stats{Name: "witness", Checkpoints: 6, Cosigned: 6, Requests: 12, Cosignatures: 12})

	// An older checkpoint is ignored, and the same checkpoint costs no request.
	if err := c.Anchor(context.Background(), l.grow(0)); err != nil {
		t.Error(err)
	}
	checkEqual(t, requests, 6)
}

func TestANewClientLearnsTheSizeOfTheWitness(t *testing.T) {
	l := newLog(t)
	w := witnesstest.New("w1.example", l.key)
	cosigned(t, l, l.grow(5), w)
	requests := 0
	c := witness.New(witness.Config{Policy: policyOf("all", w), Log: l.fsys(), Transport: network{"w1": counting{w, &requests}}})
	if err := c.Anchor(context.Background(), l.grow(3)); err != nil {
		t.Fatal(err)
	}
	checkEqual(t, requests, 2)
}

func TestQuorumDoesNotWaitForAHungWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		w1, w2, w3 := witnesstest.New("w1.example", l.key), witnesstest.New("w2.example", l.key), witnesstest.New("w3.example", l.key)
		n := network{"w1": w1, "w2": http.HandlerFunc(hang), "w3": w3}
		c := witness.New(witness.Config{Policy: policyOf("2", w1, w2, w3), Log: l.fsys(), Transport: n})
		start := time.Now()
		if err := c.Anchor(context.Background(), l.grow(5)); err != nil {
			t.Fatal(err)
		}
		checkEqual(t, time.Since(start), time.Second)
		status := c.Status()
		checkEqual(t, status[0].Size, c.Last().Size)
		checkEqual(t, status[1].Size, uint64(0))
		if status[1].Err == nil || status[0].Err != nil {
			t.Error(status)
		}
		// The same checkpoint again: only the missing witness is asked.
		n["w1"], n["w2"] = answer(500, ""), w2
		if err := c.Anchor(context.Background(), c.Last()); err != nil {
			t.Fatal(err)
		}
		cp := must(policyOf("all", w1, w2, w3).VerifyCheckpoint(c.Last().Note, l.key))
		checkEqual(t, len(cp.Cosignatures), 3)
		checkEqual(t, strings.Count(cp.Note, "\n"), 8)
	})
}

func TestATimeoutWithoutAQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		w1, w2 := witnesstest.New("w1.example", l.key), witnesstest.New("w2.example", l.key)
		c := witness.New(witness.Config{Policy: policyOf("all", w1, w2), Log: l.fsys(), Transport: network{"w1": w1, "w2": http.HandlerFunc(hang)}})
		start := time.Now()
		cp := l.grow(5)
		err := c.Anchor(context.Background(), cp)
		checkEqual(t, time.Since(start), 8*time.Second)
		checkIs(t, err, witness.ErrQuorum, context.DeadlineExceeded)
		var q *witness.QuorumError
		if !errors.As(err, &q) || q.Signed != 1 || q.Size != cp.Size || len(q.Errors) != 1 || q.Errors[0].Witness != "w2" {
			t.Errorf("%#v", q)
		}
		checkEqual(t, c.Last().Note, "")

		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, errors.New("shutdown"))
		defer cancel()
		err = c.Anchor(ctx, l.grow(1))
		checkEqual(t, time.Since(start), 9*time.Second)
		checkIs(t, err, witness.ErrQuorum, context.DeadlineExceeded, context.Cause(ctx))
	})
}

func TestConcurrentAnchorsKeepTheNewestCheckpoint(t *testing.T) {
	l := newLog(t)
	w := witnesstest.New("w1.example", l.key)
	c := witness.New(witness.Config{Policy: policyOf("all", w), Log: l.fsys(), Transport: network{"w1": w}})
	var cps []ledger.Checkpoint
	for range 20 {
		cps = append(cps, l.grow(1))
	}
	var wg sync.WaitGroup
	for _, cp := range cps {
		wg.Go(func() {
			if err := c.Anchor(context.Background(), cp); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	checkEqual(t, c.Last().Head, cps[19].Head)
}

func TestAnchorWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		w := witnesstest.New("w1.example", l.key)
		c := witness.New(witness.Config{Policy: policyOf("all", w), Log: l.fsys(), Transport: network{"w1": http.HandlerFunc(hang)}, Timeout: -1})
		cp := l.grow(1)
		first, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- c.Anchor(first, cp) }()
		synctest.Wait()
		ctx, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		err := c.Anchor(ctx, cp)
		checkIs(t, err, context.DeadlineExceeded)
		cancel()
		checkIs(t, <-ended, context.Canceled, witness.ErrQuorum)
	})
}

// newCosigner returns a cosigner with a new key.
func newCosigner(name string) *witness.Cosigner {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	return must(witness.NewCosigner(name, key))
}

// TestHostileWitness lets a witness misbehave in each way. The other witness is
// honest, so that a quorum of 1 succeeds and a quorum of 2 fails.
func TestHostileWitness(t *testing.T) {
	evil, other := newCosigner("w2.example"), newCosigner("w2.example")
	respond := func(f func(r *http.Request) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, f(r)) }
	}
	now := func(c *witness.Cosigner, note string) string { return must(c.Cosign(note, time.Now())) }
	for _, row := range []struct {
		name     string
		handler  http.HandlerFunc
		requests uint64
		status   int
		want     error // in the error; nil if none in particular
	}{
		{"empty", answer(200, ""), 1, 200, ledger.ErrFormat},
		{"not a signature", answer(200, "<html>\n"), 1, 200, ledger.ErrFormat},
		{"no line end", answer(200, "— w2.example AAAAAAAA"), 1, 200, ledger.ErrFormat},
		{"short signature", answer(200, "— w2.example AAAA\n"), 1, 200, ledger.ErrFormat},
		{"control character", answer(200, "— w2.example AAAAAAAA\r\n"), 1, 200, ledger.ErrFormat},
		{"invalid UTF-8", answer(200, "— w2.\xffexample AAAAAAAA\n"), 1, 200, ledger.ErrFormat},
		{"101 lines", answer(200, strings.Repeat("— x AAAAAAAA\n", 101)), 1, 200, ledger.ErrFormat},
		{"endless", answer(200, strings.Repeat("— x AAAAAAAA\n", 1<<16)), 4, 200, ledger.ErrFormat},
		{"another key", respond(func(r *http.Request) string { return now(other, noteOf(r)) }), 1, 200, ledger.ErrFormat},
		{"another checkpoint", respond(func(r *http.Request) string {
			return now(evil, strings.Replace(noteOf(r), origin+"\n", origin+"\n1", 1))
		}), 1, 200, ledger.ErrTampered},
		{"changed time", respond(func(r *http.Request) string {
			line := now(evil, noteOf(r))
			i := strings.LastIndex(line, " ") + 1
			raw := must(base64.StdEncoding.DecodeString(line[i : len(line)-1]))
			raw[11]++
			return line[:i] + base64.StdEncoding.EncodeToString(raw) + "\n"
		}), 1, 200, ledger.ErrTampered},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://w1/add-checkpoint", http.StatusTemporaryRedirect)
		}, 1, 307, nil},
		{"unknown log", answer(404, "x"), 1, 404, nil},
		{"unknown key", answer(403, "x"), 1, 403, nil},
		{"bad request", answer(400, "\x1b[2J"), 1, 400, nil},
		{"fork", answer(422, ""), 1, 422, witness.ErrConflict},
		{"down", answer(503, ""), 4, 503, nil},
		{"overloaded", answer(429, ""), 4, 429, nil},
		{"longer log", answer(409, "1000000\n"), 1, 409, witness.ErrConflict},
		{"longest log", answer(409, "18446744073709551615\n"), 1, 409, witness.ErrConflict},
		{"size too large", answer(409, "18446744073709551616\n"), 1, 409, ledger.ErrFormat},
		{"no size", answer(409, "conflict\n"), 1, 409, ledger.ErrFormat},
		{"size with zeros", answer(409, "03\n"), 1, 409, ledger.ErrFormat},
		{"size without line end", answer(409, "3"), 1, 409, ledger.ErrFormat},
		{"a size for ever", answer(409, "3\n"), 4, 409, nil},
		{"hang", hang, 1, 0, context.DeadlineExceeded},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLog(t)
				w1 := witnesstest.New("w1.example", l.key)
				policy := func(quorum string) *witness.Policy {
					return must(witness.ParsePolicy(fmt.Appendf(nil,
						"witness w1 %v http://w1\nwitness w2 %v http://w2/\ngroup g %s w1 w2\nquorum g\n", w1.Key(), evil.Key(), quorum)))
				}
				cp := l.grow(10)
				all := witness.New(witness.Config{Policy: policy("all"), Log: l.fsys(), Transport: network{"w1": w1, "w2": row.handler}})
				err := all.Anchor(context.Background(), cp)
				checkIs(t, err, witness.ErrQuorum)
				if row.want != nil {
					checkIs(t, err, row.want)
				}
				var e *witness.Error
				if !errors.As(err, &e) || e.Witness != "w2" || e.Status != row.status {
					t.Errorf("error %#v of %v", e, err)
				}
				if text := err.Error(); strings.ContainsAny(text, "\x1b\n") || len(text) > 600 {
					t.Errorf("error text %q", text)
				}
				checkEqual(t, all.Stats().Requests, 1+row.requests)

				anyOf := witness.New(witness.Config{Policy: policy("any"), Log: l.fsys(), Transport: network{"w1": w1, "w2": row.handler}})
				err = anyOf.Anchor(context.Background(), cp)
				conflict := errors.Is(row.want, witness.ErrConflict)
				if conflict != errors.Is(err, witness.ErrConflict) || !conflict && err != nil {
					t.Errorf("quorum of 1: %v", err)
				}
				got := must(policy("any").VerifyCheckpoint(anyOf.Last().Note, l.key))
				checkEqual(t, len(got.Cosignatures), 1)
				checkEqual(t, got.Cosignatures[0].Witness, "w1")
			})
		})
	}
}

// endless is the transport of a witness whose answers never end.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	e.read += len(b)
	return len(b), nil
}

func (e *endless) Close() error { return nil }

func (e *endless) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: e}, nil
}

func TestAnEndlessAnswerIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		e := &endless{}
		c := witness.New(witness.Config{Policy: policyOf("all", witnesstest.New("w1.example", l.key)), Log: l.fsys(), Transport: e})
		checkIs(t, c.Anchor(context.Background(), l.grow(1)), ledger.ErrFormat, witness.ErrQuorum)
		if e.read > 4*128<<10 {
			t.Errorf("read %d bytes of 4 answers", e.read)
		}
	})
}

func TestAPassingFailureIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		w := witnesstest.New("w1.example", l.key)
		tries := 0
		flaky := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if tries++; tries == 1 {
				rw.Header().Set("Retry-After", "2")
				rw.WriteHeader(503)
				return
			}
			w.ServeHTTP(rw, r)
		})
		c := witness.New(witness.Config{Policy: policyOf("all", w), Log: l.fsys(), Transport: network{"w1": flaky}})
		start := time.Now()
		if err := c.Anchor(context.Background(), l.grow(2)); err != nil {
			t.Fatal(err)
		}
		checkEqual(t, time.Since(start), 2*time.Second)
	})
}

// TestWitnessesRevealAForkedLog opens a second log with the same key, as a
// restored backup or an attacker with the key would.
func TestWitnessesRevealAForkedLog(t *testing.T) {
	l := newLog(t)
	w1, w2 := witnesstest.New("w1.example", l.key), witnesstest.New("w2.example", l.key)
	note := cosigned(t, l, l.grow(10), w1, w2)
	l.open(t.TempDir())
	for _, size := range []int{3, 30} {
		c := witness.New(witness.Config{Policy: policyOf("all", w1, w2), Log: l.fsys(), Transport: network{"w1": w1, "w2": w2}})
		err := c.Anchor(context.Background(), l.grow(size))
		checkIs(t, err, witness.ErrConflict, witness.ErrQuorum)
	}
	_, err := policyOf("all", w1, w2).VerifyLog(context.Background(), l.fsys(), note, ledger.VerifyConfig{Keys: []*ledger.Verifier{l.key}})
	checkIs(t, err, ledger.ErrTampered)
}

func TestAnchorOfAnotherNote(t *testing.T) {
	l := newLog(t)
	w := witnesstest.New("w1.example", l.key)
	c := witness.New(witness.Config{Policy: policyOf("all", w), Log: l.fsys(), Transport: network{"w1": w}})
	cp := l.grow(5)
	for _, bad := range []func(*ledger.Checkpoint){
		func(cp *ledger.Checkpoint) { cp.Size++ },
		func(cp *ledger.Checkpoint) { cp.Root[0]++ },
		func(cp *ledger.Checkpoint) { cp.Origin = "x" },
		func(cp *ledger.Checkpoint) { cp.Note = "" },
		func(cp *ledger.Checkpoint) { cp.Note = strings.TrimSuffix(cp.Note, "\n") },
	} {
		other := cp
		bad(&other)
		checkIs(t, c.Anchor(context.Background(), other), ledger.ErrFormat)
	}
	checkEqual(t, c.Stats().Requests, uint64(0))
}

func TestAnchorErrors(t *testing.T) {
	l := newLog(t)
	w := witnesstest.New("w1.example", l.key)
	full := errors.New("disk full")
	c := witness.Config{Policy: policyOf("all", w), Log: l.fsys(), Transport: network{"w1": w}}
	c.Anchor = func(context.Context, ledger.Checkpoint) error { return full }
	cp := l.grow(5)
	checkIs(t, witness.New(c).Anchor(context.Background(), cp), full)
	c.File = filepath.Join(t.TempDir(), "missing", "cosigned")
	checkIs(t, witness.New(c).Anchor(context.Background(), cp), fs.ErrNotExist)

	// The log in Log does not contain the checkpoint.
	c = witness.Config{Policy: policyOf("all", w), Log: os.DirFS(t.TempDir()), Transport: network{"w1": w}}
	checkIs(t, witness.New(c).Anchor(context.Background(), l.grow(1)), fs.ErrNotExist, witness.ErrQuorum)
}

func TestConfigValidate(t *testing.T) {
	l := newLog(t)
	w := witnesstest.New("w1.example", l.key)
	for _, row := range []struct {
		policy string
		want   string
	}{
		{"witness w %v\nquorum w\n", "no quorum of witnesses with a URL"},
		{"witness w %v ftp://x\nquorum w\n", "want a prefix with https"},
		{"witness w %v https://x/?y\nquorum w\n", "want a prefix with https"},
		{"witness w %v ::\nquorum none\n", "want a prefix with https"},
	} {
		c := witness.Config{Policy: must(witness.ParsePolicy(fmt.Appendf(nil, row.policy, w.Key()))), Log: l.fsys()}
		err := c.Validate()
		checkIs(t, err, ledger.ErrFormat)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%v, want %s", err, row.want)
		}
	}
	err := witness.Config{}.Validate()
	if err == nil || !strings.Contains(err.Error(), "Log is missing") || !strings.Contains(err.Error(), "Policy is missing") {
		t.Error(err)
	}
	defer func() { checkEqual(t, fmt.Sprint(recover()), err.Error()) }()
	witness.New(witness.Config{})
}

// FuzzAnswer sends answers to a client. No answer makes it accept a checkpoint.
func FuzzAnswer(f *testing.F) {
	l := newLog(f)
	cp := l.grow(5)
	c := newCosigner("w1.example")
	policy := must(witness.ParsePolicy(fmt.Appendf(nil, "witness w1 %v http://w1\nquorum w1\n", c.Key())))
	f.Add(200, must(c.Cosign(strings.Replace(cp.Note, "\n", "\nx", 1), later)))
	f.Add(409, "3\n")
	f.Add(503, "")
	f.Fuzz(func(t *testing.T, status int, body string) {
		status = 200 + (status%400+400)%400
		synctest.Test(t, func(t *testing.T) {
			client := witness.New(witness.Config{Policy: policy, Log: l.fsys(), Transport: network{"w1": answer(status, body)}})
			if err := client.Anchor(t.Context(), cp); !errors.Is(err, witness.ErrQuorum) {
				t.Fatal(err)
			}
		})
	})
}
