// Package audit writes an audit trail and redacts secrets. It records every
// operation, its actor and its object before the operation is performed.
//
// An audit trail is evidence, so nothing may happen without a record. The event
// is recorded first. If it cannot be recorded, the operation is not performed.
// The actor comes from the context of the request. Sensitive values are masked
// in events, logs and errors. Denied operations are recorded too.
//
// # Audit the attributes of an object
//
// An [Attribute] describes an attribute. A [Field] is that attribute of an
// object, and records every read and change:
//
//	apiKey := audit.Attribute[string]{
//		Name: "api_key", Sensitive: true, Check: audit.Length(8, 64),
//	}
//	log := audit.New(audit.Config{Sink: sink})
//	key := apiKey.Of(log.Object("user", "u-1"))
//	ctx = audit.WithActor(ctx, audit.Actor{ID: "alice"})
//	err := key.Set(ctx, "sk_live_abc123") // recorded, then applied
//
// Package audit/diff records the differences between two plain structs.
//
// # Guard an operation
//
// A [Guard] checks a permission and records the attempt and its result:
//
//	guard := audit.Guard{Log: log, Action: "order.refund"}
//	guarded := audit.WrapArg(guard, refund)
//	receipt, err := guarded(ctx, "o-17")
//
// If the result of the work cannot be recorded, the error matches
// [ErrUnrecorded] and is not retryable, so that a retry around the Guard does
// not do the work twice. Package audit/audithttp guards the requests of an HTTP
// server.
//
// # Redact secrets in a configuration
//
// A [Secret] prints as "***" in fmt, slog and encoders:
//
//	var c struct {
//		Token audit.Secret[string] `json:"token"`
//	}
//	_ = json.Unmarshal([]byte(`{"token":"hunter2"}`), &c)
//
// # Choose a sink
//
// A [Sink] stores the events: [JSON], [Slog], a [SinkFunc], or the
// tamper-evident file of package audit/ledger. A [Buffer] writes in the
// background, and a [Quorum] writes to several sinks. Here the first sink must
// store every event, and the other receives copies if it can:
//
//	both := audit.NewQuorum(audit.QuorumConfig{
//		Members: []audit.Member{
//			{Sink: sink},
//			{Sink: remote, BestEffort: true, Filter: important},
//		},
//	})
//	log := audit.New(audit.Config{Sink: both})
//
// Package audit/siem sends events to security monitoring (syslog, HTTP, OTLP),
// and audit/audittest tests other sinks. Package audit/redact masks the records
// of log/slog.
//
// # Choosing values
//
//   - [Config.AllowAnonymous]: leave it off. Give background jobs an actor with
//     [WithActor].
//   - [Config.Timeout]: the time by which one write may delay a request. A
//     change of a field also waits for the changes before it, until its context
//     ends. Without a record, the request fails.
//   - [Attribute.Sensitive]: set it if in doubt. Do not mask short values
//     partially, because they can be guessed.
//   - [Attribute.Token]: set it to find equal values, such as account numbers.
//     Do not use it for values from a small set if readers of the log can
//     create tokens.
//   - [Buffer]: only if events may be lost with the process.
//   - [Event.Reason] and [Event.Attrs] are not masked. Put no secrets into
//     them.
//   - The actor always comes from the context. The actor in an [Event] that was
//     decoded from a request does not count.
//
// # Errors
//
// [ErrFailed] means that the event was not recorded, [ErrUncertain] that it may
// have been. In both cases the work was not started, and an operation of a
// Field was not applied. [ErrUnrecorded] means that the work was done. A
// [FieldError] reports an invalid or missing value, and a [DeniedError] a
// refused operation. These errors contain no value of a sensitive field and no
// secret. If a refusal could not be recorded, the error matches both classes.
//
// # Concurrency and cost
//
// All types are safe for concurrent use. An event is written in the goroutine
// of the caller and takes about half a microsecond before the sink.
//
// Costs, formats and sources: docs/audit.md.
package audit
