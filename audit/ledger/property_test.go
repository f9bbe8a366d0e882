package ledger_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// checkProperty checks a property in a number of runs with random values.
func checkProperty(t *testing.T, runs int, p gopter.Prop) {
	t.Helper()
	parameters := gopter.DefaultTestParameters()
	parameters.MinSuccessfulTests = runs
	ps := gopter.NewProperties(parameters)
	ps.Property(t.Name(), p)
	ps.TestingRun(t)
}

// The compact range has the root of RFC 6962, section 2.1. Oracle: the
// recursive definition.
func TestPropertyTreeEq(t *testing.T) {
	var lines [][]byte
	for n := range 301 {
		if got, want := ledger.TreeRoot(lines), mth(lines); got != want {
			t.Fatalf("root of %d leaves = %v, want %v", n, got, want)
		}
		lines = append(lines, fmt.Appendf(nil, "leaf %d", n))
	}
	checkProperty(t, 100, prop.ForAll(func(s []string) bool {
		lines := make([][]byte, len(s))
		for i := range s {
			lines[i] = []byte(s[i])
		}
		return ledger.TreeRoot(lines) == mth(lines)
	}, gen.SliceOf(gen.AnyString())))
}

func mth(d [][]byte) ledger.Hash {
	switch n := len(d); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, d[0]...))
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		l, r := mth(d[:k]), mth(d[k:])
		return sha256.Sum256(slices.Concat([]byte{1}, l[:], r[:]))
	}
}

// A finding is the part of a Problem that a mutation determines.
type finding struct {
	Kind     ledger.Kind
	From, To uint64
}

// A mutation changes the lines of a block whose first record has the number
// base, but not the ends of the block. It returns the expected finding.
type mutation func(r *rand.Rand, lines [][]byte, base int) ([][]byte, finding)

const (
	block = 20
	low   = 3 // first line of a block that a mutation may change
	high  = 16
)

func pick(r *rand.Rand) int { return low + r.IntN(high-low) }

func pickTwo(r *rand.Rand) (i, j int) {
	i = low + r.IntN(high-low-1)
	return i, i + 1 + r.IntN(high-i-1)
}

func found(k ledger.Kind, base, from, to int) finding {
	return finding{k, uint64(base + from), uint64(base + to)}
}

