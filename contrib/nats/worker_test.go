package redoubtnats_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/breaker"
	redoubtnats "github.com/redoubt-go/redoubt/contrib/nats"
	"github.com/redoubt-go/redoubt/retry"
)

// jobs creates the streams JOBS and DEAD, and a consumer of JOBS.
func jobs(t testing.TB, js jetstream.JetStream, ackWait time.Duration) jetstream.Consumer {
	t.Helper()
	ctx := patient(t)
	for name, subject := range map[string]string{"JOBS": "jobs.>", "DEAD": "dead.>"} {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{subject}, AllowRollup: true})
		must(t, err)
	}
	c, err := js.CreateConsumer(ctx, "JOBS", jetstream.ConsumerConfig{Durable: "worker", AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait})
	must(t, err)
	return c
}

func publish(t testing.TB, js jetstream.JetStream, bodies ...string) {
	t.Helper()
	for _, b := range bodies {
		_, err := js.Publish(patient(t), "jobs.mail", []byte(b))
		must(t, err)
	}
}

// work runs a worker until a condition holds.
func work(t *testing.T, w *redoubtnats.Worker, c jetstream.Consumer, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- w.Run(ctx, c) }()
	eventually(t, what, func() bool {
		select {
		case err := <-result:
			t.Fatal(err)
		default:
		}
		return ok()
	})
	cancel()
	checkIs(t, <-result, context.Canceled)
}

// pendingAcks returns the number of messages that are not settled.
func pendingAcks(t testing.TB, c jetstream.Consumer) int {
	t.Helper()
	info, err := c.Info(patient(t))
	must(t, err)
	return info.NumAckPending + int(info.NumPending)
}

func TestWorkerSettlesByThePolicy(t *testing.T) {
	noLeak(t)
	_, _, js := single(t)
	c := jobs(t, js, time.Minute)
	var mu sync.Mutex
	calls := map[string]int{}
	var reported []string
	busy := errors.New("busy")
	w := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Name: "mail",
		Handle: func(_ context.Context, msg jetstream.Msg) error {
			mu.Lock()
			defer mu.Unlock()
			body := string(msg.Data())
			calls[body]++
			switch {
			case body == "bad":
				return retry.Permanent(errors.New("no such address"))
			case body == "flaky" && calls[body] < 3:
				return busy
			case body == "hopeless":
				return busy
			}
			return nil
		},
		Policy:     retry.Policy{MaxAttempts: 4, Backoff: retry.Constant(10 * time.Millisecond)},
		DeadLetter: redoubtnats.DeadLetters(js, "dead.mail"),
		Parallel:   3,
		OnEvent: func(_ context.Context, e redoubtnats.WorkerEvent) {
			mu.Lock()
			defer mu.Unlock()
			reported = append(reported, fmt.Sprintf("%v %s %d %d %v", e.Kind, e.Name, e.Sequence, e.Attempt, e.Delay))
		},
	})
	_, err := js.PublishMsg(patient(t), &nats.Msg{Subject: "jobs.mail", Data: []byte("bad"), Header: nats.Header{
		"X-User": {"alice"}, jetstream.MsgRollup: {jetstream.MsgRollupAll},
	}})
	must(t, err)
	publish(t, js, "fine", "flaky", "hopeless")
	work(t, w, c, "all settled", func() bool { s := w.Stats(); return s.Handled+s.Dead == 4 })
	eventually(t, "no message is left", func() bool { return pendingAcks(t, c) == 0 })
	checkEqual(t, calls, map[string]int{"fine": 1, "flaky": 3, "bad": 1, "hopeless": 4})
	checkEqual(t, w.Stats(), redoubtnats.WorkerStats{Name: "mail", Handled: 2, Retried: 5, Dead: 2})
	checkEqual(t, sorted(reported), sorted([]string{
		"dead mail 1 1 0s", "retry mail 3 1 10ms", "retry mail 3 2 10ms",
		"retry mail 4 1 10ms", "retry mail 4 2 10ms", "retry mail 4 3 10ms", "dead mail 4 4 0s",
	}))
	dead, err := js.Stream(patient(t), "DEAD")
	must(t, err)
	checkEqual(t, dead.CachedInfo().State.Msgs, uint64(2))
	first, err := dead.GetMsg(patient(t), 1)
	must(t, err)
	checkEqual(t, string(first.Data), "bad")
	for k, want := range map[string]string{
		"X-User": "alice", "Redoubt-Subject": "jobs.mail", "Redoubt-Stream": "JOBS", "Redoubt-Sequence": "1", "Redoubt-Attempts": "1",
		"Redoubt-Reason": `"retry: not retryable after 1 attempt: no such address"`, "Nats-Rollup": "",
	} {
		checkEqual(t, k+": "+first.Header.Get(k), k+": "+want)
	}
}

