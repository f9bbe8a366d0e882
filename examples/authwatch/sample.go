package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// sample generates the log of the two hours before now: users at work, and
// attackers.
func sample(now time.Time, seed uint64) string {
	rnd := rand.New(rand.NewPCG(seed, 0))
	type line struct {
		at   time.Time
		text string
	}
	var lines []line
	write := func(ago time.Duration, program, format string, args ...any) {
		at := now.Add(-ago - time.Duration(rnd.IntN(1000))*time.Millisecond)
		lines = append(lines, line{at, fmt.Sprintf("%s web1 %s[%d]: %s", at.Format("2006-01-02T15:04:05.000000Z07:00"), program, 1000+rnd.IntN(9000), fmt.Sprintf(format, args...))})
	}
	port := func() int { return 30000 + rnd.IntN(30000) }

	for i := range 240 { // users, who mistype now and then
		ago, user := time.Duration(i)*30*time.Second, []string{"alice", "bob", "carol", "dave"}[rnd.IntN(4)]
		addr := fmt.Sprintf("192.0.2.%d", 10+rnd.IntN(40))
		if rnd.IntN(10) == 0 {
			write(ago+10*time.Second, "sshd", "Failed password for %s from %s port %d ssh2", user, addr, port())
		}
		write(ago, "sshd", "Accepted publickey for %s from %s port %d ssh2: ED25519 SHA256:u%d", user, addr, port(), i)
		write(ago, "sshd", "pam_unix(sshd:session): session opened for user %s(uid=1000) by (uid=0)", user)
		write(ago, "CRON", "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)")
	}
	for i := range 30 { // a single address and name, as fast as possible
		write(40*time.Minute-time.Duration(i)*10*time.Second, "sshd", "Failed password for root from 203.0.113.9 port %d ssh2", port())
		write(40*time.Minute-time.Duration(i)*10*time.Second, "sshd", "message repeated 2 times: [ Failed password for root from 203.0.113.9 port %d ssh2]", port())
	}
	for i := range 30 { // slowly, always another name, from many addresses of an IPv6 network
		write(90*time.Minute-time.Duration(i)*150*time.Second, "sshd", "Failed password for invalid user %s%d from 2001:db8:bad:1::%x port %d ssh2",
			[]string{"admin", "test", "oracle", "git", "www"}[i%5], i, 1+rnd.IntN(65000), port())
	}
	for i := range 12 { // slower than every limit, and then a success
		write(75*time.Minute-time.Duration(i)*4*time.Minute, "sshd", "Failed password for deploy from 198.51.100.23 port %d ssh2", port())
	}
	write(26*time.Minute, "sshd", "Accepted password for deploy from 198.51.100.23 port %d ssh2", port())
	for i := range 8 { // with a user name that blames another address
		write(110*time.Minute-time.Duration(i)*time.Minute, "sshd", "Failed password for invalid user x from 192.0.2.10 port 22 ssh2 from 203.0.113.77 port %d ssh2", port())
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	var log strings.Builder
	for _, l := range lines {
		log.WriteString(l.text + "\n")
	}
	return log.String()
}
