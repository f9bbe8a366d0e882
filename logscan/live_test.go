package logscan_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/logscan"
)

// spoken returns a sequence of texts, each yielded at a time since its
// beginning. It obeys its context. running counts the sequences that have not
// ended.
func spoken(running *atomic.Int32, at map[time.Duration]string, end time.Duration) func(context.Context) iter.Seq2[string, error] {
	return func(ctx context.Context) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			running.Add(1)
			defer running.Add(-1)
			begin := time.Now()
			for _, d := range append(slices.Sorted(maps.Keys(at)), end) {
				select {
				case <-time.After(time.Until(begin.Add(d))):
				case <-ctx.Done():
					yield("", ctx.Err())
					return
				}
				if text, ok := at[d]; ok && !yield(text, nil) {
					return
				}
			}
		}
	}
}

func TestSilentInputIsNotWaitedForLong(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name string
		wait time.Duration
		want string
	}{
		// b is silent until 20 s. It holds up the elements of a by one second
		// in all, not by one second each.
		{"a second", 0, "1@1s 3@3s 4@4s 2@20s 5@21s"},
		{"long enough", 30 * s, "1@20s 2@20s 3@50s 4@50s 5@50s"},
		{"not at all", -1, "1@500ms 3@3s 4@4s 2@20s 5@21s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var running atomic.Int32
				a := spoken(&running, map[time.Duration]string{s / 2: "1", 3 * s: "3", 4 * s: "4", 21 * s: "5"}, 22*s)
				b := spoken(&running, map[time.Duration]string{20 * s: "2"}, 60*s)
				begin := time.Now()
				var got []string
				for v, err := range logscan.MergeLive(t.Context(), tt.wait, strings.Compare, a, b) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, fmt.Sprintf("%s@%v", v, time.Since(begin)))
				}
				checkEqual(t, strings.Join(got, " "), tt.want)
				checkEqual(t, running.Load(), int32(0))
			})
		})
	}
}

func TestLiveMergeEnds(t *testing.T) {
	never := map[time.Duration]string{time.Hour: "late"}
	now := map[time.Duration]string{0: "now"}
	t.Run("loop left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var running atomic.Int32
			for v := range logscan.MergeLive(t.Context(), -1, strings.Compare, spoken(&running, never, time.Hour), spoken(&running, now, time.Hour)) {
				checkEqual(t, v, "now")
				break
			}
			checkEqual(t, running.Load(), int32(0))
		})
	})
	t.Run("context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var running atomic.Int32
			cause := errors.New("shut down")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Minute, func() { cancel(cause) })
			var errs []error
			for _, err := range logscan.MergeLive(ctx, 0, strings.Compare, spoken(&running, never, time.Hour), spoken(&running, never, time.Hour)) {
				errs = append(errs, err)
			}
			if len(errs) != 1 || !errors.Is(errs[0], cause) || !errors.Is(errs[0], context.Canceled) {
				t.Errorf("got %v, want one error that is both canceled and %v", errs, cause)
			}
			checkEqual(t, running.Load(), int32(0))
		})
	})
	t.Run("panic", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var running atomic.Int32
			defer func() {
				checkEqual(t, recover(), any("broken"))
				checkEqual(t, running.Load(), int32(0))
			}()
			broken := func(context.Context) iter.Seq2[string, error] {
				return func(func(string, error) bool) { panic("broken") }
			}
			for range logscan.MergeLive(t.Context(), 0, strings.Compare, spoken(&running, never, time.Hour), broken) {
			}
		})
	})
	t.Run("errors", func(t *testing.T) {
		bad := errors.New("bad")
		failing := func(context.Context) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) { _ = yield("", bad) && yield("a", nil) && yield("", bad) }
		}
		var got []string
		for v, err := range logscan.MergeLive(t.Context(), 0, strings.Compare, failing) {
			got = append(got, fmt.Sprint(v, err))
		}
		checkEqual(t, got, []string{"bad", "a<nil>", "bad"})
	})
}

// Oracle: Merge, whose own oracle is a stable sort.
func liveMergeIsMerge(t *testing.T, merge merger[int]) gopter.Prop {
	return prop.ForAll(
		func(lists [][]int) string {
			var seqs []iter.Seq2[int, error]
			var lives []func(context.Context) iter.Seq2[int, error]
			for i, list := range lists {
				slices.Sort(list)
				seq := func(yield func(int, error) bool) {
					for _, v := range list {
						if !yield(10*v+i, nil) {
							return
						}
					}
				}
				seqs = append(seqs, seq)
				lives = append(lives, func(context.Context) iter.Seq2[int, error] { return seq })
			}
			tens := func(a, b int) int { return a/10 - b/10 }
			var got, want []int
			for v := range logscan.MergeLive(t.Context(), time.Hour, tens, lives...) {
				got = append(got, v)
			}
			for v := range merge(tens, seqs...) {
				want = append(want, v)
			}
			return cmp.Diff(want, got)
		}, gen.SliceOfN(5, gen.SliceOf(gen.IntRange(0, 50))))
}

func TestLiveMergeIsMerge(t *testing.T) {
	checkProperty(t, 200, liveMergeIsMerge(t, logscan.Merge))
	checkBites(t, liveMergeIsMerge(t, joined))
}

// The delay of an element does not grow with the number of silent sequences.
func TestDelayIsBounded(t *testing.T) {
	for _, n := range []int{2, 100, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var running atomic.Int32
				var seqs []func(context.Context) iter.Seq2[time.Time, error]
				for i := range n {
					seqs = append(seqs, func(ctx context.Context) iter.Seq2[time.Time, error] {
						return func(yield func(time.Time, error) bool) {
							running.Add(1)
							defer running.Add(-1)
							time.Sleep(time.Duration(i) * time.Minute / time.Duration(n))
							for range 5 { // one a minute
								if !yield(time.Now(), nil) {
									return
								}
								time.Sleep(time.Minute)
							}
						}
					})
				}
				got, late := 0, time.Duration(0)
				for at, err := range logscan.MergeLive(t.Context(), time.Second, time.Time.Compare, seqs...) {
					if err != nil {
						t.Fatal(err)
					}
					got++
					late = max(late, time.Since(at))
				}
				checkEqual(t, got, 5*n)
				if late > time.Second {
					t.Errorf("an element is %v late, want at most 1s", late)
				}
			})
		})
	}
}