func mutations() map[string]mutation {
	alter := func(change func(r *rand.Rand, line []byte) []byte) mutation {
		return func(r *rand.Rand, lines [][]byte, base int) ([][]byte, finding) {
			i := pick(r)
			lines[i] = change(r, lines[i])
			return lines, found(ledger.KindAltered, base, i, i)
		}
	}
	insert := func(make func(r *rand.Rand, lines [][]byte, base, at int) []byte) mutation {
		return func(r *rand.Rand, lines [][]byte, base int) ([][]byte, finding) {
			at := pick(r)
			line := make(r, lines, base, at)
			return slices.Insert(lines, at, line), found(ledger.KindInserted, base, at, at)
		}
	}
	return map[string]mutation{
		"alter text": alter(func(_ *rand.Rand, l []byte) []byte { return bytes.Replace(l, []byte("success"), []byte("failure"), 1) }),
		"alter byte": alter(func(r *rand.Rand, l []byte) []byte {
			l = bytes.Clone(l)
			l[r.IntN(len(l))] ^= byte(1 + r.IntN(127))
			return bytes.ReplaceAll(l, []byte("\n"), []byte{1}) // a line end is a split, below
		}),
		"alter seq": alter(func(r *rand.Rand, l []byte) []byte {
			_, rest, _ := bytes.Cut(l, []byte(","))
			return fmt.Appendf(nil, `{"seq":%d,%s`, 1000+r.IntN(1000), rest)
		}),
		"alter prev":     alter(func(r *rand.Rand, l []byte) []byte { return withPrev(l, ledger.TreeRoot([][]byte{{byte(r.Uint32())}})) }),
		"garbage":        alter(func(*rand.Rand, []byte) []byte { return []byte("garbage") }),
		"blank":          alter(func(*rand.Rand, []byte) []byte { return nil }),
		"split":          alter(func(r *rand.Rand, l []byte) []byte { return slices.Insert(bytes.Clone(l), 1+r.IntN(len(l)-1), '\n') }),
		"insert garbage": insert(func(*rand.Rand, [][]byte, int, int) []byte { return []byte(`{"hello":1}`) }),
		"forge record": insert(func(_ *rand.Rand, lines [][]byte, base, at int) []byte {
			return bytes.Replace(lines[at], []byte("success"), []byte("failure"), 1)
		}),
		"forge unlinked": insert(func(_ *rand.Rand, lines [][]byte, base, at int) []byte {
			return withPrev(lines[at], ledger.Hash{1})
		}),
		"overwrite": func(r *rand.Rand, lines [][]byte, base int) ([][]byte, finding) {
			i, j := pickTwo(r)
			lines[j] = lines[i]
			return lines, found(ledger.KindAltered, base, j, j)
		},
		"copy": func(r *rand.Rand, lines [][]byte, base int) ([][]byte, finding) {
			i, at := pick(r), pick(r)
			return slices.Insert(lines, at, lines[i]), found(ledger.KindInserted, base, i, i)
		},
		"remove": func(r *rand.Rand, lines [][]byte, base int) ([][]byte, finding) {
			i, j := pickTwo(r)
			return slices.Delete(lines, i, j+1), found(ledger.KindRemoved, base, i, j)
		},
		"remove one": func(r *rand.Rand, lines [][]byte, base int) ([][]byte, finding) {
			i := pick(r)
			return slices.Delete(lines, i, i+1), found(ledger.KindRemoved, base, i, i)
		},
		"swap": func(r *rand.Rand, lines [][]byte, base int) ([][]byte, finding) {
			i, j := pickTwo(r)
			lines[i], lines[j] = lines[j], lines[i]
			return lines, found(ledger.KindReordered, base, i, j)
		},
		"move on": func(r *rand.Rand, lines [][]byte, base int) ([][]byte, finding) {
			i, j := pickTwo(r)
			l := lines[i]
			return slices.Insert(slices.Delete(lines, i, i+1), j, l), found(ledger.KindReordered, base, i, j)
		},
		"move back": func(r *rand.Rand, lines [][]byte, base int) ([][]byte, finding) {
			i, j := pickTwo(r)
			l := lines[j]
			return slices.Insert(slices.Delete(lines, j, j+1), i, l), found(ledger.KindReordered, base, i, j)
		},
	}
}

func withPrev(line []byte, h ledger.Hash) []byte {
	_, old, _ := ledger.ParseLine(line)
	return bytes.Replace(line, []byte(old.String()), []byte(h.String()), 1)
}

// Up to three mutations in different parts of a log are reported as the same
// number of problems, with their kind and range. Oracle: the mutations.
func TestPropertyMutate(t *testing.T) {
	all := mutations()
	names := make([]string, 0, len(all))
	for n := range all {
		names = append(names, n)
	}
	slices.Sort(names)
	original := sample(t, 3*block-1)
	check := func(seed uint64, first int, count int) string {
		r := rand.New(rand.NewPCG(seed, 4))
		lines := slices.Clone(original)
		var out [][]byte
		var want []finding
		var done []string
		for b := range 3 {
			part := slices.Clone(lines[b*block : (b+1)*block])
			if b < count {
				name := names[(first+b*r.IntN(len(names)))%len(names)]
				var f finding
				part, f = all[name](r, part, b*block)
				done, want = append(done, name), append(want, f)
			}
			out = append(out, part...)
		}
		rep, err := ledger.Verify(context.Background(), fsOf(join(out)), ledger.VerifyConfig{})
		var got []finding
		if rep != nil {
			for _, p := range rep.Problems {
				got = append(got, finding{p.Kind, p.From, p.To})
			}
		}
		slices.SortFunc(got, func(a, b finding) int { return cmp.Compare(a.From, b.From) })
		if (err == nil) != (count == 0) {
			return fmt.Sprintf("%v: error %v", done, err)
		}
		if d := gocmp.Diff(want, got); d != "" {
			return fmt.Sprintf("%v: problems (-want +got):\n%s", done, d)
		}
		return ""
	}
	for i, name := range names { // each alone, whatever the generator picks
		for seed := range uint64(40) {
			if s := check(seed, i, 1); s != "" {
				t.Fatalf("%s, seed %d: %s", name, seed, s)
			}
		}
	}
	checkProperty(t, 500, prop.ForAll(check, gen.UInt64(), gen.IntRange(0, len(names)-1), gen.IntRange(0, 3)))
}

