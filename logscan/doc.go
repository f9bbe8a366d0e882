// Package logscan reads and parses log files: lines of JSON, logfmt, CSV,
// syslog, access logs or any pattern, compressed or not, as a loop over
// records.
//
// A loop over [bufio.Scanner] fails on real logs. A line is longer than the
// buffer, a file is compressed or damaged, the last line has no newline, or a
// line is not JSON. Then the loop stops, or skips lines without notice. A
// [Scanner] cuts long lines and marks them, unpacks gzip and bzip2 within
// limits, and delivers the good records of a damaged input before its error. It
// counts every record that its parser refuses.
//
//	sc := logscan.Scanner{Parser: logscan.JSON("level", "message")}
//	for rec, err := range sc.Records(ctx, logscan.Files(path)) {
//		if err != nil {
//			return err
//		}
//		if rec.Is("level", "ERROR") {
//			fmt.Printf("%d: %s\n", rec.Num, rec.Get("message"))
//		}
//	}
//
// A line ends with "\n" or "\r\n". If the last line of an input has no
// terminator, its record is Partial. All other bytes belong to the line, also
// NUL and invalid UTF-8.
//
// # Search a folder of rotated logs
//
// [Walk] yields the files of a folder. The first bytes of a file, not its name,
// decide whether it is unpacked.
//
//	isLog := func(path string) bool { return strings.Contains(path, ".log") }
//	logs := logscan.Walk(dir, isLog)
//
// # Parse a format within a format
//
//	syslog := logscan.Syslog(logscan.TimeParser{})
//	p := logscan.Chain(syslog, logscan.MustPattern("user <user> logged in"))
//
// # Count records on all processors
//
// [Reduce] divides the inputs between goroutines. Each of them has an
// [Accumulator], here made by newLevels. Reduce merges them in the order of the
// input. [Map] delivers results to a loop.
//
//	logs := logscan.Walk(dir, nil)
//	total, err := logscan.Reduce(ctx, sc, logs, newLevels)
//
// # Mask secrets before anything sees them
//
//	mask := logscan.Mask(regexp.MustCompile(`\b\d{16}\b`))
//	sc := logscan.Scanner{Parser: logscan.JSON("msg"), Redact: mask}
//
// # Beyond one log
//
// [Merge] interleaves sequences by time, [MergeLive] does so for logs that
// still grow, and [Reorder] sorts records that are slightly out of order.
// Package follow is tail -F. Package detect finds brute-force logins and other
// excess. Package sketch counts in bounded memory.
//
// # Choosing values
//
// The zero [Scanner] is right for most logs.
//
//   - Parser: [JSON], [Logfmt], [CSV], [CLF], [Syslog] and [Pattern] take one
//     form of line each. [Regexp] takes any form and is about ten times slower
//     per match.
//   - Paths of [JSON], keys of [Logfmt]: name the fields that you use. Without
//     names, all fields are kept.
//   - [Scanner.Require]: texts of which every wanted line contains one or more.
//     The scan then skips most of a file without cutting it into lines.
//   - [Scanner.MaxLine]: raise it only if [Stats].Cut grows.
//   - [Scanner.MaxDecoded]: for compressed logs from outside, the bytes that
//     you are ready to unpack. A GiB takes about 2 seconds.
//   - [Scanner.Malformed], [Scanner.Stats]: set either if a missing record
//     matters.
//
// # Errors
//
// The loop is called with (nil, err) and may continue with the next input.
//
//   - [*InputError]: an input could not be read to its end. It names the input
//     and the offset, and wraps the cause: the error of Open or Read,
//     [io.ErrUnexpectedEOF], [compress/gzip.ErrHeader],
//     [compress/gzip.ErrChecksum], [ErrLimit] or [ErrUnsupported].
//   - The error of a context that is done, and an error returned by Malformed,
//     are always the last.
//   - Malformed records are not errors of the loop. Errors of parsers match
//     [ErrMalformed].
//
// # Concurrency and cost
//
// Scanners, parsers, [Counters] and inputs of [Files] and [Walk] may be shared
// by goroutines; a [Record] belongs to its loop. A scan takes about 200 KiB,
// linear time and, with most parsers, no allocation per record.
//
// Costs, formats and sources: docs/logscan.md.
package logscan
