package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/redoubt-go/redoubt/audit/ledger"
)

// FuzzVerify: arbitrary bytes give a verdict, never a panic; a clean verdict means
// that the bytes are lines which Events can name; and no appended garbage line
// passes.
func FuzzVerify(f *testing.F) {
	lines := sample(f, 5)
	f.Add(join(lines))
	f.Add(join(append(lines[3:], lines...)))
	f.Add(bytes.Repeat([]byte("\n"), 50))
	f.Add(bytes.ReplaceAll(join(lines), []byte("A"), []byte("\x00")))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ledger.Verify(context.Background(), fsOf(data), ledger.VerifyConfig{})
		if r == nil || (err != nil) != (len(r.Problems) > 0) {
			t.Fatalf("report %v with error %v", r, err)
		}
		if err != nil {
			if !errors.Is(err, ledger.ErrTampered) || err.Error() == "" {
				t.Fatalf("error %v", err)
			}
			for _, p := range r.Problems {
				if p.From > p.To || p.Kind == 0 || p.Offset > int64(len(data)) {
					t.Fatalf("problem %+v", p)
				}
			}
			return
		}
		if int(r.Records) != bytes.Count(data, []byte("\n")) {
			t.Fatalf("%d records in %d lines", r.Records, bytes.Count(data, []byte("\n")))
		}
		for range ledger.Events(fsOf(data)) {
			continue
		}
		whole := data[:int64(len(data))-r.Unfinished]
		if _, err := ledger.Verify(context.Background(), fsOf(append(bytes.Clone(whole), "x\n"...)), ledger.VerifyConfig{}); err == nil {
			t.Fatal("garbage at the end passes")
		}
	})
}

// FuzzParseLine: no panic, and what is taken is one valid JSON object whose chain
// members encoding/json reads alike.
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
		if err := json.Unmarshal(line, &keys); err != nil {
			t.Fatal(err)
		}
		if json.Unmarshal(keys["seq"], &want.Seq) != nil || json.Unmarshal(keys["prev"], &want.Prev) != nil ||
			want.Seq != seq || want.Prev != prev || bytes.ContainsAny(line, "\n\r\x00") {
			t.Fatalf("parsed %d %v, JSON says %d %v", seq, prev, want.Seq, want.Prev)
		}
	})
}
