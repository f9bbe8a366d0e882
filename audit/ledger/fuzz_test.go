package ledger_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/audit/ledger"
)

// Verify does not panic. It has a report, unless the header names another
// version. If it accepts the bytes, Events can read every line, and a line of
// garbage at the end is not accepted.
func FuzzVerify(f *testing.F) {
	lines := sample(f, 5)
	f.Add(join(lines))
	f.Add(join(append(lines[3:], lines...)))
	f.Add(bytes.Repeat([]byte("\n"), 50))
	f.Add(bytes.Replace(join(lines), []byte(`"version":2`), []byte(`"version":1`), 1))
	f.Add(bytes.ReplaceAll(join(lines), []byte("A"), []byte("\x00")))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ledger.Verify(context.Background(), fsOf(data), ledger.VerifyConfig{})
		if r == nil && errors.Is(err, ledger.ErrFormat) && strings.Contains(err.Error(), "version") {
			return
		}
		if r == nil || (err != nil) != (len(r.Problems) > 0) {
			t.Fatalf("report %v with error %v", r, err)
		}
		if err != nil {
			if !errors.Is(err, ledger.ErrTampered) || err.Error() == "" {
				t.Fatalf("error %v", err)
			}
			for _, p := range r.Problems {
				if p.From > p.To || p.Kind > ledger.KindForked || p.Offset > int64(len(data)) {
					t.Fatalf("problem %+v", p)
				}
			}
			return
		}
		if int(r.Records) != bytes.Count(data, []byte("\n")) {
			t.Fatalf("%d records in %d lines", r.Records, bytes.Count(data, []byte("\n")))
		}
		for range ledger.Events(fsOf(data), 0) {
			continue
		}
		whole := data[:int64(len(data))-r.Unfinished]
		if _, err := ledger.Verify(context.Background(), fsOf(append(bytes.Clone(whole), "x\n"...)), ledger.VerifyConfig{}); err == nil {
			t.Fatal("garbage at the end passes")
		}
	})
}

// The parser does not panic. An accepted line is a JSON object, and
// encoding/json reads the same sequence number and prev.
func FuzzParseLine(f *testing.F) {
	for _, l := range sample(f, 2) {
		f.Add(l)
	}
	f.Add([]byte(`{"seq":1,"prev":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","a":{"\u0061":[{}]}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		seq, prev, ok := ledger.ParseLine(line)
		if !ok {
			return
		}
		var want struct {
			Seq  uint64
			Prev ledger.Hash
		}
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(line, &keys); err != nil || !json.Valid(line) {
			t.Fatal(err)
		}
		if json.Unmarshal(keys["seq"], &want.Seq) != nil || json.Unmarshal(keys["prev"], &want.Prev) != nil ||
			want.Seq != seq || want.Prev != prev || bytes.ContainsAny(line, "\n\r\x00") {
			t.Fatalf("parsed %d %v, JSON says %d %v", seq, prev, want.Seq, want.Prev)
		}
	})
}

// The parser does not panic. An accepted note contains exactly the signature of
// the key, which for Ed25519 depends only on the text.
func FuzzParseCheckpoint(f *testing.F) {
	s := signer(f, origin, 1)
	cp := checkpoint(f, open(f, f.TempDir(), sealing(s)))
	f.Add(cp.Note)
	f.Add(cp.Note + "— x AAAAAAA=\n")
	f.Add("a\n1\n\n— x \n")
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	f.Fuzz(func(t *testing.T, note string) {
		_, err := ledger.ParseCheckpoint(note, s.Verifier())
		if err != nil {
			if !errors.Is(err, ledger.ErrFormat) && !errors.Is(err, ledger.ErrTampered) {
				t.Fatal(err)
			}
			return
		}
		text := note[:strings.LastIndex(note, "\n\n")+1]
		sig := ed25519.Sign(key, []byte(text))
		for _, word := range strings.Fields(note[len(text):]) {
			if raw, err := base64.StdEncoding.DecodeString(word); err == nil && bytes.HasSuffix(raw, sig) {
				return
			}
		}
		t.Fatalf("forged %q", note)
	})
}

// The parser does not panic. A decoded proof is encoded to the same text, and a
// proof of a record does not prove another record.
func FuzzProof(f *testing.F) {
	s := signer(f, origin, 1)
	fsys, _ := big(f, s, 20)
	for _, seq := range []uint64{0, 7, 15} {
		p, err := ledger.Prove(fsys, seq)
		if err != nil {
			f.Fatal(err)
		}
		text, _ := p.MarshalText()
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var p ledger.Proof
		if p.UnmarshalText(text) != nil {
			return
		}
		if again, _ := p.MarshalText(); !bytes.Equal(again, text) {
			t.Fatalf("second text differs:\n%s\n%s", text, again)
		}
		if _, err := p.Verify(s.Verifier()); err != nil {
			return
		}
		p.Line = append(p.Line, 'x')
		if _, err := p.Verify(s.Verifier()); err == nil {
			t.Fatalf("false record %d proved", p.Index)
		}
	})
}
