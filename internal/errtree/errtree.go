// Package errtree walks the tree of an error: the error, the errors it wraps,
// and the errors joined into it.
//
// An error of this library whose cause may contain secrets has a method Hidden
// in place of Unwrap. Programs that print every wrapped error do not call it;
// the walks of this package do.
//
// An error is foreign code. Its tree may be cyclic, its methods may panic, and
// it may be a nil pointer. So every walk visits at most Max errors, and a
// method or a comparison that panics counts as absent. The functions allocate
// nothing of their own.
package errtree

import (
	"reflect"
	"time"
)

// Max is the number of errors that a walk visits at most.
const Max = 1000

// Walk calls visit with each error of the tree of err, in the order of
// errors.Is: an error before the errors that it wraps. It stops when visit
// returns false. Walk reports whether every call of visit returned true.
func Walk(err error, visit func(error) bool) bool {
	left := Max
	return walk(err, visit, &left)
}

func walk(err error, visit func(error) bool, left *int) bool {
	for err != nil && *left > 0 {
		*left--
		if !visit(err) {
			return false
		}
		joined, next := unwrap(err)
		for _, e := range joined {
			if *left == 0 {
				break // a cycle of wide joins costs Max steps, not Max times their width
			}
			if !walk(e, visit, left) {
				return false
			}
		}
		err = next
	}
	return true
}

func unwrap(err error) (joined []error, next error) {
	switch x := err.(type) {
	case interface{ Unwrap() error }:
		next, _ = guard(x.Unwrap)
	case interface{ Unwrap() []error }:
		joined, _ = guard(x.Unwrap)
	case interface{ Hidden() error }:
		next, _ = guard(x.Hidden)
	}
	return joined, next
}

// guard returns the result of f, or false if f panics.
func guard[T any](f func() T) (v T, ok bool) {
	defer func() { _ = recover() }()
	return f(), true
}

// Find returns the first error of type T, which may be an interface. Unlike
// errors.As it does not call As methods.
func Find[T any](err error) (found T, ok bool) {
	Walk(err, func(e error) bool {
		found, ok = e.(T)
		return !ok
	})
	return found, ok
}

// As sets target, a pointer as for errors.As, to the first error of the tree
// that fits. It reports whether an error fits.
func As(err error, target any) bool {
	to := reflect.ValueOf(target).Elem()
	return !Walk(err, func(e error) bool {
		if reflect.TypeOf(e).AssignableTo(to.Type()) {
			to.Set(reflect.ValueOf(e))
			return false
		}
		x, ok := e.(interface{ As(any) bool })
		if !ok {
			return true
		}
		fits, _ := guard(func() bool { return x.As(target) })
		return !fits
	})
}

// Is reports whether an error of the tree of err is target or matches it, as
// errors.Is does.
func Is(err, target error) bool {
	if err == nil || target == nil {
		return err == target
	}
	comparable := reflect.TypeOf(target).Comparable()
	return !Walk(err, func(e error) bool {
		// The comparison panics if an interface in the errors contains an
		// incomparable value.
		if same, _ := guard(func() bool { return comparable && e == target }); same {
			return false
		}
		x, ok := e.(interface{ Is(error) bool })
		if !ok {
			return true
		}
		matches, _ := guard(func() bool { return x.Is(target) })
		return !matches
	})
}

// Signs are the properties that the guards of this library read from an error.
// If several errors of the tree have a method, the first of them decides.
type Signs struct {
	Rejected      bool          // Rejected() bool: a guard refused, the work was not tried
	Retryable     bool          // Retryable() bool
	HasRetryable  bool          // an error has that method
	RetryAfter    time.Duration // RetryAfter() time.Duration
	HasRetryAfter bool          // an error has that method
	Answered      bool          // Answered() bool: the dependency works, the error is its answer
}

// Read returns the signs of err.
func Read(err error) Signs {
	var s Signs
	hasRejected, hasAnswered := false, false
	Walk(err, func(e error) bool {
		if x, ok := e.(interface{ Rejected() bool }); ok && !hasRejected {
			s.Rejected, hasRejected = guard(x.Rejected)
		}
		if x, ok := e.(interface{ Retryable() bool }); ok && !s.HasRetryable {
			s.Retryable, s.HasRetryable = guard(x.Retryable)
		}
		if x, ok := e.(interface{ RetryAfter() time.Duration }); ok && !s.HasRetryAfter {
			s.RetryAfter, s.HasRetryAfter = guard(x.RetryAfter)
		}
		if x, ok := e.(interface{ Answered() bool }); ok && !hasAnswered {
			s.Answered, hasAnswered = guard(x.Answered)
		}
		return true
	})
	return s
}
