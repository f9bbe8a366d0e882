package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// evidence is a log whose files an attacker without the keys can change: the
// lines of its segments, each named after its first record.
//
//	segment  0: 0 header, 1 a, 2 b, 3 seal, 4 c, 5 d, 6 seal
//	segment  7: 7 header, 8 e, 9 f, 10 seal, 11 recovered,
//	            12 hand-over, 13 g, 14 seal
//	segment 15: 15 header, 16 h, 17 seal, 18 i, 19 j, 20 seal
//
// The seals up to 12 are by the first key, from 12 on by the second.
type evidence struct {
	firsts []int
	segs   [][][]byte
}

// evidenceOf returns such a log with a new identity.
func evidenceOf(t testing.TB) *evidence {
	t.Helper()
	dir := t.TempDir()
	first, second := signer(t, origin, 1), signer(t, origin, 2)
	rotate := func(l *ledger.Ledger) {
		t.Helper()
		if err := l.Rotate(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	l := open(t, dir, ledger.Config{Origin: origin, Sync: ledger.SyncNever})
	write(t, l, "a", "b")
	head := l.Head()
	_ = l.Close()
	c := sealing(first)
	c.Known = &head // without a Signer, the log was not sealed
	l = open(t, dir, c)
	write(t, l, "c", "d")
	rotate(l)
	write(t, l, "e", "f")
	_ = l.Close()
	f, err := os.OpenFile(filepath.Join(dir, segmentOf(7)), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString(`{"seq":`) // a crash
	_ = f.Close()
	c = sealing(second)
	c.Previous = first
	l = open(t, dir, c)
	write(t, l, "g")
	rotate(l)
	write(t, l, "h")
	_ = checkpoint(t, l)
	write(t, l, "i", "j")
	_ = l.Close()
	ev := &evidence{firsts: []int{0, 7, 15}}
	files := contents(t, dir)
	for _, first := range ev.firsts {
		ev.segs = append(ev.segs, split(files[segmentOf(first)].Data))
	}
	return ev
}

func segmentOf(first int) string { return fmt.Sprintf("%020d.jsonl", first) }

// at returns the line of record seq.
func (ev *evidence) at(seq int) *[]byte {
	i := len(ev.firsts) - 1
	for ev.firsts[i] > seq {
		i--
	}
	return &ev.segs[i][seq-ev.firsts[i]]
}

// rehash makes the chain consistent again: the links and the ranges in the
// headers.
func (ev *evidence) rehash() {
	var tr ledger.Tree
	var before []byte
	for s := range ev.segs {
		for i, line := range ev.segs[s] {
			if before != nil {
				line = withPrev(line, ledger.LeafHash(before))
			}
			if at := bytes.Index(line, []byte(`"range":`)); i == 0 && at > 0 && s > 0 {
				roots, _ := json.Marshal(tr.Roots())
				line = append(append(append(bytes.Clone(line[:at]), `"range":`...), roots...), '}')
			}
			tr.Push(line)
			ev.segs[s][i], before = line, line
		}
	}
}

func (ev *evidence) files() fstest.MapFS {
	out := fstest.MapFS{}
	for i, first := range ev.firsts {
		out[segmentOf(first)] = &fstest.MapFile{Data: join(ev.segs[i])}
	}
	return out
}

// head returns the state of the log of the given size.
func (ev *evidence) head(size int) *ledger.Head {
	return &ledger.Head{Size: uint64(size), Root: ledger.TreeRoot(slices.Concat(ev.segs...)[:size])}
}

// An attack changes the files. Its other fields are everything that Verify may
// report.
type attack struct {
	name string
	do   func(ev *evidence)
	c    ledger.VerifyConfig // Keys are filled in
	want []ledger.Problem

	known int // size of a head that was kept before the attack; 0 for none
}

func one(k ledger.Kind, from, to, first, line int) []ledger.Problem {
	return []ledger.Problem{{Kind: k, From: uint64(from), To: uint64(to), Segment: segmentOf(first), Line: line}}
}

// flip changes a letter of record seq, after the fields of the chain.
func flip(seq int) func(*evidence) {
	return func(ev *evidence) {
		line := bytes.Clone(*ev.at(seq))
		line[len(line)-12] ^= 2
		*ev.at(seq) = line
	}
}

func change(seq int, from, to string) func(*evidence) {
	return func(ev *evidence) {
		line := *ev.at(seq)
		if !bytes.Contains(line, []byte(from)) {
			panic(fmt.Sprintf("record %d has no %s: %s", seq, from, line))
		}
		*ev.at(seq) = bytes.Replace(line, []byte(from), []byte(to), 1)
	}
}

// then returns an attack in several steps.
func then(do ...func(*evidence)) func(*evidence) {
	return func(ev *evidence) {
		for _, d := range do {
			d(ev)
		}
	}
}

func rehash(ev *evidence) { ev.rehash() }

// relink repairs the links but not the ranges.
func relink(ev *evidence) {
	all := rechain(slices.Concat(ev.segs...))
	for i, lines := range ev.segs {
		ev.segs[i], all = all[:len(lines):len(lines)], all[len(lines):]
	}
}

// lines replaces the lines of a segment.
func lines(seg int, do func([][]byte) [][]byte) func(*evidence) {
	return func(ev *evidence) { ev.segs[seg] = do(slices.Clone(ev.segs[seg])) }
}

func cut(seg, n int) func(*evidence) {
	return lines(seg, func(l [][]byte) [][]byte { return l[:n] })
}

func dropSegment(i int) func(*evidence) {
	return func(ev *evidence) {
		ev.firsts, ev.segs = slices.Delete(ev.firsts, i, i+1), slices.Delete(ev.segs, i, i+1)
	}
}

func checkAttacks(t *testing.T, attacks []attack) {
	t.Helper()
	keys := []*ledger.Verifier{signer(t, origin, 1).Verifier(), signer(t, origin, 2).Verifier()}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			ev := evidenceOf(t)
			if a.c.Keys = keys; a.known > 0 {
				a.c.Known = ev.head(a.known)
			}
			a.do(ev)
			r, err := verify(ev.files(), a.c)
			if r == nil || (err == nil) != (len(a.want) == 0) {
				t.Fatalf("error %v, want %d problems", err, len(a.want))
			}
			checkEqual(t, r.Problems, a.want, cmpopts.IgnoreFields(ledger.Problem{}, "Offset"))
		})
	}
}

