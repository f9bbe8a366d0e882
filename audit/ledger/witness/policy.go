package witness

import (
	"context"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// Bounds of a policy.
const (
	maxPolicy = 64 << 10 // bytes
	maxLines  = 64       // logs, and witnesses, and groups
)

// A Policy decides which checkpoints are valid: the keys of logs, the keys of
// witnesses, and the quorum of witnesses that must cosign. It is safe for
// concurrent use.
type Policy struct {
	logs      []*ledger.Verifier
	witnesses []member
	quorum    rule // nil for "quorum none"
}

// A member is a witness of a policy.
type member struct {
	name string
	key  *Key
	url  string // submission prefix; may be empty
}

// A rule reports whether enough of the witnesses have cosigned. Signed is
// called with the position of a witness.
type rule func(signed func(i int) bool) bool

// ParsePolicy reads a policy in the form of c2sp.org/tlog-policy, which
// consists of these lines:
//
//	log <vkey> [<url>]
//	witness <name> <vkey> [<url>]
//	group <name> all|any|<k> <name>...
//	quorum <name>|none
//
// Keys of witnesses have the type 4, Ed25519. The URL of a witness is needed
// only by a [Client]. A policy has at most 64 KiB, 64 logs, 64 witnesses and 64
// groups.
//
// Errors: ErrFormat of package ledger.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > maxPolicy {
		return nil, formatError("policy has %d bytes, want at most %d", len(text), maxPolicy)
	}
	p := policyParser{policy: &Policy{}, rules: map[string]rule{}, used: map[string]bool{}}
	n := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		n++
		if strings.ContainsFunc(line, func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7F }) {
			return nil, formatError("policy line %d contains a control character", n)
		}
		fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		if err := p.take(fields); err != nil {
			return nil, formatError("policy line %d: %s", n, strings.TrimPrefix(strings.TrimPrefix(err.Error(), "witness: "), "ledger: "))
		}
	}
	if !p.decided {
		return nil, formatError("policy has no quorum")
	}
	return p.policy, nil
}

// A policyParser contains the names that a policy has defined so far.
type policyParser struct {
	policy  *Policy
	rules   map[string]rule
	used    map[string]bool // members of groups
	groups  int
	decided bool
}

// take reads a line.
func (p *policyParser) take(fields []string) error {
	args := fields[1:]
	switch fields[0] {
	case "log":
		return p.log(args)
	case "witness":
		return p.witness(args)
	case "group":
		return p.group(args)
	case "quorum":
		return p.choose(args)
	}
	return formatError("unknown keyword %s", quote.Text(fields[0]))
}

func (p *policyParser) log(args []string) error {
	if len(args) < 1 || len(args) > 2 || len(p.policy.logs) == maxLines {
		return formatError("want log <vkey> [<url>], at most %d", maxLines)
	}
	v, err := ledger.ParseVerifier(args[0])
	if err != nil {
		return err
	}
	if slices.ContainsFunc(p.policy.logs, func(o *ledger.Verifier) bool { return publicKey(o.String()) == publicKey(v.String()) }) {
		return formatError("second log with the same key")
	}
	p.policy.logs = append(p.policy.logs, v)
	return nil
}

// publicKey returns the last part of a vkey, which contains the key.
func publicKey(vkey string) string { return vkey[strings.LastIndex(vkey, "+"):] }

func (p *policyParser) witness(args []string) error {
	if len(args) < 2 || len(args) > 3 || len(p.policy.witnesses) == maxLines {
		return formatError("want witness <name> <vkey> [<url>], at most %d", maxLines)
	}
	k, err := ParseKey(args[1])
	if err != nil {
		return err
	}
	if slices.ContainsFunc(p.policy.witnesses, func(o member) bool { return o.key.key.Equal(k.key) }) {
		return formatError("second witness with the same key")
	}
	i := len(p.policy.witnesses)
	m := member{name: args[0], key: k}
	if len(args) == 3 {
		m.url = args[2]
	}
	p.policy.witnesses = append(p.policy.witnesses, m)
	return p.define(args[0], func(signed func(int) bool) bool { return signed(i) })
}

func (p *policyParser) define(name string, r rule) error {
	if p.rules[name] != nil || name == "none" {
		return formatError("name %s is in use", quote.Text(name))
	}
	p.rules[name] = r
	return nil
}

