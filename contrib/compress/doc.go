// Package compress unpacks zstd and xz for package logscan, and gzip faster
// than the standard library.
//
// Rotated logs are as often .zst or .xz as .gz. The package has
// [logscan.Decoder] values for a [logscan.Scanner]. It is a module of its own,
// so that programs without them inherit no library.
//
//	decoders := slices.Concat(compress.Zstd(0), compress.XZ(0))
//	s := logscan.Scanner{Decoders: decoders}
//	logs := logscan.Files("app.log", "app.log.1.zst", "app.log.2.xz")
//	for rec, err := range s.Records(ctx, logs) {
//		if err != nil {
//			return err
//		}
//		handle(rec)
//	}
//
// # Choosing values
//
//   - Window: the distance by which a compressed stream may refer back, and so
//     the memory of its reader. The header of a file chooses it: up to
//     gigabytes, in twenty bytes. The default of 64 MiB reads everything that
//     xz writes up to -9, and zstd without --long and --ultra -22. Eight
//     workers with hostile files take eight windows.
//   - [logscan.Scanner.MaxDecoded] and [logscan.Scanner.MaxRatio] bound the
//     bytes that an input unpacks to. A log that repeats a line with the time
//     in it keeps within the default ratio.
//   - [Gzip] is worth it if a scan mostly waits for unpacking.
//
// # Errors
//
// The Scanner adds the name of the input and the offset in the decoded stream.
//
//   - [ErrWindow]: a window larger than allowed, or xz blocks whose windows add
//     up to 1024 times that with hardly any text.
//   - [io.ErrUnexpectedEOF]: the stream was cut. A cut between two zstd frames,
//     or between two gzip members, cannot be detected.
//   - Other errors: bytes behind a stream that are neither a stream nor
//     padding, damaged data, a zstd frame that needs a dictionary, or an xz
//     filter other than LZMA2. They come after all records before them.
//
// # Concurrency and cost
//
// Scans may share the Decoders, and no goroutine is started. An open input
// takes a window, at most two for zstd, and about 100 KiB.
//
// Costs, formats and sources: docs/logscan.md.
package compress
