package ledger_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit/ledger"
)

// The names of keys are the names of c2sp.org/signed-note.
func TestNamesOfKeys(t *testing.T) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	for _, name := range []string{"example.com/a~b", "a@b", "a=b", "(x)", "ä.example", "日本", `say"x"`, `back\slash`, "<&>"} {
		s, err := ledger.NewSigner(name, private)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if back, err := ledger.ParseVerifier(s.Verifier().String()); err != nil || back.Name() != name {
			t.Errorf("%s: parsed %v, %v", name, back, err)
		}
		dir := t.TempDir()
		l := open(t, dir, sealing(s))
		write(t, l, "a")
		must(t, l.Close())
		must(t, open(t, dir, sealing(s)).Close())
		r, err := verify(os.DirFS(dir), ledger.VerifyConfig{Keys: []*ledger.Verifier{s.Verifier()}, MaxUnsealed: -1})
		if err != nil || r.Origin != name {
			t.Errorf("%s: report %+v, %v", name, r, err)
		}
	}
	for _, name := range []string{"", "a b", "a+b", "a\u00a0b", "a\u2028b", "a\x00b", "a\xffb", "a\x7f", strings.Repeat("x", 129)} {
		_, err := ledger.NewSigner(name, private)
		checkIs(t, err, ledger.ErrFormat)
	}
}

// A signature line with an invalid name makes the note malformed.
func TestNamesInNotes(t *testing.T) {
	s := signer(t, origin, 1)
	note, err := ledger.SignHead(origin, ledger.Head{Size: 1}, s)
	must(t, err)
	for name, want := range map[string]error{"ä": nil, "a+b": ledger.ErrFormat, "a\u00a0b": ledger.ErrFormat, "a\u2028b": ledger.ErrFormat, "": ledger.ErrFormat} {
		if _, err := ledger.ParseCheckpoint(note+"— "+name+" AAAAAAA=\n", s.Verifier()); !errors.Is(err, want) || err == nil != (want == nil) {
			t.Errorf("%q: %v, want %v", name, err, want)
		}
	}
}

// Sixteen large signatures, as of post-quantum witnesses, are accepted.
func TestLargeSignatures(t *testing.T) {
	s := signer(t, origin, 1)
	note, err := ledger.SignHead(origin, ledger.Head{Size: 1}, s)
	must(t, err)
	large := base64.StdEncoding.EncodeToString(make([]byte, 5000))
	note += strings.Repeat("— witness.example "+large+"\n", 15)
	_, err = ledger.ParseCheckpoint(note, s.Verifier())
	must(t, err)
}

// Copies of a signature cost no further verification. Oracle: the time of a
// single verification.
func TestCopiesOfASignature(t *testing.T) {
	s := signer(t, origin, 1)
	note, err := ledger.SignHead(origin+"\n1\n"+ledger.Hash{}.String()+"\n"+strings.Repeat("x", 400_000), ledger.Head{Size: 1}, s)
	must(t, err)
	note = strings.Replace(note, origin+"\n1", origin+"\n1", 1)
	sig := note[strings.LastIndex(note, "\n\n")+2:]
	copies := note + strings.Repeat(sig, 99)
	best := func(note string) time.Duration {
		least := time.Hour
		for range 5 {
			start := time.Now()
			_, _ = ledger.ParseCheckpoint(note, s.Verifier())
			least = min(least, time.Since(start))
		}
		return least
	}
	if one, many := best(note), best(copies); many > 20*one {
		t.Errorf("100 copies take %v, one signature %v", many, one)
	}
}
