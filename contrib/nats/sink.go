package redoubtnats

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// SinkConfig configures a [Sink].
type SinkConfig struct {
	_ [0]func() // not comparable, so that fields can be added

	// Name identifies the sink in errors and statistics. It may be empty.
	Name string

	// JetStream sends the events. Required. Its connection should reconnect
	// forever (nats.MaxReconnects(-1)).
	JetStream jetstream.JetStream

	// Stream is the stream that stores the events. Required. See
	// [AuditStream].
	Stream string

	// Subject is the subject of the events, such as "audit.billing". Required.
	Subject string

	// Replicas is the smallest number of copies that the stream must keep. With
	// 3 or more, an acknowledged event is on a majority of the servers. Zero
	// means 3.
	Replicas int

	// Timeout bounds one call of WriteEvents with all its attempts. The stream
	// must recognize repeated events for at least twice as long. Zero means 10
	// seconds. Negative means no limit other than the context, which must then
	// end within the Duplicates window of the stream.
	Timeout time.Duration

	// MoveAfter is the time without an acknowledgement after which the
	// connection goes to another server, by ForceReconnect. A server that was
	// cut off from the others keeps its clients, and they would wait for the
	// end of the partition. Everything that uses the connection moves too. It
	// should be longer than an election, such as 15 seconds. Zero or negative
	// means never.
	MoveAfter time.Duration

	// MaxPending is the number of events that may wait for their
	// acknowledgement at once. More events wait before they are sent. Zero
	// means 4096.
	MaxPending int
}

func (c SinkConfig) withDefaults() SinkConfig {
	c.Replicas, c.Timeout, c.MaxPending = cmp.Or(c.Replicas, 3), cmp.Or(c.Timeout, defaultTimeout), cmp.Or(c.MaxPending, 4096)
	return c
}

// Validate returns an error that joins all problems of c.
func (c SinkConfig) Validate() error {
	p := problems{prefix: "sink"}
	c = c.withDefaults()
	p.add(c.JetStream == nil, "JetStream is missing")
	p.add(c.Stream == "", "Stream is missing")
	p.add(!isSubject(c.Subject), "Subject is %s, want words between dots", quote.Text(c.Subject))
	p.add(c.Replicas < 1, "Replicas is %d, want at least 1", c.Replicas)
	p.add(c.MaxPending < 1, "MaxPending is %d, want at least 1", c.MaxPending)
	return p.join()
}

// A Sink is an [audit.Sink] that stores events in a stream, as the JSON of
// [audit.Event.AppendJSON]. A nil error means that the leader of the stream and
// a majority of its replicas have written the event. It is safe for concurrent
// use.
//
// An event that is not acknowledged is sent again, as long as the call lasts.
// The stream recognizes it by its ID. So the ID of an event must be unique in
// the stream. Within the Duplicates window of the stream, an event with the ID
// of an earlier event counts as stored already.
type Sink struct {
	cfg   SinkConfig
	nc    *nats.Conn
	op    string
	inbox string // the acknowledgements arrive at inbox.token
	sub   *nats.Subscription
	slots chan struct{} // an element for each message without an answer
	queue chan attempt  // for the sender
	hint  atomic.Pointer[error]

	mu      sync.Mutex
	waiting map[uint64]*message // by token
	token   uint64
	done    chan struct{} // closed by Close
	closed  bool

	stored, failed, uncertain, duplicates, resent, moves atomic.Uint64

	progress atomic.Int64 // time of the last acknowledgement or move, since epoch
	epoch    time.Time
}

// OpenSink returns a sink, after it has checked the configuration of the
// stream.
//
// Errors: the error of [SinkConfig.Validate]; an error that matches [ErrWeak];
// the errors of the client, such as [jetstream.ErrStreamNotFound].
func OpenSink(ctx context.Context, c SinkConfig) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	s := &Sink{
		cfg: c, nc: c.JetStream.Conn(), op: op("sink", c.Name), waiting: map[uint64]*message{},
		slots: make(chan struct{}, c.MaxPending), queue: make(chan attempt, 64), done: make(chan struct{}), epoch: time.Now(),
	}
	s.inbox = s.nc.NewInbox()
	var err error
	if s.sub, err = s.nc.Subscribe(s.inbox+".*", s.answer); err != nil {
		return nil, fmt.Errorf("%s: %w", s.op, err)
	}
	if err = s.Check(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	go s.sender()
	return s, nil
}

