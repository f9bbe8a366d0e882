package logscan_test

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/logscan"
)

// merger is logscan.Merge, or a broken function that a property must reject.
type merger[T any] func(cmp func(a, b T) int, seqs ...iter.Seq2[T, error]) iter.Seq2[T, error]

// joined is not a merge: it yields one sequence after the other.
func joined[T any](_ func(a, b T) int, seqs ...iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, seq := range seqs {
			for v, err := range seq {
				if !yield(v, err) {
					return
				}
			}
		}
	}
}

// Oracle: a stable sort.
func mergeIsStableSort(merge merger[*logscan.Record]) gopter.Prop {
	return prop.ForAll(
		func(a, b, c []uint8) string {
			var seqs []iter.Seq2[*logscan.Record, error]
			var want []string
			for i, keys := range [][]uint8{a, b, c} {
				slices.Sort(keys)
				var log strings.Builder
				for _, k := range keys {
					fmt.Fprintf(&log, "%03d %d\n", k, i)
					want = append(want, fmt.Sprintf("%03d %d", k, i))
				}
				seqs = append(seqs, logscan.Lines(strings.NewReader(log.String())))
			}
			slices.SortStableFunc(want, func(a, b string) int { return strings.Compare(a[:3], b[:3]) })
			var got []string
			for r := range merge(func(a, b *logscan.Record) int { return bytes.Compare(a.Line[:3], b.Line[:3]) }, seqs[0], seqs[1], seqs[2]) {
				got = append(got, string(r.Line))
			}
			return cmp.Diff(want, got)
		}, gen.SliceOf(gen.UInt8()), gen.SliceOf(gen.UInt8()), gen.SliceOf(gen.UInt8()))
}

func TestMergeIsStableSort(t *testing.T) {
	checkProperty(t, 200, mergeIsStableSort(logscan.Merge))
	checkBites(t, mergeIsStableSort(joined))
}

func TestMergeStopsItsInputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open int
		sc := logscan.Scanner{}
		a, b := sc.Records(t.Context(), tracked(&open, "a\nc\n")), sc.Records(t.Context(), tracked(&open, "a\nb\n"))
		broken := sc.Records(t.Context(), logscan.Files("missing"))
		var errs int
		for _, err := range logscan.Merge(func(a, b *logscan.Record) int { return bytes.Compare(a.Line, b.Line) }, a, broken, b) {
			if err != nil {
				errs++
				continue
			}
			break
		}
		checkEqual(t, []int{open, errs}, []int{0, 1})
	})
}
