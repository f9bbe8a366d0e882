package witness_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"math/bits"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/witness"
	"github.com/redoubt-go/redoubt/audit/ledger/witness/witnesstest"
)

// TestQuorumOfGroups checks the example of c2sp.org/tlog-policy with each
// subset of its witnesses.
func TestQuorumOfGroups(t *testing.T) {
	l := newLog(t)
	cp := l.grow(3)
	var b strings.Builder
	fmt.Fprintf(&b, "# X and Y\n\nlog %v https://log.example/\n", l.key)
	lines := make([]string, 6)
	for i := range 6 {
		c := newCosigner(fmt.Sprintf("w%d.example", i))
		lines[i] = must(c.Cosign(cp.Note, later))
		fmt.Fprintf(&b, " \twitness\t%c%d  %v\n", "XXXYYY"[i], i%3+1, c.Key())
	}
	b.WriteString("group X-witnesses 2 X1 X2 X3\ngroup Y-witnesses any Y1 Y2 Y3\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n")
	policy := must(witness.ParsePolicy([]byte(b.String())))
	for set := range uint(64) {
		note := cp.Note
		for i, line := range lines {
			if set>>i&1 == 1 {
				note += line
			}
		}
		got, err := policy.VerifyCheckpoint(note)
		if want := bits.OnesCount(set&7) >= 2 && set>>3 != 0; want != (err == nil) {
			t.Errorf("witnesses %06b: %v", set, err)
		} else if want {
			checkEqual(t, len(got.Cosignatures), bits.OnesCount(set))
		} else {
			checkIs(t, err, witness.ErrQuorum)
		}
	}
	checkEqual(t, len(policy.Witnesses()), 6)
	checkEqual(t, policy.Logs()[0].String(), l.key.String())
}

