package errtree_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/internal/errtree"
)

// cyclic wraps itself.
type cyclic struct{}

func (cyclic) Error() string   { return "cyclic" }
func (c cyclic) Unwrap() error { return c }

// wide joins itself many times.
type wide struct{ joined []error }

func (*wide) Error() string     { return "wide" }
func (w *wide) Unwrap() []error { return w.joined }

func newWide(width int) *wide {
	w := &wide{make([]error, width)}
	for i := range w.joined {
		w.joined[i] = w
	}
	return w
}

// signs has every method that Read looks for.
type signs struct {
	rejected, retryable bool
	after               time.Duration
	err                 error
}

func (*signs) Error() string               { return "signs" }
func (s *signs) Unwrap() error             { return s.err }
func (s *signs) Rejected() bool            { return s.rejected }
func (s *signs) Retryable() bool           { return s.retryable }
func (s *signs) RetryAfter() time.Duration { return s.after }
func (s *signs) Is(target error) bool      { return s.after > 0 && target == io.ErrNoProgress }

// panicking is an error whose methods all panic.
type panicking struct{}

func (panicking) Error() string             { panic("Error") }
func (panicking) Unwrap() error             { panic("Unwrap") }
func (panicking) Is(error) bool             { panic("Is") }
func (panicking) Rejected() bool            { panic("Rejected") }
func (panicking) Retryable() bool           { panic("Retryable") }
func (panicking) RetryAfter() time.Duration { panic("RetryAfter") }
func (panicking) Answered() bool            { panic("Answered") }

// answer is an error that is the answer of a dependency.
type answer bool

func (answer) Error() string    { return "answer" }
func (a answer) Answered() bool { return bool(a) }

// panickingJoin panics where the errors joined into it are asked for.
type panickingJoin struct{}

func (panickingJoin) Error() string   { return "join" }
func (panickingJoin) Unwrap() []error { panic("Unwrap") }

// picky is comparable by its type but not by its value if v is a slice.
type picky struct{ v any }

func (picky) Error() string        { return "picky" }
func (picky) Is(target error) bool { _, ok := target.(picky); return ok }

// slice is not comparable.
type slice []int

func (slice) Error() string { return "slice" }

// tree is e1(e2(a), join(b, e3(c))) in the order of errors.Is.
func tree() error {
	left := fmt.Errorf("left: %w", errors.New("a"))
	right := errors.Join(errors.New("b"), fmt.Errorf("e3: %w", errors.New("c")))
	return fmt.Errorf("root: %w, %w", left, right)
}

