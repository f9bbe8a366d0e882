// Package compress decompresses zstd and xz for logscan, and gzip faster than
// the standard library.
//
// Rotated logs often end in .zst or .xz. This package contains decoders for
// [logscan.Scanner]. It is a module of its own, so that other programs inherit
// no decompression library.
//
//	decoders := slices.Concat(compress.Zstd(0), compress.XZ(0))
//	s := logscan.Scanner{Decoders: decoders}
//	files := logscan.Files("app.log", "app.log.1.zst", "app.log.2.xz")
//	for rec, err := range s.Records(ctx, files) {
//		if err != nil {
//			return err
//		}
//		handle(rec)
//	}
//
// # Choosing values
//
//   - The window is the largest distance that a compressed stream may refer
//     back, and the memory that a reader keeps. The author of a file chooses it
//     in the header: up to gigabytes, in twenty bytes of input. The default of
//     64 MiB reads every file of xz -9, and of zstd without --long and --ultra
//     -22.
//   - Each open input takes at most one window. Eight workers with hostile
//     files take eight windows.
//   - MaxDecoded and MaxRatio of the Scanner bound the decompressed size.
//   - [Gzip] replaces the built-in decoder if it comes before it. Use it if
//     decompression limits the speed of a scan. It refuses headers with
//     reserved bits, which RFC 1952 forbids and the standard library ignores.
//
// # Errors
//
//   - [ErrWindow]: a window is larger than allowed. Also xz blocks whose
//     windows add up to 64 times the bound and that contain hardly any text,
//     because each block allocates its window again.
//   - io.ErrUnexpectedEOF: the stream was cut off, also between two blocks of
//     xz. A cut between two frames of zstd, or two members of gzip, cannot be
//     detected.
//   - After a stream, only another stream or zeros may follow: for xz in groups
//     of four, for gzip any number. For zstd also a skippable frame. Everything
//     else is an error after the last record.
//   - A zstd frame that needs a dictionary is an error.
//
// The Scanner adds the name of the input and the offset in the decompressed
// text.
//
// # Concurrency and cost
//
// Scans can share decoders. Each reader belongs to one scan. This package
// starts no goroutine. An open input takes one window, at most two for zstd,
// and about 100 KiB for tables. Each block of an xz file allocates a new
// window.
//
// The formats are RFC 8878 (zstd), the .xz file format 1.1.0, and RFC 1952
// (gzip). The decoders are github.com/klauspost/compress and, for xz,
// github.com/ulikunitz/xz. It supports the LZMA2 filter only, so files with
// other filters are errors.
package compress
