package metrics

// natsWorker are the statistics of a Worker of contrib/nats.
type natsWorker struct {
	Name                         string
	Handled, Retried, Dead, Held uint64
}

func natsWorkerFigures() []figure[natsWorker] {
	type S = natsWorker
	return []figure[S]{
		{row("redoubt.nats.worker.messages", counter, "{message}", "Messages, by result.", "result", []string{"handled", "retried", "dead"}), func(s S) values { return list(s.Handled, s.Retried, s.Dead) }},
		{row("redoubt.nats.worker.held", counter, "{refusal}", "Refusals by a guard.", "", nil), func(s S) values { return list(s.Held) }},
	}
}

// natsReader are the statistics of a Reader of contrib/nats.
type natsReader struct {
	Name                                   string
	Written, Duplicates, Malformed, Errors uint64
}

func natsReaderFigures() []figure[natsReader] {
	type S = natsReader
	return []figure[S]{
		{row("redoubt.nats.reader.written", counter, "{event}", "Events that the sink has stored.", "", nil), func(s S) values { return list(s.Written) }},
		{row("redoubt.nats.reader.duplicates", counter, "{event}", "Events that the sink contained already.", "", nil), func(s S) values { return list(s.Duplicates) }},
		{row("redoubt.nats.reader.malformed", counter, "{message}", "Messages that are not audit events.", "", nil), func(s S) values { return list(s.Malformed) }},
		{row("redoubt.nats.reader.errors", counter, "{error}", "Failed calls of the sink.", "", nil), func(s S) values { return list(s.Errors) }},
	}
}

// natsSink are the statistics of a Sink of contrib/nats.
type natsSink struct {
	Name                                                 string
	Stored, Failed, Uncertain, Duplicates, Resent, Moves uint64
	Pending                                              int
}

func natsSinkFigures() []figure[natsSink] {
	type S = natsSink
	return []figure[S]{
		{row("redoubt.nats.sink.events", counter, "{event}", "Events, by result.", "result", []string{"stored", "failed", "uncertain"}), func(s S) values { return list(s.Stored, s.Failed, s.Uncertain) }},
		{row("redoubt.nats.sink.duplicates", counter, "{event}", "Events that were stored before.", "", nil), func(s S) values { return list(s.Duplicates) }},
		{row("redoubt.nats.sink.resent", counter, "{event}", "Events that were sent again in the same call.", "", nil), func(s S) values { return list(s.Resent) }},
		{row("redoubt.nats.sink.moves", counter, "{move}", "Moves to another server.", "", nil), func(s S) values { return list(s.Moves) }},
		{row("redoubt.nats.sink.pending", sum, "{event}", "Events that were sent and not answered yet.", "", nil), func(s S) values { return list(s.Pending) }},
	}
}

// natsForgetter are the statistics of a Forgetter of contrib/nats.
type natsForgetter struct {
	Name                              string
	Sent, Received, Malformed, Clears uint64
}

func natsForgetterFigures() []figure[natsForgetter] {
	type S = natsForgetter
	return []figure[S]{
		{row("redoubt.nats.forgetter.sent", counter, "{message}", "Messages sent.", "", nil), func(s S) values { return list(s.Sent) }},
		{row("redoubt.nats.forgetter.received", counter, "{message}", "Messages of other processes.", "", nil), func(s S) values { return list(s.Received) }},
		{row("redoubt.nats.forgetter.malformed", counter, "{message}", "Received messages in another form.", "", nil), func(s S) values { return list(s.Malformed) }},
		{row("redoubt.nats.forgetter.clears", counter, "{clear}", "Times that all entries were removed, because news could be missing.", "", nil), func(s S) values { return list(s.Clears) }},
	}
}

// natsShipper are the statistics of a Shipper of contrib/nats/fleet.
type natsShipper struct {
	Name                                                                                    string
	Stored, StoredBytes, Duplicates, Repeated, Cut, CutBytes, Dropped, Blocked, InputErrors uint64
	InFlight, InFlightBytes                                                                 int64
}

