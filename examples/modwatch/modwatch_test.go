package main

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/redoubt-go/redoubt/cache"
)

// inProcess reaches a handler without a socket, so that a whole run fits into a
// synctest bubble and takes no time.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				panic(v)
			}
			err = io.ErrUnexpectedEOF // what a client sees of a closed connection
		}
		if r.Context().Err() != nil {
			resp, err = nil, r.Context().Err()
		}
	}()
	recorder := httptest.NewRecorder()
	p.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// simulate runs a trial in virtual time.
func simulate(t *testing.T, o options) state { return simulateWith(t, o, func(*trial) {}) }

// simulateWith runs a changed trial in virtual time.
func simulateWith(t *testing.T, o options, change func(*trial)) (shown state) {
	o.attempts = cmp.Or(o.attempts, 3)
	synctest.Test(t, func(t *testing.T) {
		done := newTrial(o, question{ownModules(), builtIn()}, slog.New(slog.DiscardHandler), func(h http.Handler) (string, http.RoundTripper) {
			return "http://proxy.test", inProcess{h}
		})
		change(done)
		done.run(t.Context(), nil)
		shown = done.state()
	})
	return shown
}

// In every storm the guarded client gets more answers than the others with
// fewer requests, fewer of them while the server is down, and reaches the
// verdicts of a run without a storm.
func TestGuardedClientWeathersEveryStorm(t *testing.T) {
	calm := simulate(t, options{storm: "off"}).Verdicts
	for seed := range uint64(10) {
		s := simulate(t, options{seed: seed})
		g := s.guarded()
		sum := g.Sum()
		t.Logf("seed %d: %s", seed, describe(s))
		for _, other := range s.Clients[:2] {
			otherSum := other.Sum()
			if g.Answered <= other.Answered {
				t.Errorf("seed %d: %d answers, %s got %d", seed, g.Answered, other.Name, other.Answered)
			}
			if sum.Sent >= otherSum.Sent {
				t.Errorf("seed %d: %d requests, %s sent %d", seed, sum.Sent, other.Name, otherSum.Sent)
			}
			if sum.Down >= otherSum.Down {
				t.Errorf("seed %d: %d requests while down, %s sent %d", seed, sum.Down, other.Name, otherSum.Down)
			}
		}
		if got := s.Verdicts; !reflect.DeepEqual(got, calm) {
			t.Errorf("seed %d: the verdicts differ from a run without a storm", seed)
		}
	}
}

// With a hundred attempts the retrying client answers as many questions as the
// guarded client, or nearly, and sends four times as many requests while the
// server is down, or more.
func TestMoreAttemptsAreNoSubstitute(t *testing.T) {
	for seed := range uint64(10) {
		s := simulate(t, options{seed: seed, attempts: 100})
		retrying, g := s.Clients[1], s.guarded()
		t.Logf("seed %d: %s", seed, describe(s))
		if retrying.Answered < g.Answered*95/100 || retrying.Sum().Down < 4*g.Sum().Down {
			t.Errorf("seed %d: %d answers with %d requests while down; the guarded client: %d, %d",
				seed, retrying.Answered, retrying.Sum().Down, g.Answered, g.Sum().Down)
		}
	}
}

// Without the cache the guarded client still answers more than the retrying
// client, and sends fewer requests while the server is down.
func TestCacheIsNotTheDifference(t *testing.T) {
	for seed := range uint64(10) {
		s := simulateWith(t, options{seed: seed}, func(t *trial) {
			_, g := t.guarded()
			g.cache = cache.New(cache.Config[string, []string]{Capacity: 1, TTL: 1})
		})
		retrying, g := s.Clients[1], s.guarded()
		t.Logf("seed %d: %s", seed, describe(s))
		if g.Answered <= retrying.Answered || g.Sum().Down >= retrying.Sum().Down {
			t.Errorf("seed %d: %d answers, %d requests while down; the retrying client: %d, %d",
				seed, g.Answered, g.Sum().Down, retrying.Answered, retrying.Sum().Down)
		}
	}
}

