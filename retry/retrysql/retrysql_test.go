package retrysql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retrysql"
)

// A pgError has the method of the errors of pgx and lib/pq.
type pgError string

func (e pgError) Error() string    { return "pg: " + string(e) }
func (e pgError) SQLState() string { return string(e) }

// A mysqlError has the fields of the errors of go-sql-driver/mysql.
type mysqlError struct {
	Number   uint16
	SQLState [5]byte
}

func (e *mysqlError) Error() string { return fmt.Sprint("mysql: ", e.Number) }

func mysql(number uint16, state string) error {
	e := &mysqlError{Number: number}
	copy(e.SQLState[:], state)
	return e
}

type safeError struct{}

func (safeError) Error() string     { return "nothing was sent" }
func (safeError) SafeToRetry() bool { return true }

// A wild error panics in every method, and wraps itself.
type wildError struct{ err error }

func (e *wildError) Error() string     { return "wild" }
func (e *wildError) Unwrap() error     { return e.err }
func (e *wildError) SQLState() string  { panic("SQLState") }
func (e *wildError) SafeToRetry() bool { panic("SafeToRetry") }

// A script is a database whose transactions fail as written: of each slice the
// n-th transaction takes its n-th error, then there is none.
type script struct {
	begin, fn, commit, rollback []error

	begun, run, committed, rolledBack int
}

type tx struct{ s *script }

func at(errs []error, n int) error {
	if n < len(errs) {
		return errs[n]
	}
	return nil
}

func (s *script) BeginTx(context.Context, *sql.TxOptions) (tx, error) {
	s.begun++
	return tx{s}, at(s.begin, s.begun-1)
}

func (s *script) do(ctx context.Context, _ tx) error {
	s.run++
	return at(s.fn, s.begun-1)
}

func (t tx) Commit() error {
	t.s.committed++
	return at(t.s.commit, t.s.begun-1)
}

func (t tx) Rollback() error {
	t.s.rolledBack++
	return at(t.s.rollback, t.s.begun-1)
}

func TestTx(t *testing.T) {
	var (
		plain = errors.New("balance too low")
		reset = &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
		odd   = &wildError{}
	)
	odd.err = odd
	for _, test := range []struct {
		name                     string
		s                        script
		want                     error // nil: success
		run, commits, rolledBack int
	}{
		{"success", script{}, nil, 1, 1, 0},
		{"error of the function", script{fn: []error{plain}}, plain, 1, 0, 1},
		{"serialization failure in a statement", script{fn: []error{pgError("40001")}}, nil, 2, 1, 1},
		{"serialization failure at commit", script{commit: []error{pgError("40001")}}, nil, 2, 2, 0},
		{"deadlock", script{fn: []error{fmt.Errorf("transfer: %w", pgError("40P01"))}}, nil, 2, 1, 1},
		{"unique violation", script{fn: []error{pgError("23505")}}, pgError("23505"), 1, 0, 1},
		{"deferred constraint at commit", script{commit: []error{pgError("23503")}}, pgError("23503"), 1, 1, 0},
		{"mysql: deadlock", script{fn: []error{mysql(1213, "40001")}}, nil, 2, 1, 1},
		{"mysql: lock wait timeout", script{fn: []error{mysql(1205, "HY000")}}, nil, 2, 1, 1},
		{"mysql: no state sent", script{fn: []error{mysql(1205, "")}}, nil, 2, 1, 1},
		{"mysql: duplicate key", script{fn: []error{mysql(1062, "23000")}}, &mysqlError{}, 1, 0, 1},
		{"begin: no connection", script{begin: []error{driver.ErrBadConn}}, nil, 1, 1, 0},
		{"begin: too many connections", script{begin: []error{pgError("53300")}}, nil, 1, 1, 0},
		{"begin: invalid connection", script{begin: []error{plain}}, nil, 1, 1, 0},
		{"begin: wrong password", script{begin: []error{pgError("28P01")}}, pgError("28P01"), 0, 0, 0},
		{"server stops in a statement", script{fn: []error{pgError("57P01")}}, nil, 2, 1, 1},
		{"connection reset in a statement", script{fn: []error{reset}}, nil, 2, 1, 1},
		{"end of file in a statement", script{fn: []error{io.ErrUnexpectedEOF}}, nil, 2, 1, 1},
		{"rollback shows a broken connection", script{fn: []error{plain}, rollback: []error{errors.New("closed")}}, nil, 2, 1, 1},
		{"rollback after the end", script{fn: []error{plain}, rollback: []error{sql.ErrTxDone}}, plain, 1, 0, 1},
		{"commit: connection lost", script{commit: []error{driver.ErrBadConn}}, retrysql.ErrCommitUnknown, 1, 1, 0},
		{"commit: connection reset", script{commit: []error{reset}}, retrysql.ErrCommitUnknown, 1, 1, 0},
		{"commit: deadline", script{commit: []error{context.DeadlineExceeded}}, retrysql.ErrCommitUnknown, 1, 1, 0},
		{"commit: server stops", script{commit: []error{pgError("57P01")}}, retrysql.ErrCommitUnknown, 1, 1, 0},
		{"commit: connection exception", script{commit: []error{pgError("08006")}}, retrysql.ErrCommitUnknown, 1, 1, 0},
		{"commit: completion unknown", script{commit: []error{pgError("40003")}}, retrysql.ErrCommitUnknown, 1, 1, 0},
		{"commit: nothing sent", script{commit: []error{safeError{}}}, nil, 2, 2, 0},
		{"commit: ended by the function", script{commit: []error{sql.ErrTxDone}}, sql.ErrTxDone, 1, 1, 0},
		{"never twice after an unknown commit", script{commit: []error{pgError("40001"), reset}}, retrysql.ErrCommitUnknown, 2, 2, 0},
		{"attempts run out", script{fn: []error{pgError("40001"), pgError("40001"), pgError("40P01")}}, retry.ErrExhausted, 3, 0, 3},
		{"an error that wraps itself and panics", script{fn: []error{odd}}, odd, 1, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := test.s
				err := retrysql.Tx(t.Context(), retry.Policy{}, s.BeginTx, nil, s.do)
				if my, ok := test.want.(*mysqlError); ok {
					if !errors.As(err, &my) {
						t.Errorf("err = %v, want a *mysqlError", err)
					}
				} else if !errtree.Is(err, test.want) {
					t.Errorf("err = %v, want %v", err, test.want)
				}
				if s.run != test.run || s.committed != test.commits || s.rolledBack != test.rolledBack {
					t.Errorf("run %d, commits %d, rollbacks %d, want %d, %d, %d",
						s.run, s.committed, s.rolledBack, test.run, test.commits, test.rolledBack)
				}
				if errtree.Is(err, retrysql.ErrCommitUnknown) && retry.Retryable(err) {
					t.Error("an outer retry would repeat a transaction that may be committed")
				}
			})
		})
	}
}