func natsShipperFigures() []figure[natsShipper] {
	type S = natsShipper
	return []figure[S]{
		{row("redoubt.nats.shipper.stored_lines", counter, "{line}", "Lines that the stream has acknowledged.", "", nil), func(s S) values { return list(s.Stored) }},
		{row("redoubt.nats.shipper.stored", counter, "By", "Bytes of the stored lines.", "", nil), func(s S) values { return list(s.StoredBytes) }},
		{row("redoubt.nats.shipper.duplicates", counter, "{line}", "Stored lines that the stream contained already.", "", nil), func(s S) values { return list(s.Duplicates) }},
		{row("redoubt.nats.shipper.repeated", counter, "{line}", "Lines that were published again.", "", nil), func(s S) values { return list(s.Repeated) }},
		{row("redoubt.nats.shipper.cut_lines", counter, "{line}", "Lines that were cut because of their length.", "", nil), func(s S) values { return list(s.Cut) }},
		{row("redoubt.nats.shipper.cut", counter, "By", "Bytes that cut lines lost.", "", nil), func(s S) values { return list(s.CutBytes) }},
		{row("redoubt.nats.shipper.dropped", counter, "{line}", "Lines without room for any of their bytes.", "", nil), func(s S) values { return list(s.Dropped) }},
		{row("redoubt.nats.shipper.blocked", counter, "{block}", "Times that the stream stopped to accept lines.", "", nil), func(s S) values { return list(s.Blocked) }},
		{row("redoubt.nats.shipper.input_errors", counter, "{error}", "Errors of logs and their state.", "", nil), func(s S) values { return list(s.InputErrors) }},
		{row("redoubt.nats.shipper.in_flight_lines", sum, "{line}", "Lines without an acknowledgement.", "", nil), func(s S) values { return list(s.InFlight) }},
		{row("redoubt.nats.shipper.in_flight", sum, "By", "Approximate memory of these lines.", "", nil), func(s S) values { return list(s.InFlightBytes) }},
	}
}

// natsConsumer are the statistics of a Consumer of contrib/nats/fleet.
type natsConsumer struct {
	Name                                                                                                        string
	Handled, HandledBytes, Malformed, Foreign, Acquired, Released, Lost, Failed, Gaps, Snapshots, SnapshotBytes uint64
	Members, Partitions, Unread                                                                                 int64
}

func natsConsumerFigures() []figure[natsConsumer] {
	type S = natsConsumer
	return []figure[S]{
		{row("redoubt.nats.consumer.handled_records", counter, "{record}", "Records that were handled without an error.", "", nil), func(s S) values { return list(s.Handled) }},
		{row("redoubt.nats.consumer.handled", counter, "By", "Bytes of the handled lines.", "", nil), func(s S) values { return list(s.HandledBytes) }},
		{row("redoubt.nats.consumer.malformed", counter, "{line}", "Lines that the parser has refused.", "", nil), func(s S) values { return list(s.Malformed) }},
		{row("redoubt.nats.consumer.foreign", counter, "{record}", "Records of shippers with other partitions.", "", nil), func(s S) values { return list(s.Foreign) }},
		{row("redoubt.nats.consumer.partition_changes", counter, "{partition}", "Partitions that came or went. A lost partition may belong to another consumer.", "change", []string{"acquired", "released", "lost"}), func(s S) values { return list(s.Acquired, s.Released, s.Lost) }},
		{row("redoubt.nats.consumer.failed", counter, "{error}", "Errors.", "", nil), func(s S) values { return list(s.Failed) }},
		{row("redoubt.nats.consumer.gaps", counter, "{gap}", "Times that the stream has removed lines, perhaps unread.", "", nil), func(s S) values { return list(s.Gaps) }},
		{row("redoubt.nats.consumer.stored_snapshots", counter, "{snapshot}", "Snapshots stored.", "", nil), func(s S) values { return list(s.Snapshots) }},
		{row("redoubt.nats.consumer.snapshots", counter, "By", "Bytes of the stored snapshots.", "", nil), func(s S) values { return list(s.SnapshotBytes) }},
		{row("redoubt.nats.consumer.members", sum, "{consumer}", "Consumers of the group.", "", nil), func(s S) values { return list(s.Members) }},
		{row("redoubt.nats.consumer.partitions", sum, "{partition}", "Partitions that this consumer owns.", "", nil), func(s S) values { return list(s.Partitions) }},
		{row("redoubt.nats.consumer.unread", sum, "{line}", "Lines of these partitions that wait in the stream.", "", nil), func(s S) values { return list(s.Unread) }},
	}
}