func TestForecastCoversEveryPlagueAndEndsCalm(t *testing.T) {
	for seed := range uint64(1000) {
		phases := forecast(seed, 100)
		seen := map[weather]bool{}
		for i, p := range phases {
			seen[p.Weather] = true
			if i > 0 && p.From <= phases[i-1].From {
				t.Fatalf("seed %d: phase %d does not come after the one before: %v", seed, i, phases)
			}
		}
		last := phases[len(phases)-1]
		if len(seen) != 6 || last.Weather != calm || last.From > 75 {
			t.Fatalf("seed %d: want five plagues and a calm last quarter, got %v", seed, phases)
		}
	}
}

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name     string
		m        module
		versions string
		err      error
		want     verdict
	}{
		{
			"up to date",
			module{"example.com/m", "v1.2.3"},
			"v1.0.0 v1.2.3", nil,
			verdict{Update: "-"},
		}, {
			"patch",
			module{"example.com/m", "v1.2.3"},
			"v1.2.4 v1.2.5-rc.1", nil,
			verdict{Compatible: "v1.2.4", Latest: "v1.2.4", Update: "patch", MoveTo: "v1.2.4"},
		}, {
			"caret of a zero major",
			module{"example.com/m", "v0.2.3"},
			"v0.2.4 v0.3.0", nil,
			verdict{Compatible: "v0.2.4", Latest: "v0.3.0", Update: "minor", MoveTo: "v0.2.4"},
		}, {
			"vulnerable, fixed",
			module{"google.golang.org/grpc", "v1.67.1"},
			"v1.67.1 v1.70.0 v1.79.3 v1.82.0 v1.82.1 v1.83.0", nil,
			verdict{
				Compatible: "v1.83.0", Latest: "v1.83.0", Update: "minor", MoveTo: "v1.82.1",
				Advisories: []string{"GO-2026-4762", "GO-2026-6061"},
			},
		}, {
			"vulnerable, not fixed",
			module{"golang.org/x/crypto", "v0.54.0"},
			"v0.54.0 v0.55.0", nil,
			verdict{Latest: "v0.55.0", Update: "minor", MoveTo: noFix, Advisories: []string{"GO-2026-5932"}},
		}, {
			"pseudo-version",
			module{"example.com/m", "v0.0.0-20240101000000-abcdefabcdef"},
			"", nil,
			verdict{Update: "-", Kind: "pseudo-version"},
		}, {
			"incompatible",
			module{"example.com/m", "v2.0.0+incompatible"},
			"v2.0.0+incompatible v3.0.0+incompatible", nil,
			verdict{Latest: "v3.0.0+incompatible", Update: "major", Kind: "+incompatible", MoveTo: "v3.0.0+incompatible"},
		}, {
			"unknown",
			module{"example.com/m", "v1.0.0"},
			"", &statusError{code: 404},
			verdict{Update: "not recorded"},
		}, {
			"unreachable",
			module{"example.com/m", "v1.0.0"},
			"", io.ErrUnexpectedEOF,
			verdict{Update: "no answer"},
		}, {
			"a lying proxy",
			module{"example.com/m", "v1.0.0"},
			"v1.0.1 ../../etc v1.0", nil,
			verdict{Compatible: "v1.0.1", Latest: "v1.0.1", Update: "patch", MoveTo: "v1.0.1"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.module = tt.m
			if got := judge(tt.m, builtIn(), strings.Fields(tt.versions), tt.err); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("\n got %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// command runs the program and returns its status and what it printed.
func command(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(t.Context(), args, &out, &err)
	return status, out.String(), err.String()
}

func TestReport(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := command(t, "-fast", "-seed", "7", "-fail-on", "vuln")
	if status != 3 {
		t.Errorf("status %d, want 3 for a vulnerable module; stderr: %s", status, stderr)
	}
	for _, want := range []string{"seed 7", "redoubt", "MODULE", "GO-2026-6061", "the breaker opened", "pauses before another attempt", "verified"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the report lacks %q:\n%s", want, stdout)
		}
	}
}

func TestTamperedLedgerNamesTheRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	status, _, stderr := command(t, "-fast", "-storm", "off", "-ledger", dir, "-tamper", "17")
	if status != 1 || !strings.Contains(stderr, "17") {
		t.Errorf("status %d, want 1 and record 17 named: %s", status, stderr)
	}
}

// The requirements of internal/bench are the recorded ones, but for this
// repository's own modules.
func TestModAsksAboutAnotherProject(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page, picture := filepath.Join(dir, "out.html"), filepath.Join(dir, "out.svg")
	status, stdout, stderr := command(t, "-fast", "-storm", "off", "-mod", "../../internal/bench/go.mod", "-html", page, "-svg", picture)
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	known := map[string]string{}
	for _, m := range ownModules() {
		known[m.Path] = m.Version
	}
	asked, err := modulesOf(t.Context(), "../../internal/bench/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range asked {
		row := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(m.Path) + ` .*$`).FindString(stdout)
		if _, ok := known[m.Path]; ok == strings.Contains(row, "not recorded") {
			t.Errorf("%s: recorded %v, and the report says %q", m.Path, ok, row)
		}
	}
	for name, want := range map[string]string{page: "not recorded", picture: "</svg>"} {
		if text, err := os.ReadFile(name); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %q: %v", name, want, err)
		}
	}
}

