package retry

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// A PanicError is the value of the panic of Hedge.Do after an attempt has
// panicked on a goroutine of its own.
type PanicError struct {
	Name  string // of the Hedge
	Value any    // the value of the panic in the attempt
	Stack []byte // the stack of the goroutine of the attempt
}

var _ slog.LogValuer = (*PanicError)(nil)

// newPanicError returns the error of a panic with value. If value is the
// PanicError of a call inside the attempt, it is returned unchanged: its stack
// shows the cause.
func newPanicError(name string, value any) *PanicError {
	if p, ok := value.(*PanicError); ok && p != nil {
		return p
	}
	return &PanicError{Name: name, Value: value, Stack: debug.Stack()}
}

// Error returns the first 64 bytes of the panic value, followed by the stack.
func (e *PanicError) Error() string { return e.text() + "\n\n" + string(e.Stack) }

func (e *PanicError) text() string {
	text := "retry: "
	if e.Name != "" {
		text += quote.Name(e.Name) + ": "
	}
	return text + "attempt panicked: " + quote.Text(fmt.Sprint(e.Value))
}

// Unwrap returns the value if it is an error, otherwise nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// LogValue returns the text of the error and the stack as a group.
func (e *PanicError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("msg", e.text()), slog.String("stack", string(e.Stack)))
}
