package debug

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

// An object is the state of a value at an instant.
type object struct {
	Name    string          `json:"name"`
	Type    string          `json:"type"`
	State   string          `json:"state,omitempty"`
	Stats   json.RawMessage `json:"stats"`
	value   any
	figures []figure
}

// A figure is a field of statistics as a text for people.
type figure struct{ Name, Text string }

// maxKeys is the number of breakers of a group that are shown. Breakers that
// are not closed come first.
const maxKeys = 100

// look returns the present state of all objects, in the order of their names.
func look(objects map[string]any) []object {
	list := []object{} // not nil: JSON has no null then
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		list = append(list, lookAt(name, objects[name]))
		list = append(list, members(name, objects[name])...)
	}
	return list
}

func lookAt(name string, value any) object {
	o := object{Name: name, Type: typeName(value), value: value}
	if b, ok := value.(*breaker.Breaker); ok {
		o.State = b.State().String()
	}
	o.Stats = statistics(value)
	o.figures = figures(o.Stats)
	return o
}

// statistics returns the JSON of Stats, or of an error: the Stats of another
// package can panic, or contain a number that is not finite.
func statistics(value any) (stats json.RawMessage) {
	failed := func(problem string) { stats, _ = json.Marshal(map[string]string{"error": problem}) }
	defer func() {
		if r := recover(); r != nil {
			failed(fmt.Sprint("Stats panics: ", r))
		}
	}()
	stats, err := json.Marshal(statsOf(value)())
	if err != nil {
		failed(err.Error())
	}
	return stats
}

// A group is a breaker.Group whose keys are texts.
type group interface {
	All() iter.Seq2[string, *breaker.Breaker]
	Peek(key string) (*breaker.Breaker, bool)
}

// members returns the breakers of a group whose keys are texts.
func members(name string, value any) []object {
	group, ok := value.(group)
	if !ok {
		return nil
	}
	type member struct {
		key    string
		b      *breaker.Breaker
		closed int // 0 or 1, so that breakers that are not closed come first
	}
	var all []member
	for key, b := range group.All() {
		m := member{key: key, b: b}
		if b.State() == breaker.StateClosed {
			m.closed = 1
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(x, y member) int {
		return cmp.Or(x.closed-y.closed, strings.Compare(x.key, y.key))
	})
	var list []object
	for _, m := range all[:min(len(all), maxKeys)] {
		list = append(list, lookAt(name+"/"+m.key, m.b))
	}
	return list
}

// find returns the object of a name, and behind a slash the breaker of a key.
func find(objects map[string]any, name string) (any, bool) {
	if value, ok := objects[name]; ok {
		return value, true
	}
	for i := range name {
		if name[i] != '/' {
			continue
		}
		if group, ok := objects[name[:i]].(group); ok {
			return group.Peek(name[i+1:]) // Validate refuses a second group
		}
	}
	return nil, false
}

// statsOf returns the method Stats of a value, or nil if there is none that
// returns a struct.
func statsOf(value any) func() any {
	v := reflect.ValueOf(value)
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil
	}
	method := v.MethodByName("Stats")
	if !method.IsValid() {
		return nil
	}
	if t := method.Type(); t.NumIn() != 0 || t.NumOut() != 1 || t.Out(0).Kind() != reflect.Struct {
		return nil
	}
	return func() any { return method.Call(nil)[0].Interface() }
}

// typeName returns the type of a value without its type parameters, such as
// "cache.Cache".
func typeName(value any) string {
	name, _, _ := strings.Cut(fmt.Sprintf("%T", value), "[")
	return strings.TrimPrefix(name, "*")
}

// figures returns the fields of statistics in their order.
func figures(stats json.RawMessage) (list []figure) {
	decoder := json.NewDecoder(bytes.NewReader(stats))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || decoder.Decode(&value) != nil {
			return list
		}
		if name != "name" && name != "state" { // both are shown elsewhere
			list = append(list, readable(name, value))
		}
	}
	return list
}

// readable turns a field of nanoseconds into a duration, and groups the digits
// of numbers.
func readable(name string, value json.RawMessage) figure {
	text := string(value)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = plain(unquoted)
	}
	if number, err := strconv.ParseInt(text, 10, 64); err == nil {
		if short, ok := strings.CutSuffix(name, "_ns"); ok {
			return figure{words(short), duration(time.Duration(number))}
		}
		text = grouped(text)
	}
	return figure{words(name), text}
}

// plain returns a text of other parties between quotes, unless it consists of
// printable characters: a terminal would obey the others.
func plain(text string) string {
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}

func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// duration rounds to three or four digits.
func duration(d time.Duration) string {
	for unit := time.Duration(1e15); unit >= 1000; unit /= 10 {
		if d.Abs() >= unit {
			return d.Round(unit / 100).String()
		}
	}
	return d.String()
}

// grouped puts narrow spaces between groups of three digits.
func grouped(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	var text strings.Builder
	text.WriteString(sign)
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			text.WriteString("\u202f")
		}
		text.WriteByte(digits[i])
	}
	return text.String()
}
