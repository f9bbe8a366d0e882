package retrysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/retry"
)

// rollbackTimeout bounds the rollback of a transaction whose context has ended.
const rollbackTimeout = 5 * time.Second

// Tx begins a transaction with begin and opts, calls fn, and commits if fn
// returns nil. Otherwise it rolls back, and repeats the whole transaction if
// policy allows it and the error is [Retryable]. If policy.RetryIf is set, it
// decides in place of Retryable, except for a COMMIT of unknown outcome, which
// is never retried.
//
// O is the type of the options, such as *sql.TxOptions, and T the type of the
// transaction, such as *sql.Tx. fn must neither commit nor roll back. If fn
// panics or calls runtime.Goexit, Tx rolls back and the panic goes on
// unchanged. The context of an attempt ends with Policy.AttemptTimeout and,
// with database/sql, rolls back the transaction.
//
// Errors: a [*retry.Error] that matches the last error; [ErrCommitUnknown] if
// the outcome of COMMIT is unknown.
func Tx[O any, T interface {
	Commit() error
	Rollback() error
}](ctx context.Context, policy retry.Policy, begin func(context.Context, O) (T, error), opts O, fn func(context.Context, T) error) error {
	return run(ctx, policy, begin, opts, fn,
		func(_ context.Context, tx T) error { return tx.Commit() },
		func(_ context.Context, tx T) error { return tx.Rollback() })
}

// TxContext is [Tx] for transactions whose Commit and Rollback take a context,
// such as the transactions of pgx. A rollback may take five seconds, also after
// the context has ended.
//
// Errors: as [Tx].
func TxContext[O any, T interface {
	Commit(context.Context) error
	Rollback(context.Context) error
}](ctx context.Context, policy retry.Policy, begin func(context.Context, O) (T, error), opts O, fn func(context.Context, T) error) error {
	return run(ctx, policy, begin, opts, fn,
		func(ctx context.Context, tx T) error { return tx.Commit(ctx) },
		func(ctx context.Context, tx T) error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
			defer cancel()
			return tx.Rollback(ctx)
		})
}

func run[O, T any](ctx context.Context, policy retry.Policy, begin func(context.Context, O) (T, error), opts O,
	fn, commit, rollback func(context.Context, T) error,
) error {
	if policy.RetryIf == nil {
		policy.RetryIf = Retryable
	} else {
		policy.RetryIf = unlessUnknown(policy.RetryIf)
	}
	return policy.Do(ctx, func(ctx context.Context) error {
		tx, err := begin(ctx, opts)
		if err != nil {
			return notBegun(ctx, err)
		}
		ended := false
		defer func() {
			if !ended { // by a panic or Goexit, which goes on also if Rollback panics
				defer func() { _ = recover() }()
				_ = rollback(ctx, tx)
			}
		}()
		err = fn(ctx, tx)
		if err == nil {
			err = ctx.Err() // begun, not committed: no doubt about the outcome yet
		}
		if err != nil {
			ended = true
			return rolledBackWith(ctx, err, rollback(ctx, tx))
		}
		err = commit(ctx, tx)
		ended = true
		return outcome(err)
	})
}

// unlessUnknown keeps a RetryIf from repeating a transaction that may have been
// committed.
func unlessUnknown(retryIf func(error) bool) func(error) bool {
	return func(err error) bool { return !errtree.Is(err, ErrCommitUnknown) && retryIf(err) }
}

// notBegun returns the error of a transaction that did not begin. Unless the
// database said why, the connection is broken.
func notBegun(ctx context.Context, err error) error {
	if state, _ := sqlState(err); state != "" || ctx.Err() != nil {
		return err
	}
	return &lostError{err}
}

// rolledBackWith returns the error of a function. If the rollback failed too,
// the connection is broken: the database ends such a transaction by itself. If
// AttemptTimeout ended the transaction, err may be "query canceled", as lib/pq
// returns, or sql.ErrTxDone, if a statement has no context.
func rolledBackWith(ctx context.Context, err, rollbackErr error) error {
	if context.Cause(ctx) == retry.ErrAttemptTimeout {
		if state, _ := sqlState(err); state == "57014" || errtree.Is(err, sql.ErrTxDone) {
			return fmt.Errorf("%w: %w", retry.ErrAttemptTimeout, err)
		}
	}
	if rollbackErr == nil || errors.Is(rollbackErr, sql.ErrTxDone) || ctx.Err() != nil {
		return err
	}
	return &lostError{err}
}

// outcome returns the error of a commit, which is a CommitError unless it is
// certain that nothing was committed.
func outcome(err error) error {
	if err == nil || rolledBack(err) || safeToRetry(err) || errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return &CommitError{err}
}
