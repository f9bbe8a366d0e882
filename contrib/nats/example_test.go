package redoubtnats_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	redoubtnats "github.com/redoubt-go/redoubt/contrib/nats"
	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
	"github.com/redoubt-go/redoubt/retry"
)

// connect starts a server for an example.
func connect() (*nats.Conn, jetstream.JetStream, func()) {
	t := natstest.Example()
	nc := natstest.Start(t, natstest.Config{}).Client(t)
	js, err := jetstream.New(nc)
	if err != nil {
		panic(err)
	}
	return nc, js, t.Close
}

// development is an AuditStream on a single server.
func development() jetstream.StreamConfig {
	c := redoubtnats.AuditStream("AUDIT", "audit.>")
	c.Replicas = 1
	return c
}

var event1 = audit.Event{ID: "e-1", Action: "order.refund", Outcome: audit.Success}

func Example() {
	_, js, stop := connect()
	defer stop()
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "alice"})

	stream := redoubtnats.AuditStream("AUDIT", "audit.>")
	stream.Replicas = 1 // a single server
	if _, err := js.CreateStream(ctx, stream); err != nil {
		fmt.Println(err)
	}

	config := redoubtnats.SinkConfig{
		JetStream: js, Stream: "AUDIT", Subject: "audit.billing", Replicas: 1,
	}
	sink, err := redoubtnats.OpenSink(ctx, config)
	log := audit.New(audit.Config{Sink: sink})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sink.Close()
	for range 2 { // the second is recognized by its ID
		fmt.Println(log.Record(ctx, event1))
	}
	fmt.Printf("%+v\n", sink.Stats())
	// Output:
	// <nil>
	// <nil>
	// {Name: Stored:2 Failed:0 Uncertain:0 Duplicates:1 Resent:0 Moves:0 Pending:0}
}

// On a cluster of three.
func ExampleOpenSink_cluster() {
	run := func(ctx context.Context, js jetstream.JetStream) (*audit.Log, error) {
		stream := redoubtnats.AuditStream("AUDIT", "audit.>")
		_, err := js.CreateStream(ctx, stream)
		if err != nil {
			return nil, err
		}

		config := redoubtnats.SinkConfig{
			JetStream: js, Stream: "AUDIT", Subject: "audit.billing",
		}
		sink, err := redoubtnats.OpenSink(ctx, config)
		log := audit.New(audit.Config{Sink: sink})
		return log, err
	}
	_ = run
	// Output:
}

func ExampleAuditStream() {
	c := redoubtnats.AuditStream("AUDIT", "audit.>")
	c.MaxBytes = 100 << 30
	fmt.Println(c.Replicas, c.Storage, c.Discard, c.Duplicates, c.DenyDelete)
	// Output: 3 File DiscardNew 10m0s true
}

func ExampleOpenSink() {
	_, js, stop := connect()
	defer stop()
	ctx := context.Background()
	_, _ = js.CreateStream(ctx, development())
	_, err := redoubtnats.OpenSink(ctx, redoubtnats.SinkConfig{
		JetStream: js, Stream: "AUDIT", Subject: "audit.billing",
	})
	fmt.Println(errors.Is(err, redoubtnats.ErrWeak))
	fmt.Println(err)
	// Output:
	// true
	// nats: stream is too weak for audit events:
	// nats: stream AUDIT: Replicas is 1, want at least 3
}

func ExampleSinkConfig_Validate() {
	fmt.Println(redoubtnats.SinkConfig{Subject: "audit.*"}.Validate())
	// Output:
	// nats: sink: JetStream is missing
	// nats: sink: Stream is missing
	// nats: sink: Subject is "audit.*", want words between dots
}

func ExampleSink_WriteEvents() {
	_, js, stop := connect()
	defer stop()
	ctx := context.Background()
	_, _ = js.CreateStream(ctx, development())
	sink, _ := redoubtnats.OpenSink(ctx, redoubtnats.SinkConfig{
		Name: "billing", JetStream: js, Stream: "AUDIT", Subject: "audit.billing", Replicas: 1, Timeout: time.Second,
	})
	defer sink.Close()
	fmt.Println(sink.WriteEvents(ctx, []*audit.Event{&event1}), sink.Check(ctx))
	_ = js.DeleteStream(ctx, "AUDIT")
	err := sink.WriteEvents(ctx, []*audit.Event{&event1})
	fmt.Println(errors.Is(err, audit.ErrFailed))
	fmt.Println(err)
	// Output:
	// <nil> <nil>
	// true
	// nats: sink billing: event not recorded: no acknowledgement: context deadline exceeded: no server leads the stream
}

