// Package redoubtnats connects redoubt to NATS and JetStream: an audit trail on
// a majority of servers, invalidation messages for caches, and consumers that
// retry.
//
// A ledger on the disk of a machine is lost with the machine. A stream of
// JetStream keeps each event on three. The package uses the streams, consumers
// and subjects of NATS, and the policies of this library. It works with servers
// of version 2.9 and newer. Store evidence on a current version: in the drill
// of README.md, version 2.9.10 lost events.
//
// # Store audit events on a majority of servers
//
// A [Sink] is an [audit.Sink]. A nil error means that a majority of the
// replicas of the stream have the event. [OpenSink] refuses a stream that could
// lose it.
//
//	stream := redoubtnats.AuditStream("AUDIT", "audit.>")
//	_, err := js.CreateStream(ctx, stream)
//
// Each subject of the stream is an audit trail:
//
//	config := redoubtnats.SinkConfig{
//		JetStream: js, Stream: "AUDIT", Subject: "audit.billing",
//	}
//	sink, err := redoubtnats.OpenSink(ctx, config)
//	log := audit.New(audit.Config{Sink: sink})
//
// # Copy the events into a ledger
//
// A [Reader] writes the events of a stream to any other sink, such as a ledger
// or a SIEM. With [LedgerRecent], each event is written once.
// [Reader.Run] reads until its context is done.
//
//	reader := redoubtnats.NewReader(redoubtnats.ReaderConfig{
//		JetStream: js, Stream: "AUDIT", Durable: "ledger",
//		Sink: led, Recent: redoubtnats.LedgerRecent(led, dir),
//	})
//
// # Forget in all processes
//
// A [Forgetter] uses core NATS, which stores nothing. While news could have
// been missed, it clears the cache.
//
//	news := redoubtnats.NewForgetter(redoubtnats.ForgetterConfig{
//		Conn: nc, Subject: "forget.users",
//	})
//	ended := make(chan error, 1)
//	forget := redoubtnats.Forget(users, teams)
//	go func() { ended <- news.Listen(ctx, forget) }()
//
// After a change at the origin:
//
//	err := other.Announce(ctx, redoubtnats.News{Tags: []string{"team:red"}})
//
// # Retry messages
//
// A [Worker] decides by a [retry.Policy] whether a message is delivered again.
// [Worker.Run] takes no message while a circuit breaker is open.
//
//	worker := redoubtnats.NewWorker(redoubtnats.WorkerConfig{
//		Handle: send, Policy: retry.Policy{MaxAttempts: 5}, Breaker: smtp,
//		DeadLetter: redoubtnats.DeadLetters(js, "dead.mail"),
//	})
//
// # Choosing values
//
//   - sync_interval of the servers: "always", if an event must survive a power
//     cut of all servers at once. By default, servers write to the page cache
//     and sync later. That survives the end of any process, and the loss of a
//     minority of the machines.
//   - The Duplicates window of the stream: longer than any pause after which a
//     program sends an event again. After the window, an event that is sent
//     again is stored twice; a Reader recognizes it among its last IDs.
//   - [SinkConfig.Timeout]: after kill -9 of a leader, servers elect another
//     within 4 to 9 seconds. The timeout of the [audit.Log] should be longer
//     too.
//   - [SinkConfig.MoveAfter]: set it if the connection serves only the sink.
//   - nats.MaxReconnects(-1), so that a connection is not closed after an
//     outage.
//
// # Errors
//
// The errors of a Sink match [audit.ErrFailed] if no event was stored, and
// [audit.ErrUncertain] if no answer came in time. [ErrWeak] means that a stream
// could lose events. The errors of the client are wrapped.
//
// # Concurrency and cost
//
// All types are safe for concurrent use. A Sink has one subscription. The other
// goroutines end with Run and Listen. An event costs a message with its
// acknowledgement.
//
// Costs, formats and sources: README.md.
package redoubtnats
