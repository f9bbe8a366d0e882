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

// Each message that names a client, in the words of sshd.
func TestMessagesOfSSHD(t *testing.T) {
	for line, want := range map[string]string{
		"Failed password for root from 203.0.113.7 port 22 ssh2":                                                              "failed|root|203.0.113.7|1",
		"Failed password for root from 203.0.113.7":                                                                           "failed|root|203.0.113.7|1",
		"Failed password for root from 203.0.113.7 port 22 ssh2 [preauth]":                                                    "failed|root|203.0.113.7|1",
		"Failed none for invalid user  from 2001:db8::7 port 22 ssh2":                                                         "failed||2001:db8::7|1",
		"[ID 800047 auth.info] Failed keyboard-interactive for <invalid username> from 203.0.113.7 port 4 ssh2":               "failed|<invalid username>|203.0.113.7|1",
		"Failed keyboard-interactive/pam for invalid user a from 203.0.113.7 port 4 ssh2":                                     "failed|a|203.0.113.7|1",
		"Accepted publickey for git from 192.0.2.7 port 4242 ssh2: RSA SHA256:abcdefgh":                                       "accepted|git|192.0.2.7|1",
		"Postponed publickey for git from 192.0.2.7 port 4242 ssh2 [preauth]":                                                 "connected|git|192.0.2.7|1",
		"Invalid user x from 192.0.2.7":                                                                                       "invalid|x|192.0.2.7|1",
		"Illegal user  from 192.0.2.7 port 4242":                                                                              "invalid||192.0.2.7|1",
		"error: PAM: Authentication failure for joe from host.example":                                                        "failed|joe|host.example|1",
		"error: PAM: authentication error for joe from 203.0.113.7 via 192.168.1.201":                                         "failed|joe|203.0.113.7|1",
		"error: PAM: User not known to the underlying authentication module for illegal user kern el from 10.215.4.227 ":      "failed|kern el|10.215.4.227|1",
		"User root from 203.0.113.7 not allowed because not listed in AllowUsers":                                             "refused|root|203.0.113.7|1",
		"User root from host.example not allowed because none of user's groups are listed in AllowGroups":                     "refused|root|host.example|1",
		"ROOT LOGIN REFUSED FROM 203.0.113.7 port 12345 [preauth]":                                                            "refused||203.0.113.7|1",
		"refused connect from _x=_@::ffff:203.0.113.7 (::ffff:203.0.113.7)":                                                   "refused||::ffff:203.0.113.7|1",
		"error: maximum authentication attempts exceeded for invalid user b c from 203.0.113.7 port 5 ssh2 [preauth]":         "dropped|b c|203.0.113.7|1",
		"Disconnecting invalid user adm 203.0.113.7 port 44: Too many authentication failures [preauth]":                      "dropped|adm|203.0.113.7|1",
		"Disconnecting authenticating user root 203.0.113.7 port 44: Too many authentication failures [preauth]":              "dropped|root|203.0.113.7|1",
		"Connection closed by authenticating user root 203.0.113.7 port 44 [preauth]":                                         "dropped|root|203.0.113.7|1",
		"Connection closed by invalid user  203.0.113.7 port 44 [preauth]":                                                    "dropped||203.0.113.7|1",
		"Connection reset by 203.0.113.7 port 44 [preauth]":                                                                   "dropped||203.0.113.7|1",
		"Disconnected from user git 203.0.113.7 port 44":                                                                      "dropped|git|203.0.113.7|1",
		"Received disconnect from 203.0.113.7 port 44:11: Bye Bye [preauth]":                                                  "dropped||203.0.113.7|1",
		"error: Received disconnect from 203.0.113.7: 14: No supported authentication methods available":                      "dropped||203.0.113.7|1",
		"Received disconnect from 2001:db8::7: 11: Bye Bye":                                                                   "dropped||2001:db8::7|1",
		"Did not receive identification string from 203.0.113.7 port 44":                                                      "dropped||203.0.113.7|1",
		"Bad protocol version identification 'x' from 192.0.2.1' from 203.0.113.7 port 31778":                                 "dropped||203.0.113.7|1",
		"fatal: Timeout before authentication for 203.0.113.7 port 55555":                                                     "dropped||203.0.113.7|1",
		"Timeout before authentication for connection from 203.0.113.7 to 127.0.0.1, pid = 29098":                             "dropped||203.0.113.7|1",
		"fatal: Unable to negotiate with 203.0.113.7 port 5: no matching host key type found. Their offer: ssh-dss":           "dropped||203.0.113.7|1",
		"banner exchange: Connection from 203.0.113.7 port 44105: invalid format":                                             "dropped||203.0.113.7|1",
		"ssh_dispatch_run_fatal: Connection from authenticating user root 203.0.113.7 port 3: Connection corrupted [preauth]": "dropped|root|203.0.113.7|1",
		"Connection from 203.0.113.7 port 62004 on 192.0.2.10 port 22":                                                        "connected||203.0.113.7|1",
		"PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root":                 "pam|root|192.0.2.1|2",
		"PAM 1 more authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1":                             "pam||192.0.2.1|1",
		"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root":        "pam|root|192.0.2.1|1",
		"Failed password for root from 1.2.3.4 port 22 ssh2 and more":                                                         "malformed", "Failed password for root from 1.2.3.4 port 123456 ssh2": "malformed",
		"Failed password root": "malformed", "Connection closed": "malformed", "": "malformed", "Failed ": "malformed", "error: ": "malformed",
		"Failed password for root from UNKNOWN port 65535 ssh2": "malformed", "Disconnecting: Too many authentication failures for git": "malformed",
		"PAM x more authentication failure; rhost=1": "malformed", "PAM 2 more authentication failures; rhost= ": "malformed", "pam_unix(su:auth): authentication failure; rhost=1.1.1.1": "malformed",
	} {
		if got := parse(line); got != want {
			t.Errorf("%s:\n got %s\nwant %s", line, got, want)
		}
	}
}

