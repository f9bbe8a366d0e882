package witness_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"github.com/transparency-dev/tessera"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/note"
	_ "modernc.org/sqlite"

	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/tiles"
	"github.com/redoubt-go/redoubt/audit/ledger/witness"
)

// program returns the path of litewitness, a command of torchwood, or skips the
// test. The gate installs it.
func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("REDOUBT_LITEWITNESS")
	if path == "" && os.Getenv("CI") != "" {
		t.Fatal("REDOUBT_LITEWITNESS is not set")
	}
	if path == "" {
		t.Skip("REDOUBT_LITEWITNESS is not set: go install filippo.io/torchwood/cmd/litewitness@v0.9.0")
	}
	return path
}

// start runs litewitness for the log, and returns its line of a policy.
func start(t *testing.T, program, name string, l *testLog) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lw") // a short path, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	fillDatabase(t, filepath.Join(dir, "db"), l)
	fingerprint, public := serveAgent(t, filepath.Join(dir, "agent"))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	_ = free.Close()
	var output strings.Builder
	cmd := exec.Command(program, "-name", name, "-db", filepath.Join(dir, "db"),
		"-ssh-agent", filepath.Join(dir, "agent"), "-key", fingerprint, "-listen", addr)
	cmd.Stderr = &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(output.String())
		}
	})
	for range 100 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	cosigner, err := torchwood.NewCosignatureSigner(name, public)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%v http://%s", cosigner.Verifier(), addr)
}

// fillDatabase adds the log to the database of a witness.
func fillDatabase(t *testing.T, path string, l *testLog) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, query := range []string{
		"CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL)",
		"CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES log(origin))",
		"INSERT INTO log VALUES ('" + origin + "', 0, '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=')",
		"INSERT INTO key VALUES ('" + origin + "', '" + l.vkey + "')",
	} {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
}

// serveAgent runs an SSH agent with a new key.
func serveAgent(t *testing.T, socket string) (fingerprint string, key ed25519.PrivateKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(ring, conn) }()
		}
	}()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return ssh.FingerprintSHA256(signer.PublicKey()), key
}

// TestLitewitnessCosigns has a growing log cosigned by two processes of
// litewitness. torchwood verifies the result with the same policy.
func TestLitewitnessCosigns(t *testing.T) {
	l := newLog(t)
	program := program(t)
	text := fmt.Sprintf("log %s\nwitness w1 %s\nwitness w2 %s\ngroup both all w1 w2\nquorum both\n", l.vkey,
		start(t, program, "witness.example/w1", l), start(t, program, "witness.example/w2", l))
	policy, err := witness.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := torchwood.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tessera.NewWitnessGroupFromPolicy([]byte(text)); err != nil {
		t.Errorf("Tessera refuses the policy: %v", err)
	}
	config := witness.Config{
		Policy: policy, Log: os.DirFS(l.dir),
		Anchor: tiles.Anchor(os.DirFS(l.dir), tiles.Dir(l.public)),
	}
	client := witness.New(config)
	var cp ledger.Checkpoint
	for i, size := range []uint64{3, 4, 100, 256, 300, 1000} {
		if i == 3 {
			client = witness.New(config) // does not know the sizes of the witnesses
		}
		cp = l.grow(t, size)
		if err := client.Anchor(context.Background(), cp); err != nil {
			t.Fatal(err)
		}
		if _, err := policy.VerifyCheckpoint(client.Last().Note); err != nil {
			t.Error(err)
		}
		got, n, err := torchwood.VerifyCheckpoint([]byte(client.Last().Note), theirs)
		if err != nil || uint64(got.N) != cp.Size || len(n.Sigs) != 3 {
			t.Errorf("torchwood: %v, %v", got, err)
		}
	}
	proof, err := tiles.Prove(os.DirFS(l.public), 77)
	if err != nil {
		t.Fatal(err)
	}
	proved, err := policy.VerifyProof(proof)
	if err != nil || proved.Size != cp.Size || len(proved.Cosignatures) != 2 {
		t.Error(proved, err)
	}
	if d := time.Since(proved.Cosignatures[0].Time).Abs(); d > time.Minute {
		t.Errorf("the time of a cosignature is %v off", d)
	}

	// Another log with the same key is found, shorter and longer.
	forked := l.fork(t)
	for _, size := range []uint64{500, 1200} {
		other := witness.New(witness.Config{Policy: policy, Log: os.DirFS(forked.dir)})
		err := other.Anchor(context.Background(), forked.grow(t, size))
		if !errors.Is(err, witness.ErrConflict) {
			t.Errorf("a fork of %d records: %v", size, err)
		}
	}
}

// TestLitewitnessRefuses sends the requests that litewitness must refuse.
func TestLitewitnessRefuses(t *testing.T) {
	l, unknown := newLog(t), newLog(t)
	line := start(t, program(t), "witness.example/w1", l)
	policy, err := witness.ParsePolicy([]byte("witness w1 " + line + "\nquorum w1\n"))
	if err != nil {
		t.Fatal(err)
	}
	// The same origin, and another key.
	err = witness.New(witness.Config{Policy: policy, Log: os.DirFS(unknown.dir)}).Anchor(context.Background(), unknown.grow(t, 5))
	var e *witness.Error
	if !errors.As(err, &e) || e.Status != http.StatusForbidden {
		t.Errorf("%v, want status 403", err)
	}
}

// TestTorchwoodAndCosignatures exchanges cosignatures in both directions.
func TestTorchwoodAndCosignatures(t *testing.T) {
	l := newLog(t)
	cp := l.grow(t, 10)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := witness.NewCosigner("witness.example/w1", key)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := torchwood.NewCosignatureSigner("witness.example/w1", key)
	if err != nil {
		t.Fatal(err)
	}
	if ours.Key().String() != theirs.Verifier().String() {
		t.Errorf("vkey %v, want %v", ours.Key(), theirs.Verifier())
	}
	line, err := ours.Cosign(cp.Note, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(cp.Note+line), note.VerifierList(theirs.Verifier()))
	if err != nil {
		t.Fatal(err)
	}
	at, err := torchwood.CosignatureTimestamp(n.Sigs[0])
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
		t.Error(at, err)
	}
	logKey, err := note.NewVerifier(l.vkey)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := note.Open([]byte(cp.Note), note.VerifierList(logKey))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(opened, theirs)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := witness.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness w %v\nquorum w\n", l.vkey, ours.Key()))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := policy.VerifyCheckpoint(string(signed)); err != nil || got.Head != cp.Head {
		t.Error(got, err)
	}
}