// Check checks the configuration of the stream again, which an administrator
// can change. Call it in a health check.
//
// Errors: [ErrWeak], the errors of the client.
func (s *Sink) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	stream, err := s.cfg.JetStream.Stream(ctx, s.cfg.Stream)
	if err != nil {
		return fmt.Errorf("%s: stream %s: %w", s.op, quote.Name(s.cfg.Stream), err)
	}
	least := 2 * s.cfg.Timeout
	if s.cfg.Timeout < 0 {
		least = 2 * time.Minute // the default of the servers
	}
	return checkStream(stream.CachedInfo().Config, s.cfg.Subject, s.cfg.Replicas, least)
}

// Close makes further calls fail with [audit.ErrClosed]. A running call
// returns; its events may be stored. Close does not close the connection.
func (s *Sink) Close() error {
	s.mu.Lock()
	first := !s.closed
	if first {
		s.closed = true
		close(s.done)
	}
	s.mu.Unlock()
	if err := s.sub.Unsubscribe(); first && err != nil && !s.nc.IsClosed() {
		return fmt.Errorf("%s: %w", s.op, err)
	}
	return nil
}

// SinkStats counts the events of a [Sink]. The counters never decrease.
type SinkStats struct {
	Name       string `json:"name"`       // SinkConfig.Name
	Stored     uint64 `json:"stored"`     // in calls without an error
	Failed     uint64 `json:"failed"`     // in calls with audit.ErrFailed
	Uncertain  uint64 `json:"uncertain"`  // in calls with audit.ErrUncertain
	Duplicates uint64 `json:"duplicates"` // acknowledged as stored before
	Resent     uint64 `json:"resent"`     // sent again in the same call
	Moves      uint64 `json:"moves"`      // moves to another server, see SinkConfig.MoveAfter
	Pending    int    `json:"pending"`    // sent and not answered yet
}

// Stats returns the counters.
func (s *Sink) Stats() SinkStats {
	return SinkStats{
		Name: s.cfg.Name, Stored: s.stored.Load(), Failed: s.failed.Load(), Uncertain: s.uncertain.Load(),
		Duplicates: s.duplicates.Load(), Resent: s.resent.Load(), Moves: s.moves.Load(), Pending: len(s.slots),
	}
}

// A message is an event on its way.
type message struct {
	call *call
	msg  *nats.Msg

	// Guarded by Sink.mu.
	tokens []uint64 // of its attempts
	sent   int      // attempts that the sender has begun
	known  int      // attempts with a result
	denied int      // attempts that certainly did not store the message
	slot   bool     // the message has a slot
	stored bool     // acknowledged
	again  bool     // refused for a moment
}

// A call is a call of WriteEvents.
type call struct {
	messages []*message
	wake     chan struct{} // has an element after a change

	// Guarded by Sink.mu.
	left   int   // messages that are not stored
	failed bool  // a message is refused finally
	last   error // of the last attempt that failed
}

