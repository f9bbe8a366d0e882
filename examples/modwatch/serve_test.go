package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// served asks a board for its one page in the form that accept names.
func served(t *testing.T, url, accept string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// onBoard serves a board whose run is halfway.
func onBoard(t *testing.T) (b *board, url string) {
	t.Helper()
	s := halfway(recordedRun(t))
	b = newBoard(func() state { return s })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(serve(ln, b))
	return b, "http://" + ln.Addr().String() + "/"
}

func TestOneAddressSpeaksHTMLAndJSONAndText(t *testing.T) {
	_, url := onBoard(t)
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, tt := range []struct{ accept, kind, want string }{
		{browser, "text/html; charset=utf-8", `<noscript><meta http-equiv="refresh"`},
		{"application/json", "application/json", `"down"`},
		{"*/*", "text/plain; charset=utf-8", "bare  retrying  redoubt"},
		{"", "text/plain; charset=utf-8", "redoubt answers"},
	} {
		resp, body := served(t, url, tt.accept)
		if got := resp.Header.Get("Content-Type"); got != tt.kind || !strings.Contains(body, tt.want) {
			t.Errorf("Accept %q: %s without %q:\n%s", tt.accept, got, tt.want, body)
		}
	}
	_, body := served(t, url, "application/json")
	var s state
	if err := json.Unmarshal([]byte(body), &s); err != nil || len(s.Clients) != 3 {
		t.Errorf("the JSON does not read back: %v, %d clients", err, len(s.Clients))
	}
	for _, wrong := range []string{"none", "live.js/x", "?x/../../etc"} {
		if resp, _ := served(t, url+"x/"+wrong, "*/*"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", wrong, resp.StatusCode)
		}
	}
}

// The policy lets the page's own style and script in, by hash and by origin,
// and there is nothing inline besides.
func TestPolicyFitsThePage(t *testing.T) {
	_, url := onBoard(t)
	resp, body := served(t, url, "text/html")
	_, rest, _ := strings.Cut(body, "<style>")
	css, rest, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(css))
	if hash, csp := base64.StdEncoding.EncodeToString(sum[:]), resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, hash) {
		t.Errorf("the policy %q lacks the hash %s of the page's style", csp, hash)
	}
	for _, inline := range []string{"<style", " style=", " onclick=", "javascript:", "<script>"} {
		if strings.Contains(rest, inline) {
			t.Errorf("the page has an inline %q, which its policy forbids", inline)
		}
	}
	if resp, body := served(t, url+"live.js", "*/*"); resp.StatusCode != http.StatusOK || body != liveJS {
		t.Errorf("live.js: status %d", resp.StatusCode)
	}
}

func TestStreamEndsWithTheReport(t *testing.T) {
	b, url := onBoard(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	var events []string
	for lines.Scan() {
		if kind, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			if events = append(events, kind); len(events) == 1 {
				b.finish(recordedRun(t))
			}
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var html string
			if err := json.Unmarshal([]byte(data), &html); err != nil || !strings.Contains(html, "<h1>") {
				t.Errorf("event %d: no part of a page: %v", len(events), err)
			}
		}
	}
	if n := len(events); n < 2 || events[n-1] != "end" {
		t.Errorf("events %v, want states and an end", events)
	}
	if _, body := served(t, url, "text/html"); strings.Contains(body, "refresh") || strings.Contains(body, "<script") {
		t.Error("the final page still follows the run")
	}
}

// The page is there from the beginning of a run until Ctrl-C, which then is no
// failure.
func TestServesTheReportUntilInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stderr, w := io.Pipe()
	status := make(chan int, 1)
	go func() {
		status <- run(ctx, []string{"-fast", "-http", "127.0.0.1:0"}, io.Discard, w)
		w.Close()
	}()
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		_, url, ok := strings.Cut(lines.Text(), "http://")
		if !ok {
			continue
		}
		url, _, done := strings.Cut(url, " until")
		_, body := served(t, "http://"+url, "application/json")
		var s state
		if err := json.Unmarshal([]byte(body), &s); err != nil || s.Done != done || (s.Ledger != nil) != done {
			t.Errorf("%q: done %v, ledger %v: %v", lines.Text(), s.Done, s.Ledger, err)
		}
		if done {
			cancel()
		}
	}
	if got := <-status; got != 0 {
		t.Errorf("status %d, want 0", got)
	}
}
