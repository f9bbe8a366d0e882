package redoubt

import "context"

// Func returns fn as a unit of work, for a function without a context. The
// guards of this library then accept it. fn does not see the end of the
// context: a timeout or a caller that gives up does not interrupt it.
func Func[T any](fn func() (T, error)) func(context.Context) (T, error) {
	return func(context.Context) (T, error) { return fn() }
}

// FuncArg is Func for a function with an argument.
func FuncArg[A, T any](fn func(A) (T, error)) func(context.Context, A) (T, error) {
	return func(_ context.Context, arg A) (T, error) { return fn(arg) }
}

// FuncErr is Func for a function without a value, such as the argument of the
// Do methods.
func FuncErr(fn func() error) func(context.Context) error {
	return func(context.Context) error { return fn() }
}