var closed = ledger.VerifyConfig{MaxUnsealed: -1}

func TestAttackOneByte(t *testing.T) {
	checkAttacks(t, []attack{
		{"nothing", func(*evidence) {}, closed, nil, 0},
		{"event", flip(4), closed, one(ledger.KindAltered, 4, 4, 0, 5), 0},
		{"event before a seal", flip(2), closed, one(ledger.KindAltered, 2, 2, 0, 3), 0},
		{"first header", change(0, origin, "example.com/lug"), closed, one(ledger.KindAltered, 0, 0, 0, 1), 0},
		{"later header", change(7, origin, "example.com/lug"), closed, one(ledger.KindAltered, 7, 7, 7, 1), 0},
		{"type of a later header", change(7, "ledger", "ledges"), closed, one(ledger.KindAltered, 7, 7, 7, 1), 0},
		{"range of a later header", change(15, `"range":["`, `"range":["/`), closed, one(ledger.KindAltered, 15, 15, 15, 1), 0},
		{"note", change(3, `"note":"e`, `"note":"f`), closed, one(ledger.KindAltered, 3, 3, 0, 4), 0},
		{"signature", func(ev *evidence) { *ev.at(3) = resign(t, *ev.at(3)) }, closed, one(ledger.KindAltered, 3, 3, 0, 4), 0},
		{"type of a seal", change(3, "checkpoint", "checkpoinT"), closed, one(ledger.KindAltered, 3, 3, 0, 4), 0},
		{"seal before a rotation", change(6, `"note":"e`, `"note":"f`), closed, one(ledger.KindAltered, 6, 6, 0, 7), 0},
		{"recovered record", change(11, `"bytes":7`, `"bytes":8`), closed, one(ledger.KindAltered, 11, 11, 7, 5), 0},
		{"hand-over", change(12, `"note":"e`, `"note":"f`), closed, one(ledger.KindAltered, 12, 12, 7, 6), 0},
		{"last seal", change(20, `"note":"e`, `"note":"f`), closed, one(ledger.KindBadSeal, 20, 20, 15, 6), 0},
		{"time of the last seal", change(20, `"time":"2`, `"time":"3`), closed, nil, 0}, // no signature covers it yet
		{"the same, with a known head", change(20, `"time":"2`, `"time":"3`), closed, one(ledger.KindRewritten, 20, 20, 15, 6), 21},
	})
}

