package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
	"unicode"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

// The version lists of the modules that internal/bench, internal/interop and
// contrib require. Each line contains the path of a module, the version in use,
// and the versions that the proxy listed on the day of the recording. go
// generate records them again.
//
//go:generate sh testdata/record.sh
//go:embed testdata/modules.txt
var recorded string

// A module is a question: which versions exist, and is the version in use
// outdated or vulnerable?
type module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

// ownModules returns the recorded modules, the default without -mod.
func ownModules() (modules []module) {
	for line := range strings.Lines(recorded) {
		if f := strings.Fields(line); len(f) > 1 {
			modules = append(modules, module{f[0], f[1]})
		}
	}
	return modules
}

// modulesOf reads the requirements of a go.mod file with the go command, which
// defines the format.
func modulesOf(ctx context.Context, file string) (modules []module, err error) {
	if _, err := os.Stat(file); err != nil {
		return nil, fmt.Errorf("-mod: %w: name a go.mod file", err)
	}
	out, err := exec.CommandContext(ctx, "go", "mod", "edit", "-json", file).Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok { // its last line contains the problem and its place
			lines := strings.Split(strings.TrimSpace(string(exit.Stderr)), "\n")
			err = errors.New(strings.TrimSpace(lines[len(lines)-1]))
		}
		return nil, fmt.Errorf("%s is not a go.mod file: %w", file, err)
	}
	var mod struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return nil, err
	}
	for _, r := range mod.Require {
		modules = append(modules, module{r.Path, r.Version})
	}
	if len(modules) == 0 {
		return nil, fmt.Errorf("%s requires no module: nothing to ask", file)
	}
	return modules, nil
}

// recordedProxy answers as a module proxy does (go help goproxy), from the
// recorded lists. A module that is not recorded is 404.
func recordedProxy() http.Handler {
	lists := map[string]string{}
	for line := range strings.Lines(recorded) {
		if f := strings.Fields(line); len(f) > 1 {
			lists["/"+escape(f[0])+"/@v/list"] = strings.Join(f[2:], "\n")
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		list, ok := lists[r.URL.Path]
		if !ok {
			http.Error(w, "not found: not recorded", http.StatusNotFound)
			return
		}
		io.WriteString(w, list)
	})
}

// escape encodes a module path as proxies do: an upper-case letter becomes an
// exclamation mark and its lower case.
func escape(path string) string {
	var b strings.Builder
	for _, r := range path {
		if unicode.IsUpper(r) {
			b.WriteByte('!')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// A proxy is the client of a module proxy.
type proxy struct {
	base   audit.Secret[string] // the URL of a proxy may contain a password
	client *http.Client
	agent  string
}

// list returns the versions of a module.
//
// Errors: *statusError for an answer other than 200, otherwise the error of the
// transport.
func (p proxy) list(ctx context.Context, path string) ([]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base.Reveal()+"/"+escape(path)+"/@v/list", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", p.agent)
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		after, _ := retryhttp.RetryAfter(resp.Header, time.Now())
		return nil, &statusError{resp.StatusCode, after}
	}
	return strings.Fields(string(body)), nil
}

// A statusError is an answer other than 200. The guards find its methods in any
// chain of errors, without knowing the type.
type statusError struct {
	code  int
	after time.Duration
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the proxy says %d %s", e.code, http.StatusText(e.code))
}

// Retryable reports to retry whether to ask again.
func (e *statusError) Retryable() bool { return e.code == http.StatusTooManyRequests || e.code >= 500 }

// RetryAfter returns the pause, for retry and breaker.
func (e *statusError) RetryAfter() time.Duration { return e.after }

// Is reports to cache that a missing module is an answer: the cache must not
// serve a stale answer instead.
func (e *statusError) Is(target error) bool {
	return target == cache.ErrNotFound && (e.code == http.StatusNotFound || e.code == http.StatusGone)
}
