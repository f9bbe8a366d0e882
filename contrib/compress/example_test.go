package compress_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/redoubt-go/redoubt/contrib/compress"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/ulikunitz/xz"
)

func handle(rec *logscan.Record) { fmt.Printf("%s: %s\n", filepath.Base(rec.Source), rec.Line) }

// rotated writes a log and its rotated files into the working directory.
func rotated() error {
	var z, x bytes.Buffer
	zw, err := zstd.NewWriter(&z)
	if err != nil {
		return err
	}
	xw, err := xz.NewWriter(&x)
	if err != nil {
		return err
	}
	_, err1 := io.WriteString(zw, "yesterday\n")
	_, err2 := io.WriteString(xw, "the day before\n")
	return errors.Join(err1, err2, zw.Close(), xw.Close(),
		os.WriteFile("app.log", []byte("today\n"), 0o600),
		os.WriteFile("app.log.1.zst", z.Bytes(), 0o600),
		os.WriteFile("app.log.2.xz", x.Bytes(), 0o600))
}

func Example() {
	dir, err := os.MkdirTemp("", "compress")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	back, _ := os.Getwd()
	if err := errors.Join(os.Chdir(dir), rotated()); err != nil {
		fmt.Println(err)
		return
	}
	defer os.Chdir(back)

	ctx := context.Background()
	err = func() error {
		decoders := slices.Concat(compress.Zstd(0), compress.XZ(0))
		s := logscan.Scanner{Decoders: decoders}
		logs := logscan.Files("app.log", "app.log.1.zst", "app.log.2.xz")
		for rec, err := range s.Records(ctx, logs) {
			if err != nil {
				return err
			}
			handle(rec)
		}
		return nil
	}()
	fmt.Println(err)
	// Output:
	// app.log: today
	// app.log.1.zst: yesterday
	// app.log.2.xz: the day before
	// <nil>
}

// A file whose header asks for more memory than allowed is an error. The scan
// continues with the next file.
func ExampleZstd() {
	hostile := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00} // a window of 2 GiB
	s := logscan.Scanner{Decoders: compress.Zstd(8 << 20)}
	in := logscan.Readers("upload", bytes.NewReader(hostile), strings.NewReader("a line\n"))
	for rec, err := range s.Records(context.Background(), in) {
		if errors.Is(err, compress.ErrWindow) {
			fmt.Println("refused")
			continue
		}
		fmt.Printf("%s\n", rec.Line)
	}
	// Output:
	// refused
	// a line
}

func ExampleXZ() {
	var b bytes.Buffer
	w, _ := xz.NewWriter(&b)
	_, err := io.WriteString(w, "first\nsecond\n")
	if err := errors.Join(err, w.Close()); err != nil {
		fmt.Println(err)
	}
	s := logscan.Scanner{Decoders: compress.XZ(0)}
	for rec, err := range s.Records(context.Background(), logscan.Readers("log.xz", &b)) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d %s\n", rec.Num, rec.Line)
	}
	// Output:
	// 1 first
	// 2 second
}

func ExampleGzip() {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, "one\ntwo\n")
	if err := errors.Join(err, w.Close()); err != nil {
		fmt.Println(err)
	}
	s := logscan.Scanner{Decoders: compress.Gzip()}
	for rec, err := range s.Records(context.Background(), logscan.Readers("log.gz", &b)) {
		fmt.Printf("%s %v\n", rec.Line, err)
	}
	// Output:
	// one <nil>
	// two <nil>
}
