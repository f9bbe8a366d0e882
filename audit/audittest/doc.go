// Package audittest tests implementations of [audit.Sink], so that a log in front
// of them can promise that what is not recorded is not done.
//
//	err := audittest.TestSink(func() (audit.Sink, func() ([]audit.Event, error), error) {
//		var lines bytes.Buffer
//		return audit.JSON(&lines), func() ([]audit.Event, error) { return decode(lines.Bytes()) }, nil
//	})
//
// A sink passes if
//
//   - what it has accepted is stored: whole, once, in the order of each caller,
//     whatever texts the events hold;
//   - what it has refused is not, unless the error matches [audit.ErrUncertain];
//   - it changes no event and keeps no memory of one after the call;
//   - it can be used by several goroutines at once;
//   - it comes back soon where its context is already done;
//   - after its Close, if it has one, it accepts nothing, and closing it again does
//     no harm.
//
// Whether stored events survive a crash of the program or of the machine cannot be
// seen from inside a program. Such sinks need a test that kills a process.
package audittest
