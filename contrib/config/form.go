package config

import (
	"encoding"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/redoubt-go/redoubt/retry"
)

// A form is the way in which a map contains the values of a type.
type form uint8

const (
	formNone form = iota // only the program can set it
	formBool
	formWhole
	formNumber
	formString
	formDuration
	formName // an enumeration
	formText // UnmarshalText; if the type also has exported fields, a section too
	formZone
	formList
	formTable // a map whose keys are data
	formSection
	formPointer
	formChoice // an interface with known implementations
	formAny
)

var wants = [...]string{
	formBool: "true or false", formWhole: "a whole number", formNumber: "a number", formString: "a text",
	formDuration: `a duration such as "5s"`, formText: "a text", formZone: `a time zone such as "Europe/Berlin"`,
	formList: "a list", formTable: "a section", formSection: "a section", formAny: "a value",
}

var (
	durationType    = reflect.TypeFor[time.Duration]()
	timeType        = reflect.TypeFor[time.Time]()
	zoneType        = reflect.TypeFor[*time.Location]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

	// choices are the implementations of an interface that a map can name.
	choices = map[reflect.Type][]reflect.Type{
		reflect.TypeFor[retry.Backoff](): {
			reflect.TypeFor[retry.Exponential](), reflect.TypeFor[retry.Decorrelated](),
			reflect.TypeFor[retry.Constant](), reflect.TypeFor[retry.Sequence](),
		},
		reflect.TypeFor[retry.Budget](): {reflect.TypeFor[*retry.TokenBudget]()},
	}
)

const library = "github.com/redoubt-go/redoubt/"

// programOnly are types with exported fields that make no sense in a map.
var programOnly = []string{
	"crypto/tls.Config", "log/slog.Attr", "net/http.Client",
	library + "audit.Member", library + "logscan.Counters", library + "logscan.Decoder", library + "logscan/follow.Counters",
}

// durations are types whose numbers are durations, besides time.Duration.
var durations = []string{library + "retry.Constant", library + "audit/ledger.SyncPolicy"}

// byteCounts are the names of fields that count bytes, besides names that end
// in "Bytes".
var byteCounts = []string{
	"Chunk", "MaxBody", "MaxBuffer", "MaxDecoded", "MaxEvent", "MaxLine", "MaxMessage", "MaxSize", "MaxWeight",
}

// samples describe the texts of types with UnmarshalText.
var samples = map[string]string{
	library + "ratelimit.Limit": `a limit such as "100/s burst 20"`,
	"time.Time":                 `a time such as "2026-01-31T23:00:00Z"`,
}

// A name is the text of a value of a number type.
type name struct {
	text  string
	value float64
}

// named are the names of types whose String method does not return them.
var named = map[string][]name{
	library + "ratelimit.OnFull":        {{"inherit_debt", 0}, {"forgive_debt", 1}},
	library + "contrib/redis.Outage":    {{"local", 0}, {"refuse", 1}, {"admit", 2}},
	library + "retry.Jitter":            {{"full", 0}, {"equal", 0.5}, {"none", 1}},
	library + "audit/ledger.SyncPolicy": {{"always", 0}, {"never", -1}},
}

// maxEnum bounds the values of an enumeration whose names are looked for.
const maxEnum = 100

// namesOf returns the names of the values of t. An enumeration is an integer
// type whose String method returns a text such as "Kind(7)" for a value without
// a name.
func namesOf(t reflect.Type) (names []name) {
	if t.PkgPath() == "" || t == durationType {
		return nil
	}
	if names = named[typeName(t)]; names != nil {
		return names
	}
	v := reflect.New(t).Elem()
	s, ok := v.Addr().Interface().(interface{ String() string })
	if !ok || !v.CanInt() && !v.CanUint() {
		return nil
	}
	for n := range maxEnum {
		setWhole(v, int64(n))
		if text := textOfEnum(s); text != "" && !strings.Contains(text, t.Name()+"(") {
			names = append(names, name{text, float64(n)})
		}
	}
	if len(names) == maxEnum {
		return nil
	}
	return names
}

// textOfEnum returns an empty text if String panics, as it does where it is an
// index of an array of names.
func textOfEnum(s interface{ String() string }) string {
	defer func() { _ = recover() }()
	return s.String()
}

