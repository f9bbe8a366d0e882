package retrysql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
)

// openBank returns a database that accepts every statement.
func openBank() *sql.DB { return sql.OpenDB(bank{}) }

type bank struct{}

func (bank) Connect(context.Context) (driver.Conn, error) { return bank{}, nil }
func (bank) Driver() driver.Driver                        { return nil }
func (bank) Prepare(string) (driver.Stmt, error)          { return nil, driver.ErrSkip }
func (bank) Close() error                                 { return nil }
func (bank) Begin() (driver.Tx, error)                    { return bank{}, nil }
func (bank) Commit() error                                { return nil }
func (bank) Rollback() error                              { return nil }

func (bank) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return bank{}, nil }

func (bank) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(1), nil
}

// Stand-ins for the types of pgx.
type (
	pgxPool    struct{}
	pgxTx      struct{}
	pgxOptions struct{ IsoLevel string }
)

func (pgxPool) BeginTx(context.Context, pgxOptions) (pgxTx, error) { return pgxTx{}, nil }
func (pgxTx) Commit(context.Context) error                         { return nil }
func (pgxTx) Rollback(context.Context) error                       { return nil }
