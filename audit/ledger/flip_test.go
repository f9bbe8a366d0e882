package ledger_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/redoubt-go/redoubt/audit/ledger"
)

var long = flag.Bool("long", false, "flip every bit and cut the power 10,000 times")

// A byte of a log: the record that contains it. The line end belongs to the
// record before it.
type place struct {
	file   string
	at     int
	record uint64
	end    bool
}

// places returns the places of all bytes of a log.
func places(fsys fstest.MapFS) (all []place) {
	names, _ := fs.Glob(fsys, "*.jsonl")
	record := uint64(0)
	for i, name := range names {
		if i == 0 {
			_, _ = fmt.Sscanf(name, "%d", &record)
		}
		for at, b := range fsys[name].Data {
			all = append(all, place{name, at, record, b == '\n'})
			if b == '\n' {
				record++
			}
		}
	}
	return all
}

// Each flipped bit of a closed log is one problem, in the record of the bit or,
// if the bit is in a line end, in that record and the next. Without a known
// head, bits of the last line that no signature covers are not found. Oracle:
// the place of the bit.
func TestPropertyEveryBitFlip(t *testing.T) {
	ev := evidenceOf(t)
	original := ev.files()
	keys := []*ledger.Verifier{signer(t, origin, 1).Verifier(), signer(t, origin, 2).Verifier()}
	all := places(original)
	last := all[len(all)-1].record
	head := ev.head(int(last) + 1)
	for _, known := range []*ledger.Head{head, nil} {
		missed, step := 0, 41
		if *long {
			step = 1
		}
		for i := 0; i < 8*len(all); i += step {
			p, bit := all[i/8], byte(1)<<(i%8)
			fsys := fstest.MapFS{}
			for name, f := range original {
				fsys[name] = f
			}
			data := bytes.Clone(original[p.file].Data)
			data[p.at] ^= bit
			fsys[p.file] = &fstest.MapFile{Data: data}
			r, err := verify(fsys, ledger.VerifyConfig{Keys: keys, MaxUnsealed: -1, Known: known})
			if err == nil && known == nil && p.record == last {
				missed++
				continue
			}
			if r == nil || err == nil {
				t.Fatalf("bit %d of byte %d of record %d: %v", i%8, p.at, p.record, err)
			}
			to := p.record
			if p.end {
				to++
			}
			exact := slices.ContainsFunc(r.Problems, func(q ledger.Problem) bool { return q.From >= p.record && q.To <= to })
			if len(r.Problems) != 1 || !exact {
				t.Fatalf("bit %d of byte %d (%q) of record %d: %v", i%8, p.at, original[p.file].Data[p.at], p.record, r.Problems)
			}
		}
		if known == nil && missed > 8*45/step { // the time of the line, and synced
			t.Errorf("%d bits of the last line are not covered", missed)
		}
	}
}
