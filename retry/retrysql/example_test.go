package retrysql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retrysql"
)

// look stands for a query for a transaction by its key.
func look(context.Context, *sql.DB, string) error { return nil }

func Example() {
	ctx := context.Background()
	db := openBank() // an *sql.DB

	withdraw := func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE stock SET left = left - 1")
		return err
	}
	err := retrysql.Tx(ctx, retry.Policy{}, db.BeginTx, nil, withdraw)

	if errors.Is(err, retrysql.ErrCommitUnknown) {
		err = look(ctx, db, "key of the transfer")
	}
	fmt.Println(err)
	// Output: <nil>
}

func ExampleTx() {
	db := openBank()
	serializable := &sql.TxOptions{Isolation: sql.LevelSerializable}
	err := retrysql.Tx(context.Background(), retry.Policy{MaxAttempts: 10}, db.BeginTx, serializable,
		func(ctx context.Context, tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, "UPDATE account SET balance = balance - 5 WHERE id = 1"); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, "UPDATE account SET balance = balance + 5 WHERE id = 2")
			return err
		})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleTxContext() {
	ctx, policy, pool := context.Background(), retry.Policy{}, pgxPool{}
	transfer := func(context.Context, pgxTx) error { return nil }

	options := pgxOptions{IsoLevel: "serializable"}
	err := retrysql.TxContext(ctx, policy, pool.BeginTx, options, transfer)
	fmt.Println(err)
	// Output: <nil>
}

func ExampleRetryable() {
	policy := retry.Policy{RetryIf: func(err error) bool {
		return retrysql.Retryable(err) || errors.Is(err, errBusy) // a code of SQLite
	}}
	fmt.Println(policy.RetryIf(errBusy), policy.RetryIf(sql.ErrNoRows))
	// Output: true false
}

func ExampleCommitError() {
	err := error(&retrysql.CommitError{Err: errors.New("unexpected EOF")})
	fmt.Println(err)
	fmt.Println(errors.Is(err, retrysql.ErrCommitUnknown), retry.Retryable(err))
	// Output:
	// retrysql: outcome of commit unknown: "unexpected EOF"
	// true false
}

var errBusy = errors.New("database is locked")