// At the ends of a log, Verify has fewer lines to compare.
func TestMutateEnds(t *testing.T) {
	type lines = [][]byte
	n := 6 // records 0 to 6
	for _, c := range []struct {
		name   string
		mutate func(l lines) lines
		want   finding
	}{
		{"header altered", func(l lines) lines { l[0] = bytes.Replace(l[0], []byte("ledger"), []byte("LEDGER"), 1); return l }, finding{ledger.KindAltered, 0, 0}},
		{"header prev", func(l lines) lines { l[0] = withPrev(l[0], ledger.Hash{1}); return l }, finding{ledger.KindAltered, 0, 0}},
		{"header removed", func(l lines) lines { return l[1:] }, finding{ledger.KindRemoved, 0, 0}},
		{"first two removed", func(l lines) lines { return l[2:] }, finding{ledger.KindRemoved, 0, 1}},
		{"garbage in front", func(l lines) lines { return slices.Insert(l, 0, []byte("x")) }, finding{ledger.KindInserted, 0, 0}},
		{"first swap", func(l lines) lines { l[0], l[1] = l[1], l[0]; return l }, finding{ledger.KindReordered, 0, 1}},
		{"last swap", func(l lines) lines { l[n-1], l[n] = l[n], l[n-1]; return l }, finding{ledger.KindReordered, 5, 6}},
		{"far swap", func(l lines) lines { l[0], l[n] = l[n], l[0]; return l }, finding{ledger.KindReordered, 0, 6}},
		{"to the end", func(l lines) lines { moved := l[2]; return append(slices.Delete(l, 2, 3), moved) }, finding{ledger.KindReordered, 2, 6}},
		{"last but one removed", func(l lines) lines { return slices.Delete(l, n-1, n) }, finding{ledger.KindRemoved, 5, 5}},
		{"last is a wreck", func(l lines) lines { l[n] = []byte("x"); return l }, finding{ledger.KindAltered, 6, 6}},
		{"last number", func(l lines) lines { l[n] = bytes.Replace(l[n], []byte(":6,"), []byte(":9,"), 1); return l }, finding{ledger.KindAltered, 6, 6}},
		{"copy at the end", func(l lines) lines { return append(l, l[3]) }, finding{ledger.KindInserted, 3, 3}},
		{"last copied", func(l lines) lines { return append(l, l[n]) }, finding{ledger.KindInserted, 6, 6}},
		{"neighbours altered", func(l lines) lines {
			for i := 2; i <= 4; i++ {
				l[i] = []byte("x")
			}
			return l
		}, finding{ledger.KindAltered, 2, 4}},
		{"neighbours broken", func(l lines) lines {
			for i := 2; i <= 4; i++ {
				l[i] = append(bytes.Clone(l[i]), '}') // numbers and links can still be read
			}
			return l
		}, finding{ledger.KindAltered, 2, 4}},
		{"two moved together", func(l lines) lines {
			return slices.Concat(l[:2], l[4:6], l[2:4], l[6:])
		}, finding{ledger.KindReordered, 2, 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := c.mutate(sample(t, n))
			rep, err := ledger.Verify(context.Background(), fsOf(join(l)), ledger.VerifyConfig{})
			checkIs(t, err, ledger.ErrTampered)
			var got []finding
			for _, p := range rep.Problems {
				got = append(got, finding{p.Kind, p.From, p.To})
			}
			if d := gocmp.Diff([]finding{c.want}, got); d != "" {
				t.Errorf("problems (-want +got):\n%s", d)
			}
		})
	}
}

// The file is cut at every offset. Oracle: the line ends before the cut.
// Complete lines stay, the log continues, and another Open recovers nothing.
func TestPropertyCrashAtEveryOffset(t *testing.T) {
	data := join(sample(t, 2))
	for cut := range len(data) + 1 {
		if s := crash(t.TempDir(), data[:cut], bytes.Count(data[:cut], []byte("\n"))); s != "" {
			t.Fatalf("cut at %d: %s", cut, s)
		}
	}
}

