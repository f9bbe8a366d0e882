package witness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/quote"
)

const (
	// defaultTimeout is shorter than the time that a ledger gives to Anchor.
	defaultTimeout = 8 * time.Second

	// grace is the time of the other witnesses after a quorum has cosigned.
	grace = time.Second
)

// Config configures a [Client].
type Config struct {
	_ [0]func() // not comparable, so that fields can be added

	// Name identifies the client in Stats. Empty means "witness".
	Name string

	// Policy contains the witnesses and the quorum. Required. Witnesses without
	// a URL are not called, but the others must be able to form a quorum.
	Policy *Policy

	// Log is the directory of the log, such as os.DirFS(dir). Required. It is
	// read for consistency proofs.
	Log fs.FS

	// File receives the last cosigned checkpoint, for [Policy.VerifyLog]. It is
	// replaced atomically and durably. Empty means that only [Client.Last] and
	// Anchor contain the checkpoint.
	File string

	// Anchor is called with each cosigned checkpoint, after File was written.
	// Its Note contains the cosignatures. It may be nil. Package tiles has such
	// a function.
	Anchor func(context.Context, ledger.Checkpoint) error

	// Timeout bounds the requests for a checkpoint, with all repetitions. Zero
	// means 8 seconds. Negative means no limit.
	Timeout time.Duration

	// Transport sends the requests. Nil means [http.DefaultTransport].
	Transport http.RoundTripper
}

// Validate reports everything that is wrong with c. The error matches ErrFormat
// of package ledger.
func (c Config) Validate() error {
	var errs []error
	if c.Log == nil {
		errs = append(errs, formatError("Log is missing"))
	}
	if c.Policy == nil {
		return errors.Join(append(errs, formatError("Policy is missing"))...)
	}
	for _, m := range c.Policy.witnesses {
		if m.url == "" {
			continue
		}
		u, err := url.Parse(m.url)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			errs = append(errs, formatError("URL of witness %s is %s, want a prefix with https", quote.Name(m.name), quote.Text(m.url)))
		}
	}
	if !c.Policy.met(func(i int) bool { return c.Policy.witnesses[i].url != "" }) {
		errs = append(errs, formatError("Policy has no quorum of witnesses with a URL"))
	}
	return errors.Join(errs...)
}

// A Client obtains cosignatures for the checkpoints of a log, by the protocol
// of c2sp.org/tlog-witness. It is safe for concurrent use.
type Client struct {
	config Config
	http   *http.Client
	turn   chan struct{} // held by a call of Anchor; guards text and lines
	text   string        // the checkpoint that was submitted last
	lines  []string      // the cosignatures of text, by witness

	mu     sync.Mutex // guards the fields below
	last   ledger.Checkpoint
	states []Status
	stats  Stats
}

// New returns a client. It panics with the error of [Config.Validate].
func New(c Config) *Client {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	c.Name = cmp.Or(c.Name, "witness")
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	states := make([]Status, len(c.Policy.witnesses))
	for i, m := range c.Policy.witnesses {
		states[i].Witness = m.name
	}
	return &Client{
		config: c,
		turn:   make(chan struct{}, 1),
		states: states,
		stats:  Stats{Name: c.Name},
		http: &http.Client{
			Transport:     c.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Anchor obtains cosignatures for cp. It is made for the field Anchor of
// [ledger.Config].
//
// It calls all witnesses at the same time and succeeds when a quorum has
// cosigned. The other witnesses then get another second. A witness that has not
// answered is asked again with the next checkpoint. A checkpoint with fewer
// records than [Client.Last] is ignored.
//
// Errors:
//
//   - [ErrQuorum], as a [*QuorumError];
//   - [ErrConflict], also if a quorum has cosigned: a witness knows another
//     state of the log;
//   - ErrFormat of package ledger if cp is not a checkpoint;
//   - ctx.Err() and context.Cause(ctx) if ctx is done before a quorum;
//   - the errors of File and of [Config.Anchor].
func (c *Client) Anchor(ctx context.Context, cp ledger.Checkpoint) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return ctxerr.New(ctx, "witness: anchor")
	}
	n, err := parseNote(cp.Note)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(n.text, fmt.Sprintf("%s\n%d\n%v\n", cp.Origin, cp.Size, cp.Root)) {
		return formatError("Note of the checkpoint is another checkpoint")
	}
	if cp.Size < c.Last().Size {
		return nil
	}
	if err := c.begin(n); err != nil {
		return err
	}
	failures := c.collect(ctx, cp, n.text)
	if !c.met() {
		err := error(&QuorumError{Size: cp.Size, Signed: c.signed(), Errors: failures})
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ctxerr.New(ctx, "witness: anchor"), err)
		}
		return err
	}
	cp.Note += strings.Join(c.fresh(n), "")
	if err := c.publish(ctx, cp); err != nil {
		return err
	}
	for _, f := range failures {
		if errors.Is(f, ErrConflict) {
			return f
		}
	}
	return nil
}