func setWhole(v reflect.Value, n int64) {
	if v.CanInt() {
		v.SetInt(n)
	} else {
		v.SetUint(uint64(n))
	}
}

// number returns the value of an integer or a floating-point number.
func number(v reflect.Value) float64 {
	switch {
	case v.CanInt():
		return float64(v.Int())
	case v.CanUint():
		return float64(v.Uint())
	}
	return v.Float()
}

func typeName(t reflect.Type) string { return t.PkgPath() + "." + t.Name() }

// formOf returns the form of t, inside of the types around it. A container of
// values of formNone has formNone too.
func formOf(t reflect.Type, around ...reflect.Type) form {
	if slices.Contains(programOnly, typeName(t)) || slices.Contains(around, t) {
		return formNone
	}
	// container returns f if an element has a form.
	container := func(f form) form {
		if formOf(t.Elem(), append(around, t)...) == formNone {
			return formNone
		}
		return f
	}
	isDuration := t == durationType || slices.Contains(durations, typeName(t))
	switch k := t.Kind(); {
	case t == zoneType:
		return formZone
	case isDuration:
		return formDuration
	case reflect.PointerTo(t).Implements(textUnmarshaler):
		return formText
	case k == reflect.Bool:
		return formBool
	case k >= reflect.Int && k <= reflect.Uint64:
		if namesOf(t) != nil {
			return formName
		}
		return formWhole
	case k == reflect.Float32 || k == reflect.Float64:
		return formNumber
	case k == reflect.String:
		return formString
	case k == reflect.Slice:
		return container(formList)
	case k == reflect.Map && t.Key().Kind() == reflect.String:
		return container(formTable)
	case k == reflect.Pointer:
		return container(formPointer)
	case k == reflect.Struct && hasFields(t, around...):
		return formSection
	case k == reflect.Interface && choices[t] != nil:
		return formChoice
	case k == reflect.Interface && t.NumMethod() == 0:
		return formAny
	}
	return formNone
}

// embeds reports whether t is a struct that can have its Validate from an
// embedded field.
func embeds(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if _, ok := reflect.PointerTo(t.Field(i).Type).MethodByName("Validate"); ok && t.Field(i).Anonymous {
			return true
		}
	}
	return false
}

// hasFields reports whether t is a struct of which a map can name a field.
func hasFields(t reflect.Type, around ...reflect.Type) bool {
	return t.Kind() == reflect.Struct && slices.ContainsFunc(fieldsOf(t), func(f field) bool {
		return formOf(f.typ, append(around, t)...) != formNone
	})
}

// want returns the text that describes the values of t.
func want(t reflect.Type, isBytes bool) string {
	f := formOf(t)
	var texts []string
	for _, n := range namesOf(t) {
		texts = append(texts, n.text)
	}
	switch {
	case f == formPointer:
		return want(t.Elem(), isBytes)
	case f == formChoice:
		for _, option := range choices[t] {
			texts = append(texts, optionName(option))
		}
		return "a section with " + oneOf(texts)
	case f == formName:
		return oneOf(texts)
	case f == formWhole && isBytes:
		return `a whole number, or a size such as "64MiB"`
	case f == formText && samples[typeName(t)] != "":
		return samples[typeName(t)]
	case f == formText && hasFields(t):
		return "a text or a section"
	case texts != nil:
		return oneOf(append(texts, wants[f]))
	}
	return wants[f]
}

func oneOf(texts []string) string {
	last := len(texts) - 1
	if last < 1 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:last], ", ") + " or " + texts[last]
}

// optionName returns the name by which a map chooses the type t.
func optionName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return snake(t.Name())
}

// A field is an exported field of a struct.
type field struct {
	name  string // in Go
	key   string // in a map
	index int
	typ   reflect.Type
}

func fieldsOf(t reflect.Type) (fields []field) {
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() {
			fields = append(fields, field{f.Name, snake(f.Name), i, f.Type})
		}
	}
	return fields
}

// countsBytes reports whether the field of a name counts bytes.
func countsBytes(name string) bool {
	return slices.Contains(byteCounts, name) || strings.HasSuffix(name, "Bytes")
}

// snake returns the key of a name: max_attempts for MaxAttempts, error_ttl for
// ErrorTTL.
func snake(name string) string {
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) &&
			(!unicode.IsUpper(runes[i-1]) && runes[i-1] != '_' || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