// The file loses any pages after the last sync. Oracle: the records before the
// sync.
func TestPropertyCrashLosesPages(t *testing.T) {
	const page = 64
	data := join(sample(t, 12))
	checkProperty(t, 150, prop.ForAll(func(seed uint64) string {
		r := rand.New(rand.NewPCG(seed, 5))
		synced := r.IntN(10) + 1 // records
		safe := len(join(split(data)[:synced]))
		after := bytes.Clone(data[:safe+r.IntN(len(data)-safe)])
		for p := safe / page * page; p < len(after); p += page {
			if r.IntN(3) == 0 {
				clear(after[max(p, safe):min(p+page, len(after))])
			}
		}
		dir, err := os.MkdirTemp("", "crash")
		if err != nil {
			return err.Error()
		}
		defer os.RemoveAll(dir)
		return crash(dir, after, synced)
	}, gen.UInt64()))
}

// crash opens a log with this content twice and returns the fault, if any.
func crash(dir string, data []byte, records int) string {
	ctx := context.Background()
	path := filepath.Join(dir, segment)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err.Error()
	}
	l, err := ledger.Open(ctx, dir, never)
	if err != nil {
		return err.Error()
	}
	if err := l.WriteEvents(ctx, []*audit.Event{event("after")}); err != nil {
		return err.Error()
	}
	_ = l.Close()
	once, _ := os.ReadFile(path)
	l, err = ledger.Open(ctx, dir, never)
	if err != nil {
		return "second Open: " + err.Error()
	}
	_ = l.Close()
	twice, _ := os.ReadFile(path)
	kept := join(split(data)[:records])
	if records == 0 {
		kept = nil
	}
	switch rep, err := ledger.Verify(ctx, os.DirFS(dir), ledger.VerifyConfig{}); {
	case err != nil:
		return err.Error()
	case !bytes.HasPrefix(once, kept):
		return "whole records were lost"
	case !bytes.Equal(once, twice):
		return "the second Open changed the log"
	case rep.Unfinished != 0 || !strings.Contains(string(once), `"after"`):
		return "the log did not go on"
	}
	return ""
}

// Events are read back as they were recorded. Oracle: the events, with valid
// UTF-8.
func TestPropertyRoundTrip(t *testing.T) {
	checkProperty(t, 40, prop.ForAll(func(texts []string) string {
		dir, err := os.MkdirTemp("", "roundtrip")
		if err != nil {
			return err.Error()
		}
		defer os.RemoveAll(dir)
		l, err := ledger.Open(context.Background(), dir, never)
		if err != nil {
			return err.Error()
		}
		var want, got []audit.Event
		for _, s := range texts {
			e := audit.Event{ID: s, Action: "a", Outcome: "b", Reason: s, Target: audit.Target{ID: s}}
			want = append(want, e)
			if err := l.WriteEvents(context.Background(), []*audit.Event{&e}); err != nil {
				return err.Error()
			}
		}
		_ = l.Close()
		for r, err := range ledger.Events(os.DirFS(dir), 0) {
			if err != nil {
				return err.Error()
			}
			got = append(got, r.Event)
		}
		if _, err := ledger.Verify(context.Background(), os.DirFS(dir), ledger.VerifyConfig{}); err != nil {
			return err.Error()
		}
		return gocmp.Diff(want, got)
	}, gen.SliceOf(gen.AnyString().Map(func(s string) string { return strings.ToValidUTF8(s, "?") }))))
}

// The oracle of the tree has the roots that other implementations of RFC 6962
// publish for these leaves.
func TestTreeOracle(t *testing.T) {
	var leaves [][]byte
	for _, s := range []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"} {
		leaf, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leaf)
	}
	for n, want := range map[int]string{
		1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	} {
		root := mth(leaves[:n])
		if got := hex.EncodeToString(root[:]); got != want {
			t.Errorf("%d leaves: root %s, want %s", n, got, want)
		}
	}
}
