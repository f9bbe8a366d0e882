package retrysql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retrysql"
)

const accounts, each = 10, 1000

// A bank moves money between accounts, in transactions under SERIALIZABLE. A
// transfer leaves a row with its number.
type bank struct {
	admin    *sql.DB // not subject to kills
	transfer func(ctx context.Context, policy retry.Policy, number, from, to int) error
	kill     func() error // ends a connection of another client
}

func setUp(t *testing.T, db *sql.DB) {
	t.Helper()
	statements := []string{
		"CREATE TABLE account (id INT PRIMARY KEY, balance INT NOT NULL)",
		"CREATE TABLE transfer (id INT PRIMARY KEY)",
	}
	for i := range accounts {
		statements = append(statements, fmt.Sprintf("INSERT INTO account VALUES (%d, %d)", i, each))
	}
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
}

var serializable = &sql.TxOptions{Isolation: sql.LevelSerializable}

// overSQL transfers through database/sql.
func overSQL(db *sql.DB, insert string) func(context.Context, retry.Policy, int, int, int) error {
	return func(ctx context.Context, policy retry.Policy, number, from, to int) error {
		return retrysql.Tx(ctx, policy, db.BeginTx, serializable, func(ctx context.Context, tx *sql.Tx) error {
			var a, b int
			if err := tx.QueryRowContext(ctx, fmt.Sprintf("SELECT balance FROM account WHERE id = %d", from)).Scan(&a); err != nil {
				return err
			}
			if err := tx.QueryRowContext(ctx, fmt.Sprintf("SELECT balance FROM account WHERE id = %d", to)).Scan(&b); err != nil {
				return err
			}
			for _, s := range []string{
				fmt.Sprintf("UPDATE account SET balance = %d WHERE id = %d", a-1, from),
				fmt.Sprintf("UPDATE account SET balance = %d WHERE id = %d", b+1, to),
				fmt.Sprintf(insert, number),
			} {
				if _, err := tx.ExecContext(ctx, s); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func overPool(pool *pgxpool.Pool) func(context.Context, retry.Policy, int, int, int) error {
	return func(ctx context.Context, policy retry.Policy, number, from, to int) error {
		return retrysql.TxContext(ctx, policy, pool.BeginTx, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(ctx context.Context, tx pgx.Tx) error {
			var a, b int
			if err := tx.QueryRow(ctx, "SELECT balance FROM account WHERE id = $1", from).Scan(&a); err != nil {
				return err
			}
			if err := tx.QueryRow(ctx, "SELECT balance FROM account WHERE id = $1", to).Scan(&b); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "UPDATE account SET balance = $1 WHERE id = $2", a-1, from); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "UPDATE account SET balance = $1 WHERE id = $2", b+1, to); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "INSERT INTO transfer VALUES ($1)", number)
			return err
		})
	}
}

const insert = "INSERT INTO transfer VALUES (%d)"

// banks starts the servers and returns a fresh bank over each driver.
func banks(t *testing.T, run func(*testing.T, bank)) {
	t.Run("postgres", func(t *testing.T) {
		addr := postgres(t)
		admin := open(t, "pgx", postgresDSN(addr)+"&application_name=admin")
		kill := func() error {
			var killed bool
			return admin.QueryRow("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' " +
				"AND application_name <> 'admin' ORDER BY random() LIMIT 1").Scan(&killed)
		}
		setUp(t, admin)
		t.Run("database/sql", func(t *testing.T) {
			run(t, bank{admin, overSQL(open(t, "pgx", postgresDSN(addr)), insert), kill})
		})
		for _, s := range []string{"DELETE FROM transfer", fmt.Sprintf("UPDATE account SET balance = %d", each)} {
			if _, err := admin.Exec(s); err != nil {
				t.Fatal(err)
			}
		}
		t.Run("pgxpool", func(t *testing.T) {
			pool, err := pgxpool.New(t.Context(), postgresDSN(addr))
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			run(t, bank{admin, overPool(pool), kill})
		})
	})
	t.Run("mariadb", func(t *testing.T) {
		addr := mariadb(t)
		admin := open(t, "mysql", mariadbDSN(addr))
		admin.SetMaxOpenConns(1)
		setUp(t, admin)
		kill := func() error {
			var id int64
			err := admin.QueryRow("SELECT id FROM information_schema.processlist " +
				"WHERE id <> CONNECTION_ID() AND user = 'root' ORDER BY RAND() LIMIT 1").Scan(&id)
			if err == nil {
				_, err = admin.Exec(fmt.Sprintf("KILL %d", id))
			}
			return err
		}
		run(t, bank{admin, overSQL(open(t, "mysql", mariadbDSN(addr)), insert), kill})
	})
}

// patient retries for as long as the test allows.
var patient = retry.Policy{MaxAttempts: retry.Unlimited, Backoff: retry.Exponential{Base: 5 * time.Millisecond, Max: 100 * time.Millisecond}}

// storm runs n transfers from 8 goroutines and returns their errors.
func storm(ctx context.Context, b bank, n int) []error {
	errs := make([]error, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				from := rand.IntN(accounts)
				errs[i] = b.transfer(ctx, patient, int(i), from, (from+1+rand.IntN(accounts-1))%accounts)
			}
		})
	}
	wg.Wait()
	return errs
}