func TestAttackLines(t *testing.T) {
	swap := func(seg, i, j int) func(*evidence) {
		return lines(seg, func(l [][]byte) [][]byte { l[i], l[j] = l[j], l[i]; return l })
	}
	remove := func(seg, i, j int) func(*evidence) {
		return lines(seg, func(l [][]byte) [][]byte { return slices.Delete(l, i, j) })
	}
	double := func(seg, i int) func(*evidence) {
		return lines(seg, func(l [][]byte) [][]byte { return slices.Insert(l, i, l[i]) })
	}
	checkAttacks(t, []attack{
		{"event removed", remove(0, 4, 5), closed, one(ledger.KindRemoved, 4, 4, 0, 5), 0},
		{"seal removed", remove(0, 3, 4), closed, one(ledger.KindRemoved, 3, 3, 0, 4), 0},
		{"header removed", remove(1, 0, 1), closed, one(ledger.KindRemoved, 7, 7, 7, 1), 0},
		{"hand-over removed", remove(1, 5, 6), closed, one(ledger.KindRemoved, 12, 12, 7, 6), 0},
		{"last of a segment removed", remove(0, 6, 7), closed, one(ledger.KindRemoved, 6, 6, 7, 1), 0},
		{"events and seal removed", remove(0, 2, 6), closed, one(ledger.KindRemoved, 2, 5, 0, 3), 0},
		{"event doubled", double(0, 4), closed, one(ledger.KindInserted, 4, 4, 0, 6), 0},
		{"seal doubled", double(0, 3), closed, one(ledger.KindInserted, 3, 3, 0, 5), 0},
		{"header doubled", double(1, 0), closed, one(ledger.KindInserted, 7, 7, 7, 2), 0},
		{"events swapped", swap(0, 1, 2), closed, one(ledger.KindReordered, 1, 2, 0, 2), 0},
		{"event and seal swapped", swap(0, 2, 3), closed, one(ledger.KindReordered, 2, 3, 0, 3), 0},
		{"seals swapped", swap(0, 3, 6), closed, one(ledger.KindReordered, 3, 6, 0, 4), 0},
		{"header and event swapped", swap(1, 0, 1), closed, one(ledger.KindReordered, 7, 8, 7, 1), 0},
		{"segment removed", dropSegment(1), closed, one(ledger.KindRemoved, 7, 14, 15, 1), 0},
		{"first segment removed", dropSegment(0), closed, one(ledger.KindRemoved, 0, 6, 7, 1), 0},
		{"segments swapped", func(ev *evidence) { ev.segs[1], ev.segs[2] = ev.segs[2], ev.segs[1] }, closed, one(ledger.KindReordered, 7, 20, 15, 1), 0},
		{"old segment replayed at the end", func(ev *evidence) {
			ev.firsts, ev.segs = append(ev.firsts, 21), append(ev.segs, ev.segs[1])
		}, closed, one(ledger.KindInserted, 7, 14, 21, 1), 0},
		{"old segment replayed in place of another", func(ev *evidence) { ev.segs[1] = ev.segs[0] }, closed, one(ledger.KindAltered, 7, 14, 7, 1), 0},
		{"segment renamed", func(ev *evidence) { ev.firsts[1] = 8 }, closed, one(ledger.KindAltered, 7, 7, 8, 1), 0},
	})
}

