package diff

import (
	"math"
	"reflect"
)

// sameValue reports whether a reader of the log would see no difference between
// two values of one type.
func sameValue(x, y reflect.Value) bool {
	return (&comparison{}).same(x, y)
}

// A comparison remembers the references that it is comparing, because values
// may be cyclic.
type comparison struct{ open map[visit]bool }

type visit struct {
	x, y uintptr
	t    reflect.Type
	n    int // the length of a slice
}

func (c *comparison) same(x, y reflect.Value) bool {
	if !x.IsValid() || !y.IsValid() || x.Type() != y.Type() {
		return x.IsValid() == y.IsValid() && !x.IsValid()
	}
	if same, ok := byMethod(x, y); ok {
		return same
	}
	switch x.Kind() {
	case reflect.Pointer, reflect.Interface:
		if x.IsNil() || y.IsNil() {
			return x.IsNil() && y.IsNil()
		}
		return c.enter(x, y) || c.same(x.Elem(), y.Elem())
	case reflect.Struct:
		for i := range x.NumField() {
			if !c.same(x.Field(i), y.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Array:
		if x.Len() != y.Len() {
			return false
		}
		if x.Kind() == reflect.Slice && c.enter(x, y) {
			return true
		}
		for i := range x.Len() {
			if !c.same(x.Index(i), y.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if x.Len() != y.Len() {
			return false
		}
		if c.enter(x, y) {
			return true
		}
		for it := x.MapRange(); it.Next(); {
			if !c.same(it.Value(), y.MapIndex(it.Key())) {
				return false
			}
		}
		return true
	case reflect.Func:
		return x.IsNil() && y.IsNil()
	case reflect.Float32, reflect.Float64:
		return x.Float() == y.Float() || math.IsNaN(x.Float()) && math.IsNaN(y.Float())
	}
	return x.Equal(y) // the other kinds are comparable
}

// enter reports whether two references are the same, or are being compared
// already.
func (c *comparison) enter(x, y reflect.Value) bool {
	if x.Kind() == reflect.Interface {
		return false
	}
	pair := visit{x.Pointer(), y.Pointer(), x.Type(), 0}
	if x.Kind() == reflect.Slice {
		pair.n = x.Len()
	}
	if pair.x == pair.y || c.open[pair] {
		return true
	}
	if c.open == nil {
		c.open = map[visit]bool{}
	}
	c.open[pair] = true
	return false
}

// byMethod compares with a method Equal(T) bool or Cmp(T) int of T or *T. It
// reports false in ok if there is none that can be called or if it panics.
func byMethod(x, y reflect.Value) (same, ok bool) {
	if !x.CanInterface() || x.Kind() == reflect.Interface || x.Kind() == reflect.Pointer && (x.IsNil() || y.IsNil()) {
		return false, false
	}
	defer func() {
		if recover() != nil {
			same, ok = false, false // the panic value may contain the values
		}
	}()
	if x.Kind() != reflect.Pointer && reflect.PointerTo(x.Type()).NumMethod() > x.NumMethod() {
		x, y = addressOf(x), addressOf(y)
	}
	if x.NumMethod() == 0 {
		return false, false
	}
	if same, ok := call(x, y); ok || x.Kind() != reflect.Pointer {
		return same, ok
	}
	return call(x, y.Elem()) // methods that take a T
}

func addressOf(v reflect.Value) reflect.Value {
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p
}

// call calls Equal or Cmp of x. The names are constants, so that the linker can
// drop other methods.
func call(x, y reflect.Value) (same, ok bool) {
	if m := x.MethodByName("Equal"); compares(m, y, reflect.Bool) {
		return m.Call([]reflect.Value{y})[0].Bool(), true
	}
	if m := x.MethodByName("Cmp"); compares(m, y, reflect.Int) {
		return m.Call([]reflect.Value{y})[0].Int() == 0, true
	}
	return false, false
}

// compares reports whether m takes y and returns a value of kind out.
func compares(m, y reflect.Value, out reflect.Kind) bool {
	if !m.IsValid() {
		return false
	}
	t := m.Type()
	return t.NumIn() == 1 && !t.IsVariadic() && y.Type().AssignableTo(t.In(0)) && t.NumOut() == 1 && t.Out(0).Kind() == out
}