// WriteEvents sends the events and waits until all are acknowledged. It sends
// them again if a server has lost its connection, is no longer the leader or
// does not answer. Events of a call are stored in their order, unless some of
// them had to be sent again.
//
// Errors: [audit.ErrFailed] if no event was stored, [audit.ErrUncertain]
// otherwise, [audit.ErrClosed] after Close, each with the reason.
func (s *Sink) WriteEvents(ctx context.Context, events []*audit.Event) error {
	if s.cfg.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.cfg.Timeout)
		defer cancel()
	}
	c := &call{left: len(events), wake: make(chan struct{}, 1)}
	for _, e := range events {
		msg := &nats.Msg{Subject: s.cfg.Subject, Data: e.AppendJSON(nil), Header: nats.Header{
			jetstream.MsgIDHeader:          {messageID(e.ID)},
			jetstream.ExpectedStreamHeader: {s.cfg.Stream},
		}}
		c.messages = append(c.messages, &message{call: c, msg: msg})
	}
	var err error
	if ctx.Err() != nil {
		err = s.fail(ctx, c, ctxerr.New(ctx, "not sent"))
	} else {
		err = s.write(ctx, c)
	}
	s.forget(c)
	n := uint64(len(events))
	switch {
	case err == nil:
		s.stored.Add(n)
	case errors.Is(err, audit.ErrUncertain):
		s.uncertain.Add(n)
	default:
		s.failed.Add(n)
	}
	return err
}

// messageID returns the ID by which the stream recognizes an event. An ID with
// characters that a header could change, and a long ID, is hashed.
func messageID(id string) string {
	const prefix = "sha256-"
	plain := id != "" && len(id) <= 128 && !strings.HasPrefix(id, prefix)
	for i := 0; plain && i < len(id); i++ {
		plain = id[i] > ' ' && id[i] < 0x7f
	}
	switch {
	case plain:
		return id
	case id == "": // recognized within the call only
		return prefix + strconv.FormatUint(rand.Uint64(), 36) + strconv.FormatUint(rand.Uint64(), 36)
	}
	sum := sha256.Sum256([]byte(id))
	return prefix + hex.EncodeToString(sum[:])
}

// The pauses before an attempt: after a refusal for a moment, and without an
// answer.
const (
	firstPause  = 20 * time.Millisecond
	maxPause    = 500 * time.Millisecond
	firstResend = time.Second
	maxResend   = 4 * time.Second
)

func (s *Sink) write(ctx context.Context, c *call) error {
	pause, resend, start := firstPause, firstResend, time.Since(s.epoch)
	for try := 0; ; try++ {
		if try > 0 {
			s.move(start)
		}
		if err := s.send(ctx, c, try > 0); err != nil {
			return s.fail(ctx, c, err)
		}
		over, err := s.await(ctx, c, pause, resend)
		if over {
			return err
		}
		pause, resend = min(2*pause, maxPause), min(2*resend, maxResend)
	}
}

// move asks the sender to move the connection to another server, if no event
// was acknowledged for a long time since the start of a call.
func (s *Sink) move(start time.Duration) {
	last, now := s.progress.Load(), time.Since(s.epoch)
	if s.cfg.MoveAfter <= 0 || now-max(time.Duration(last), start) < s.cfg.MoveAfter || !s.progress.CompareAndSwap(last, int64(now)) {
		return
	}
	select {
	case s.queue <- attempt{}:
	default:
	}
}

// send queues the messages that are not stored, until a message is refused
// finally.
func (s *Sink) send(ctx context.Context, c *call, again bool) error {
	for _, m := range c.messages {
		a, err := s.reserve(ctx, m)
		if err != nil {
			return err
		}
		if a.message == nil {
			continue
		}
		select {
		case s.queue <- a:
		case <-s.done:
			return audit.ErrClosed
		case <-ctx.Done():
			return ctxerr.New(ctx, "not sent")
		}
		if again {
			s.resent.Add(1)
		}
	}
	return nil
}

// An attempt is a message for the sender. The zero attempt moves the
// connection.
type attempt struct {
	message *message
	token   uint64
}

// sender sends the messages. The client may block while it connects to a server
// that does not answer. A goroutine of its own keeps calls from waiting longer
// than their contexts allow.
func (s *Sink) sender() {
	for {
		select {
		case <-s.done:
			return
		case a := <-s.queue:
			if a.message != nil {
				s.publish(a)
			} else if s.nc.IsConnected() && s.nc.ForceReconnect() == nil {
				s.moves.Add(1)
			}
		}
	}
}

