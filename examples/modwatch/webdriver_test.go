//go:build browser

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

type object = map[string]any

// A window is a browser, driven by the WebDriver protocol
// (w3.org/TR/webdriver2).
type window struct {
	*testing.T
	session string // its address
}

// do sends one command and decodes the value of the answer into v, if there is
// one.
func (w window) do(method, path string, body, v any) {
	w.Helper()
	text := &bytes.Buffer{}
	if body != nil {
		w.must(json.NewEncoder(text).Encode(body))
	}
	req, err := http.NewRequestWithContext(context.Background(), method, w.session+path, text)
	w.must(err)
	resp, err := http.DefaultClient.Do(req)
	w.must(err)
	defer resp.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		w.Fatalf("%s %s: %s %v %.500s", method, path, resp.Status, err, answer.Value)
	}
	if v != nil {
		w.must(json.Unmarshal(answer.Value, v))
	}
}

func (w window) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// open starts a browser with or without JavaScript.
func open(t *testing.T, driver string, javascript bool) window {
	w := window{t, driver + "/session"}
	prefs := object{}
	if !javascript {
		prefs["profile.managed_default_content_settings.javascript"] = 2
	}
	var session struct{ SessionID string }
	w.do("POST", "", object{"capabilities": object{"alwaysMatch": object{
		"goog:loggingPrefs": object{"browser": "ALL"},
		"goog:chromeOptions": object{"prefs": prefs, "args": []string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--user-data-dir=" + t.TempDir(),
		}},
	}}}, &session)
	w.session += "/" + session.SessionID
	return w
}

// source is the page as it is now.
func (w window) source() (source string) {
	w.do("GET", "/source", nil, &source)
	return source
}

// awaits looks at the page until it is as wanted.
func (w window) awaits(seconds int, wanted func(source string) bool) {
	w.Helper()
	source := ""
	for range seconds * 5 {
		if source = w.source(); wanted(source) {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	w.Errorf("not what was wanted after %d s:\n%s", seconds, source)
}

// shoot makes a picture of the whole page.
func (w window) shoot(dir, name string, width int, scheme string) {
	cdp := func(cmd string, params object, v any) {
		w.do("POST", "/goog/cdp/execute", object{"cmd": cmd, "params": params}, v)
	}
	cdp("Emulation.setDeviceMetricsOverride", object{"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	cdp("Emulation.setEmulatedMedia", object{"features": []any{map[string]string{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	var shot struct{ Data string }
	cdp("Page.captureScreenshot", object{"captureBeyondViewport": true}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	w.must(err)
	w.must(os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}
