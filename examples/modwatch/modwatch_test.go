package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
)

// inProcess reaches a handler without a socket, so that a whole run fits into a synctest bubble and takes no time.
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
func simulate(t *testing.T, o options) (done *trial) {
	synctest.Test(t, func(t *testing.T) {
		done = newTrial(o, ownModules(), slog.New(slog.DiscardHandler), func(h http.Handler) (string, http.RoundTripper) {
			return "http://proxy.test", inProcess{h}
		})
		done.run(t.Context(), o.seed, io.Discard)
	})
	return done
}

// Whatever the storm, the guarded client gets at least as many answers with fewer requests, wastes fewer of them, and
// finds what it finds on a calm day.
func TestGuardedClientWeathersEveryStorm(t *testing.T) {
	calm := simulate(t, options{storm: "off"}).guarded().verdicts(ownModules())
	for seed := range uint64(10) {
		trial := simulate(t, options{seed: seed})
		bare, guarded := trial.contestants[0], trial.guarded()
		bareSent, sent := trial.storm.traffic(bare.name), trial.storm.traffic(guarded.name)
		_, bareAnswered := bare.score()
		_, answered := guarded.score()
		if answered <= bareAnswered {
			t.Errorf("seed %d: %d answers, the bare client got %d", seed, answered, bareAnswered)
		}
		if sent.sent >= bareSent.sent {
			t.Errorf("seed %d: sent %d requests, the bare client %d", seed, sent.sent, bareSent.sent)
		}
		if sent.wasted >= bareSent.wasted {
			t.Errorf("seed %d: wasted %d requests, the bare client %d", seed, sent.wasted, bareSent.wasted)
		}
		if got := guarded.verdicts(ownModules()); !reflect.DeepEqual(got, calm) {
			t.Errorf("seed %d: the verdicts differ from those of a calm run", seed)
		}
		t.Logf("seed %d: answers %d/%d, requests %d/%d, wasted %d/%d (redoubt/bare)", seed,
			answered, bareAnswered, sent.sent, bareSent.sent, sent.wasted, bareSent.wasted)
	}
}

func TestForecastCoversEveryPlagueAndEndsCalm(t *testing.T) {
	for seed := range uint64(1000) {
		phases := forecast(seed, 100)
		seen := map[weather]bool{}
		for i, p := range phases {
			seen[p.weather] = true
			if i > 0 && p.from <= phases[i-1].from {
				t.Fatalf("seed %d: phase %d does not come after the one before: %v", seed, i, phases)
			}
		}
		last := phases[len(phases)-1]
		if len(seen) != 6 || last.weather != calm || last.from > 75 {
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
			verdict{step: "-"},
		}, {
			"patch",
			module{"example.com/m", "v1.2.3"},
			"v1.2.4 v1.2.5-rc.1", nil,
			verdict{allowed: "v1.2.4", latest: "v1.2.4", step: "patch", moveTo: "v1.2.4"},
		}, {
			"caret of a zero major",
			module{"example.com/m", "v0.2.3"},
			"v0.2.4 v0.3.0", nil,
			verdict{allowed: "v0.2.4", latest: "v0.3.0", step: "minor", moveTo: "v0.2.4"},
		}, {
			"vulnerable, fixed",
			module{"google.golang.org/grpc", "v1.67.1"},
			"v1.67.1 v1.70.0 v1.79.3 v1.82.0 v1.82.1 v1.83.0", nil,
			verdict{
				allowed: "v1.83.0", latest: "v1.83.0", step: "minor", moveTo: "v1.82.1",
				advisories: []string{"GO-2026-4762", "GO-2026-6061"},
			},
		}, {
			"vulnerable, not fixed",
			module{"golang.org/x/crypto", "v0.54.0"},
			"v0.54.0 v0.55.0", nil,
			verdict{latest: "v0.55.0", step: "minor", moveTo: "none yet", advisories: []string{"GO-2026-5932"}},
		}, {
			"pseudo-version",
			module{"example.com/m", "v0.0.0-20240101000000-abcdefabcdef"},
			"", nil,
			verdict{step: "- (in use: pseudo-version)"},
		}, {
			"incompatible",
			module{"example.com/m", "v2.0.0+incompatible"},
			"v2.0.0+incompatible v3.0.0+incompatible", nil,
			verdict{latest: "v3.0.0+incompatible", step: "major (in use: +incompatible)", moveTo: "v3.0.0+incompatible"},
		}, {
			"unknown",
			module{"example.com/m", "v1.0.0"},
			"", &statusError{code: 404},
			verdict{step: "not recorded"},
		}, {
			"unreachable",
			module{"example.com/m", "v1.0.0"},
			"", io.ErrUnexpectedEOF,
			verdict{step: "no answer"},
		}, {
			"a lying proxy",
			module{"example.com/m", "v1.0.0"},
			"v1.0.1 ../../etc v1.0", nil,
			verdict{allowed: "v1.0.1", latest: "v1.0.1", step: "patch", moveTo: "v1.0.1"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.module = tt.m
			if got := judge(tt.m, strings.Fields(tt.versions), tt.err); !reflect.DeepEqual(got, tt.want) {
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
	for _, want := range []string{"seed 7", "redoubt", "MODULE", "GO-2026-6061", "the breaker opened", "waits before another try", "verified"} {
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

func TestModAsksAboutAnotherProject(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "go.mod")
	text := "module example.com/m\n\ngo 1.26\n\nrequire (\n\tgolang.org/x/mod v0.30.0\n\texample.com/unheard/of v1.0.0\n)\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := command(t, "-fast", "-storm", "off", "-mod", file)
	if status != 0 || !strings.Contains(stdout, "GO-2026-6179") || !strings.Contains(stdout, "not recorded") {
		t.Errorf("status %d, want an advisory for x/mod and a row 'not recorded':\n%s%s", status, stdout, stderr)
	}
}

func TestBadInputIsAnsweredInOneLine(t *testing.T) {
	dir := t.TempDir()
	notMod := filepath.Join(dir, "go.mod")
	if err := os.WriteFile(notMod, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"argument", []string{"please"}, 2, `unexpected argument "please"`},
		{"storm", []string{"-storm", "perhaps"}, 2, "must be on or off"},
		{"fail-on", []string{"-fail-on", "always"}, 2, "must be vuln"},
		{"tamper", []string{"-tamper", "-1"}, 2, "must be the number of a verdict"},
		{"no such file", []string{"-mod", filepath.Join(dir, "none")}, 1, "no such file"},
		{"not a go.mod", []string{"-mod", notMod}, 1, "is not a go.mod file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, _, stderr := command(t, tt.args...)
			if status != tt.status || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 {
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
	if status := run(ctx, []string{"-fast"}, &stdout, &stderr); status != 1 || !strings.Contains(stdout.String(), "MODULE") {
		t.Errorf("status %d, want 1 and the report so far:\n%s%s", status, stdout.String(), stderr.String())
	}
}