func TestAttackTail(t *testing.T) {
	live := ledger.VerifyConfig{}
	checkAttacks(t, []attack{
		{"last seal cut", cut(2, 5), closed, one(ledger.KindUnsealed, 18, 19, 15, 5), 0},
		{"last seal cut, live", cut(2, 5), live, nil, 0}, // only a known head reveals it, as below
		{"last seal cut, live, known", cut(2, 5), live, one(ledger.KindTruncated, 20, 20, 15, 5), 21},
		{"last seal cut, live, known before the cut", cut(2, 5), live, nil, 20},
		{"cut at a seal", cut(2, 3), closed, nil, 0},
		{"cut at a seal, known", cut(2, 3), closed, one(ledger.KindTruncated, 18, 20, 15, 3), 21},
		{"cut at a seal, anchored by the seal after it", cut(2, 3), closed, one(ledger.KindTruncated, 18, 19, 15, 3), 20},
		{"cut at a rotation", dropSegment(2), closed, nil, 0},
		{"cut at a rotation, known", dropSegment(2), closed, one(ledger.KindTruncated, 15, 19, 7, 8), 20},
		{"cut at a hand-over", then(dropSegment(2), cut(1, 6)), closed, nil, 0},
		{"cut at a hand-over, known", then(dropSegment(2), cut(1, 6)), closed, one(ledger.KindTruncated, 13, 16, 7, 6), 17},
		{"cut inside a segment", cut(1, 3), closed, one(ledger.KindRemoved, 10, 14, 15, 1), 0},
		{"all seals cut", then(dropSegment(2), dropSegment(1), cut(0, 3)), live, one(ledger.KindUnsealed, 0, 2, 0, 3), 0},
	})
}

// An attacker without the keys makes the chain consistent. The next checkpoint
// does not fit then, or it is missing.
func TestAttackRehashed(t *testing.T) {
	forged := change(13, "success", "failure")
	checkAttacks(t, []attack{
		{"event", then(change(4, "success", "failure"), rehash), closed, one(ledger.KindRewritten, 4, 5, 0, 7), 0},
		{"first header", then(change(0, origin, "example.com/lug"), rehash), closed, one(ledger.KindRewritten, 0, 2, 0, 4), 0},
		{"later header", then(change(7, origin, "example.com/lug"), rehash), closed, one(ledger.KindRewritten, 7, 9, 7, 4), 0},
		{"after the hand-over", then(forged, rehash), closed, one(ledger.KindRewritten, 13, 13, 7, 8), 0},
		{"a seal that fits, by nobody", then(forged, rehash, func(ev *evidence) { reseal(t, ev, 14) }, rehash), closed, one(ledger.KindRewritten, 13, 16, 15, 3), 0},
		{"without the seals after it", then(forged, dropSegment(2), cut(1, 7), rehash), closed, one(ledger.KindUnsealed, 13, 13, 7, 7), 0},
		{"behind the last seal", then(cut(2, 5), change(19, "success", "failure"), rehash), ledger.VerifyConfig{}, nil, 0},
		{"behind the last seal, known", then(cut(2, 5), change(19, "success", "failure"), rehash), ledger.VerifyConfig{}, one(ledger.KindRewritten, 17, 19, 15, 5), 20},
		{"sealed, known", then(forged, rehash), closed, one(ledger.KindRewritten, 13, 13, 7, 8), 21},
	})
}

// reseal replaces a checkpoint by a checkpoint of an unknown key with the same
// name.
func reseal(t *testing.T, ev *evidence, seq int) {
	t.Helper()
	*ev.at(seq) = withNote(*ev.at(seq), noteBy(t, ev, seq, signer(t, origin, 9)))
}

// noteBy returns a checkpoint over the lines before record seq, by any key.
func noteBy(t *testing.T, ev *evidence, seq int, signers ...*ledger.Signer) string {
	t.Helper()
	note, err := ledger.SignHead(origin, *ev.head(seq), signers...)
	if err != nil {
		t.Fatal(err)
	}
	return note
}

func withNote(line []byte, note string) []byte {
	at := bytes.Index(line, []byte(`"note":"`)) + len(`"note":"`)
	return append(append(bytes.Clone(line[:at]), strings.ReplaceAll(note, "\n", `\n`)...), `"}`...)
}

