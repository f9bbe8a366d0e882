package detect_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
)

// parse returns the fields of a message as text.
func parse(line string) string {
	r := &logscan.Record{Line: []byte(line)}
	if err := detect.SSHAuth().Parse(r); err != nil {
		if !errors.Is(err, logscan.ErrMalformed) {
			return err.Error()
		}
		return "malformed"
	}
	return fmt.Sprintf("%s|%s|%s|%d", r.Get("outcome"), r.Get("user"), r.Get("addr"), r.Weight())
}

func TestUserNameCannotForgeAnAddress(t *testing.T) {
	for line, want := range map[string]string{
		"Failed password for invalid user test from 10.10.1.2 port 55555 ssh2 from 127.0.0.1 port 58946 ssh2": "failed|test from 10.10.1.2 port 55555 ssh2|127.0.0.1|1",
		"Failed password for user from 127.0.0.1 port 20000 ssh1: ruser joe from 1.2.3.4":                     "failed|user|127.0.0.1|1",
		"Accepted publickey for git from 192.0.2.7 port 4242 ssh2: RSA SHA256:abc":                            "accepted|git|192.0.2.7|1",
		"Invalid user  from 192.0.2.7 port 4242":                                                              "invalid||192.0.2.7|1",
		"Invalid user x from 192.0.2.7":                                                                       "invalid|x|192.0.2.7|1",
		"Failed password for root from host.example port 22 ssh2 [preauth]":                                   "failed|root|host.example|1",
		"Failed password for root from 1.2.3.4 port 22 ssh2 and more":                                         "malformed",
		"Failed password for root from 1.2.3.4 port 123456 ssh2":                                              "malformed",
		"Failed password root": "malformed", "Connection closed": "malformed", "": "malformed", "Failed ": "malformed",
	} {
		if got := parse(line); got != want {
			t.Errorf("%s:\n got %s\nwant %s", line, got, want)
		}
	}
	// nginx escapes quotes in a user name, so a user name cannot end with a
	// time and a quote.
	line := `192.0.2.1 - x client: 127.0.0.1 [a] [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 1`
	r := &logscan.Record{Line: []byte(line)}
	if err := logscan.CLF(logscan.TimeParser{}).Parse(r); err != nil || string(r.Get("addr")) != "192.0.2.1" || string(r.Get("user")) != "x client: 127.0.0.1 [a]" {
		t.Errorf("got %q %q, %v", r.Get("addr"), r.Get("user"), err)
	}
}

func TestPAMWeight(t *testing.T) {
	for line, want := range map[string]string{
		"PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root": "failed|root|192.0.2.1|2",
		"PAM 1 more authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1":             "failed||192.0.2.1|1",
		"PAM x more authentication failure; rhost=1":                                                          "malformed", "PAM 2 more authentication failures; rhost= ": "malformed",
	} {
		if got := parse(line); got != want {
			t.Errorf("%s:\n got %s\nwant %s", line, got, want)
		}
	}
}

// A scan of many messages allocates no more than a scan of few.
func TestSSHAuthAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race runtime allocates")
	}
	for _, line := range []string{
		"Failed password for invalid user a from 2001:db8::1 port 5 ssh2", "Accepted publickey for git from 192.0.2.7 port 4242 ssh2: RSA SHA256:abc",
		"PAM 2 more authentication failures; rhost=192.0.2.1  user=root", "Failed password for root from 1.2.3.4 port 22 ssh2 and more", "Connection closed",
	} {
		scan := func(n int) float64 {
			log := strings.Repeat(line+"\n", n)
			s := logscan.Scanner{Parser: detect.SSHAuth()}
			return testing.AllocsPerRun(10, func() {
				for range s.Records(context.Background(), logscan.Readers("", strings.NewReader(log))) {
				}
			})
		}
		if few, many := scan(5000), scan(10000); many != few {
			t.Errorf("%s: got %v allocations for 10000, want %v as for 5000", line, many, few)
		}
	}
}

func FuzzSSHAuth(f *testing.F) {
	f.Add("x from 1.1.1.1 port 1 ssh2")
	f.Add("root")
	f.Fuzz(func(t *testing.T, user string) {
		line := "Failed password for invalid user " + user + " from 192.0.2.1 port 22 ssh2"
		if got, want := parse(line), "failed|"+user+"|192.0.2.1|1"; got != want && !strings.HasPrefix(user, "invalid user ") && !strings.HasPrefix(user, "illegal user ") {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
