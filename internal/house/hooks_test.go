package house_test

import "testing"

func TestHooks(t *testing.T) {
	with := func(doc, event string) files {
		return files{"retry/retry.go": "package retry\n\ntype Policy struct {\n" + doc + "\tOnEvent func(context.Context, Event)\n}\n\n" + event}
	}
	const contract = "\t// OnEvent may be nil. It is called synchronously, outside locks, after the change\n" +
		"\t// that the event reports, in the order of the changes. It may call back into\n" +
		"\t// this package and must not block.\n"
	bites(t, "hooks", with("\t// OnEvent is called.\n", ""), "retry/retry.go:5: the comment of OnEvent lacks the contract")
	accepts(t, "hooks", with(contract, ""))

	bites(t, "events", with("", "type Event struct{ Name, Kind string }\n"), "the first fields of Event are not Kind and Name")
	bites(t, "events", with("", "type Event struct{ Kind, Name string }\n"), "Event has no LogValue")
	accepts(t, "events", with("", "type Event struct{ Kind, Name string }\n\nfunc (Event) LogValue() slog.Value { panic(1) }\n"))
}

func TestDroppedEvents(t *testing.T) {
	with := func(event string) files {
		return files{"breaker/event.go": "package breaker\n\nimport _ \"github.com/redoubt-go/redoubt/internal/outbox\"\n\ntype Event struct{ " + event + " }\n"}
	}
	bites(t, "dropped events", with("Kind int"), "breaker/event.go:5: Event has no field Dropped int")
	accepts(t, "dropped events", with("Dropped int"))
}

func TestErrors(t *testing.T) {
	with := func(code string) files { return files{"retry/errors.go": "package retry\n\n" + code} }
	const typ = "type SpentError struct{}\n\nfunc (*SpentError) Error() string { return \"\" }\n"
	bites(t, "error values", with(typ), "retry/errors.go:3: SpentError has no LogValue")
	accepts(t, "error values", with(typ+"\nfunc (*SpentError) LogValue() slog.Value { panic(1) }\n"))
}