// While a breaker is open, no message is taken and no attempt is lost.
func TestWorkerPausesWhileTheBreakerIsOpen(t *testing.T) {
	_, _, js := single(t)
	c := jobs(t, js, time.Minute)
	b := breaker.New(breaker.Config{Name: "smtp", OpenFor: 50 * time.Millisecond, Jitter: -1})
	var down atomic.Bool
	var calls atomic.Int64
	down.Store(true)
	w := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Handle: func(ctx context.Context, _ jetstream.Msg) error {
			calls.Add(1)
			return b.Do(ctx, func(context.Context) error {
				if down.Load() {
					return errors.New("refused")
				}
				return nil
			})
		},
		Policy:     retry.Policy{MaxAttempts: 100, Backoff: retry.Constant(0)},
		DeadLetter: redoubtnats.DeadLetters(js, "dead.mail"), Breaker: b,
	})
	b.ForceOpen()
	publish(t, js, numbered("m", 10)...)
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- w.Run(ctx, c) }()
	time.Sleep(100 * time.Millisecond)
	info, err := c.Info(patient(t))
	must(t, err)
	checkEqual(t, info.Delivered.Consumer, uint64(0))
	b.Reset()
	eventually(t, "the breaker opens by itself", func() bool { return b.Stats().Openings > 0 })
	down.Store(false)
	eventually(t, "all are handled", func() bool { return w.Stats().Handled == 10 })
	cancel()
	checkIs(t, <-result, context.Canceled)
	checkEqual(t, w.Stats().Dead, uint64(0))
}

// A refusal by a guard costs no delivery: a policy of one attempt still handles
// the message.
func TestRefusalsCostNoAttempt(t *testing.T) {
	_, _, js := single(t)
	c := jobs(t, js, time.Minute)
	var calls atomic.Int64
	w := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Handle: func(context.Context, jetstream.Msg) error {
			if calls.Add(1) <= 5 {
				return refusal{}
			}
			return nil
		},
		Policy: retry.Policy{MaxAttempts: 1}, DeadLetter: redoubtnats.DeadLetters(js, "dead.mail"),
	})
	publish(t, js, "a")
	work(t, w, c, "it is handled", func() bool { return w.Stats().Handled == 1 })
	checkEqual(t, w.Stats(), redoubtnats.WorkerStats{Handled: 1, Held: 5})
	info, err := c.Info(patient(t))
	must(t, err)
	checkEqual(t, info.Delivered.Consumer, uint64(1))
}

type refusal struct{}

func (refusal) Error() string             { return "refused" }
func (refusal) Rejected() bool            { return true }
func (refusal) RetryAfter() time.Duration { return 100 * time.Millisecond }

func TestLongWorkIsNotDeliveredTwice(t *testing.T) {
	_, _, js := single(t)
	c := jobs(t, js, 4*time.Second)
	var calls atomic.Int64
	w := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Handle: func(context.Context, jetstream.Msg) error {
			calls.Add(1)
			time.Sleep(9 * time.Second)
			return nil
		},
		DeadLetter: redoubtnats.DeadLetters(js, "dead.mail"), Parallel: 2,
	})
	publish(t, js, "a")
	work(t, w, c, "it is handled", func() bool { return w.Stats().Handled == 1 })
	checkEqual(t, calls.Load(), int64(1))
}