// A live run asks the proxy of GOPROXY; here that is one without a storm.
func TestLiveAsksTheProxyOfGOPROXY(t *testing.T) {
	proxy := httptest.NewServer(recordedProxy())
	defer proxy.Close()
	t.Setenv("GOPROXY", proxy.URL+",direct")
	dir := folder(t, map[string]string{"go.mod": "module example.com/m\n\ngo 1.26\n\nrequire golang.org/x/mod v0.30.0\n\nrequire example.com/unheard/of v1.0.0\n"})
	page := filepath.Join(dir, "out.html")
	status, stdout, stderr := command(t, "-live", "-mod", filepath.Join(dir, "go.mod"), "-html", page)
	if status != 0 || !strings.Contains(stdout, "GO-2026-6179") || !strings.Contains(stdout, "not recorded") || strings.Contains(stdout, "storm:") {
		t.Errorf("status %d, want an advisory for x/mod, a row 'not recorded' and no storm:\n%s%s", status, stdout, stderr)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "answers all 2 questions") {
		t.Errorf("the page lacks its headline: %v", err)
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	status, stdout, stderr := command(t, "-help")
	if status != 0 || stderr != "" {
		t.Errorf("status %d, want 0 and nothing to complain of: %s", status, stderr)
	}
	for _, name := range strings.Fields("attempts fast live seed storm mod osv html svg http ledger tamper fail-on") {
		if !strings.Contains(stdout, "\n  -"+name+" ") && !strings.Contains(stdout, "\n  -"+name+"\n") {
			t.Errorf("the usage lacks -%s:\n%s", name, stdout)
		}
	}
}

func TestBadInputIsAnsweredInOneLine(t *testing.T) {
	t.Setenv("GOPROXY", "http://user:hush@127.0.0.1:1") // nobody listens there
	dir := folder(t, map[string]string{"go.mod": "hello\n", "empty/go.mod": "module example.com/m\n", "osv/GO-1.json": "{", "none/README": ""})
	in := func(name string) string { return filepath.Join(dir, name) }
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"please"}, 2, `unexpected argument "please"`},
		{[]string{"-please"}, 2, "see -help"},
		{[]string{"-seed", "x"}, 2, "see -help"},
		{[]string{"-seed", "-1"}, 2, "see -help"},
		{[]string{"-fast=perhaps"}, 2, "see -help"},
		{[]string{"-mod"}, 2, "see -help"},
		{[]string{"-storm", "perhaps"}, 2, "must be on or off"},
		{[]string{"-fail-on", "always"}, 2, "must be vuln"},
		{[]string{"-attempts", "0"}, 2, "must be 1 or more"},
		{[]string{"-tamper", "-1"}, 2, "must be the number of a verdict"},
		{[]string{"-http", "6060"}, 2, "must be an address such as 127.0.0.1:6060"},
		{[]string{"-http", ln.Addr().String()}, 1, "choose another port"},
		{[]string{"-mod", in("none.mod")}, 1, "name a go.mod file"},
		{[]string{"-mod", in("go.mod")}, 1, "is not a go.mod file"},
		{[]string{"-mod", in("empty/go.mod")}, 1, "nothing to ask"},
		{[]string{"-osv", in("osv")}, 1, "GO-1.json"},
		{[]string{"-osv", in("none")}, 1, "unpack"},
		{[]string{"-osv", in("nowhere")}, 1, "no such file"},
		{[]string{"-html", in("nowhere/out.html")}, 1, "name a file that can be written"},
		{[]string{"-svg", in("nowhere/out.svg")}, 1, "name a file that can be written"},
		{[]string{"-ledger", in("go.mod")}, 1, "name a folder that can be written"},
		{[]string{"-live"}, 1, "set GOPROXY"},
		{[]string{"-tamper", "1000"}, 1, "there are only"},
	} {
		t.Run(tt.args[0]+" "+tt.want, func(t *testing.T) {
			status, _, stderr := command(t, tt.args...)
			if status != tt.status || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 || strings.Contains(stderr, "hush") {
				t.Errorf("status %d, want %d and one line with %q: %s", status, tt.status, tt.want, stderr)
			}
		})
	}
}

func TestInterruptedRunStillReports(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if status := run(ctx, []string{"-fast"}, &stdout, &stderr); status != 1 || !strings.Contains(stdout.String(), "not asked about") {
		t.Errorf("status %d, want 1 and the report so far:\n%s%s", status, stdout.String(), stderr.String())
	}
}