func (p *policyParser) group(args []string) error {
	if p.groups++; len(args) < 3 || p.groups > maxLines {
		return formatError("want group <name> all|any|<k> <name>..., at most %d", maxLines)
	}
	var members []rule
	for _, name := range args[2:] {
		if p.rules[name] == nil || p.used[name] {
			return formatError("member %s is not defined before, or is in a group already", quote.Text(name))
		}
		p.used[name] = true
		members = append(members, p.rules[name])
	}
	k, err := strconv.Atoi(args[1])
	switch {
	case args[1] == "any":
		k = 1
	case args[1] == "all":
		k = len(members)
	case err != nil || strconv.Itoa(k) != args[1] || k < 1 || k > len(members):
		return formatError("threshold is %s, want all, any or 1 to %d", quote.Text(args[1]), len(members))
	}
	return p.define(args[0], func(signed func(int) bool) bool {
		n := 0
		for _, m := range members {
			if m(signed) {
				n++
			}
		}
		return n >= k
	})
}

func (p *policyParser) choose(args []string) error {
	if len(args) != 1 || p.decided {
		return formatError("want a single line quorum <name>")
	}
	if p.decided = true; args[0] == "none" {
		return nil
	}
	if p.policy.quorum = p.rules[args[0]]; p.policy.quorum == nil {
		return formatError("quorum %s is not defined before", quote.Text(args[0]))
	}
	return nil
}

// Logs returns the keys of the logs.
func (p *Policy) Logs() []*ledger.Verifier { return slices.Clone(p.logs) }

// Witnesses returns the keys of the witnesses.
func (p *Policy) Witnesses() []*Key {
	var keys []*Key
	for _, m := range p.witnesses {
		keys = append(keys, m.key)
	}
	return keys
}

// met reports whether the witnesses for which signed returns true are a quorum.
func (p *Policy) met(signed func(i int) bool) bool { return p.quorum == nil || p.quorum(signed) }

// VerifyCheckpoint checks that a log and a quorum of witnesses have signed the
// checkpoint in note. The log must be in the policy, or its key in logs. Other
// witnesses of the policy may be missing, but each of their signatures must be
// valid. Signatures of other keys are ignored.
//
// The cosignatures prove that the witnesses have seen no other log of that size
// or larger before. They do not prove that the checkpoint is the latest: see
// [Cosignature.Time].
//
// Errors:
//
//   - [ErrQuorum], as a [*QuorumError];
//   - ErrTampered of package ledger if a signature is invalid, or if no known
//     log has signed;
//   - ErrFormat of package ledger.
func (p *Policy) VerifyCheckpoint(note string, logs ...*ledger.Verifier) (Checkpoint, error) {
	cp, err := ledger.ParseCheckpoint(note, append(slices.Clone(logs), p.logs...)...)
	if err != nil {
		return Checkpoint{}, err
	}
	n, err := parseNote(note)
	if err != nil {
		return Checkpoint{}, err
	}
	out := Checkpoint{Checkpoint: cp}
	signed := make([]bool, len(p.witnesses))
	for i, m := range p.witnesses {
		_, at, err := find(n.text, n.sigs, m.key)
		if err != nil {
			return Checkpoint{}, err
		}
		if !at.IsZero() {
			signed[i] = true
			out.Cosignatures = append(out.Cosignatures, Cosignature{m.name, m.key, at})
		}
	}
	if !p.met(func(i int) bool { return signed[i] }) {
		return Checkpoint{}, &QuorumError{Size: cp.Size, Signed: len(out.Cosignatures)}
	}
	return out, nil
}

// VerifyProof checks that proof proves its record in a log that is cosigned as
// [Policy.VerifyCheckpoint] requires.
//
// Errors: the errors of VerifyCheckpoint and of [ledger.Proof.Verify].
func (p *Policy) VerifyProof(proof *ledger.Proof, logs ...*ledger.Verifier) (Checkpoint, error) {
	cp, err := p.VerifyCheckpoint(proof.Note, logs...)
	if err != nil {
		return Checkpoint{}, err
	}
	if _, err := proof.Verify(append(slices.Clone(logs), p.logs...)...); err != nil {
		return Checkpoint{}, err
	}
	return cp, nil
}

// VerifyLog verifies the log in fsys with [ledger.Verify], and checks that it
// begins with the cosigned checkpoint in note. The note comes from
// [Client.Last], [Config.File] or any other place: its signatures are checked.
//
// If c.Keys is empty, it means the logs of the policy. The checkpoint replaces
// c.Known, which must be nil.
//
// Errors: the errors of VerifyCheckpoint and of [ledger.Verify].
func (p *Policy) VerifyLog(ctx context.Context, fsys fs.FS, note string, c ledger.VerifyConfig) (*ledger.Report, error) {
	if c.Known != nil {
		return nil, formatError("Known is set, want nil: the checkpoint is the known head")
	}
	cp, err := p.VerifyCheckpoint(note, c.Keys...)
	if err != nil {
		return nil, err
	}
	if len(c.Keys) == 0 {
		c.Keys = slices.DeleteFunc(p.Logs(), func(v *ledger.Verifier) bool { return v.Name() != cp.Origin })
	}
	c.Known = &cp.Head
	return ledger.Verify(ctx, fsys, c)
}