// begin forgets the cosignatures of another checkpoint, and takes the
// cosignatures that n contains.
func (c *Client) begin(n note) error {
	if n.text != c.text {
		c.text, c.lines = n.text, make([]string, len(c.states))
	}
	for i, m := range c.config.Policy.witnesses {
		s, _, err := find(n.text, n.sigs, m.key)
		if err != nil {
			return err
		}
		if s.line != "" {
			c.lines[i] = s.line
		}
	}
	c.count(func(s *Stats) { s.Checkpoints++ })
	return nil
}

// fresh returns the cosignatures that n does not contain.
func (c *Client) fresh(n note) (lines []string) {
	for i, m := range c.config.Policy.witnesses {
		if s, _, _ := find(n.text, n.sigs, m.key); s.line == "" {
			lines = append(lines, c.lines[i])
		}
	}
	return lines
}

func (c *Client) met() bool {
	return c.config.Policy.met(func(i int) bool { return c.lines[i] != "" })
}

func (c *Client) signed() (n int) {
	for _, line := range c.lines {
		if line != "" {
			n++
		}
	}
	return n
}

// errSlow is the failure of a witness that is slower than the quorum.
var errSlow = errors.New("slower than the quorum")

// collect asks the witnesses that have not cosigned, and returns their
// failures. All its goroutines have ended when it returns.
func (c *Client) collect(ctx context.Context, cp ledger.Checkpoint, text string) (failures []*Error) {
	if c.config.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.config.Timeout)
		defer cancel()
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	answers := make(chan answer)
	pending := 0
	proofs := &proofs{log: c.config.Log, size: cp.Size, known: map[uint64][]ledger.Hash{}}
	for i, m := range c.config.Policy.witnesses {
		if m.url == "" || c.lines[i] != "" {
			continue
		}
		pending++
		r := request{client: c, witness: m, cp: cp, text: text, proofs: proofs, old: c.size(i)}
		go func() { answers <- answer{i, r.do(ctx)} }()
	}
	byWitness := make([]*Error, len(c.states))
	var slow <-chan time.Time
	for ; pending > 0; pending-- {
		if slow == nil && c.met() {
			t := time.NewTimer(grace)
			defer t.Stop()
			slow = t.C
		}
		var a answer
		select {
		case a = <-answers:
		case <-slow:
			stop(errSlow)
			a = <-answers
		}
		c.lines[a.i], byWitness[a.i] = a.line, c.note(a, cp.Size)
	}
	for _, err := range byWitness {
		if err != nil {
			failures = append(failures, err)
		}
	}
	return failures
}

// An answer is the result of the requests to witness i.
type answer struct {
	i int
	outcome
}

// note counts an answer and returns its failure.
func (c *Client) note(a answer, size uint64) *Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.states[a.i]
	c.stats.Requests += uint64(a.requests)
	if a.err == nil {
		c.stats.Cosignatures++
		s.Size, s.Time, s.Err = size, a.at, nil
		return nil
	}
	c.stats.Failures++
	if errors.Is(a.err, ErrConflict) {
		c.stats.Conflicts++
	}
	err := &Error{Witness: s.Witness, Status: a.status, Err: a.err}
	s.Err = err
	return err
}

// publish stores a cosigned checkpoint.
func (c *Client) publish(ctx context.Context, cp ledger.Checkpoint) error {
	if c.config.File != "" {
		if err := writeFile(c.config.File, cp.Note); err != nil {
			return fmt.Errorf("witness: %w", err)
		}
	}
	c.mu.Lock()
	c.last = cp
	c.stats.Cosigned++
	c.mu.Unlock()
	if c.config.Anchor == nil {
		return nil
	}
	return c.config.Anchor(ctx, cp)
}

// writeFile replaces a file atomically and durably.
func writeFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Last returns the last checkpoint that a quorum has cosigned, with the
// cosignatures in its Note. Note is empty if there is none since New.
func (c *Client) Last() ledger.Checkpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// size returns the size of the log that witness i has cosigned, if it is known.
func (c *Client) size(i int) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states[i].Size
}

func (c *Client) count(add func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add(&c.stats)
}
