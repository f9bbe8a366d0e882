// Package fleet ships the logs of many machines to a NATS JetStream stream, as
// Filebeat does, and detects excess in them with a consumer group: partitions,
// leases and snapshots.
//
// A detector of package detect must see all events of a key, in one process. A
// [Shipper] therefore computes the partition of each line from its key. Each
// partition belongs to one [Consumer] at a time. If consumers come, go or die,
// partitions move with the state of their detectors.
//
// # Create the stream and the bucket
//
// The stream stores the lines, the bucket the leases and the snapshots. Lines
// that are shipped twice within Duplicates are stored once.
//
//	_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
//		Name: "LOGS", Subjects: []string{"logs.*"}, Replicas: replicas,
//		Duplicates: 10 * time.Minute, MaxAge: 7 * 24 * time.Hour,
//	})
//	if err != nil {
//		return err
//	}
//	_, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
//		Bucket: "detect", Replicas: replicas,
//	})
//
// # Ship the logs of a machine
//
//	s := fleet.NewShipper(fleet.ShipperConfig{
//		Conn: conn, Prefix: "logs", Partitions: 16, Host: host,
//		Key: func(r *logscan.Record) []byte { return r.Get("addr") },
//	})
//	err := s.Ship(ctx, follow.Dir{
//		Follower: follow.Follower{Scanner: logscan.Scanner{Parser: parser}},
//		Match:    []string{dir}, State: state,
//	})
//
// # Detect in every machine that helps
//
// An alert may be raised again after a failure. Its record then has the same
// ID, which the receiver can use to drop it.
//
//	type window = *detect.Window[string]
//	c := fleet.NewConsumer(fleet.ConsumerConfig[window]{
//		JetStream: js, Stream: "LOGS", Bucket: "detect",
//		Prefix: "logs", Partitions: 16,
//		Parser: parser,
//		New:    func(int) window { return detect.NewWindow[string](limit) },
//		Handle: func(ctx context.Context, w window, r fleet.Record) error {
//			addr := string(r.Get("addr"))
//			if alert, ok := w.Observe(r.Time(), addr, 1, r.Line); ok {
//				return send(ctx, r.ID, alert)
//			}
//			return nil
//		},
//	})
//	err := c.Run(ctx)
//
// # Guarantees
//
//   - A line is not lost: the place in a log is saved after the stream has
//     acknowledged every line before it. A line that is too long for the
//     server is cut, counted and reported.
//   - A line is stored once, if a Shipper that was killed or cut off continues
//     within the Duplicates of the stream. Later, two kinds of lines may be
//     stored again: the unacknowledged lines, at most MaxInFlight, and the
//     lines of the last seconds before the kill, whose place was not saved. In
//     both cases the [Record] has the same ID. The lines of a file that was
//     compressed or copied to another file system in the meantime may be
//     stored again with another ID.
//   - The lines of a partition are stored in the order of each log. If the
//     server fails, lines in flight may be stored after later lines. Detectors
//     allow for this: see MaxSkew of detect.Config.
//   - A file that was truncated is not distinguished from its former self where
//     it has the same line at the same offset, and the same first line. If both
//     lines are shipped within Duplicates, the second is not stored.
//   - The state of a partition contains each stored line exactly once: a
//     snapshot and its place in the stream are stored in one step. Handle may
//     be called again for lines after the latest snapshot, with the state as it
//     was before.
//   - A process that was paused or cut off cannot overwrite the snapshot of its
//     successor. It may still call Handle until it finds out.
//   - A stream that loses acknowledged lines itself, such as a single replica
//     after a power failure, is a [KindFailed] until it has grown to its former
//     length. Its new lines up to there are not handled.
//
// # Choosing values
//
//   - Partitions: several times the number of consumers that you will ever
//     need. It must be equal everywhere. To change it, use another Prefix.
//   - Key: the key of the detector. The lines of a key that an attacker floods
//     are the work of one consumer.
//   - Stream: its Duplicates should exceed the restart of a machine, and its
//     MaxAge or MaxBytes the longest outage of the consumers. Lines that it
//     removes unread are a [KindGap].
//   - Lease: the time after which the partitions of a dead consumer move.
//   - Group: consumers with another detector, or with another detect.Config,
//     need a Group of their own. They begin with the oldest line.
//
// # Errors
//
// [NewShipper] and [NewConsumer] panic with the error of Validate. Outages of
// the server and errors of logs and of Handle are events: Ship and Run go on.
// They return when ctx is done, when the connection is closed, or if the State
// of the logs cannot be read.
//
// # Concurrency and cost
//
// The types may be used concurrently. A Shipper has a goroutine while it ships.
// A Consumer has a goroutine for each of its partitions while it runs.
//
// Costs, formats and sources: README.md of contrib/nats.
package fleet
