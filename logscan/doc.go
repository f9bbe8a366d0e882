// Package logscan reads log files as a loop over records.
//
// Reading a log is a few lines with bufio.Scanner until a line is longer than
// its buffer, a file is compressed, the last line has no newline, one file of a
// hundred is damaged, or a line is not the JSON it should be. Then the scan
// stops, or goes on and says nothing. Here a line that is too long is cut and
// flagged, gzip and bzip2 are unpacked within limits, a damaged input is an error
// after all its good records and before the next input, and what a parser
// refuses is counted.
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
// A line ends with "\n" or "\r\n", or with the input: then it is Partial. Every
// other byte, NUL and invalid UTF-8 among them, is part of it. A UTF-8 byte order
// mark at the beginning of an input is skipped.
//
// # Choosing values
//
// The zero Scanner is right for most logs. Pattern, CLF, Syslog, Logfmt, CSV and
// JSON each take a form of line; Regexp takes any, and is ten times slower where a
// line matches. Require what every wanted line contains: most of the file is then
// never cut into lines. Join messages of several lines. Reduce and Map use all
// processors, and give what one loop would.
// MaxLine is worth raising only when
// Stats.Cut grows: a JSON line that is cut is malformed. Name the paths that are
// wanted to JSON; without any it keeps all members. For compressed logs that
// strangers hand in, set MaxDecoded to what one of them may cost: unpacking
// takes about two seconds per GiB. Set Malformed, or look at Stats.Malformed,
// wherever a missing record matters.
//
// # Errors
//
// The loop gets (nil, err) and may go on, to the next input, or leave. An
// *InputError names the input and the offset, and wraps the cause: what Open or
// Read returned, io.ErrUnexpectedEOF, gzip.ErrHeader (something follows
// the last member), gzip.ErrChecksum, ErrLimit or ErrUnsupported. An error of the
// context and one returned by Malformed end the scan. Malformed records are no
// errors of the loop; parsers' errors match ErrMalformed. Reduce joins the input
// errors and returns them with the result of all that could be read.
//
// # Concurrency
//
// A Scanner may be used by many goroutines, each with its own loop; so may
// parsers, Counters, Files and Walk. Records runs in the goroutine of its loop and
// starts no other. Reduce and Map have Workers goroutines, and one that lists the
// inputs, which end before they do; parsers and hooks are called by all of them.
// A Record belongs to its loop and is valid for one iteration.
// Programs built with -tags logscanpoison overwrite it after that, which brings to
// light what should have been cloned.
//
// # Cost
//
// A scan allocates about 200 KiB of buffers, and more for long lines: about
// MaxLine, with JSON twice that, and with JSON without paths ten times that for
// a line of nothing but tiny members. gzip takes another 40 KiB per input, bzip2
// up to 4 MiB. A record allocates nothing, parsed or not, malformed or not,
// except that JSON without paths allocates each name once a scan, and every time
// those longer than 64 bytes or beyond the first 256, as Logfmt without keys
// does, that Regexp allocates once for a match, and a TimeParser where one of its
// Layouts does not fit. Workers have buffers each, and as many chunks as there are
// workers, and twice that, may wait their turn. Time is linear in the input.
// Splitting lines costs about four nanoseconds a line more than with bufio.Scanner; JSON with two paths is about seven times as fast as
// encoding/json into a struct.
//
// # Composition
//
// Inputs are an iterator, so that any function can list, filter or change them.
// An Input opens any stream: a part of a file, a decompressor, an HTTP body. A
// Parser can be written by the user, and can call another one's Parse before it
// sets fields of its own; Chain makes one of several. Filter, Merge, MergeLive,
// Reorder and the standard library's iterators work on what Records yields. Package follow
// reads a log as it grows, detect finds who does something too often, and the
// sketches of package sketch count in bounded memory and merge across machines.
//
// # Source
//
// gzip is RFC 1952, with padding as gzip(1) takes it; JSON is RFC 8259, accepted
// and refused as in encoding/json; syslog is RFC 3164 and RFC 5424, with the year
// of rsyslog; CSV is RFC 4180; patterns are those of Loki's LogQL, fixed at both
// ends of the line; the prefilter of Regexp is after Cox's trigram index.
package logscan
