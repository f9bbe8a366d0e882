package config

import (
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// A jsonNumber is a json.Number.
type jsonNumber interface {
	Float64() (float64, error)
	Int64() (int64, error)
	String() string
}

// textOf returns the text x. A json.Number is none.
func textOf(x any) (string, bool) {
	s, ok := x.(string)
	return s, ok
}

// boolOf returns the bool x, which may be a text.
func boolOf(x any) (b, ok bool) {
	switch x := x.(type) {
	case bool:
		return x, true
	case string:
		return x == "true", x == "true" || x == "false"
	}
	return false, false
}

// plain returns x if its type is a number type without a name. A number of
// another type, such as time.Duration, has a unit.
func plain(x any) (v reflect.Value, ok bool) {
	v = reflect.ValueOf(x)
	return v, v.IsValid() && v.Type().PkgPath() == "" && (v.CanInt() || v.CanUint() || v.CanFloat())
}

// wholeOf returns the whole number x, which may be a text, and a size if it
// counts bytes.
func wholeOf(x any, isBytes bool) (negative bool, n uint64, ok bool) {
	text, isText := x.(string)
	if number, ok := x.(jsonNumber); ok {
		text = number.String()
		isText = strings.Trim(text, "-0123456789") == ""
	}
	if isText {
		return parseWhole(text, isBytes)
	}
	if v, ok := plain(x); ok && v.CanInt() {
		i := v.Int()
		return i < 0, magnitude(i), true
	} else if ok && v.CanUint() {
		return false, v.Uint(), true
	}
	f, ok := floatOf(x)
	if !ok || f != math.Trunc(f) || math.Abs(f) > exact {
		return false, 0, false
	}
	return f < 0, magnitude(int64(f)), true
}

// magnitude returns the absolute value of i.
func magnitude(i int64) uint64 {
	if i < 0 {
		return -uint64(i)
	}
	return uint64(i)
}

var units = [...]struct {
	text  string
	shift int
}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"B", 0}}

// parseWhole parses decimal digits, which a minus sign may precede and, if the
// number counts bytes, a unit may follow.
func parseWhole(s string, isBytes bool) (negative bool, n uint64, ok bool) {
	digits, negative := strings.CutPrefix(s, "-")
	shift := 0
	if isBytes {
		for _, unit := range units {
			if rest, found := strings.CutSuffix(digits, unit.text); found {
				digits, shift = rest, unit.shift
				break
			}
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n<<shift>>shift != n {
		return false, 0, false
	}
	return negative, n << shift, true
}

// floatOf returns the number x, which may be a text.
func floatOf(x any) (f float64, ok bool) {
	switch x := x.(type) {
	case string:
		if len(x) > maxText || strings.Trim(x, "+-.0123456789eE") != "" {
			return 0, false // also hexadecimal, infinite and NaN
		}
		f, err := strconv.ParseFloat(x, 64)
		return f, err == nil
	case jsonNumber:
		f, err := x.Float64()
		return f, err == nil
	}
	if v, ok := plain(x); ok {
		return number(v), true
	}
	return 0, false
}

// show returns the value x for an error.
func show(x any) string {
	switch x := x.(type) {
	case string:
		return quote.Text(x)
	case jsonNumber:
		return quote.Name(x.String())
	case bool:
		return strconv.FormatBool(x)
	}
	if v, ok := plain(x); ok && v.CanFloat() {
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	} else if ok && v.CanInt() {
		return strconv.FormatInt(v.Int(), 10)
	} else if ok {
		return strconv.FormatUint(v.Uint(), 10)
	}
	return kindOf(x)
}

// kindOf returns the kind of x for an error.
func kindOf(x any) string {
	switch x.(type) {
	case nil:
		return "empty"
	case string:
		return "a text"
	case bool:
		return "a bool"
	case jsonNumber:
		return "a number"
	}
	if _, ok := plain(x); ok {
		return "a number"
	}
	switch t := reflect.TypeOf(x); t.Kind() {
	case reflect.Map:
		return "a section"
	case reflect.Slice:
		return "a list"
	default:
		return "a " + quote.Name(t.String())
	}
}