// An attacker has a single key, or the verifier has other keys.
func TestAttackKeys(t *testing.T) {
	first, second := signer(t, origin, 1), signer(t, origin, 2)
	seal := func(seq int, by ...*ledger.Signer) func(*evidence) {
		return func(ev *evidence) {
			ev.rehash()
			*ev.at(seq) = withNote(*ev.at(seq), noteBy(t, ev, seq, by...))
			ev.rehash()
		}
	}
	old, recent := change(4, "success", "failure"), change(16, "success", "failure")
	all := func(early, handOver, late []*ledger.Signer) func(*evidence) {
		return then(seal(3, early...), seal(6, early...), seal(10, early...), seal(12, handOver...), seal(14, late...), seal(17, late...), seal(20, late...))
	}
	one1, one2, both := []*ledger.Signer{first}, []*ledger.Signer{second}, []*ledger.Signer{first, second}
	checkAttacks(t, []attack{
		{"sealed anew as it is", all(one1, both, one2), closed, nil, 0},
		{"old records under the new key", then(old, all(one2, one2, one2)), closed, one(ledger.KindBadSeal, 3, 3, 0, 4), 0},
		{"old records under the new key from there on", then(old, seal(6, one2...)), closed, one(ledger.KindBadSeal, 6, 6, 0, 7), 0},
		{"hand-over by the new key alone", seal(12, one2...), closed, one(ledger.KindBadSeal, 12, 12, 7, 6), 0},
		{"hand-over by the old key alone", all(one1, one1, one2), closed, one(ledger.KindBadSeal, 14, 14, 7, 8), 0},
		{"new records under the old key", then(recent, seal(17, one1...)), closed, one(ledger.KindBadSeal, 17, 17, 15, 3), 0},
		{"stolen old key, whole log", then(old, all(one1, one1, one1)), closed, nil, 0},
		{"stolen new key, new records", then(recent, seal(17, one2...), seal(20, one2...)), closed, nil, 0},
		{"stolen new key, new records, known", then(recent, seal(17, one2...), seal(20, one2...)), closed, one(ledger.KindForked, 0, 17, 0, 1), 18},
	})
}

func TestAttackSplice(t *testing.T) {
	other := evidenceOf(t)
	replace := func(ev *evidence) { *ev = evidence{slices.Clone(other.firsts), slices.Clone(other.segs)} }
	checkAttacks(t, []attack{
		{"segment of another log", func(ev *evidence) { ev.segs[1] = other.segs[1] }, closed, append(one(ledger.KindAltered, 6, 6, 0, 7), one(ledger.KindAltered, 14, 14, 7, 8)...), 0},
		{"and all after it", func(ev *evidence) { ev.segs[1], ev.segs[2] = slices.Clone(other.segs[1]), slices.Clone(other.segs[2]) }, closed, one(ledger.KindAltered, 6, 6, 0, 7), 0},
		{"the same, hashed anew", then(func(ev *evidence) { ev.segs[1], ev.segs[2] = slices.Clone(other.segs[1]), slices.Clone(other.segs[2]) }, rehash), closed, one(ledger.KindRewritten, 7, 9, 7, 4), 0},
		{"line of another log", func(ev *evidence) { *ev.at(8) = *other.at(8) }, closed, one(ledger.KindAltered, 8, 8, 7, 2), 0},
		{"line of another log added", lines(1, func(l [][]byte) [][]byte { return slices.Insert(l, 2, *other.at(8)) }), closed, one(ledger.KindInserted, 8, 8, 7, 3), 0},
		{"seal of another log", func(ev *evidence) { *ev.at(10) = *other.at(10) }, closed, one(ledger.KindAltered, 10, 10, 7, 4), 0},
		{"whole other log", replace, closed, nil, 0},
		{"whole other log, known", replace, closed, one(ledger.KindForked, 0, 17, 0, 1), 18},
	})
}

