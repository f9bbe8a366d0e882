// Package audittest is a conformance test for implementations of [audit.Sink].
//
// A log can only promise that an operation is not performed without a record if
// its sink keeps the contract of [audit.Sink]. Run the test in the package of
// the sink:
//
//	func TestSink(t *testing.T) {
//		audittest.Run(t, func(*testing.T) audittest.Subject {
//			var lines bytes.Buffer
//			return audittest.Subject{
//				Sink:   audit.JSON(&lines),
//				Stored: decoder(&lines),
//			}
//		})
//	}
//
// A sink passes if
//
//   - accepted events are stored completely, once, and in the order of each
//     caller, with any text in them;
//   - refused events are not stored, unless the error matches
//     [audit.ErrUncertain]. An error that matches [audit.ErrFailed],
//     [audit.ErrFull] or [audit.ErrClosed] is certain, also after the context
//     has ended;
//   - it does not change events and keeps no memory of them after the call;
//   - several goroutines can use it at the same time;
//   - it returns soon if its context is done;
//   - it accepts no events after Close, and a second Close does no harm.
//
// The test cannot show that events survive a crash of the program or of the
// machine. A durable sink also needs a test that kills a process.
package audittest