// audit compares the database with the errors of the transfers. It returns how
// many outcomes were unknown.
func audit(t *testing.T, b bank, errs []error) (unknown int) {
	t.Helper()
	var sum int
	if err := b.admin.QueryRow("SELECT SUM(balance) FROM account").Scan(&sum); err != nil || sum != accounts*each {
		t.Errorf("sum of balances %d, %v, want %d", sum, err, accounts*each)
	}
	for i, err := range errs {
		var rows int
		if e := b.admin.QueryRow(fmt.Sprintf("SELECT COUNT(*) FROM transfer WHERE id = %d", i)).Scan(&rows); e != nil {
			t.Fatal(e)
		}
		switch {
		case err == nil && rows != 1:
			t.Errorf("transfer %d: success, %d rows", i, rows)
		case errors.Is(err, retrysql.ErrCommitUnknown):
			unknown++
		case err != nil:
			t.Errorf("transfer %d: %v, with %d rows", i, err, rows)
		}
	}
	return unknown
}

func TestConcurrentTransfers(t *testing.T) {
	banks(t, func(t *testing.T, b bank) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if unknown := audit(t, b, storm(ctx, b, 300)); unknown > 0 {
			t.Errorf("%d outcomes unknown on a healthy server", unknown)
		}
	})
}

func TestTransfersWhileConnectionsAreKilled(t *testing.T) {
	banks(t, func(t *testing.T, b bank) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		done := make(chan struct{})
		var kills int
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(20 * time.Millisecond):
					if b.kill() == nil {
						kills++
					}
				}
			}
		})
		errs := storm(ctx, b, 300)
		close(done)
		wg.Wait()
		unknown := audit(t, b, errs)
		t.Logf("300 transfers, %d connections killed, %d outcomes unknown", kills, unknown)
		if kills == 0 {
			t.Error("no connection was killed")
		}
	})
}

// A cutter forwards a connection to a server, and breaks it at COMMIT: before
// the server gets it, or before the client gets the answer.
type cutter struct {
	target string
	before bool
	armed  atomic.Bool
}

func (c *cutter) listen(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(client)
		}
	}()
	return l.Addr().String()
}

func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.target)
	if err != nil {
		return
	}
	defer server.Close()
	var cut atomic.Bool
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := server.Read(buf)
			if err != nil || cut.Load() {
				client.Close()
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 1<<16)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if isCommit(buf[:n]) && c.armed.CompareAndSwap(true, false) {
			if c.before {
				return
			}
			cut.Store(true)
		}
		if _, err := io.Copy(server, newReader(buf[:n])); err != nil {
			return
		}
	}
}

func TestConnectionLostDuringCommit(t *testing.T) {
	servers := []struct {
		name, driver string
		start        func(*testing.T) string
		dsn          func(string) string
	}{
		{"postgres", "pgx", postgres, postgresDSN},
		{"mariadb", "mysql", mariadb, mariadbDSN},
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			addr := s.start(t)
			admin := open(t, s.driver, s.dsn(addr))
			setUp(t, admin)
			for i, test := range []struct {
				name   string
				before bool
				rows   int // the transfer's rows afterwards
			}{
				{"before the server gets COMMIT", true, 0},
				{"before the client gets the answer", false, 1},
			} {
				t.Run(test.name, func(t *testing.T) {
					c := &cutter{target: addr, before: test.before}
					db := open(t, s.driver, s.dsn(c.listen(t)))
					c.armed.Store(true)
					calls, number := 0, 1000+i
					err := retrysql.Tx(t.Context(), patient, db.BeginTx, nil, func(ctx context.Context, tx *sql.Tx) error {
						calls++
						_, err := tx.ExecContext(ctx, fmt.Sprintf(insert, number))
						return err
					})
					if !errors.Is(err, retrysql.ErrCommitUnknown) || calls != 1 || retry.Retryable(err) {
						t.Errorf("err = %v after %d calls, want ErrCommitUnknown after 1", err, calls)
					}
					var rows int
					for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
						if e := admin.QueryRow(fmt.Sprintf("SELECT COUNT(*) FROM transfer WHERE id = %d", number)).Scan(&rows); e != nil {
							t.Fatal(e)
						}
						if rows == test.rows {
							return
						}
					}
					t.Errorf("%d rows, want %d: the test does not cut where it says", rows, test.rows)
				})
			}
		})
	}
}
