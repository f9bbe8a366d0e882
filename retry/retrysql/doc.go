// Package retrysql retries database transactions: serialization failures,
// deadlocks and connections that were lost before COMMIT.
//
// A database that runs transactions under SERIALIZABLE or with row locks
// aborts some of them and expects the client to repeat the whole transaction.
// A repeated statement is not enough, and a repeated COMMIT is dangerous: if
// the connection breaks during COMMIT, the transaction may have been committed.
// Tx repeats a transaction as a whole, and only if it certainly has not been
// committed.
//
//	withdraw := func(ctx context.Context, tx *sql.Tx) error {
//		_, err := tx.ExecContext(ctx, "UPDATE stock SET left = left - 1")
//		return err
//	}
//	err := retrysql.Tx(ctx, retry.Policy{}, db.BeginTx, nil, withdraw)
//
// The function may be called several times. It must have no effect outside the
// transaction, or only effects that can be repeated, and must not keep results
// of an earlier call.
//
// # Other pools
//
// [Tx] takes the method that begins a transaction: db.BeginTx of an *sql.DB or
// an *sql.Conn, db.BeginTxx of sqlx. [TxContext] is for pools whose Commit and
// Rollback take a context, such as pgxpool with its pgx.TxOptions:
//
//	err := retrysql.TxContext(ctx, policy, pool.BeginTx, options, transfer)
//
// # A commit of unknown outcome
//
// If COMMIT fails and the database has not said why, the transaction may have
// been committed or not. The error then matches [ErrCommitUnknown] and is never
// retried, here or in an outer retry. Give the transaction a key of your own,
// such as the identifier of the request with a UNIQUE constraint, and look it
// up before you try again.
//
//	if errors.Is(err, retrysql.ErrCommitUnknown) {
//		err = look(ctx, db, "key of the transfer")
//	}
//
// # Errors
//
// A transaction that failed returns a [*retry.Error], as [retry.Do] does. It
// matches the last error of the function or the database. [Retryable] lists the
// errors that are retried; Policy.RetryIf replaces it, for databases that it
// does not know.
//
// # Concurrency and cost
//
// All functions may be called from several goroutines. A transaction that
// succeeds at once allocates a closure or two more than the same calls of
// database/sql. Costs, formats and sources: docs/retry.md.
package retrysql