// The client is 127.0.0.1. It has chosen a name or a key ID that imitates the
// rest of the message.
func TestClientCannotForgeAnAddress(t *testing.T) {
	const cert = "ED25519-CERT SHA256:AAAAAAAAAAAA ID %s (serial 0) CA ED25519 SHA256:BBBBBBBBBBBB"
	for line, want := range map[string]string{
		"Failed password for invalid user from 10.10.1.1 from 127.0.0.1 port 58946 ssh2":                                           "failed|from 10.10.1.1|127.0.0.1|1",
		"Failed password for invalid user test from 10.10.1.2 port 55555 ssh2 from 127.0.0.1 port 58946 ssh2":                      "failed|test from 10.10.1.2 port 55555 ssh2|127.0.0.1|1",
		"Failed password for user from 127.0.0.1 port 20000 ssh1: ruser joe from 1.2.3.4":                                          "failed|user|127.0.0.1|1",
		"Failed publickey for alice from 127.0.0.1 port 1 ssh2: " + fmt.Sprintf(cert, "x from 9.9.9.9 port 22 ssh2: y"):            "failed|alice|127.0.0.1|1",
		"Accepted publickey for alice from 127.0.0.1 port 1 ssh2: " + fmt.Sprintf(cert, "x from 9.9.9.9 port 22 ssh2: y"):          "accepted|alice|127.0.0.1|1",
		"Failed publickey for invalid user bob from 127.0.0.1 port 1 ssh2: " + fmt.Sprintf(cert, "x from 9.9.9.9 port 22 ssh2: y"): "failed|bob|127.0.0.1|1",
		"Failed publickey for invalid user x from 9.9.9.9 port 22 ssh2 from 127.0.0.1 port 1 ssh2: RSA SHA256:AAAAAAAAAAAA":        "failed|x from 9.9.9.9 port 22 ssh2|127.0.0.1|1",
		"Invalid user a from 9.9.9.9 port 22 from 127.0.0.1 port 5":                                                                "invalid|a from 9.9.9.9 port 22|127.0.0.1|1",
		"Connection closed by invalid user test 9.9.9.9 port 12345 127.0.0.1 port 46039 [preauth]":                                 "dropped|test 9.9.9.9 port 12345|127.0.0.1|1",
		"Connection closed by authenticating user test 9.9.9.9 127.0.0.1 port 46039 [preauth]":                                     "dropped|test 9.9.9.9|127.0.0.1|1",
		// These could be either.
		"Failed password for invalid user test from 127.0.0.1 port 58946 ssh2: from 10.10.1.2 port 55555 ssh2":                                                        "malformed",
		"Failed publickey for invalid user bob from 127.0.0.1 port 1 ssh2: " + fmt.Sprintf(cert, "x from 9.9.9.9 port 22 ssh2: RSA SHA256:CCCCCCCC ID y"):             "malformed",
		"Disconnecting invalid user admin 127.0.0.1 port 44004: Change of username or service not allowed: (admin,ssh-connection) -> (x 9.9.9.9 port 22: y,z)":        "malformed",
		"Disconnecting invalid user admin 9.9.9.9 port 22: x 127.0.0.1 port 44004: Change of username or service not allowed: (a,b) -> (c,d)":                         "malformed",
		"Disconnecting authenticating user admin 127.0.0.1 port 44004: Change of username or service not allowed: (admin,ssh-connection) -> (x 9.9.9.9 port 22: y,z)": "dropped|admin|127.0.0.1|1",
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

// Whatever the client chooses, the address is its own or unknown. The formats
// are those of sshd.
func FuzzSSHAuth(f *testing.F) {
	formats := []string{
		"Failed password for invalid user %s from 127.0.0.1 port 22 ssh2",
		"Failed publickey for invalid user %s from 127.0.0.1 port 22 ssh2: RSA SHA256:AAAAAAAA",
		"Failed publickey for invalid user %[1]s from 127.0.0.1 port 22 ssh2: ED25519-CERT SHA256:AAAAAAAA ID %[2]s (serial 1) CA RSA SHA256:BBBBBBBB",
		"Failed publickey for root from 127.0.0.1 port 22 ssh2: ED25519-CERT SHA256:AAAAAAAA ID %[2]s (serial 1) CA RSA SHA256:BBBBBBBB",
		"Failed hostbased for root from 127.0.0.1 port 22 ssh2: RSA SHA256:AAAAAAAA, client user \"%[1]s\", client host \"%[2]s\"",
		"Failed hostbased for invalid user %[1]s from 127.0.0.1 port 22 ssh2: RSA SHA256:AAAAAAAA, client user \"%[2]s\", client host \"h\"",
		"Accepted publickey for root from 127.0.0.1 port 22 ssh2: ED25519-CERT SHA256:AAAAAAAA ID %[2]s (serial 1) CA RSA SHA256:BBBBBBBB",
		"Invalid user %s from 127.0.0.1 port 22", "Invalid user %s from 127.0.0.1",
		"error: PAM: Authentication failure for illegal user %s from 127.0.0.1", "error: PAM: Authentication failure for illegal user %s from 127.0.0.1 via 10.0.0.1",
		"error: maximum authentication attempts exceeded for invalid user %s from 127.0.0.1 port 22 ssh2 [preauth]",
		"Connection closed by invalid user %s 127.0.0.1 port 22 [preauth]", "Disconnected from invalid user %s 127.0.0.1 port 22 [preauth]",
		"Disconnecting invalid user %[1]s 127.0.0.1 port 22: Change of username or service not allowed: (%[1]s,ssh-connection) -> (%[2]s,ssh-connection) [preauth]",
		"Disconnecting authenticating user root 127.0.0.1 port 22: Change of username or service not allowed: (root,ssh-connection) -> (%[2]s,ssh-connection) [preauth]",
		"Bad protocol version identification '%s' from 127.0.0.1 port 22",
		"Received disconnect from 127.0.0.1 port 22:11: %s [preauth]",
	}
	f.Add("x from 1.1.1.1 port 1 ssh2", "y")
	f.Add("x from 1.1.1.1 port 1 ssh2: ED25519-CERT SHA256:CCCCCCCC ID z", "z from 2.2.2.2 port 2 ssh2: RSA SHA256:DDDDDDDD ID q")
	f.Add("root 1.1.1.1 port 3: q", "invalid user a 1.1.1.1 port 5: w")
	f.Add("invalid user a from 1.1.1.1", " via 1.1.1.1")
	f.Fuzz(func(t *testing.T, user, id string) {
		for _, format := range formats {
			line := fmt.Sprintf(format, user, id)
			if !strings.Contains(format, "%[") {
				line = fmt.Sprintf(format, user)
			}
			r := &logscan.Record{Line: []byte(line)}
			if err := detect.SSHAuth().Parse(r); err == nil && string(r.Get("addr")) != "127.0.0.1" {
				t.Errorf("%q names %q", line, r.Get("addr"))
			}
		}
	})
}
