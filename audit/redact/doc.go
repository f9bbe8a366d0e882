// Package redact is redaction for log/slog: a handler that masks secrets in log
// records before another handler writes them.
//
// Logs are read by more people and kept longer than the data they describe. A
// type such as audit.Secret keeps its own value out of logs. This package finds
// the values that have no such type: by the name of the attribute or struct
// field, and by patterns in texts.
//
// # Mask the attributes of a logger
//
//	handler := redact.New(redact.Config{
//		Next: slog.NewTextHandler(os.Stdout, options),
//	})
//	logger := slog.New(handler)
//	logger.Info("login", "user", "alice", "password", "hunter2")
//
// # Mask the fields of structs
//
// Structs, maps and lists are searched too. Their fields have the names of the
// JSON form. The tag options sensitive and token of package audit mask a field
// with any name:
//
//	type order struct {
//		ID   string `json:"id"`
//		Card string `json:"card" audit:"card,sensitive"`
//	}
//	logger.Info("paid", "order", order{"o-17", "4111111111111111"})
//
// # Use your own names and patterns
//
// With [ReplaceAttr] the masks become an option of a handler of log/slog:
//
//	replace := redact.ReplaceAttr(redact.Config{
//		Keys:     append(redact.DefaultKeys(), "iban"),
//		Patterns: []*regexp.Regexp{regexp.MustCompile(`\bDE\d{20}\b`)},
//	})
//	bank := slog.New(slog.NewTextHandler(os.Stdout,
//		&slog.HandlerOptions{ReplaceAttr: replace}))
//
// # Choosing values
//
//   - [Config.Keys]: names are compared by words, so "token" matches
//     "refresh_token" and "X-Token" but not "tokens". Add the names of your
//     domain to [DefaultKeys].
//   - [Config.Patterns]: they cost time for each text. Names are cheaper and
//     miss less.
//
// # Errors
//
// A [Handler] returns the errors of the next handler. A value whose methods
// panic is replaced by the mask. New panics with the error of
// [Config.Validate].
//
// # Concurrency and cost
//
// All functions may be used concurrently. Handle copies the record. A text is
// cut at 4 KiB, a group or list at 256 elements, the nesting at 8 levels, and a
// record at 64 KiB.
//
// Costs, formats and sources: docs/audit.md.
package redact
