package scan

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/retry"
)

const (
	maxForm  = 64 << 20        // bytes of an accumulator
	maxBlob  = maxForm + 1<<20 // bytes of a message with an accumulator
	headroom = 4 << 10         // bytes of a message for its headers
	maxPart  = 128 << 10       // bytes of a message; slow links send it within request
	request  = 2 * time.Second // the longest time of a request
	patience = 2 * time.Minute // the longest time of failed requests in a row
	patrol   = time.Second     // between looks at the stream that no message has caused
)

// consumerName is the name of the consumer that all workers share.
const consumerName = "workers"

// A store is the stream of a scan. Its subjects are, for the scan NAME:
//
//	scan.NAME.job                the spec
//	scan.NAME.task.ID.NUM        a queued task
//	scan.NAME.done.ID.NUM.head   the answer
//	scan.NAME.state.ID.head      the checkpoint
//	scan.NAME.note               not stored: the number of a new answer
//
// A head that is too large for a message is in parts, next to the head:
// NONCE.0, NONCE.1 and so on.
type store struct {
	js     jetstream.JetStream
	name   string // of the stream
	prefix string // of the subjects
	part   int    // bytes of a message without headers
	policy retry.Policy
	stream jetstream.Stream // nil before create and open
}

func newStore(js jetstream.JetStream, name string, failed func(context.Context, error)) *store {
	return &store{
		js: js, name: "scan-" + name, prefix: "scan." + name + ".",
		part: min(max(int(js.Conn().MaxPayload())-headroom, headroom), maxPart),
		policy: retry.Policy{
			MaxAttempts: retry.Unlimited, MaxElapsed: patience, AttemptTimeout: request,
			Backoff: retry.Exponential{Base: 50 * time.Millisecond, Max: 2 * time.Second},
			RetryIf: transient,
			OnEvent: func(ctx context.Context, e retry.Event) {
				if e.Kind == retry.KindRetry {
					failed(ctx, e.Err)
				}
			},
		},
	}
}

func (s *store) taskSubject(scan id, num string) string {
	return fmt.Sprintf("%stask.%x.%s", s.prefix, scan, num)
}

func (s *store) doneSubject(scan id, num string) string {
	return fmt.Sprintf("%sdone.%x.%s", s.prefix, scan, num)
}

func (s *store) stateSubject(scan id) string { return fmt.Sprintf("%sstate.%x", s.prefix, scan) }
func (s *store) noteSubject() string         { return s.prefix + "note" }

// transient reports whether a request that failed with err may succeed later.
func transient(err error) bool {
	for _, permanent := range []error{
		errForm, ErrVersion, nats.ErrConnectionClosed, nats.ErrAuthorization, nats.ErrPermissionViolation,
		nats.ErrMaxPayload, jetstream.ErrJetStreamNotEnabled, jetstream.ErrJetStreamNotEnabledForAccount,
	} {
		if errors.Is(err, permanent) {
			return false
		}
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	return !ok || api.Code >= 500 && api.ErrorCode != replicasUnsupported
}

// replicasUnsupported is the code of a single server that is asked for
// replicas.
const replicasUnsupported jetstream.ErrorCode = 10074

// isConflict reports whether a message was not stored because the subject has
// another last message than expected.
func isConflict(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// try makes a request until it succeeds or has failed permanently.
func (s *store) try(ctx context.Context, fn func(context.Context) error) error {
	err := s.policy.Do(ctx, fn)
	if e, ok := errors.AsType[*retry.Error](err); ok && e.Reason == retry.ErrPermanent {
		return e.Last()
	}
	return err
}

// create creates the stream or opens it.
func (s *store) create(ctx context.Context, replicas int) error {
	return s.try(ctx, func(ctx context.Context) (err error) {
		s.stream, err = s.js.CreateStream(ctx, jetstream.StreamConfig{
			Name: s.name, Retention: jetstream.WorkQueuePolicy, MaxMsgsPerSubject: 1, Replicas: replicas,
			Subjects: []string{s.prefix + "job", s.prefix + "task.>", s.prefix + "done.>", s.prefix + "state.>"},
		})
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // with another number of replicas
			s.stream, err = s.js.Stream(ctx, s.name)
		}
		return err
	})
}

// begin returns the spec of the scan, which is fresh if it has none yet.
func (s *store) begin(ctx context.Context, fresh spec) (spec, error) {
	_, err := s.publish(ctx, s.prefix+"job", fresh.marshal(), jetstream.WithExpectLastSequencePerSubject(0))
	if err != nil && !isConflict(err) {
		return spec{}, err
	}
	return s.spec(ctx)
}

// spec returns the spec of the scan.
func (s *store) spec(ctx context.Context) (spec, error) {
	msg, err := s.last(ctx, s.prefix+"job")
	if err != nil {
		return spec{}, err
	}
	return decodeSpec(msg.Data)
}

// serve creates the consumer, or changes it.
func (s *store) serve(ctx context.Context, ahead int, wait time.Duration) error {
	return s.try(ctx, func(ctx context.Context) error {
		_, err := s.stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: consumerName, FilterSubject: s.prefix + "task.>", AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: wait, MaxDeliver: -1, MaxAckPending: ahead,
		})
		return err
	})
}

