package redis

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A Client sends commands to a server or cluster. The packages goredisclient and rueidisclient make one of the clients
// they are named after.
type Client interface {
	// Do sends commands, those for one server in one go, and returns the reply to each, in their order. A command is its
	// name and its arguments; its key is the fourth word of EVAL and EVALSHA and the second of all others. Do sends each
	// command at most once, except after a reply that says that it was not executed, and returns when ctx is done.
	Do(ctx context.Context, cmds ...[]string) []Reply
}

// A Reply is the answer to one command.
type Reply struct {
	Value any   // an int64, a string, nil for what does not exist, or a []any of these
	Err   error // what the server refused, or what kept the command from it or the reply from the client
}

// errReply says that a reply is not what the script returns. The cause is a server that is none, or a Client at fault.
var errReply = errors.New("unexpected reply")

// names are the Names that are allowed. A brace would make a hash tag of its own.
var names = regexp.MustCompile(`^[0-9A-Za-z_.:-]{1,64}$`)

// checkName returns what is wrong with a Name.
func checkName(name string) error {
	if !names.MatchString(name) {
		return fmt.Errorf("%q is not 1 to 64 letters, digits or any of _.:-", name[:min(len(name), 64)])
	}
	return nil
}

// A script is a Lua program that a server keeps under its SHA-1.
type script struct{ text, sha string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text))
	return script{text: text, sha: hex.EncodeToString(sum[:])}
}

// call returns the command that runs s on keys, which share a slot: EVALSHA.
func (s *script) call(args []string, keys ...string) []string {
	cmd := make([]string, 0, 3+len(keys)+len(args))
	cmd = append(cmd, "EVALSHA", s.sha, string(rune('0'+len(keys))))
	return append(append(cmd, keys...), args...)
}

// run runs scripts in one round trip. Those that a server does not know, because it is new, was restarted or flushed,
// have not run there: they are sent again in full, in a second one.
func run(ctx context.Context, client Client, cmds ...[]string) []Reply {
	replies := client.Do(ctx, cmds...)
	var again [][]string
	var at []int
	for i, r := range replies {
		if r.Err != nil && strings.HasPrefix(r.Err.Error(), "NOSCRIPT") {
			again, at = append(again, inFull(cmds[i])), append(at, i)
		}
	}
	if len(again) > 0 {
		for i, r := range client.Do(ctx, again...) {
			replies[at[i]] = r
		}
	}
	return replies
}

// inFull returns a call with the text of its script.
func inFull(cmd []string) []string {
	full := append([]string{"EVAL", ""}, cmd[2:]...)
	for _, s := range []*script{&takesOne, &takes, &returns, &exchanges} {
		if s.sha == cmd[1] {
			full[1] = s.text
		}
	}
	return full
}

// integers returns the numbers of a reply, of which there must be n.
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