// A caller's RetryIf decides, but not about a commit of unknown outcome.
func TestTxRetryIf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := errors.New("busy")
		policy := retry.Policy{RetryIf: func(error) bool { return true }}
		s := script{fn: []error{busy}, commit: []error{nil, io.EOF}}
		err := retrysql.Tx(t.Context(), policy, s.BeginTx, nil, s.do)
		if !errors.Is(err, retrysql.ErrCommitUnknown) || s.run != 2 {
			t.Errorf("err = %v after %d runs, want ErrCommitUnknown after 2", err, s.run)
		}
	})
}

func TestTxAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script{}
		policy := retry.Policy{AttemptTimeout: time.Second}
		err := retrysql.Tx(t.Context(), policy, s.BeginTx, nil, func(ctx context.Context, x tx) error {
			if s.run++; s.run == 1 {
				<-ctx.Done() // a statement that hangs
				return ctx.Err()
			}
			return nil
		})
		if err != nil || s.run != 2 || s.rolledBack != 1 {
			t.Errorf("err = %v, run %d, rollbacks %d, want nil, 2, 1", err, s.run, s.rolledBack)
		}
	})
}

// A driver need not return the error of the context that ended a statement.
func TestTxAttemptTimeoutOfADriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := retry.Policy{AttemptTimeout: time.Second}
		for _, ended := range []error{pgError("57014"), fmt.Errorf("exec: %w", sql.ErrTxDone)} {
			s := script{}
			fn := func(ctx context.Context, x tx) error {
				if s.run++; s.run == 1 {
					<-ctx.Done()
					return ended
				}
				return nil
			}
			if err := retrysql.Tx(t.Context(), policy, s.BeginTx, nil, fn); err != nil || s.run != 2 {
				t.Errorf("%v: err = %v, run %d, want nil, 2", ended, err, s.run)
			}
			s = script{fn: []error{ended}} // not by the timeout
			if err := retrysql.Tx(t.Context(), policy, s.BeginTx, nil, s.do); !errors.Is(err, ended) || s.run != 1 {
				t.Errorf("%v: err = %v, run %d, want the error, 1", ended, err, s.run)
			}
		}
	})
}

