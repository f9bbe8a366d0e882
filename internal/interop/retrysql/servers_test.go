// Package retrysql_test runs retrysql against a real PostgreSQL and a real
// MariaDB on loopback.
package retrysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
)

// program returns the path of a program of the server.
func program(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return path
		}
	}
	if paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(paths) > 0 {
		return paths[len(paths)-1]
	}
	absent(t, "%s is not installed", name)
	return ""
}

// absent skips the test. In the gate, which installs the servers, it fails.
func absent(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// folder returns a folder that account may write, and the credential of that
// account. Servers refuse to run as root.
func folder(t *testing.T, account string) (string, *syscall.SysProcAttr) {
	t.Helper()
	dir, err := os.MkdirTemp("", "redoubt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if os.Getuid() != 0 {
		return dir, nil
	}
	u, err := user.Lookup(account)
	if err != nil {
		absent(t, "no account %s to run the server with", account)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return dir, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func start(t *testing.T, dir string, attr *syscall.SysProcAttr, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.SysProcAttr = dir, attr
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		if timer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() }); cmd.Wait() != nil {
			timer.Stop()
		}
		if text, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%s: %s", filepath.Base(name), text[max(0, len(text)-4000):])
		}
		log.Close()
	})
}

func prepare(t *testing.T, dir string, attr *syscall.SysProcAttr, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.SysProcAttr = dir, attr
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(name), err, out)
	}
}

func open(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if err = db.PingContext(context.Background()); err == nil {
			return db
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not answer: %v", driver, err)
		}
	}
}

// postgres starts a PostgreSQL and returns the address it listens on.
func postgres(t *testing.T) string {
	t.Helper()
	initdb, server := program(t, "initdb"), program(t, "postgres")
	dir, attr := folder(t, "postgres")
	prepare(t, dir, attr, initdb, "-D", dir, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
	port := freePort(t)
	start(t, dir, attr, server, "-D", dir, "-k", dir, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-F")
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func postgresDSN(addr string) string {
	return "postgres://postgres@" + addr + "/postgres?sslmode=disable"
}

// mariadb starts a MariaDB and returns the address it listens on.
func mariadb(t *testing.T) string {
	t.Helper()
	install, server := program(t, "mariadb-install-db"), program(t, "mariadbd")
	dir, attr := folder(t, "mysql")
	prepare(t, dir, attr, install, "--no-defaults", "--datadir="+dir, "--auth-root-authentication-method=normal", "--skip-test-db")
	port := freePort(t)
	start(t, dir, attr, server, "--no-defaults", "--datadir="+dir, "--socket="+filepath.Join(dir, "s"), "--bind-address=127.0.0.1",
		"--port="+strconv.Itoa(port), "--innodb-flush-log-at-trx-commit=0", "--innodb-lock-wait-timeout=1", "--pid-file="+filepath.Join(dir, "pid"))
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func mariadbDSN(addr string) string {
	_ = mysql.SetLogger(&mysql.NopLogger{}) // the driver logs each broken connection
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = "root", "tcp", addr, "mysql"
	return c.FormatDSN()
}
