package natstest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Program returns the path of the nats-server that internal/tools pins, or of
// the nats-server in PATH if there is no such module. If neither is available,
// it skips the test.
func Program(t testing.TB) string {
	t.Helper()
	path, err := pinned()
	if err != nil {
		t.Logf("natstest: %v", err)
		return Installed(t)
	}
	return path
}

// Installed returns the path of the nats-server in PATH, such as the server of
// the Debian package. If there is none, it skips the test.
func Installed(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("nats-server")
	if err != nil {
		t.Skipf("natstest: %v; install the Debian package nats-server to run this test", err)
	}
	return path
}

// pinned builds the server, or finds it in the cache of the go command.
var pinned = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		tools := filepath.Join(dir, "internal", "tools")
		if _, err := os.Stat(filepath.Join(tools, "go.mod")); err == nil {
			return build(tools)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no internal/tools in a parent folder")
		}
		dir = parent
	}
})

func build(tools string) (string, error) {
	cmd := exec.Command("go", "tool", "-n", "nats-server")
	cmd.Dir = tools
	// The server runs here, also if the tests are for another system.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOOS=", "GOARCH=")
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", errors.New("go tool -n nats-server: " + string(exit.Stderr))
	}
	return strings.TrimSpace(string(out)), err
}