func TestWalkVisitsAnErrorBeforeTheErrorsThatItWraps(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want []string
	}{
		{"nil", nil, nil},
		{"a single error", io.EOF, []string{"EOF"}},
		{"a tree", tree(), []string{
			"root: left: a, b\ne3: c", "left: a", "a", "b\ne3: c", "b", "e3: c", "c",
		}},
		{"nil among joined errors", &wide{[]error{nil, io.EOF, nil}}, []string{"wide", "EOF"}},
		{"a join that panics", panickingJoin{}, []string{"join"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			if !errtree.Walk(test.err, func(e error) bool { got = append(got, e.Error()); return true }) {
				t.Error("Walk reported false though visit always reported true")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWalkStopsWhenVisitReportsFalse(t *testing.T) {
	for stop := 1; stop <= 7; stop++ {
		visited := 0
		if errtree.Walk(tree(), func(error) bool { visited++; return visited < stop }) {
			t.Errorf("stop at %d: Walk reported true", stop)
		}
		if visited != stop {
			t.Errorf("stop at %d: %d errors visited", stop, visited)
		}
	}
}

func TestWalkVisitsAtMostMaxErrors(t *testing.T) {
	deep := errors.New("bottom")
	for range 3 * errtree.Max {
		deep = &signs{err: deep}
	}
	broad := make([]error, 3*errtree.Max)
	for i := range broad {
		broad[i] = io.EOF
	}
	for _, test := range []struct {
		name string
		err  error
	}{
		{"an error that wraps itself", cyclic{}},
		{"an error that joins itself 10,000 times", newWide(10_000)},
		{"a deep chain", deep},
		{"a broad join", errors.Join(broad...)},
	} {
		t.Run(test.name, func(t *testing.T) {
			visited := 0
			errtree.Walk(test.err, func(error) bool { visited++; return true })
			if visited != errtree.Max {
				t.Errorf("%d errors visited, want %d", visited, errtree.Max)
			}
		})
	}
}

func TestFindReturnsTheFirstErrorOfTheType(t *testing.T) {
	inner := &signs{after: 2}
	outer := &signs{after: 1, err: inner}
	err := fmt.Errorf("a: %w", errors.Join(io.EOF, outer))
	if got, ok := errtree.Find[*signs](err); got != outer || !ok {
		t.Errorf("Find[*signs] = %v, %v, want the outer error", got, ok)
	}
	if got, ok := errtree.Find[interface{ RetryAfter() time.Duration }](err); got != outer || !ok {
		t.Errorf("Find of an interface = %v, %v, want the outer error", got, ok)
	}
	if got, ok := errtree.Find[*wide](err); got != nil || ok {
		t.Errorf("Find of an absent type = %v, %v", got, ok)
	}
	if got, ok := errtree.Find[*signs](nil); got != nil || ok {
		t.Errorf("Find(nil) = %v, %v", got, ok)
	}
	if got, ok := errtree.Find[*signs](cyclic{}); got != nil || ok {
		t.Errorf("Find in a cycle = %v, %v", got, ok)
	}
}

// The standard library is the oracle wherever it returns.
func TestIsAgreesWithTheStandardLibrary(t *testing.T) {
	uncomparable := slice{1}
	for _, test := range []struct {
		name        string
		err, target error
	}{
		{"nil, nil", nil, nil},
		{"nil, target", nil, io.EOF},
		{"err, nil", io.EOF, nil},
		{"the same", io.EOF, io.EOF},
		{"another", io.EOF, io.ErrUnexpectedEOF},
		{"wrapped", fmt.Errorf("a: %w", io.EOF), io.EOF},
		{"joined", errors.Join(io.ErrUnexpectedEOF, fmt.Errorf("a: %w", io.EOF)), io.EOF},
		{"by an Is method", errors.Join(io.EOF, &signs{after: 1}), io.ErrNoProgress},
		{"not by an Is method", errors.Join(io.EOF, &signs{}), io.ErrNoProgress},
		{"an incomparable target", uncomparable, uncomparable},
		{"an incomparable error", fmt.Errorf("a: %w", uncomparable), io.EOF},
		{"a typed nil", (*signs)(nil), (*signs)(nil)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, want := errtree.Is(test.err, test.target), errors.Is(test.err, test.target); got != want {
				t.Errorf("Is = %v, errors.Is = %v", got, want)
			}
		})
	}
}

func TestIsSurvivesForeignErrors(t *testing.T) {
	for _, test := range []struct {
		name        string
		err, target error
		want        bool
	}{
		{"a cycle", cyclic{}, io.EOF, false},
		{"a cycle, found", cyclic{}, cyclic{}, true},
		{"a wide cycle", newWide(10_000), io.EOF, false},
		{"panicking methods", panicking{}, io.EOF, false},
		{"behind panicking methods", errors.Join(panicking{}, io.EOF), io.EOF, true},
		{"the panicking error itself", fmt.Errorf("a: %w", error(&wide{[]error{panicking{}}})), panicking{}, true},
		{"a typed nil whose methods panic", errors.Join((*signs)(nil), io.EOF), io.EOF, true},
		{"an Is method behind a comparison that panics", picky{[]int{1}}, picky{[]int{1}}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := errtree.Is(test.err, test.target); got != test.want {
				t.Errorf("Is = %v, want %v", got, test.want)
			}
		})
	}
}

func TestReadTakesEachSignFromTheFirstErrorThatHasTheMethod(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want errtree.Signs
	}{
		{"nil", nil, errtree.Signs{}},
		{"no methods", tree(), errtree.Signs{}},
		{
			"all methods", fmt.Errorf("a: %w", &signs{true, true, time.Second, nil}),
			errtree.Signs{Rejected: true, Retryable: true, HasRetryable: true, RetryAfter: time.Second, HasRetryAfter: true},
		},
		{
			"the outer error decides", &signs{false, false, 0, &signs{true, true, time.Second, nil}},
			errtree.Signs{HasRetryable: true, HasRetryAfter: true},
		},
		{
			"behind panicking methods", errors.Join(panicking{}, (*signs)(nil), &signs{true, true, time.Second, nil}),
			errtree.Signs{Rejected: true, Retryable: true, HasRetryable: true, RetryAfter: time.Second, HasRetryAfter: true},
		},
		{"an answer", errors.Join(panicking{}, fmt.Errorf("a: %w", answer(true))), errtree.Signs{Answered: true}},
		{"the outer answer decides", errors.Join(answer(false), answer(true)), errtree.Signs{}},
		{"a typed nil", (*signs)(nil), errtree.Signs{}},
		{"a cycle", cyclic{}, errtree.Signs{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, errtree.Read(test.err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWalksAllocateNothing(t *testing.T) {
	err := fmt.Errorf("a: %w", errors.Join(io.ErrUnexpectedEOF, &signs{err: io.EOF}))
	for name, f := range map[string]func(){
		"Walk": func() { errtree.Walk(err, func(e error) bool { return e != nil }) },
		"Find": func() { errtree.Find[*signs](err) },
		"Is":   func() { errtree.Is(err, io.EOF) },
		"Read": func() { errtree.Read(err) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

// FuzzIs draws trees without cycles, for which the standard library is the
// oracle.
func FuzzIs(f *testing.F) {
	f.Add("w0", 0)
	f.Add("j3w1w2e0", 2)
	f.Add(strings.Repeat("j2", 40), 1)
	f.Fuzz(func(t *testing.T, shape string, target int) {
		leaves := []error{io.EOF, io.ErrUnexpectedEOF, io.ErrNoProgress, slice{1}, (*wide)(nil)}
		budget := 200
		var build func() error
		build = func() error {
			if budget--; budget < 0 || len(shape) < 2 {
				return io.EOF
			}
			kind, n := shape[0], int(shape[1])
			shape = shape[2:]
			switch kind {
			case 'w':
				return fmt.Errorf("w: %w", build())
			case 'j':
				joined := make([]error, n%5)
				for i := range joined {
					joined[i] = build()
				}
				return &wide{joined}
			}
			return leaves[n%len(leaves)]
		}
		err, want := build(), leaves[uint(target)%uint(len(leaves))]
		if want == error((*wide)(nil)) {
			want = nil
		}
		if got, std := errtree.Is(err, want), stdIs(err, want); got != std {
			t.Errorf("Is(%v) = %v, errors.Is = %v", want, got, std)
		}
	})
}

// stdIs is errors.Is; the methods of a nil *wide panic in it.
func stdIs(err, target error) (is bool) {
	defer func() {
		if recover() != nil {
			is = errtree.Is(err, target)
		}
	}()
	return errors.Is(err, target)
}

// hides is an error whose cause a reporter must not print.
type hides struct{ cause error }

func (hides) Error() string   { return "hides" }
func (h hides) Hidden() error { return h.cause }

func TestHiddenCausesAreWalked(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", hides{io.EOF})
	if !errtree.Is(err, io.EOF) || errors.Unwrap(errors.Unwrap(err)) != nil {
		t.Error("Is does not find the hidden cause")
	}
}

type asks struct{}

func (asks) Error() string { return "asks" }
func (asks) As(target any) bool {
	p, ok := target.(**wide)
	if ok {
		*p = newWide(3)
	}
	return ok
}

func TestAs(t *testing.T) {
	var w *wide
	if !errtree.As(fmt.Errorf("a: %w", newWide(2)), &w) || len(w.joined) != 2 {
		t.Error("As does not find the type")
	}
	if !errtree.As(errors.Join(io.EOF, asks{}), &w) || len(w.joined) != 3 {
		t.Error("As does not call the method As")
	}
	var timeout interface{ Timeout() bool }
	if errtree.As(cyclic{}, &timeout) || errtree.As(nil, &w) {
		t.Error("As finds an error that is not there")
	}
}
