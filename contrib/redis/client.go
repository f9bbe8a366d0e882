package redoubtredis

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// A Client sends commands to a server or cluster. The packages goredisclient
// and rueidisclient adapt the clients that they are named after.
type Client interface {
	// Do sends commands and returns their replies in the same order. It sends
	// all commands for a server together. A command consists of its name and
	// its arguments. Its key is the fourth word of EVAL and EVALSHA, and the
	// second word of all other commands.
	//
	// Do sends each command at most once, except after a reply that the command
	// was not executed. It returns when ctx is done.
	Do(ctx context.Context, cmds ...[]string) []Reply
}

// A Reply is the answer to a command.
type Reply struct {
	Value any   // an int64, a string, nil if the key does not exist, or a []any of these
	Err   error // an error of the connection, or an error reply, which has a method RedisError()
}

// errReply means that a reply does not have the form of the script's result.
var errReply = errors.New("unexpected reply")

// names matches the allowed Names. A brace would start another hash tag.
var names = regexp.MustCompile(`^[0-9A-Za-z_.:-]{1,64}$`)

// checkName returns an error if a Name is not allowed.
func checkName(name string) error {
	if !names.MatchString(name) {
		return fmt.Errorf("%s is not 1 to 64 letters, digits or any of _.:-", quote.Text(name))
	}
	return nil
}

// A script is a Lua program that a server caches under its SHA-1.
type script struct{ text, sha string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text))
	return script{text: text, sha: hex.EncodeToString(sum[:])}
}

// call returns the EVALSHA command that runs s on keys, which share a slot.
func (s *script) call(args []string, keys ...string) []string {
	cmd := make([]string, 0, 3+len(keys)+len(args))
	cmd = append(cmd, "EVALSHA", s.sha, string(rune('0'+len(keys))))
	return append(append(cmd, keys...), args...)
}

// run runs scripts of the quotas qs, if any, in one round trip. It sends a
// script that has changed nothing again, in another round trip, and changes
// cmds. A server that is new, was restarted or flushed does not know the
// script, and gets it in full. A script with a wrong period of a calendar gets
// the present period.
func run(ctx context.Context, client Client, qs quotas, cmds ...[]string) []Reply {
	replies := client.Do(ctx, cmds...)
	for range 4 {
		var again [][]string
		var at []int
		for i, r := range replies {
			if next := repeat(qs, cmds[i], r); next != nil {
				cmds[i] = next
				again, at = append(again, next), append(at, i)
			}
		}
		if len(again) == 0 {
			break
		}
		for i, r := range client.Do(ctx, again...) {
			replies[at[i]] = r
		}
	}
	return replies
}

// repeat returns the command to send after a reply, or nil.
func repeat(qs quotas, cmd []string, r Reply) []string {
	if r.Err == nil {
		return nil
	}
	if strings.HasPrefix(r.Err.Error(), "NOSCRIPT") {
		return inFull(cmd)
	}
	return qs.again(cmd, r)
}

// inFull returns a call with the text of its script instead of the SHA-1.
func inFull(cmd []string) []string {
	full := append([]string{"EVAL", ""}, cmd[2:]...)
	for _, s := range []*script{&takesOne, &takes, &returns, &changes, &gets, &sets, &deletes, &getsTagged, &setsTagged, &deletesTags} {
		if s.sha == cmd[1] {
			full[1] = s.text
		}
	}
	return full
}

// integers returns the numbers of a reply, which must be n.
func (r Reply) integers(n int) ([]int64, error) {
	if r.Err != nil {
		return nil, r.Err
	}
	values, ok := r.Value.([]any)
	if !ok || len(values) != n {
		return nil, errReply
	}
	numbers := make([]int64, n)
	for i, v := range values {
		if numbers[i], ok = v.(int64); !ok {
			return nil, errReply
		}
	}
	return numbers, nil
}
