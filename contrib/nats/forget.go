package redoubtnats

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/internal/ctxerr"
)

// ForgetterConfig configures a [Forgetter].
type ForgetterConfig struct {
	_ [0]func() // not comparable, so that fields can be added

	// Name identifies the forgetter in errors and statistics. It may be empty.
	Name string

	// Conn sends and receives the news. Required.
	Conn *nats.Conn

	// Subject is the subject of the news, such as "forget.users". Required. Use
	// a subject for each kind of values.
	Subject string

	// Check is the time between two checks of the connection. If the connection
	// has failed silently, a cache is cleared after at most three times as
	// long, and then at this interval. Zero means 1 second.
	Check time.Duration
}

// Validate returns an error that joins all problems of c.
func (c ForgetterConfig) Validate() error {
	p := problems{prefix: "forgetter"}
	p.add(c.Conn == nil, "Conn is missing")
	p.add(!isSubject(c.Subject), "Subject is %q, want words between dots", c.Subject)
	p.add(c.Check < 0, "Check is %v, want at least 0", c.Check)
	return p.join()
}

// News names values that have changed at their origin.
type News struct {
	All  bool     // any value may have changed
	Keys []string // the values with these keys have changed
	Tags []string // the values with any of these tags have changed
}

// A Forgetter sends and receives the news that values have changed, so that
// the caches of many processes forget them. It uses core NATS, which stores
// nothing. So it is careful with lost connections: while a process could have
// missed news, its cache is cleared again and again.
type Forgetter struct {
	cfg    ForgetterConfig
	op     string
	origin [originSize]byte

	sent, received, malformed, clears atomic.Uint64
}

// NewForgetter returns a Forgetter. It panics with the error of
// [ForgetterConfig.Validate].
func NewForgetter(c ForgetterConfig) *Forgetter {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	c.Check = cmp.Or(c.Check, time.Second)
	f := &Forgetter{cfg: c, op: op("forgetter", c.Name)}
	_, _ = rand.Read(f.origin[:])
	return f
}

// ForgetterStats counts the news of a [Forgetter]. The counters never decrease.
type ForgetterStats struct {
	Name      string `json:"name"`      // ForgetterConfig.Name
	Sent      uint64 `json:"sent"`      // messages that Announce has sent
	Received  uint64 `json:"received"`  // messages of other processes
	Malformed uint64 `json:"malformed"` // received messages in another form
	Clears    uint64 `json:"clears"`    // News with All, because news could be missing
}

// Stats returns the counters.
func (f *Forgetter) Stats() ForgetterStats {
	return ForgetterStats{
		Name: f.cfg.Name, Sent: f.sent.Load(), Received: f.received.Load(),
		Malformed: f.malformed.Load(), Clears: f.clears.Load(),
	}
}

// Announce sends news to the other processes, after the change at the origin.
// A nil error means that a server has the news. Announce does not change the
// cache of this process.
//
// Errors: ctx.Err() and context.Cause(ctx) if ctx is done; the errors of the
// client. The other processes may then have the news.
func (f *Forgetter) Announce(ctx context.Context, n News) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultTimeout)
		defer cancel()
	}
	for _, data := range n.encode(f.origin) {
		if ctx.Err() != nil {
			return ctxerr.New(ctx, f.op)
		}
		if err := f.cfg.Conn.Publish(f.cfg.Subject, data); err != nil {
			return fmt.Errorf("%s: %w", f.op, err)
		}
		f.sent.Add(1)
	}
	if err := f.cfg.Conn.FlushWithContext(ctx); err != nil {
		if ctx.Err() != nil {
			return ctxerr.New(ctx, f.op)
		}
		return fmt.Errorf("%s: %w", f.op, err)
	}
	return nil
}

