package main

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inProcess reaches a handler without a socket, so that a rollout fits into a
// synctest bubble and takes no time.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Context().Err() != nil {
		return nil, context.Cause(r.Context())
	}
	if r.Body == nil {
		r = r.WithContext(r.Context()) // a copy
		r.Body = http.NoBody           // as a server has it
	}
	recorder := httptest.NewRecorder()
	p.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// simulate rolls the plan out in virtual time, to a platform reached by what
// wrap makes of its transport.
func simulate(ctx context.Context, t *testing.T, wrap func(http.RoundTripper) http.RoundTripper, args ...string) (p *platform, status int, stdout, stderr string) {
	t.Helper()
	o, err := parse(args, &strings.Builder{})
	if err != nil {
		t.Fatal(err)
	}
	p = newPlatform(o.plan)
	base := http.RoundTripper(inProcess{p})
	if wrap != nil {
		base = wrap(base)
	}
	var out, errs strings.Builder
	status = rollOut(ctx, o, newClient("http://platform.test", base), &out, &errs)
	if p.lockedBy != "" || len(p.sessions) > 0 || len(p.environments) != 1 {
		t.Errorf("left behind: lock %q, %d sessions, %d temporary environments", p.lockedBy, len(p.sessions), len(p.environments)-1)
	}
	return p, status, out.String(), errs.String()
}

// production lists what runs, as "service version".
func (p *platform) production() (all []string) {
	for service, d := range p.environments["production"] {
		all = append(all, service+" "+d.version.String())
	}
	slices.Sort(all)
	return all
}

func TestRollout(t *testing.T) {
	for _, tt := range []struct {
		strategy string
		search   string // what becomes of the service that starts nowhere
	}{
		{"canary", "stopped by its canary: 6.2.0 crashed"},
		{"replace", "rolled back: 6.2.0 crashed"},
	} {
		t.Run(tt.strategy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, status, stdout, stderr := simulate(t.Context(), t, nil, "-strategy", tt.strategy)
				if status != 0 || stderr != "" {
					t.Errorf("status %d, want 0 and nothing on stderr: %s", status, stderr)
				}
				want := []string{
					"accounts 2.3.4", "auth 3.1.0", "billing 2.2.9", "cart 1.1.0", "catalog 1.5.0", "checkout 5.0.1", "export 0.9.2",
					"geo 1.3.0", "images 1.13.0", "import 0.9.2", "ledger 1.5.9", "mail 4.4.0", "orders 2.8.0", "pay 4.9.1",
					"prices 1.1.2", "reviews 3.0.1", "search 6.1.0", "sessions 1.0.1", "stock 2.3.0", "users 2.1.0",
				}
				if diff := cmp.Diff(want, p.production()); diff != "" {
					t.Errorf("in production (-want +got):\n%s", diff)
				}
				for _, want := range []string{
					"  catalog    1.4.2 -> 1.5.0\n", "7 do not run what was wanted:\n", "-> 3.2.0-rc.1: refused: semver: 3.2.0-rc.1: pre-release",
					"-> 1.6.2: refused: ", "-> 5.0.0: refused: ", "-> 1.2.9: refused: ", "-> 2.3.0: rolled back: 2.3.0 crashed\n",
					"-> 4.5.0: rolled back: 4.5.0 is still starting after 500ms\n", "-> 6.2.0: " + tt.search + "\n",
				} {
					if !strings.Contains(stdout, want) {
						t.Errorf("the report lacks %q:\n%s", want, stdout)
					}
				}
			})
		})
	}
}

func TestStrictTellsOfWhatWasNotDeployed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, status, _, _ := simulate(t.Context(), t, nil, "-strict"); status != 3 {
			t.Errorf("status %d, want 3", status)
		}
	})
}

// At no time are there more deployments under way than asked for, whatever the
// number of services.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		most := 0
		_, status, _, _ := simulate(t.Context(), t, func(base http.RoundTripper) http.RoundTripper {
			return tripper(func(r *http.Request) (*http.Response, error) {
				resp, err := base.RoundTrip(r)
				p := base.(inProcess).Handler.(*platform)
				p.mu.Lock()
				defer p.mu.Unlock()
				most = max(most, len(p.environments)-1)
				return resp, err
			})
		}, "-at-once", "3")
		if status != 0 || most != 3 {
			t.Errorf("status %d, %d temporary environments at the same time, want 3", status, most)
		}
	})
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A service of which nobody knows any more what it runs is the only one that
// makes the program fail.
func TestFailedRollbackIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, status, stdout, stderr := simulate(t.Context(), t, func(base http.RoundTripper) http.RoundTripper {
			return tripper(func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/environments/production/services/users" {
					return nil, errors.New("connection reset")
				}
				return base.RoundTrip(r)
			})
		})
		if status != 1 || stderr != "rollout: users: NOT ROLLED BACK, see to it\n" || !strings.Contains(stdout, "users      2.0.5 -> 2.1.0: NOT ROLLED BACK") {
			t.Errorf("status %d, want 1 and users named:\n%s%s", status, stdout, stderr)
		}
	})
}