func TestParsePolicyRefuses(t *testing.T) {
	l := newLog(t)
	key := func(i int) string { return newCosigner(fmt.Sprintf("w%d", i)).Key().String() }
	k1, k2 := key(1), key(2)
	many := func(n int, line string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, line, i, key(i))
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"empty":                    "",
		"no quorum":                "witness a " + k1 + "\n",
		"two quorums":              "quorum none\nquorum none\n",
		"undefined quorum":         "quorum a\n",
		"later quorum":             "quorum a\nwitness a " + k1 + "\n",
		"quorum of two":            "witness a " + k1 + "\nwitness b " + k2 + "\nquorum a b\n",
		"unknown keyword":          "mirror a\nquorum none\n",
		"upper case":               "Quorum none\n",
		"comment behind":           "quorum none # comment\n",
		"carriage return":          "quorum none\r\n",
		"NUL":                      "quorum none\n#\x00\n",
		"DEL":                      "quorum none\n#\x7f\n",
		"form feed":                "quorum\fnone\n",
		"name twice":               "witness a " + k1 + "\nwitness a " + k2 + "\nquorum a\n",
		"group and witness":        "witness a " + k1 + "\ngroup a any a\nquorum a\n",
		"reserved name":            "witness none " + k1 + "\nquorum none\n",
		"key twice":                "witness a " + k1 + "\nwitness b " + k1 + "\nquorum a\n",
		"log twice":                "log " + l.key.String() + "\nlog " + l.key.String() + "\nquorum none\n",
		"log with a witness key":   "log " + k1 + "\nquorum none\n",
		"witness with a log key":   "witness a " + l.key.String() + "\nquorum a\n",
		"post-quantum witness":     "witness a w+00000000+BgAA\nquorum a\n",
		"damaged key":              "witness a " + strings.Replace(k1, "w1+", "w2+", 1) + "\nquorum a\n",
		"no key":                   "witness a\nquorum none\n",
		"two URLs":                 "witness a " + k1 + " x y\nquorum a\n",
		"group of none":            "group a all none\nquorum a\n",
		"empty group":              "group a all\nquorum none\n",
		"threshold 0":              "witness a " + k1 + "\ngroup g 0 a\nquorum g\n",
		"threshold 2 of 1":         "witness a " + k1 + "\ngroup g 2 a\nquorum g\n",
		"threshold 01":             "witness a " + k1 + "\ngroup g 01 a\nquorum g\n",
		"threshold some":           "witness a " + k1 + "\ngroup g some a\nquorum g\n",
		"member twice":             "witness a " + k1 + "\ngroup g any a a\nquorum g\n",
		"member of two groups":     "witness a " + k1 + "\ngroup g any a\ngroup h any a\nquorum g\n",
		"group of itself":          "witness a " + k1 + "\ngroup g any a g\nquorum g\n",
		"65 witnesses":             many(65, "witness w%d %s\n") + "quorum none\n",
		"more than 64 KiB of text": strings.Repeat("#\n", 1<<15) + "quorum none\n",
	} {
		_, err := witness.ParsePolicy([]byte(text))
		checkIs(t, err, ledger.ErrFormat)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, text := range map[string]string{
		"none":         "quorum none",
		"not ASCII":    "witness Kelvin\u212A\xff " + k1 + "\nquorum Kelvin\u212A\xff\n",
		"64 witnesses": many(64, "witness w%d %s\n") + "quorum w63\n",
		"unused":       "witness a " + k1 + "\nwitness b " + k2 + " x\ngroup g any a\nquorum b",
	} {
		if _, err := witness.ParsePolicy([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyCheckpointRefuses(t *testing.T) {
	l := newLog(t)
	cp := l.grow(3)
	w1, w2, stranger := newCosigner("w1.example"), newCosigner("w2.example"), newCosigner("w1.example")
	policy := must(witness.ParsePolicy(fmt.Appendf(nil, "log %v\nwitness a %v\nwitness b %v\ngroup g any a b\nquorum g\n", l.key, w1.Key(), w2.Key())))
	good, foreign := must(w1.Cosign(cp.Note, later)), must(stranger.Cosign(cp.Note, later))
	of := func(c *witness.Cosigner, note string) string { return must(c.Cosign(note, later)) }
	next := l.grow(1)
	for _, row := range []struct {
		name string
		note string
		want error
	}{
		{"valid", cp.Note + good, nil},
		{"twice", cp.Note + good + good, nil},
		{"with a key that is not known", cp.Note + foreign + good, nil},
		{"with 98 other signatures", cp.Note + strings.Repeat(foreign, 98) + good, nil},
		{"no cosignature", cp.Note, witness.ErrQuorum},
		{"only a key that is not known", cp.Note + foreign, witness.ErrQuorum},
		{"of an older checkpoint", next.Note + good, ledger.ErrTampered},
		{"valid and of an older checkpoint", next.Note + of(w1, next.Note) + of(w2, cp.Note), ledger.ErrTampered},
		{"no signature of the log", strings.Join(strings.SplitAfter(cp.Note, "\n")[:4], "") + good, ledger.ErrTampered},
		{"101 signatures", cp.Note + strings.Repeat(foreign, 99) + good, ledger.ErrFormat},
		{"not a note", "x", ledger.ErrFormat},
		{"damaged line", cp.Note + "— w1.example\n", ledger.ErrFormat},
	} {
		got, err := policy.VerifyCheckpoint(row.note)
		if row.want == nil {
			if err != nil || len(got.Cosignatures) != 1 || !got.Cosignatures[0].Time.Equal(later) || got.Head != cp.Head {
				t.Errorf("%s: %v, %v", row.name, got, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s: no error", row.name)
		}
		checkIs(t, err, row.want)
		checkEqual(t, got.Size, uint64(0))
	}
}

// TestEachBitOfACosignature flips each bit of a cosigned note: every note is
// refused.
func TestEachBitOfACosignature(t *testing.T) {
	l := newLog(t)
	cp := l.grow(3)
	w := newCosigner("w1.example")
	policy := must(witness.ParsePolicy(fmt.Appendf(nil, "log %v\nwitness a %v\nquorum a\n", l.key, w.Key())))
	note := []byte(cp.Note + must(w.Cosign(cp.Note, later)))
	for i := range len(note) * 8 {
		note[i/8] ^= 1 << (i % 8)
		if got, err := policy.VerifyCheckpoint(string(note)); err == nil {
			t.Errorf("bit %d of byte %d: accepted %v", i%8, i/8, got)
		}
		note[i/8] ^= 1 << (i % 8)
	}
}

func TestVerifyLogAndProof(t *testing.T) {
	l := newLog(t)
	w := witnesstest.New("w1.example", l.key)
	policy := policyOf("all", w)
	note := cosigned(t, l, l.grow(9), w)
	keys := []*ledger.Verifier{l.key}
	l.grow(3)
	report, err := policy.VerifyLog(context.Background(), l.fsys(), note, ledger.VerifyConfig{Keys: keys})
	if err != nil || report.Records != l.Head().Size {
		t.Fatal(report, err)
	}
	withLog := must(witness.ParsePolicy(fmt.Appendf(nil, "log %v\nwitness a %v\nquorum a\n", l.key, w.Key())))
	if report, err = withLog.VerifyLog(context.Background(), l.fsys(), note, ledger.VerifyConfig{}); err != nil || report.Sealed == 0 {
		t.Fatal(report, err)
	}
	_, err = policy.VerifyLog(context.Background(), l.fsys(), note, ledger.VerifyConfig{}) // no key of the log
	checkIs(t, err, ledger.ErrTampered)
	_, err = policy.VerifyLog(context.Background(), l.fsys(), note, ledger.VerifyConfig{Known: &ledger.Head{}})
	checkIs(t, err, ledger.ErrFormat)
	_, err = policy.VerifyLog(context.Background(), l.fsys(), l.grow(0).Note, ledger.VerifyConfig{Keys: keys})
	checkIs(t, err, witness.ErrQuorum)

	proof := must(ledger.Prove(l.fsys(), 4))
	_, err = policy.VerifyProof(proof, l.key)
	checkIs(t, err, witness.ErrQuorum)
	cp, err := ledger.ParseCheckpoint(proof.Note, l.key)
	if err != nil {
		t.Fatal(err)
	}
	proof.Note = cosigned(t, l, cp, w)
	if got, err := policy.VerifyProof(proof, l.key); err != nil || got.Size != cp.Size {
		t.Fatal(got, err)
	}
	proof.Index++
	_, err = policy.VerifyProof(proof, l.key)
	checkIs(t, err, ledger.ErrTampered)
}

func TestKeys(t *testing.T) {
	c := newCosigner("witness.example/w1")
	k := must(witness.ParseKey(c.Key().String()))
	checkEqual(t, k.String(), c.Key().String())
	checkEqual(t, k.Name(), "witness.example/w1")
	checkEqual(t, fmt.Sprintf("%v %s", c, c), "Cosigner(witness.example/w1) Cosigner(witness.example/w1)")
	for _, bad := range []string{
		"", "a", "a+b+c", k.String() + "A", strings.Replace(k.String(), "+", "+0", 1),
		strings.Replace(k.String(), "w1", "w2", 1), strings.Replace(k.String(), "w1", "w 1", 1),
		"w+00000000+", "w+00000000+BA==",
	} {
		_, err := witness.ParseKey(bad)
		checkIs(t, err, ledger.ErrFormat)
	}
	for _, name := range []string{"", "a+b", "a b", "a\u00a0b", "\xff", "a\x1bb", strings.Repeat("x", 257)} {
		_, err := witness.NewCosigner(name, ed25519.NewKeyFromSeed(make([]byte, 32)))
		checkIs(t, err, ledger.ErrFormat)
	}
	_, err := witness.NewCosigner("a", nil)
	checkIs(t, err, ledger.ErrFormat)
	for _, note := range []string{"", "a\n1\n", "\n\n", "a\n\nb\n", newLog(t).grow(1).Note[1:] + "x"} {
		_, err := c.Cosign(note, later)
		checkIs(t, err, ledger.ErrFormat)
	}
	_, err = c.Cosign(newLog(t).grow(1).Note, time.Time{})
	checkIs(t, err, ledger.ErrFormat)
}

func FuzzParsePolicy(f *testing.F) {
	k := newCosigner("w").Key().String()
	f.Add([]byte("log x\nwitness a " + k + " http://a\ngroup g 1 a\nquorum g\n"))
	f.Add([]byte("# c\n\tquorum none"))
	l := newLog(f)
	note := l.grow(1).Note
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := witness.ParsePolicy(text)
		if (p == nil) == (err == nil) {
			t.Fatal(p, err)
		}
		if p != nil {
			_, _ = p.VerifyCheckpoint(note, l.key)
			_ = witness.Config{Policy: p}.Validate()
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add(newCosigner("w").Key().String())
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := witness.ParseKey(s); err == nil {
			again, err := witness.ParseKey(k.String())
			if err != nil || again.String() != k.String() {
				t.Fatal(s, err)
			}
		}
	})
}

// FuzzVerifyCheckpoint accepts no note without the signature of the witness,
// which is over a single text.
func FuzzVerifyCheckpoint(f *testing.F) {
	l := newLog(f)
	cp := l.grow(3)
	w := newCosigner("w1.example")
	policy := must(witness.ParsePolicy(fmt.Appendf(nil, "log %v\nwitness a %v\nquorum a\n", l.key, w.Key())))
	f.Add(cp.Note + must(w.Cosign(cp.Note, later)))
	f.Add(cp.Note)
	f.Fuzz(func(t *testing.T, note string) {
		got, err := policy.VerifyCheckpoint(note)
		if err == nil && (got.Head != cp.Head || got.Origin != origin) {
			t.Fatal(got)
		}
		if line, err := w.Cosign(note, later); err == nil && !strings.HasPrefix(line, "— w1.example ") {
			t.Fatal(line)
		}
	})
}