func ExampleReader() {
	_, js, stop := connect()
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, _ = js.CreateStream(ctx, development())
	sink, _ := redoubtnats.OpenSink(ctx, redoubtnats.SinkConfig{JetStream: js, Stream: "AUDIT", Subject: "audit.billing", Replicas: 1})
	defer sink.Close()
	_ = sink.WriteEvents(ctx, []*audit.Event{&event1})

	dir, _ := os.MkdirTemp("", "ledger")
	defer os.RemoveAll(dir)
	led, err := ledger.Open(ctx, dir, ledger.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer led.Close()
	reader := redoubtnats.NewReader(redoubtnats.ReaderConfig{
		JetStream: js, Stream: "AUDIT", Durable: "ledger",
		Sink: led, Recent: redoubtnats.LedgerRecent(led, dir),
	})
	go func() {
		for reader.Stats().Written < 1 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	err = reader.Run(ctx)
	fmt.Println(err)
	ids, err := redoubtnats.LedgerRecent(led, dir)(context.Background(), 10)
	fmt.Println(ids, err)
	// Output:
	// nats: reader: context canceled
	// [e-1] <nil>
}

func ExampleReaderConfig_Validate() {
	fmt.Println(redoubtnats.ReaderConfig{Stream: "AUDIT", Durable: "ledger"}.Validate())
	// Output:
	// nats: reader: JetStream is missing
	// nats: reader: Sink is missing
}

func ExampleReaderEvent() {
	e := redoubtnats.ReaderEvent{Kind: redoubtnats.ReaderKindMalformed, Name: "copy", Sequence: 7}
	fmt.Println(e.LogValue())
	// Output: [kind=malformed name=copy sequence=7 err=<nil>]
}

type person struct{ Team string }

func ExampleForgetter() {
	nc, _, stop := connect()
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	users := cache.New(cache.Config[string, person]{Capacity: 100})
	teams := func(p person) []string { return []string{"team:" + p.Team} }

	news := redoubtnats.NewForgetter(redoubtnats.ForgetterConfig{
		Conn: nc, Subject: "forget.users",
	})
	ended := make(chan error, 1)
	forget := redoubtnats.Forget(users, teams)
	go func() { ended <- news.Listen(ctx, forget) }()
	for news.Stats().Clears < 2 { // at the start
		time.Sleep(time.Millisecond)
	}
	users.Set("alice", person{"red"})
	users.Set("bob", person{"blue"})

	// Another process.
	other := redoubtnats.NewForgetter(redoubtnats.ForgetterConfig{Conn: nc, Subject: "forget.users"})
	err := other.Announce(ctx, redoubtnats.News{Tags: []string{"team:red"}})
	for news.Stats().Received < 1 || users.Len() > 1 {
		time.Sleep(time.Millisecond)
	}
	_, found := users.Get("bob")
	fmt.Println(err, users.Len(), found)
	cancel()
	fmt.Println(<-ended)
	// Output:
	// <nil> 1 true
	// nats: forgetter: context canceled
}

func ExampleForgetterConfig_Validate() {
	fmt.Println(redoubtnats.ForgetterConfig{Subject: "forget.users"}.Validate())
	// Output: nats: forgetter: Conn is missing
}

func ExampleWorker() {
	_, js, stop := connect()
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, _ = js.CreateStream(ctx, jetstream.StreamConfig{Name: "MAIL", Subjects: []string{"mail"}, Retention: jetstream.WorkQueuePolicy})
	_, _ = js.CreateStream(ctx, jetstream.StreamConfig{Name: "DEAD", Subjects: []string{"dead.>"}})
	consumer, err := js.CreateConsumer(ctx, "MAIL", jetstream.ConsumerConfig{Durable: "sender", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, body := range []string{"hello", "hello again", "to nowhere"} {
		_, _ = js.Publish(ctx, "mail", []byte(body))
	}

	smtp := breaker.New(breaker.Config{Name: "smtp"})
	send := func(ctx context.Context, msg jetstream.Msg) error {
		return smtp.Do(ctx, func(context.Context) error {
			if string(msg.Data()) == "to nowhere" {
				return retry.Permanent(errors.New("no such address"))
			}
			return nil
		})
	}
	worker := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Handle: send, Policy: retry.Policy{MaxAttempts: 5}, Breaker: smtp,
		DeadLetter: redoubtnats.DeadLetters(js, "dead.mail"),
	})
	go func() {
		for s := worker.Stats(); s.Handled+s.Dead < 3; s = worker.Stats() {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	err = worker.Run(ctx, consumer)
	fmt.Println(err)
	fmt.Printf("%+v\n", worker.Stats())
	// Output:
	// nats: worker: context canceled
	// {Name: Handled:2 Retried:0 Dead:1 Held:0}
}

func ExampleWorker_Settle() {
	_, js, stop := connect()
	defer stop()
	ctx := context.Background()
	_, _ = js.CreateStream(ctx, jetstream.StreamConfig{Name: "MAIL", Subjects: []string{"mail"}})
	consumer, _ := js.CreateConsumer(ctx, "MAIL", jetstream.ConsumerConfig{Durable: "sender", AckPolicy: jetstream.AckExplicitPolicy})
	_, _ = js.Publish(ctx, "mail", []byte("hello"))
	settle := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
		Handle:     func(context.Context, jetstream.Msg) error { return nil }, // used by Run only
		Policy:     retry.Policy{Backoff: retry.Constant(time.Minute)},
		DeadLetter: redoubtnats.DeadLetters(js, "dead.mail"),
	})

	msg, _ := consumer.Next()
	err := settle.Settle(ctx, msg, errors.New("busy")) // delivered again in a minute
	fmt.Printf("%v %+v\n", err, settle.Stats())
	// Output: <nil> {Name: Handled:0 Retried:1 Dead:0 Held:0}
}

func ExampleWorkerConfig_Validate() {
	fmt.Println(redoubtnats.WorkerConfig{Parallel: 2}.Validate())
	// Output:
	// nats: worker: Handle is missing
	// nats: worker: DeadLetter is missing
}

func ExampleWorkerEvent() {
	e := redoubtnats.WorkerEvent{Kind: redoubtnats.WorkerKindRetry, Name: "mail", Sequence: 7, Attempt: 2, Delay: time.Second, Err: errors.New("busy")}
	fmt.Println(e.LogValue())
	// Output: [kind=retry name=mail sequence=7 attempt=2 delay=1s err=busy]
}