// open opens the stream and its consumer.
func (s *store) open(ctx context.Context) (consumer jetstream.Consumer, err error) {
	err = s.try(ctx, func(ctx context.Context) error {
		if s.stream, err = s.js.Stream(ctx, s.name); err == nil {
			consumer, err = s.stream.Consumer(ctx, consumerName)
		}
		return err
	})
	return consumer, err
}

func (s *store) remove(ctx context.Context) error {
	err := s.try(ctx, func(ctx context.Context) error { return s.js.DeleteStream(ctx, s.name) })
	if errors.Is(err, jetstream.ErrStreamNotFound) { // an attempt without an answer has deleted it
		return nil
	}
	return err
}

// publish stores a message and returns its sequence number.
func (s *store) publish(ctx context.Context, subject string, data []byte, options ...jetstream.PublishOpt) (seq uint64, err error) {
	options = append(options, jetstream.WithExpectStream(s.name))
	err = s.try(ctx, func(ctx context.Context) error {
		ack, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data}, options...)
		if errors.Is(err, jetstream.ErrNoStreamResponse) {
			if _, gone := s.js.Stream(ctx, s.name); errors.Is(gone, jetstream.ErrStreamNotFound) {
				return gone
			}
		}
		if err == nil {
			seq = ack.Sequence
		}
		return err
	})
	return seq, err
}

// put stores an object if the last message of its head is last, or 0 if there
// is none. Otherwise isConflict reports true for the error. It returns the
// sequence numbers of the first part and of the head.
func (s *store) put(ctx context.Context, subject string, data []byte, last uint64) (first, head uint64, err error) {
	h := blob{nonce: newID(), length: uint64(len(data)), data: data}
	if len(data) > s.part {
		h.data = nil
		for rest := data; len(rest) > 0; h.parts++ {
			n := min(len(rest), s.part)
			seq, err := s.publish(ctx, s.partSubject(subject, h, h.parts), rest[:n])
			if err != nil {
				return 0, 0, err
			}
			if h.parts == 0 {
				first = seq
			}
			rest = rest[n:]
		}
	}
	head, err = s.publish(ctx, subject+".head", h.marshal(), jetstream.WithExpectLastSequencePerSubject(last))
	if first == 0 {
		first = head
	}
	return first, head, err
}

func (s *store) partSubject(subject string, h blob, n uint64) string {
	return fmt.Sprintf("%s.%x.%d", subject, h.nonce, n)
}

// last returns the last message of a subject.
func (s *store) last(ctx context.Context, subject string) (msg *jetstream.RawStreamMsg, err error) {
	err = s.try(ctx, func(ctx context.Context) error {
		msg, err = s.stream.GetLastMsgForSubject(ctx, subject)
		return err
	})
	return msg, err
}

// errTorn is returned by get if a part of an object is missing.
var errTorn = errors.New("scan: a part of a message is missing")

// get returns an object and the sequence number of its head.
func (s *store) get(ctx context.Context, subject string) (data []byte, seq uint64, err error) {
	for range 3 { // between the head and the parts, another object may replace them
		if data, seq, err = s.tryGet(ctx, subject); err != errTorn {
			break
		}
	}
	return data, seq, err
}

func (s *store) tryGet(ctx context.Context, subject string) (data []byte, seq uint64, err error) {
	msg, err := s.last(ctx, subject+".head")
	if err != nil {
		return nil, 0, err
	}
	h, err := decodeBlob(msg.Data)
	if err != nil || h.parts == 0 {
		return h.data, msg.Sequence, err
	}
	for n := range h.parts {
		part, err := s.last(ctx, s.partSubject(subject, h, n))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, 0, errTorn
		}
		if err != nil {
			return nil, 0, err
		}
		if data = append(data, part.Data...); uint64(len(data)) > h.length {
			return nil, 0, errForm
		}
	}
	if uint64(len(data)) != h.length {
		return nil, 0, errForm
	}
	return data, msg.Sequence, nil
}

// drop removes an object with its parts, also the parts of objects that were
// replaced.
func (s *store) drop(ctx context.Context, subject string) error {
	return s.purge(ctx, subject+".>")
}

func (s *store) purge(ctx context.Context, filter string, options ...jetstream.StreamPurgeOpt) error {
	return s.try(ctx, func(ctx context.Context) error {
		return s.stream.Purge(ctx, append(options, jetstream.WithPurgeSubject(filter))...)
	})
}

// subjects returns the subjects of the stream that match a filter.
func (s *store) subjects(ctx context.Context, filter string) (found map[string]uint64, err error) {
	err = s.try(ctx, func(ctx context.Context) error {
		info, err := s.stream.Info(ctx, jetstream.WithSubjectFilter(filter))
		if err == nil {
			found = info.State.Subjects
		}
		return err
	})
	return found, err
}

func newID() (n id) {
	_, _ = rand.Read(n[:]) // never fails
	return n
}

func (n id) String() string { return hex.EncodeToString(n[:]) }