// After Ctrl-C nothing new is begun, and what was begun is either done or as
// before.
func TestInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancelCause(t.Context())
		time.AfterFunc(160*time.Millisecond, func() { interrupt(errors.New("interrupted")) })
		p, status, stdout, stderr := simulate(ctx, t, nil)
		if status != 1 || stderr != "rollout: interrupted\n" {
			t.Errorf("status %d, want 1 and one line: %s", status, stderr)
		}
		changed := 0
		for service, d := range p.environments["production"] {
			if d.version == p.wanted[service] {
				changed++
			}
		}
		said, _, _ := strings.Cut(stdout, "do not run")
		if done := strings.Count(said, " -> "); done != changed || changed == len(p.wanted) {
			t.Errorf("%d services are said to be deployed and %d are, of %d:\n%s", done, changed, len(p.wanted), stdout)
		}
	})
}

func TestLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, err := parse(nil, &strings.Builder{})
		if err != nil {
			t.Fatal(err)
		}
		p := newPlatform(o.plan)
		p.lockedBy = "somebody"
		before := p.production()
		var stdout, stderr strings.Builder
		status := rollOut(t.Context(), o, newClient("http://platform.test", inProcess{p}), &stdout, &stderr)
		if status != 1 || stderr.String() != "rollout: the platform says 423 Locked: \"somebody is at work\"\n" {
			t.Errorf("status %d, want 1 and who has the lock: %s", status, &stderr)
		}
		if diff := cmp.Diff(before, p.production()); diff != "" || p.lockedBy != "somebody" {
			t.Errorf("changed all the same, or took the lock from %q: %s", p.lockedBy, diff)
		}
	})
}

// The pool against a counter: never more open than its limit, each closed once,
// none opened before it is needed.
func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		opened, lent, most := 0, 0, 0
		p := newPool(3, func(context.Context) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			opened++
			return opened, nil
		})
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				_ = p.with(t.Context(), func(int) error {
					mu.Lock()
					lent++
					most = max(most, lent)
					mu.Unlock()
					time.Sleep(time.Second)
					mu.Lock()
					lent--
					mu.Unlock()
					return nil
				})
			})
		}
		all.Wait()
		shut := map[int]bool{}
		err := p.close(func(i int) error { shut[i] = true; return nil })
		if got := slices.Sorted(maps.Keys(shut)); most != 3 || opened != 3 || !slices.Equal(got, []int{1, 2, 3}) || err != nil {
			t.Errorf("%d lent at once, %d opened, %v shut, %v; want 3, 3, [1 2 3], nil", most, opened, got, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.with(ctx, func(int) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("waiting for an empty pool after Ctrl-C: %v", err)
		}
	})
}

func TestCommandLine(t *testing.T) {
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "plan.txt")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"flag", []string{"-nothing"}, "see -help"},
		{"argument", []string{"please"}, `unexpected argument "please"`},
		{"strategy", []string{"-strategy", "hope"}, `no strategy "hope", but canary and replace`},
		{"number", []string{"-at-once", "0"}, "must be 1 or more"},
		{"no such file", []string{"-plan", "none"}, "no such file"},
		{"empty", []string{"-plan", file("# nothing\n")}, "no services"},
		{"fields", []string{"-plan", file("a 1.0.0\n")}, "line 1: want"},
		{"a name that is a path", []string{"-plan", file("../x 1.0.0 1.0.1\n")}, "line 1: want"},
		{"twice", []string{"-plan", file("a 1.0.0 1.0.1\na 1.0.0 1.0.1\n")}, "line 2: want"},
		{"all faults at once", []string{"-plan", file("a 1.0 1.0.1\n\nb 1.0.0 next\n")}, `line 1: semver: version "1.0": syntax error at byte 3; line 3: semver: version "next"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			status := run(t.Context(), tt.args, &stdout, &stderr)
			if got := stderr.String(); status != 2 || !strings.Contains(got, tt.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("status %d, want 2 and one line with %q: %s", status, tt.want, got)
			}
		})
	}
	var stdout, stderr strings.Builder
	if status := run(t.Context(), []string{"-help"}, &stdout, &stderr); status != 0 || !strings.Contains(stdout.String(), "canary or replace") {
		t.Errorf("-help: status %d, %s", status, &stdout)
	}
	if err := (registry{"canary": canary}).add("canary", replace); err == nil {
		t.Error("the registry took two strategies of one name")
	}
}

// The program as it is, over loopback, with a plan of which the outcome does
// not depend on how fast the machine is.
func TestRun(t *testing.T) {
	plan := filepath.Join(t.TempDir(), "plan.txt")
	if err := os.WriteFile(plan, []byte("cart 1.0.0 2.0.0\nstock 2.0.0 1.9.9"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	status := run(t.Context(), []string{"-plan", plan, "-strict"}, &stdout, &stderr)
	if status != 3 || strings.Count(stdout.String(), ": refused: ") != 2 || stderr.String() != "" {
		t.Errorf("status %d, want 3 and two refusals:\n%s%s", status, &stdout, &stderr)
	}
}
