package logscan_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing/fstest"

	"github.com/redoubt-go/redoubt/logscan"
)

// tally counts, by service, the errors in the rotated logs of a directory.
func tally(ctx context.Context, sc logscan.Scanner, in logscan.Inputs) (map[string]int, error) {
	errorsOf := map[string]int{}
	var damaged error
	for rec, err := range sc.Records(ctx, in) {
		var bad *logscan.InputError
		switch {
		case errors.As(err, &bad): // the other files are still read
			damaged = errors.Join(damaged, err)
		case err != nil:
			return nil, err
		case rec.Is("level", "ERROR"):
			errorsOf[string(rec.Get("service"))]++
		}
	}
	return errorsOf, damaged
}

// pack compresses lines into a gzip member.
func pack(lines ...string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	w.Close()
	return b.Bytes()
}

// Read all .log and .log.gz files below a directory. A real program opens the
// directory with os.OpenRoot and walks its FS.
func ExampleWalk() {
	torn := pack(`{"service":"search","level":"ERROR"}`)
	dir := fstest.MapFS{
		"billing/app.log":      {Data: []byte(`{"service":"billing","level":"ERROR"}` + "\n" + `{"service":"billing","lev`)},
		"billing/app.log.1.gz": {Data: pack(`{"service":"billing","level":"INFO"}`, `{"service":"billing","level":"ERROR"}`)},
		"search/app.log.gz":    {Data: slices.Concat(pack(`{"service":"search","level":"ERROR"}`), pack(`not JSON`))},
		"search/torn.log.gz":   {Data: torn[:len(torn)-4]},
		"search/readme.txt":    {Data: []byte("not a log")},
	}
	isLog := func(path string) bool { return strings.Contains(path, ".log") }
	logs := logscan.Walk(dir, isLog)

	var counters logscan.Counters
	sc := logscan.Scanner{Parser: logscan.JSON("service", "level"), MaxDecoded: 1 << 30, Stats: &counters}
	byService, err := tally(context.Background(), sc, logs)
	fmt.Println(byService)
	fmt.Println(err)
	st := counters.Stats()
	fmt.Printf("%d files, %d failed, %d records, %d malformed\n", st.Inputs, st.Failed, st.Records, st.Malformed)
	// Output:
	// map[billing:2 search:2]
	// logscan: "search/torn.log.gz": at byte 37: unexpected EOF
	// 4 files, 1 failed, 7 records, 2 malformed
}