func TestAttackPruned(t *testing.T) {
	pruned := ledger.VerifyConfig{Pruned: true, MaxUnsealed: -1}
	forge := func(ev *evidence) {
		line := bytes.Clone(*ev.at(7))
		first := &line[bytes.Index(line, []byte(`"range":["`))+len(`"range":["`)]
		if *first == 'A' { // another letter of base64
			*first = 'B'
		} else {
			*first = 'A'
		}
		*ev.at(7) = line
	}
	fewer := func(ev *evidence) {
		line := *ev.at(7)
		i := bytes.Index(line, []byte(`"range":["`))
		*ev.at(7) = append(bytes.Clone(line[:i]), `"range":[]}`...)
	}
	// A thief of the second key seals everything that is left.
	second := signer(t, origin, 2)
	stolen := func(ev *evidence) {
		relink(ev)
		for i := range ev.segs {
			for j := range ev.segs[i] {
				line := ev.segs[i][j]
				if !bytes.Contains(line, []byte(`"type":"checkpoint"`)) {
					continue
				}
				note, err := ledger.SignHead(origin, pruneHead(t, ev, i, j), second)
				must(t, err)
				ev.segs[i][j] = withNote(line, note)
				relink(ev)
			}
		}
	}
	// The header of the oldest segment names the second key.
	office := func(handover string) func(*evidence) {
		return func(ev *evidence) {
			line := ev.segs[0][0]
			from, to := bytes.Index(line, []byte(`,"key":`)), bytes.Index(line, []byte(`,"range":`))
			fields := `,"key":"` + second.Verifier().String() + `"`
			switch handover {
			case "forged":
				note, err := ledger.SignHead(origin, ledger.Head{Size: 5}, second)
				must(t, err)
				text, _ := json.Marshal(note)
				fields += `,"handover":` + string(text)
			case "hand-over":
				note := (*ev.at(12))[bytes.Index(*ev.at(12), []byte(`"note":`))+7:]
				fields += `,"handover":` + string(bytes.TrimSuffix(note, []byte("}")))
			}
			ev.segs[0][0] = slices.Concat(line[:from], []byte(fields), line[to:])
		}
	}
	checkAttacks(t, []attack{
		{"one", dropSegment(0), pruned, nil, 0},
		{"two", then(dropSegment(0), dropSegment(0)), pruned, nil, 0},
		{"one, known", dropSegment(0), pruned, nil, 18},
		{"range", then(dropSegment(0), forge), pruned, one(ledger.KindAltered, 7, 7, 7, 1), 0},
		{"range, hashed anew", then(dropSegment(0), forge, relink), pruned, one(ledger.KindRewritten, 0, 9, 7, 4), 0},
		{"no range", then(dropSegment(0), fewer), pruned, one(ledger.KindAltered, 7, 7, 7, 1), 0},
		{"no range, hashed anew", then(dropSegment(0), fewer, relink), pruned, one(ledger.KindAltered, 7, 7, 7, 1), 0},
		{"range of a segment not pruned, hashed anew", then(forge, relink), pruned, one(ledger.KindAltered, 7, 7, 7, 1), 0},
		{"old records under the new key", then(dropSegment(0), change(8, "success", "failure"), stolen), pruned, one(ledger.KindBadSeal, 10, 10, 7, 4), 0},
		{"the same, new key in the header", then(dropSegment(0), change(8, "success", "failure"), office(""), stolen), pruned, one(ledger.KindBadSeal, 7, 7, 7, 1), 0},
		{"the same, with the hand-over", then(dropSegment(0), change(8, "success", "failure"), office("hand-over"), stolen), pruned, one(ledger.KindBadSeal, 7, 7, 7, 1), 0},
		{"the same, with a forged hand-over", then(dropSegment(0), change(8, "success", "failure"), office("forged"), stolen), pruned, one(ledger.KindBadSeal, 7, 7, 7, 1), 0},
		{"new records under the new key", then(dropSegment(0), dropSegment(0), change(16, "success", "failure"), stolen), pruned, nil, 0}, // stolen is stolen
		{"more than was pruned, at the front", then(dropSegment(0), lines(0, func(l [][]byte) [][]byte { return l[1:] })), pruned, one(ledger.KindRemoved, 0, 7, 7, 1), 0},
	})
}

// pruneHead returns the head before line j of segment i of a pruned log.
func pruneHead(t *testing.T, ev *evidence, i, j int) ledger.Head {
	t.Helper()
	var h struct{ Range []ledger.Hash }
	must(t, json.Unmarshal(ev.segs[0][0], &h))
	all := slices.Concat(ev.segs...)[:len(slices.Concat(ev.segs[:i]...))+j]
	return ledger.HeadAfter(uint64(ev.firsts[0]), h.Range, all)
}

// A copy of any line at any place is one inserted line, and accuses no other.
func TestEveryCopy(t *testing.T) {
	ev := evidenceOf(t)
	keys := []*ledger.Verifier{signer(t, origin, 1).Verifier(), signer(t, origin, 2).Verifier()}
	for from := range 21 {
		for seg, lines := range ev.segs {
			for at := range len(lines) + 1 {
				files := ev.files()
				files[segmentOf(ev.firsts[seg])] = &fstest.MapFile{Data: join(slices.Insert(slices.Clone(lines), at, *ev.at(from)))}
				r, _ := verify(files, ledger.VerifyConfig{Keys: keys, MaxUnsealed: -1, Known: ev.head(21)})
				if want := (finding{ledger.KindInserted, uint64(from), uint64(from)}); !slices.Equal(findings(r), []finding{want}) {
					t.Errorf("copy of record %d in front of record %d: %v", from, ev.firsts[seg]+at, r.Problems)
				}
			}
		}
	}
}

