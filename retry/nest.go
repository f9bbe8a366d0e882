package retry

import "context"

// Nest returns a context for the work of a retry that is decided elsewhere,
// such as the handler of a request that its client has sent again. A call of
// this package with that context makes a single attempt and fails with
// ErrNested, so that the retries of two layers do not multiply.
//
// Do nests its own attempts, except the first, if it paused before the attempt
// or an error showed that a call inside an attempt retried in vain.
func Nest(ctx context.Context) context.Context { return nest(ctx, nil) }

// Unnest returns a context in which calls of this package retry, although ctx
// belongs to the retry of another call. It is for attempts that consist of many
// independent calls.
func Unnest(ctx context.Context) context.Context {
	if !Nested(ctx) {
		return ctx
	}
	return &mark{Context: ctx}
}

// Nested reports whether ctx belongs to a retry: whether a call of this package
// with ctx makes a single attempt.
func Nested(ctx context.Context) bool {
	m, ok := ctx.Value(markKey{}).(*mark)
	return ok && m.nested
}

// A mark is the context of an attempt.
type mark struct {
	context.Context
	nested bool   // calls inside make a single attempt
	budget Budget // of the call that the attempt belongs to
}

type markKey struct{}

// Value returns m for its own key.
func (m *mark) Value(key any) any {
	if key == (markKey{}) {
		return m
	}
	return m.Context.Value(key)
}

func nest(ctx context.Context, b Budget) context.Context {
	return &mark{Context: ctx, nested: true, budget: b}
}

// sharesBudget reports whether ctx belongs to an attempt of a call with budget
// b.
func sharesBudget(ctx context.Context, b Budget) (same bool) {
	m, ok := ctx.Value(markKey{}).(*mark)
	if !ok || m.budget == nil {
		return false
	}
	defer func() { _ = recover() }() // budgets need not be comparable
	return m.budget == b
}