// A rollback that fails because the time is over shows nothing about the
// connection: the verdict of the function holds.
func TestTxVerdictAfterTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		poor := errors.New("insufficient funds")
		s := script{rollback: []error{io.EOF}}
		policy := retry.Policy{AttemptTimeout: time.Second}
		err := retrysql.Tx(t.Context(), policy, s.BeginTx, nil, func(context.Context, tx) error {
			s.run++
			time.Sleep(2 * time.Second)
			return poor
		})
		if !errors.Is(err, poor) || s.run != 1 {
			t.Errorf("err = %v after %d runs, want %v after 1", err, s.run, poor)
		}
	})
}

// A function that outlives its caller's deadline is not committed.
func TestTxDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s := script{}
		err := retrysql.Tx(ctx, retry.Policy{}, s.BeginTx, nil, func(context.Context, tx) error {
			time.Sleep(2 * time.Second)
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) || s.committed != 0 || s.rolledBack != 1 {
			t.Errorf("err = %v, commits %d, rollbacks %d, want a deadline, 0, 1", err, s.committed, s.rolledBack)
		}
	})
}

func TestTxPanicAndGoexit(t *testing.T) {
	s := script{}
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("panic %v, want boom", got)
			}
		}()
		_ = retrysql.Tx(t.Context(), retry.Policy{}, s.BeginTx, nil, func(context.Context, tx) error { panic("boom") })
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = retrysql.Tx(t.Context(), retry.Policy{}, s.BeginTx, nil, func(context.Context, tx) error {
			runtimeGoexit()
			return nil
		})
	}()
	<-done
	if s.rolledBack != 2 || s.committed != 0 {
		t.Errorf("rollbacks %d, commits %d, want 2, 0", s.rolledBack, s.committed)
	}
}

// A badTx is a transaction of a faulty driver.
type badTx struct{ commit, rollback func() error }

func (t badTx) Commit() error   { return t.commit() }
func (t badTx) Rollback() error { return t.rollback() }

func TestTxPanicsOfTheDriver(t *testing.T) {
	rolledBack := 0
	faulty := badTx{commit: func() error { panic("commit") }, rollback: func() error { rolledBack++; panic("rollback") }}
	begin := func(context.Context, *sql.TxOptions) (badTx, error) { return faulty, nil }
	for _, tt := range []struct {
		fn   func(context.Context, badTx) error
		want any
	}{
		{func(context.Context, badTx) error { panic("boom") }, "boom"},
		{func(context.Context, badTx) error { return nil }, "commit"},
	} {
		func() {
			defer func() {
				if got := recover(); got != tt.want {
					t.Errorf("panic %v, want %v", got, tt.want)
				}
			}()
			_ = retrysql.Tx(t.Context(), retry.Policy{}, begin, nil, tt.fn)
		}()
	}
	if rolledBack != 2 {
		t.Errorf("rollbacks %d, want 2", rolledBack)
	}
}

// A ctxTx is a transaction in the manner of pgx.
type ctxTx struct {
	commit     error
	rolledBack *error // the context's error at the time of the rollback
}

func (t ctxTx) Commit(ctx context.Context) error { return t.commit }
func (t ctxTx) Rollback(ctx context.Context) error {
	*t.rolledBack = ctx.Err()
	return ctx.Err()
}

func TestTxContextRollsBackAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		rolledBack := errors.New("no rollback")
		begin := func(context.Context, struct{}) (ctxTx, error) { return ctxTx{rolledBack: &rolledBack}, nil }
		err := retrysql.TxContext(ctx, retry.Policy{}, begin, struct{}{}, func(ctx context.Context, _ ctxTx) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || rolledBack != nil {
			t.Errorf("err = %v, rollback with %v, want a deadline, and a rollback with a live context", err, rolledBack)
		}
	})
}

func TestCommitErrorText(t *testing.T) {
	err := error(&retrysql.CommitError{Err: errors.New(strings.Repeat("x", 100))})
	want := `retrysql: outcome of commit unknown: "` + strings.Repeat("x", 64) + `"…`
	if got := err.Error(); got != want {
		t.Errorf("text %s, want %s", got, want)
	}
}

func TestTxAllocations(t *testing.T) {
	s := script{}
	fn := s.do
	begin := s.BeginTx
	got := testing.AllocsPerRun(100, func() {
		_ = retrysql.Tx(t.Context(), retry.Policy{}, begin, nil, fn)
	})
	if got > 4 {
		t.Errorf("a transaction allocates %v times, want at most 4", got)
	}
}
