package house

import (
	"fmt"
	"slices"
	"strings"
)

func hookRules() []Rule {
	return []Rule{{
		Name: "hooks", Todo: "the comment of OnEvent contains: " + hookContract,
		Check: checkHooks,
	}, {
		Name: "events", Todo: "an Event begins with the fields Kind (or Cause) and Name and implements slog.LogValuer",
		Check: checkEvents,
	}, {
		Name: "dropped events", Todo: "add the field Dropped int to the Event: the events that were dropped just before it",
		Check: checkDropped,
	}, {
		Name: "error values", Todo: "an exported error type implements slog.LogValuer",
		Check: checkErrors,
	}}
}

const hookContract = "OnEvent may be nil. It is called synchronously, outside locks, after the change that the event reports, " +
	"in the order of the changes. It may call back into this package and must not block."

func checkHooks(t *Tree) (bad []string) {
	for _, p := range t.library() {
		for _, s := range p.structs() {
			if f, ok := fieldNamed(s, "OnEvent"); ok && !strings.Contains(strings.Join(strings.Fields(f.Doc.Text()), " "), hookContract) {
				bad = append(bad, fmt.Sprintf("%s: the comment of OnEvent lacks the contract", t.at(f)))
			}
		}
	}
	return bad
}

// kinds are the names of the first field of an event.
var kinds = map[string]bool{"Kind": true, "Cause": true}

// checkEvents looks at the events of hooks. The Event of package audit is the
// record itself and has no hook.
func checkEvents(t *Tree) (bad []string) {
	for _, p := range t.library() {
		hooked := map[string]bool{}
		for _, s := range p.structs() {
			if f, ok := fieldNamed(s, "OnEvent"); ok {
				for _, word := range strings.FieldsFunc(t.line(f.Type), func(r rune) bool { return strings.ContainsRune("()[], *", r) }) {
					hooked[word] = true
				}
			}
		}
		for _, s := range p.structs() {
			name := s.Name.Name
			if !hooked[name] {
				continue
			}
			if all := fields(s); len(all) < 2 || !kinds[all[0].name] || all[1].name != "Name" {
				bad = append(bad, fmt.Sprintf("%s: the first fields of %s are not Kind and Name", t.at(s), name))
			}
			if p.method(name, "LogValue") == nil {
				bad = append(bad, fmt.Sprintf("%s: %s has no LogValue", t.at(s), name))
			}
		}
	}
	return bad
}

// checkDropped looks at the packages that queue events.
func checkDropped(t *Tree) (bad []string) {
	for _, p := range t.library() {
		if !slices.Contains(p.imports(), module+"/internal/outbox") {
			continue
		}
		for _, s := range p.structs() {
			if f, ok := fieldNamed(s, "Dropped"); s.Name.Name == "Event" && (!ok || typeName(f.Type) != "int") {
				bad = append(bad, fmt.Sprintf("%s: Event has no field Dropped int", t.at(s)))
			}
		}
	}
	return bad
}

func checkErrors(t *Tree) (bad []string) {
	for _, p := range t.library() {
		for _, s := range p.structs() {
			name := s.Name.Name
			if strings.HasSuffix(name, "Error") && p.method(name, "Error") != nil && p.method(name, "LogValue") == nil {
				bad = append(bad, fmt.Sprintf("%s: %s has no LogValue", t.at(s), name))
			}
		}
	}
	return bad
}