// If ctx ends, the message goes back at once, and the attempt of another worker
// is not late.
func TestStoppedWorkerReturnsItsMessage(t *testing.T) {
	noLeak(t)
	_, _, js := single(t)
	c := jobs(t, js, time.Hour)
	started := make(chan struct{}, 10)
	slow := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Handle: func(ctx context.Context, _ jetstream.Msg) error {
			started <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		},
		DeadLetter: redoubtnats.DeadLetters(js, "dead.mail"), Policy: retry.Policy{MaxAttempts: 1},
	})
	publish(t, js, "a")
	work(t, slow, c, "it starts", func() bool { return len(started) == 1 })
	checkEqual(t, slow.Stats(), redoubtnats.WorkerStats{})
	quick := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Handle:     func(context.Context, jetstream.Msg) error { return nil },
		DeadLetter: redoubtnats.DeadLetters(js, "dead.mail"),
	})
	work(t, quick, c, "it is handled", func() bool { return quick.Stats().Handled == 1 })
}

func TestLostDeadLetterIsTriedAgain(t *testing.T) {
	_, _, js := single(t)
	c := jobs(t, js, time.Minute)
	var tries atomic.Int64
	w := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Handle: func(context.Context, jetstream.Msg) error { return errors.New("busy") },
		Policy: retry.Policy{MaxAttempts: 1},
		DeadLetter: func(ctx context.Context, msg jetstream.Msg, reason error) error {
			if tries.Add(1) == 1 {
				return errors.New("no space")
			}
			return redoubtnats.DeadLetters(js, "dead.mail")(ctx, msg, reason)
		},
	})
	publish(t, js, "a")
	work(t, w, c, "it is dead", func() bool { return w.Stats().Dead == 1 })
	checkEqual(t, w.Stats(), redoubtnats.WorkerStats{Dead: 1, Retried: 1})
}

// A stream that was deleted and created again uses its numbers again.
func TestDeadLettersOfAStreamThatWasCreatedAgain(t *testing.T) {
	_, _, js := single(t)
	c := jobs(t, js, time.Minute)
	w := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Handle:     func(context.Context, jetstream.Msg) error { return nil },
		DeadLetter: redoubtnats.DeadLetters(js, "dead.mail"),
	})
	kill := func(c jetstream.Consumer) {
		t.Helper()
		msg, err := c.Next(jetstream.FetchContext(patient(t)))
		must(t, err)
		must(t, w.Settle(patient(t), msg, retry.Permanent(errors.New("bad"))))
	}
	publish(t, js, "a")
	kill(c)
	must(t, js.DeleteStream(patient(t), "JOBS"))
	_, err := js.CreateStream(patient(t), jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}})
	must(t, err)
	c, err = js.CreateConsumer(patient(t), "JOBS", jetstream.ConsumerConfig{Durable: "worker", AckPolicy: jetstream.AckExplicitPolicy})
	must(t, err)
	publish(t, js, "b")
	kill(c)
	dead, err := js.Stream(patient(t), "DEAD")
	must(t, err)
	checkEqual(t, dead.CachedInfo().State.Msgs, uint64(2))
}

func TestSettleReturnsTheErrorOfTheDeadLetter(t *testing.T) {
	_, _, js := single(t)
	c := jobs(t, js, time.Minute)
	full := errors.New("no space")
	w := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Handle:     func(context.Context, jetstream.Msg) error { return nil },
		DeadLetter: func(context.Context, jetstream.Msg, error) error { return full },
	})
	publish(t, js, "a")
	msg, err := c.Next(jetstream.FetchContext(patient(t)))
	must(t, err)
	err = w.Settle(patient(t), msg, retry.Permanent(errors.New("bad")))
	checkIs(t, err, full, retry.ErrPermanent)
}