// Listen calls changed, such as the result of [Forget], with the news of the
// other processes, until ctx is done. changed must be fast. The news have All
// set if other news could be missing:
//
//   - at the start;
//   - while the server does not answer;
//   - after each loss of the connection;
//   - if the process was too slow.
//
// In a cluster, a server learns of a new subscription a moment later than the
// server of the subscription. So Listen clears twice after it has connected, at
// an interval of Check.
//
// Errors: ctx.Err() and context.Cause(ctx) if ctx is done, or an error of the
// client, such as [nats.ErrConnectionClosed]. [nats.ErrPermissionViolation]
// means that the connection may not subscribe to the subject. Listen has then
// called changed with All.
func (f *Forgetter) Listen(ctx context.Context, changed func(News)) error {
	sub, err := f.cfg.Conn.SubscribeSync(f.cfg.Subject)
	if err != nil {
		return fmt.Errorf("%s: %w", f.op, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	defer changed(News{All: true}) // from here on no news arrive
	l := listener{f: f, changed: changed}
	probes := make(chan probe)
	inner, cancel := context.WithCancel(ctx)
	var prober sync.WaitGroup
	prober.Go(func() { f.probe(inner, probes) })
	defer prober.Wait()
	defer cancel()
	for {
		if err := l.check(probes); err != nil {
			return fmt.Errorf("%s: %w", f.op, err)
		}
		wait, cancel := context.WithTimeout(ctx, min(f.cfg.Check, maxWait))
		msg, err := sub.NextMsgWithContext(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctxerr.New(ctx, f.op)
		case err == nil:
			l.receive(msg)
		case errors.Is(err, nats.ErrSlowConsumer):
			l.clear()
		case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrBadSubscription):
			return fmt.Errorf("%s: %w", f.op, err)
		}
	}
}

// maxWait is the longest time between two looks for the result of a probe.
const maxWait = 100 * time.Millisecond

// A probe is the result of a round trip.
type probe struct {
	reconnects uint64
	err        error
}

// probe makes round trips. The client may block while it connects to a server
// that does not answer, so they need a goroutine.
func (f *Forgetter) probe(ctx context.Context, results chan<- probe) {
	for ctx.Err() == nil {
		p := probe{reconnects: f.cfg.Conn.Stats().Reconnects}
		// After the round trip, the server has the subscription.
		if p.err = f.cfg.Conn.FlushTimeout(f.cfg.Check); p.err != nil && f.cfg.Conn.IsClosed() {
			p.err = nats.ErrConnectionClosed
		} else if last := f.cfg.Conn.LastError(); p.err == nil && f.denied(last) {
			p.err = last
		}
		select {
		case results <- p:
		case <-ctx.Done():
		}
		sleep(ctx, f.cfg.Check)
	}
}

// denied reports whether err is the answer of a server to a subscription that
// it does not allow. It precedes the end of the round trip.
func (f *Forgetter) denied(err error) bool {
	return errors.Is(err, nats.ErrPermissionViolation) &&
		strings.Contains(err.Error(), `Subscription to "`+f.cfg.Subject+`"`)
}

// A listener is the state of Listen.
type listener struct {
	f       *Forgetter
	changed func(News)
	last    probe     // the last good probe
	begun   bool      // there was a good probe
	again   bool      // the cache must be cleared once more
	next    time.Time // without a good probe until then, news could be missing
}

// check clears the cache if news could be missing.
func (l *listener) check(probes <-chan probe) error {
	select {
	case p := <-probes:
		if errors.Is(p.err, nats.ErrConnectionClosed) && l.f.cfg.Conn.IsClosed() || errors.Is(p.err, nats.ErrPermissionViolation) {
			return p.err
		}
		fresh := !l.begun || p.reconnects != l.last.reconnects || p.err != nil
		if fresh || l.again {
			l.clear()
		}
		l.again = fresh
		l.last, l.begun = p, true
		l.next = time.Now().Add(3 * l.f.cfg.Check)
	default:
		if l.begun && time.Now().After(l.next) {
			l.again = true
			l.next = time.Now().Add(l.f.cfg.Check)
			l.clear()
		}
	}
	return nil
}

func (l *listener) clear() {
	l.f.clears.Add(1)
	l.changed(News{All: true})
}

func (l *listener) receive(msg *nats.Msg) {
	n, origin, err := decode(msg.Data)
	switch {
	case err != nil:
		l.f.malformed.Add(1)
		l.clear()
	case origin != l.f.origin:
		l.f.received.Add(1)
		l.changed(n)
	}
}

// Forget returns a function that removes the values in News from c, for
// [Forgetter.Listen]. The function tags returns the tags of a value. Nil means
// that no value has tags.
func Forget[V any](c *cache.Cache[string, V], tags func(V) []string) func(News) {
	return func(n News) {
		if n.All {
			c.Clear()
			return
		}
		for _, key := range n.Keys {
			c.Delete(key)
		}
		if len(n.Tags) > 0 && tags != nil {
			c.DeleteFunc(func(_ string, v V) bool {
				return slices.ContainsFunc(tags(v), func(tag string) bool { return slices.Contains(n.Tags, tag) })
			})
		}
	}
}

// The form of a message: the version, the origin, and entries, each with its
// kind, its length as a uvarint, and its text.
const (
	newsVersion = 1
	originSize  = 12
	maxNews     = 32 << 10 // bytes of a message, unless a single text is longer

	entryAll = 'a'
	entryKey = 'k'
	entryTag = 't'
)

// encode returns the messages for n.
func (n News) encode(origin [originSize]byte) (messages [][]byte) {
	head := append([]byte{newsVersion}, origin[:]...)
	b := slices.Clone(head)
	add := func(kind byte, text string) {
		if len(b) > len(head) && len(b)+len(text) > maxNews {
			messages, b = append(messages, b), slices.Clone(head)
		}
		b = append(b, kind)
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	if n.All {
		add(entryAll, "")
	} else {
		for _, key := range n.Keys {
			add(entryKey, key)
		}
		for _, tag := range n.Tags {
			add(entryTag, tag)
		}
	}
	if len(b) > len(head) {
		messages = append(messages, b)
	}
	return messages
}

var errNews = errors.New("nats: not the form of news")

// decode reads a message.
func decode(b []byte) (n News, origin [originSize]byte, err error) {
	if len(b) < 1+originSize || b[0] != newsVersion {
		return n, origin, errNews
	}
	b = b[1+copy(origin[:], b[1:]):]
	for len(b) > 0 {
		kind := b[0]
		size, used := binary.Uvarint(b[1:])
		if used <= 0 || size > uint64(len(b)-1-used) {
			return News{}, origin, errNews
		}
		text := string(b[1+used:][:size])
		b = b[1+used+int(size):]
		switch kind {
		case entryAll:
			n.All = true
		case entryKey:
			n.Keys = append(n.Keys, text)
		case entryTag:
			n.Tags = append(n.Tags, text)
		default:
			return News{}, origin, errNews
		}
	}
	return n, origin, nil
}
