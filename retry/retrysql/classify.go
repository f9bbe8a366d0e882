package retrysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"net"
	"reflect"
	"strings"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/retry"
)

// Retryable reports whether a transaction that failed with err before COMMIT,
// or that the database rolled back at COMMIT, may succeed if it is repeated. In
// order:
//
//   - an error marked with [retry.Permanent], and an error of a COMMIT whose
//     outcome is unknown: no
//   - an attempt that ran into Policy.AttemptTimeout: yes
//   - an error with a method Retryable() bool: its answer
//   - a refusal by a guard (a method Rejected() bool that returns true): yes
//   - SQLSTATE 40001 (serialization failure), 40P01 (deadlock), 08xxx
//     (connection), 53300 (too many connections), 57P01 to 57P03 (server
//     shutdown or startup): yes, and MySQL's 1205 (lock wait timeout); any
//     other SQLSTATE: no
//   - a method SafeToRetry() bool that returns true, as errors of pgx have:
//     yes
//   - a connection that was lost: [driver.ErrBadConn], [sql.ErrConnDone],
//     [io.EOF], [io.ErrUnexpectedEOF], a *net.OpError, an error of begin
//     without SQLSTATE, or any error after which Rollback failed too: yes
//   - any other: no
//
// The SQLSTATE is read from a method SQLState() string, as errors of pgx and
// lib/pq have, or from a field SQLState as errors of go-sql-driver/mysql have.
func Retryable(err error) bool {
	switch {
	case err == nil || errtree.Is(err, ErrCommitUnknown) || !retry.Retryable(err):
		return false
	case errtree.Is(err, retry.ErrAttemptTimeout):
		return true
	}
	if signs := errtree.Read(err); signs.HasRetryable || signs.Rejected {
		return true // retry.Retryable has asked
	}
	if state, number := sqlState(err); state != "" {
		return transient(state) || number == mysqlLockWaitTimeout
	}
	return safeToRetry(err) || connectionLost(err)
}

// mysqlLockWaitTimeout is ER_LOCK_WAIT_TIMEOUT, whose SQLSTATE is the general
// HY000.
const mysqlLockWaitTimeout = 1205

// transient reports whether the database asks to repeat the transaction, or
// could not serve the connection.
func transient(state string) bool {
	switch state {
	case "40001", "40P01", "53300":
		return true
	}
	return disconnected(state)
}

// disconnected reports whether the connection ends with this state.
func disconnected(state string) bool {
	switch state {
	case "57P01", "57P02", "57P03": // shutdown, crash, startup
		return true
	}
	return strings.HasPrefix(state, "08")
}

// rolledBack reports whether err is the answer of a database that a COMMIT
// failed. 40003 is "statement completion unknown"; a shutdown may interrupt a
// transaction that is committed already, as PostgreSQL's wait for a synchronous
// replica.
func rolledBack(err error) bool {
	state, _ := sqlState(err)
	return state != "" && state != "40003" && !disconnected(state)
}

// sqlState returns the first SQLSTATE in the tree of err and the error number
// beside it, or "" and 0.
func sqlState(err error) (state string, number uint64) {
	errtree.Walk(err, func(e error) bool {
		state, number = stateOf(e)
		return state == ""
	})
	return state, number
}

func stateOf(err error) (state string, number uint64) {
	defer func() {
		if recover() != nil { // such as the method of a nil pointer
			state, number = "", 0
		}
	}()
	if e, ok := err.(interface{ SQLState() string }); ok {
		return e.SQLState(), 0
	}
	v := reflect.ValueOf(err)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return "", 0
	}
	if f := v.FieldByName("Number"); f.IsValid() && f.CanUint() {
		number = f.Uint()
	}
	switch f := v.FieldByName("SQLState"); {
	case !f.IsValid():
		return "", 0
	case f.Kind() == reflect.Array && f.Type().Elem().Kind() == reflect.Uint8:
		text := make([]byte, f.Len())
		reflect.Copy(reflect.ValueOf(text), f)
		if state = strings.Trim(string(text), "\x00"); state == "" && number != 0 {
			state = "HY000" // the server sent no state
		}
	case f.Kind() == reflect.String:
		state = f.String()
	}
	return state, number
}

func safeToRetry(err error) (safe bool) {
	errtree.Walk(err, func(e error) bool {
		x, ok := e.(interface{ SafeToRetry() bool })
		safe = ok && asks(x)
		return !ok
	})
	return safe
}

func asks(x interface{ SafeToRetry() bool }) (safe bool) {
	defer func() {
		if recover() != nil {
			safe = false
		}
	}()
	return x.SafeToRetry()
}

func connectionLost(err error) bool {
	if lost(err) {
		return true
	}
	for _, target := range []error{driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF} {
		if errtree.Is(err, target) {
			return true
		}
	}
	_, ok := errtree.Find[*net.OpError](err)
	return ok && !errtree.Is(err, context.Canceled)
}