// publish sends a message, unless its call is over. Without a connection it
// sends nothing, so that no message waits in the connection for a server that
// may come back after the call.
func (s *Sink) publish(a attempt) {
	connected, closed := s.nc.IsConnected(), s.nc.IsClosed()
	if !s.begin(a) {
		return
	}
	var err error
	switch {
	case closed:
		err = nats.ErrConnectionClosed
	case !connected:
		err = errNotConnected
	default:
		a.message.msg.Reply = s.inbox + "." + strconv.FormatUint(a.token, 36)
		err = s.nc.PublishMsg(a.message.msg)
	}
	if err != nil {
		s.refuse(a.token, err)
	}
	if hint := s.nc.LastError(); errors.Is(hint, nats.ErrPermissionViolation) && s.concerns(hint.Error()) {
		s.hint.Store(&hint)
	}
}

// concerns reports whether a violation of permissions is of this sink. The
// connection may have other users.
func (s *Sink) concerns(violation string) bool {
	return strings.Contains(violation, `"`+s.cfg.Subject+`"`) || strings.Contains(violation, s.inbox)
}

// begin reports whether the call of an attempt still waits for it.
func (s *Sink) begin(a attempt) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[a.token] == nil || a.message.stored {
		return false
	}
	a.message.sent++
	return true
}

// reserve takes a slot and a token for an attempt. The attempt is zero if m
// needs none.
func (s *Sink) reserve(ctx context.Context, m *message) (attempt, error) {
	taken := false
	for {
		if a, ok := s.register(m, taken); ok {
			return a, nil
		}
		select {
		case s.slots <- struct{}{}:
			taken = true
		case <-s.done:
			return attempt{}, audit.ErrClosed
		case <-ctx.Done():
			return attempt{}, ctxerr.New(ctx, "too many events on their way")
		}
	}
}

// register registers an attempt if m has a slot, or if the caller has taken a
// slot for it.
func (s *Sink) register(m *message, taken bool) (a attempt, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.stored || m.call.failed {
		if taken {
			<-s.slots
		}
		return a, true
	}
	if !m.slot && !taken {
		return a, false
	}
	m.slot, m.again = true, false
	s.token++
	s.waiting[s.token] = m
	m.tokens = append(m.tokens, s.token)
	return attempt{m, s.token}, true
}

// errNotConnected means that no message was sent.
var errNotConnected = errors.New("not connected")

// errNoStream means that no server leads the stream at the moment, or that
// there is no such stream.
var errNoStream = errors.New("no server leads the stream")

// answer receives the acknowledgement of an attempt.
func (s *Sink) answer(msg *nats.Msg) {
	token, err := strconv.ParseUint(strings.TrimPrefix(msg.Subject, s.inbox+"."), 36, 64)
	if err != nil {
		return
	}
	if len(msg.Data) == 0 && msg.Header.Get("Status") == "503" {
		s.refuse(token, errNoStream)
		return
	}
	var ack struct {
		Stream    string              `json:"stream"`
		Sequence  uint64              `json:"seq"`
		Duplicate bool                `json:"duplicate"`
		Error     *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(msg.Data, &ack); {
	case err != nil:
	case ack.Error != nil:
		s.refuse(token, ack.Error)
	case ack.Stream == s.cfg.Stream && ack.Sequence > 0:
		s.accept(token, ack.Duplicate)
	}
}

// accept records that a message is stored.
func (s *Sink) accept(token uint64, duplicate bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.waiting[token]
	if m == nil || m.stored {
		return
	}
	if duplicate && len(m.tokens) == 1 {
		s.duplicates.Add(1)
	}
	m.stored = true
	m.call.left--
	s.progress.Store(int64(time.Since(s.epoch)))
	s.release(m)
}

// refuse records that an attempt failed.
func (s *Sink) refuse(token uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.waiting[token]
	if m == nil || m.stored {
		return
	}
	certain, again := judge(err)
	if m.known++; certain {
		m.denied++
	}
	delete(s.waiting, token)
	m.call.last = err
	if m.again = again; !again {
		m.call.failed = true
	}
	s.release(m)
}

// release returns the slot of a message and wakes its call.
func (s *Sink) release(m *message) {
	if m.slot {
		m.slot = false
		<-s.slots
	}
	select {
	case m.call.wake <- struct{}{}:
	default:
	}
}

// Codes of errors of a server.
const (
	codeTooLarge     = 10054
	codeOtherStream  = 10060
	codeStoreFailed  = 10077
	codeSealed       = 10109
	codeInProcess    = 10158 // another attempt with the ID is being stored
	fullBytes        = "maximum bytes exceeded"
	fullMessages     = "maximum messages exceeded"
	fullOfTheSubject = "maximum messages per subject exceeded"
)

// judge reports whether an error shows that the server did not store the
// message, and whether another attempt may succeed soon.
func judge(err error) (certain, again bool) {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, errNoStream), errors.Is(err, errNotConnected), errors.Is(err, nats.ErrReconnectBufExceeded):
		return true, true
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining),
		errors.Is(err, nats.ErrHeadersNotSupported), errors.Is(err, nats.ErrBadSubject):
		return true, false
	case !errors.As(err, &api):
		return false, true
	}
	switch api.ErrorCode {
	case codeInProcess:
		return false, true
	case codeTooLarge, codeOtherStream, codeSealed:
		return true, false
	case codeStoreFailed:
		// Other failures may concern the disk of the leader only.
		d := api.Description
		return d == fullBytes || d == fullMessages || d == fullOfTheSubject, false
	}
	return false, false
}

