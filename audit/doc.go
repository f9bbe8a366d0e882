// Package audit records who did what to which thing, before it is done.
//
// An ordinary log tells what a program was up to; an audit log must be able to
// stand as evidence. So here the event comes first and the deed after: what cannot
// be recorded does not happen. The actor comes from the request and never from the
// process, sensitive values are masked wherever they could be seen, and refusals
// are events too.
//
//	apiKey := audit.Attribute[string]{Name: "api_key", Sensitive: true, Check: audit.Length(8, 64)}
//	log := audit.New(audit.Config{Sink: sink})
//	key := apiKey.Of(log.Object("user", "u-1"))
//	ctx = audit.WithActor(ctx, audit.Actor{ID: "alice"})
//	err := key.Set(ctx, "sk_live_abc123") // recorded, then applied
//
// An [Attribute] describes an audited attribute and a [Field] is one such attribute of
// one object; a [Guard] puts permission and record around any other work;
// [Log.Record] takes events of your own, and [Object.Diff] records what changes in a
// plain struct. A [Secret] is for what is configuration rather than data. Events go
// to one [Sink]: [JSON], [Slog], a function, or the tamper-evident file of package
// audit/ledger; [Quorum] makes one sink of several, and a [Buffer] takes the writing
// off the caller's path. Package audit/siem has the formats of security monitoring,
// and audit/audittest tests sinks of your own. [Log.Stats] counts what was recorded,
// and what was not.
//
// # Choosing values
//
// Only [Config.Sink] is required. Leave AllowAnonymous off and name background
// jobs with [WithActor] instead: an actor that is silently missing is the most
// common hole of audit logs. Timeout bounds how long one event may hold up a
// request; it is not a way to go on without the event.
//
// Set [Attribute.Sensitive] whenever in doubt. Leave the mask at "***", or show the
// end of long values with [Last]. A partial mask of a short value, or a hash
// without a key, is a puzzle rather than a mask. Names of actions, attributes and
// target types are chosen by the program, so they are checked; texts chosen by
// others (identities, reasons, attributes) are escaped and bounded instead, see
// [Event.AppendJSON] and [Config.MaxEvent].
//
// Set [Attribute.Token] where the same value must be found again, such as an account
// number: a token tells nothing while its key is secret. Rotate by putting a new
// [TokenKey] in front. Not for values with few possibilities if the readers of the
// log can also have values tokenised.
//
// Leave the Buffer out unless events may be lost with the process: what it has
// accepted is in memory only. Block is the policy that loses nothing else; with Drop
// the log itself says how much is missing.
//
// # Errors
//
// [ErrFailed] means not recorded and not done. [ErrUncertain] means not done, and
// that the log may still say it was: the sink gave no answer in time. [FieldError]
// reports broken rules ([ErrInvalid]) and missing values ([ErrUnset]), and
// [DeniedError] what a guard refused ([ErrDenied]). No error contains a value of a
// field or secret. A broken rule or a denial that was itself not recorded matches
// both classes. [Opaque] hides an error of your own behind its code.
//
// # Concurrency
//
// Everything is safe for concurrent use. One field records and applies under one
// lock, so in the log each change of a field begins where the one before it ended.
// Different fields never wait for each other. Events are written in the calling
// goroutine. Only a Buffer has one of its own, which Close ends, and a Quorum one per
// sink and write, which ends with that write. A hung sink that ignores its context
// holds up its callers, unless enough others in a Quorum answer.
//
// # Cost
//
// An event costs one call of the sink, about half a microsecond of encoding and two
// allocations, for its ID and for the sink's context, whose timer is made only if the
// sink asks for it; a Field's event has one more, for its change. A Field is one
// pointer of 8 bytes; its cell is 48 bytes and the value on a 64-bit machine. A quiet
// read takes no lock. IsSet, quiet reads and Secret.Reveal allocate nothing. A token
// is one HMAC and one allocation. An event's JSON form stays below 1 MiB whatever it
// is given.
//
// # Composition
//
// [Do] and [Wrap] nest with the guards of the sibling packages:
// retry.Wrap(policy, audit.Wrap(guard, fn)) records every try, and
// audit.Wrap(guard, retry.Wrap(policy, fn)) the whole. A [DeniedError] answers
// Rejected and Retryable, so that retries and breakers leave it alone. A
// [SinkFunc] can itself be wrapped by any of them; [Event.ID] stays the same.
//
// Not masked is what a program prints after Reveal or Get, and what it writes into
// Reason and Attrs. Memory is not wiped: where that matters, hold the value in locked
// memory and make a Secret of the pointer, or use it inside runtime/secret.
//
// # Source
//
// Fail-closed devices and detached writes follow HashiCorp Vault's audit devices;
// the actor, outcome and object of an event follow the audit events of Kubernetes.
// Escapes follow RFC 8259 and the list of direction marks of Unicode TR 36 and 9.
package audit
