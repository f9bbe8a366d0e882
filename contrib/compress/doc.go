// Package compress unpacks zstd and xz for logscan, and gzip faster than the standard library does.
//
// Rotated logs are as often .zst or .xz as .gz. These are decoders for [logscan.Scanner], in a module of their own so that
// who needs none of them inherits no library.
//
//	s := logscan.Scanner{Decoders: slices.Concat(compress.Zstd(0), compress.XZ(0))}
//	for rec, err := range s.Records(ctx, logscan.Files("app.log", "app.log.1.zst", "app.log.2.xz")) {
//		if err != nil {
//			return err
//		}
//		handle(rec)
//	}
//
// # Choosing values
//
// The window is how far back a compressed stream may refer, and what it makes the reader keep. Its size stands in the
// header, so whoever wrote the file chooses it: up to gigabytes, in twenty bytes of input. The default of 64 MiB reads all
// that xz writes up to its -9, and all that zstd does without --long and --ultra -22. Each input being read takes one
// window at most, so eight workers with hostile files take eight. What an input unpacks to is bounded by MaxDecoded and
// MaxRatio of the Scanner.
//
// Gzip goes before the decoder built in, and reads the same but for headers with reserved bits, which RFC 1952 forbids and
// the standard library ignores. It is worth it where unpacking is what a scan waits for.
//
// # Errors
//
// [ErrWindow] is a window larger than allowed, or xz blocks with windows of 64 times that in sum and hardly any text: each block
// takes its window anew. A stream that was cut off ends with io.ErrUnexpectedEOF, also where an xz
// stream was cut between two blocks; between two frames of zstd, or members of gzip, nobody can tell. What follows a
// stream must be another, zeros (of xz in fours, of gzip any number), or in zstd a skippable frame; everything else is an
// error, after all that came before. A zstd frame that needs a dictionary is an error. The Scanner adds the name of the
// input and the offset in what was decoded.
//
// # Concurrency
//
// The decoders may be shared by scans. Each reader belongs to one scan, and no goroutine is started.
//
// # Cost
//
// One window per open input, at most twice that for zstd, and some 100 KiB for tables. For each block of an xz file the window
// is a new one, and the old one is garbage until it is collected.
//
// # Source
//
// RFC 8878 (zstd) by github.com/klauspost/compress; the .xz file format 1.1.0 by github.com/ulikunitz/xz, which knows the
// LZMA2 filter only: files of other filters, as of executables, are errors. RFC 1952 (gzip) by klauspost/compress.
package compress