// A refusal that will never become an admission is an error like any other.
func TestSettleOfRefusals(t *testing.T) {
	_, _, js := single(t)
	c := jobs(t, js, time.Minute)
	var events []redoubtnats.WorkerEvent
	w := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Handle:     func(context.Context, jetstream.Msg) error { return nil },
		Policy:     retry.Policy{MaxAttempts: 1},
		DeadLetter: redoubtnats.DeadLetters(js, "dead.mail"),
		OnEvent:    func(_ context.Context, e redoubtnats.WorkerEvent) { events = append(events, e) },
	})
	publish(t, js, "a", "b")
	for i, err := range []error{refusal{}, never{}} {
		msg, bad := c.Next(jetstream.FetchContext(patient(t)))
		must(t, bad)
		must(t, w.Settle(patient(t), msg, err))
		checkEqual(t, events[i].Kind, []redoubtnats.WorkerKind{redoubtnats.WorkerKindRetry, redoubtnats.WorkerKindDead}[i])
	}
	checkEqual(t, events[0].Delay, time.Second)
	checkEqual(t, fmt.Sprint(events[0].LogValue()), "[kind=retry name= sequence=1 attempt=1 delay=1s err=refused]")
	checkEqual(t, fmt.Sprint(redoubtnats.WorkerKindHeld, redoubtnats.WorkerKind(9)), "held WorkerKind(9)")
}

type never struct{ refusal }

func (never) Retryable() bool { return false }

func TestWorkerOfADeletedConsumer(t *testing.T) {
	noLeak(t)
	_, nc, js := single(t)
	c := jobs(t, js, time.Minute)
	w := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Name: "mail", Handle: func(context.Context, jetstream.Msg) error { return nil }, DeadLetter: redoubtnats.DeadLetters(js, "dead.mail"), Parallel: 2,
	})
	result := make(chan error, 1)
	go func() { result <- w.Run(context.Background(), c) }()
	time.Sleep(50 * time.Millisecond)
	must(t, js.DeleteConsumer(patient(t), "JOBS", "worker"))
	err := <-result
	checkText(t, err, "nats: worker mail: ")
	if !errors.Is(err, jetstream.ErrConsumerDeleted) && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		t.Errorf("error %v, want that the consumer is deleted", err)
	}
	nc.Close()
	checkIs(t, w.Run(context.Background(), c), nats.ErrConnectionClosed)
}

func TestHandleThatEndsItsGoroutine(t *testing.T) {
	_, _, js := single(t)
	c := jobs(t, js, time.Minute)
	w := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Handle:     func(context.Context, jetstream.Msg) error { runtime.Goexit(); return nil },
		DeadLetter: redoubtnats.DeadLetters(js, "dead.mail"), Parallel: 2,
	})
	publish(t, js, "a")
	checkText(t, w.Run(patient(t), c), "Handle called runtime.Goexit")
}

func TestConsumersThatLoseMessagesAreRefused(t *testing.T) {
	_, _, js := single(t)
	jobs(t, js, time.Minute)
	w := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Handle: func(context.Context, jetstream.Msg) error { return nil }, DeadLetter: redoubtnats.DeadLetters(js, "dead.mail"),
	})
	for want, config := range map[string]jetstream.ConsumerConfig{
		"AckPolicy is AckNone":     {Durable: "a", AckPolicy: jetstream.AckNonePolicy},
		"MaxDeliver is 3, want -1": {Durable: "b", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 3},
		"nats: consumer c: Ack":    {Durable: "c", AckPolicy: jetstream.AckAllPolicy},
	} {
		c, err := js.CreateConsumer(patient(t), "JOBS", config)
		must(t, err)
		checkText(t, w.Run(patient(t), c), want)
	}
}

func TestWorkerConfigReportsEveryProblem(t *testing.T) {
	err := redoubtnats.WorkerConfig{Parallel: -1, Policy: retry.Policy{Backoff: retry.Exponential{Factor: -1}}}.Validate()
	checkText(t, err, "nats: worker: Handle is missing", "DeadLetter is missing", "Parallel is -1, want at least 0", "Policy: retry: ")
	defer func() { checkText(t, recover().(error), "Handle is missing") }()
	redoubtnats.NewWorker(redoubtnats.WorkerConfig{})
}