// Problems come before a known head that cannot be compared.
func TestOldKnownHidesNothing(t *testing.T) {
	ev := evidenceOf(t)
	known := ev.head(3)
	dropSegment(0)(ev)
	c := ledger.VerifyConfig{Known: known}
	_, err := verify(ev.files(), c)
	checkIs(t, err, ledger.ErrTampered, fs.ErrNotExist)
	wantFinding(t, ev.files(), c, finding{ledger.KindRemoved, 0, 6})
	c.Pruned = true
	r, err := verify(ev.files(), c)
	checkIs(t, err, fs.ErrNotExist)
	if errors.Is(err, ledger.ErrTampered) || r == nil || len(r.Problems) > 0 {
		t.Errorf("a pruned log: %v, report %+v", err, r)
	}
	flip(9)(ev)
	_, err = verify(ev.files(), c)
	checkIs(t, err, ledger.ErrTampered, fs.ErrNotExist)
	wantFinding(t, ev.files(), c, finding{ledger.KindAltered, 9, 9})
}

// A closed log ends with a complete line.
func TestClosedLogHasNoUnfinishedLine(t *testing.T) {
	ev := evidenceOf(t)
	files := ev.files()
	last := files[segmentOf(15)]
	last.Data = append(join(ev.segs[2][:3]), ev.segs[2][3][:50]...)
	keys := []*ledger.Verifier{signer(t, origin, 1).Verifier(), signer(t, origin, 2).Verifier()}
	wantFinding(t, files, ledger.VerifyConfig{Keys: keys})
	wantFinding(t, files, ledger.VerifyConfig{Keys: keys, MaxUnsealed: -1}, finding{ledger.KindUnsealed, 18, 18})
}

// A log of another version is no tampered log, and a changed version is no
// other version.
func TestOtherVersion(t *testing.T) {
	ev := evidenceOf(t)
	change(0, `"version":2`, `"version":1`)(ev)
	wantFinding(t, ev.files(), ledger.VerifyConfig{}, finding{ledger.KindAltered, 0, 0})
	for _, seq := range []int{7, 15} {
		change(seq, `"version":2`, `"version":1`)(ev)
	}
	rehash(ev)
	_, err := verify(ev.files(), ledger.VerifyConfig{})
	checkIs(t, err, ledger.ErrFormat)
	if errors.Is(err, ledger.ErrTampered) {
		t.Error(err)
	}
}

// Times that go back are reported but are not a problem. Oracle: the times.
func TestTimeGoesBack(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, never)
	now := time.Now()
	for i, ahead := range []time.Duration{time.Hour, 2 * time.Hour, 90 * time.Minute, 61 * time.Minute, 3 * time.Hour} {
		e := event(fmt.Sprint(i))
		e.Time = now.Add(ahead)
		if err := l.WriteEvents(context.Background(), []*audit.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	write(t, l, "no time")
	_ = l.Close()
	r := verifyOK(t, dir)
	if r.Backward != 59*time.Minute || r.BackwardAt != 4 {
		t.Errorf("time goes back by %v at %d, want 59m at 4", r.Backward, r.BackwardAt)
	}
}

// The largest sequence numbers neither crash Verify nor pass.
func TestHugeNumbers(t *testing.T) {
	for _, n := range []string{"18446744073709551615", "18446744073709551614", "09999999999999999999", "9999999999999999999"} {
		line := []byte(`{"seq":` + n + `,"prev":"` + ledger.Hash{}.String() + `","type":"ledger","version":1}`)
		for _, name := range []string{segment, n + ".jsonl", "0" + n + ".jsonl"} {
			fsys := fstest.MapFS{name: {Data: join([][]byte{line, line})}}
			if r, err := verify(fsys, ledger.VerifyConfig{Pruned: true}); err == nil {
				t.Errorf("%s in %s passes: %+v", n, name, r)
			}
		}
	}
}