// await waits for the answers, until the call is over or it is time for the
// next attempt.
func (s *Sink) await(ctx context.Context, c *call, pause, resend time.Duration) (over bool, err error) {
	timer := time.NewTimer(resend)
	defer timer.Stop()
	soon := false
	for {
		st := s.state(c)
		switch {
		case st.left == 0:
			return true, nil
		case st.failed && !st.open:
			return true, s.fail(ctx, c, st.last)
		case st.again && !soon && !st.failed:
			soon = true
			timer.Reset(pause)
		}
		select {
		case <-c.wake:
		case <-timer.C:
			if st.failed {
				return true, s.fail(ctx, c, st.last)
			}
			return false, nil
		case <-s.done:
			return true, s.fail(ctx, c, audit.ErrClosed)
		case <-ctx.Done():
			return true, s.fail(ctx, c, ctxerr.New(ctx, "no acknowledgement"))
		}
	}
}

// A callState is the state of a call.
type callState struct {
	left   int   // messages that are not stored
	open   bool  // an attempt has no answer
	unsure bool  // a message may be stored
	failed bool  // a message is refused finally
	again  bool  // a message is refused for a moment
	last   error // of the last attempt that failed
}

func (s *Sink) state(c *call) callState {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := callState{left: c.left, failed: c.failed, last: c.last}
	for _, m := range c.messages {
		st.again = st.again || m.again
		st.open = st.open || !m.stored && len(m.tokens) > m.known
		st.unsure = st.unsure || m.sent > m.denied
	}
	return st
}

// forget removes the attempts of a call. Late answers are ignored.
func (s *Sink) forget(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range c.messages {
		for _, token := range m.tokens {
			delete(s.waiting, token)
		}
		s.release(m)
	}
}

// A class is the class of an error, with the name of the sink.
type class struct {
	text string
	err  error
}

func (e *class) Error() string { return e.text }
func (e *class) Unwrap() error { return e.err }

// fail ends a call, so that nothing is sent from here on, and returns its
// error.
func (s *Sink) fail(ctx context.Context, c *call, err error) error {
	s.forget(c)
	st := s.state(c)
	what := &class{s.op + ": event not recorded", audit.ErrFailed}
	if st.unsure {
		what = &class{s.op + ": event may or may not be recorded", audit.ErrUncertain}
	}
	if st.last != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", err, st.last)
	} else if hint := s.hint.Load(); hint != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", err, *hint)
	}
	return fmt.Errorf("%w: %w", what, err)
}
