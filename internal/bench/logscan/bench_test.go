package logscan

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/buger/jsonparser"
	"github.com/elastic/go-grok"
	"github.com/go-logfmt/logfmt"
	"github.com/valyala/fastjson"

	"github.com/redoubt-go/redoubt/logscan"
)

var corpusMiB = flag.Int("corpus", 32, "size of each corpus in MiB")

// A corpus is a text and the number of its lines that count.
type corpus struct {
	text  []byte
	lines int
	want  int
}

// generate appends lines until the corpus is large enough. line reports whether
// the line that it appends counts.
func generate(line func(b []byte, i int) ([]byte, bool)) func() corpus {
	return sync.OnceValue(func() (c corpus) {
		for len(c.text) < *corpusMiB<<20 {
			var counts bool
			if c.text, counts = line(c.text, c.lines); counts {
				c.want++
			}
			c.lines++
		}
		return c
	})
}

// levels is "[LEVEL] message" lines of about 110 bytes. A tenth are errors.
var levels = generate(func(b []byte, i int) ([]byte, bool) {
	level := "INFO"
	if i%10 == 3 {
		level = "ERROR"
	}
	return fmt.Appendf(b, "[%s] request %d done in %d ms by node-%02d for tenant blue, cache hit, path /v1/invoices/%d?page=2\n", level, i, i%900, i%40, i*7), level == "ERROR"
})

// jsonLines is JSON lines of about 220 bytes. A third are errors.
var jsonLines = generate(func(b []byte, i int) ([]byte, bool) {
	return fmt.Appendf(b, `{"time":"2026-03-01T12:%02d:%02d.%03dZ","level":%q,"service":"billing","host":"node-%02d","status":%d,"ms":%d.%d,"path":"/v1/invoices/%d","tags":["a","b"],"user":{"id":%d,"plan":"pro"},"message":"request done in %d ms"}`+"\n",
		i/60%60, i%60, i%1000, []string{"INFO", "WARN", "ERROR"}[i%3], i%40, 200+i%300, i%900, i%10, i, i*7, i%900), i%3 == 2
})

var logfmtLines = generate(func(b []byte, i int) ([]byte, bool) {
	return fmt.Appendf(b, "time=2026-03-01T12:%02d:%02dZ level=%s host=node-%02d status=%d msg=\"request done in %d ms\" path=/v1/invoices/%d\n",
		i/60%60, i%60, []string{"info", "warn", "error"}[i%3], i%40, 200+i%300, i%900, i), i%3 == 2
})

// authLines is an sshd log. A quarter of the lines are failed logins.
var authLines = generate(func(b []byte, i int) ([]byte, bool) {
	b = fmt.Appendf(b, "Mar  1 12:%02d:%02d web1 sshd[%d]: ", i/60%60, i%60, 1000+i%9000)
	if i%4 == 1 {
		return fmt.Appendf(b, "Failed password for invalid user u%d from 203.0.113.%d port %d ssh2\n", i%50, i%250, 1024+i%60000), true
	}
	return fmt.Appendf(b, "pam_unix(sshd:session): session opened for user app%d by (uid=0)\n", i%90), false
})

// compare runs every contestant on the same corpus and checks its result.
func compare(b *testing.B, c corpus, impls ...any) {
	for i := 0; i < len(impls); i += 2 {
		run := impls[i+1].(func(corpus) int)
		b.Run("impl="+impls[i].(string), func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				if got := run(c); got != c.want {
					b.Fatalf("found %d, want %d", got, c.want)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.lines), "ns/line")
		})
	}
}

func in(c corpus) logscan.Inputs { return logscan.Readers("", bytes.NewReader(c.text)) }

// scan counts the records for which counts reports true.
func scan(s logscan.Scanner, counts func(*logscan.Record) bool) func(corpus) int {
	return scanIn(context.Background(), s, counts)
}

func scanIn(ctx context.Context, s logscan.Scanner, counts func(*logscan.Record) bool) func(corpus) int {
	return func(c corpus) (n int) {
		for rec, err := range s.Records(ctx, in(c)) {
			if err == nil && counts(rec) {
				n++
			}
		}
		return n
	}
}

func all(*logscan.Record) bool { return true }

// lines counts the lines of bufio.Scanner for which counts reports true.
func lines(counts func([]byte) bool) func(corpus) int {
	return func(c corpus) (n int) {
		sc := bufio.NewScanner(bytes.NewReader(c.text))
		sc.Buffer(make([]byte, 64<<10), 256<<10)
		for sc.Scan() {
			if counts(sc.Bytes()) {
				n++
			}
		}
		return n
	}
}

// BenchmarkLines counts the lines of a corpus in memory. A context that can end
// is checked before each line.
func BenchmarkLines(b *testing.B) {
	c := levels()
	c.want = c.lines
	compare(b, c, "redoubt", scan(logscan.Scanner{}, all), "redoubt-cancellable", scanIn(b.Context(), logscan.Scanner{}, all), "bufio.Scanner.Bytes", lines(func([]byte) bool { return true }))
}

// program writes the corpus to a file and returns a function that runs a
// program on it. The program prints a number or the lines to count.
func program(b *testing.B, c corpus, arg ...string) (func(corpus) int, bool) {
	if _, err := exec.LookPath(arg[0]); err != nil {
		return nil, false
	}
	name := filepath.Join(b.TempDir(), "corpus.log")
	if err := os.WriteFile(name, c.text, 0o600); err != nil {
		b.Fatal(err)
	}
	return func(corpus) int {
		cmd := exec.Command(arg[0], append(arg[1:], name)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		out, err := cmd.Output()
		if err != nil {
			b.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(out)))
		if err != nil {
			return bytes.Count(out, []byte("\n"))
		}
		return n
	}, true
}

// BenchmarkCountLiteral counts the lines with a literal, a tenth of all lines.
// Programs read a file and are started for each run.
func BenchmarkCountLiteral(b *testing.B) {
	c, lit := levels(), []byte("[ERROR]")
	impls := []any{
		"redoubt", scan(logscan.Scanner{Require: []string{"[ERROR]"}}, all),
		"bufio.Scanner+Contains", lines(func(l []byte) bool { return bytes.Contains(l, lit) }),
	}
	for name, arg := range map[string][]string{"grep": {"grep", "-cF", "[ERROR]"}, "rg": {"rg", "-cF", "-a", "-j1", "[ERROR]"}} {
		if run, ok := program(b, c, arg...); ok {
			impls = append(impls, name, run)
		}
	}
	compare(b, c, impls...)
}

// total counts records.
type total struct{ n int }

func (t *total) Add(*logscan.Record)  { t.n++ }
func (t *total) Merge(o *total) error { t.n += o.n; return nil }

// BenchmarkReduce counts the lines of a file with one worker and with two.
func BenchmarkReduce(b *testing.B) {
	c := levels()
	name := filepath.Join(b.TempDir(), "corpus.log")
	if err := os.WriteFile(name, c.text, 0o600); err != nil {
		b.Fatal(err)
	}
	run := func(workers int) func(corpus) int {
		s := logscan.Scanner{Parser: logscan.MustPattern("[<level>] <message>"), Workers: workers}
		return func(corpus) int {
			got, err := logscan.Reduce(context.Background(), s, logscan.Files(name), func() *total { return new(total) })
			if err != nil {
				b.Fatal(err)
			}
			return got.n
		}
	}
	c.want = c.lines
	compare(b, c, "redoubt-1", run(1), "redoubt-2", run(2))
}

// BenchmarkLevelPattern finds level and message of each line and counts errors.
func BenchmarkLevelPattern(b *testing.B) {
	c := levels()
	re := regexp.MustCompile(`^\[(\w+)\]\s+(.*)$`)
	g := grok.New()
	if err := g.Compile(`^\[%{WORD:level}\] %{GREEDYDATA:message}$`, true); err != nil {
		b.Fatal(err)
	}
	compare(b, c,
		"redoubt", scan(logscan.Scanner{Parser: logscan.MustPattern("[<level>] <message>")}, func(r *logscan.Record) bool { return r.Is("level", "ERROR") }),
		"regexp", lines(func(l []byte) bool { m := re.FindSubmatch(l); return m != nil && string(m[1]) == "ERROR" }),
		"go-grok", lines(func(l []byte) bool { m, err := g.Parse(l); return err == nil && string(m["level"]) == "ERROR" }),
	)
}

// BenchmarkRegexpPrefilter searches for an expression that matches a tenth of
// all lines.
func BenchmarkRegexpPrefilter(b *testing.B) {
	re := regexp.MustCompile(`\[ERROR\] request (?P<id>\d+)`)
	compare(b, levels(),
		"redoubt", scan(logscan.Scanner{Parser: logscan.Regexp(re)}, all),
		"regexp", lines(func(l []byte) bool { return re.FindSubmatch(l) != nil }),
	)
}

// BenchmarkJSONLines counts errors by level; each must have a message.
// jsonparser does not validate, so json.Valid does it there.
func BenchmarkJSONLines(b *testing.B) {
	c := jsonLines()
	var p fastjson.Parser
	impls := []any{
		"redoubt", scan(logscan.Scanner{Parser: logscan.JSON("level", "message")}, func(r *logscan.Record) bool { return r.Is("level", "ERROR") && r.Get("message") != nil }),
		"fastjson", lines(func(l []byte) bool {
			v, err := p.ParseBytes(l)
			return err == nil && string(v.GetStringBytes("level")) == "ERROR" && v.GetStringBytes("message") != nil
		}),
		"jsonparser+Valid", lines(func(l []byte) bool {
			level, err := jsonparser.GetString(l, "level")
			_, err2 := jsonparser.GetString(l, "message")
			return json.Valid(l) && err == nil && err2 == nil && level == "ERROR"
		}),
		"encoding-json", lines(func(l []byte) bool {
			var v struct{ Level, Message string }
			return json.Unmarshal(l, &v) == nil && v.Level == "ERROR" && v.Message != ""
		}),
	}
	if run, ok := program(b, c, "jq", "-c", `select(.level == "ERROR") | 1`); ok {
		impls = append(impls, "jq", run)
	}
	compare(b, c, impls...)
}

// BenchmarkLogfmt counts errors by level.
func BenchmarkLogfmt(b *testing.B) {
	compare(b, logfmtLines(),
		"redoubt", scan(logscan.Scanner{Parser: logscan.Logfmt("level", "msg")}, func(r *logscan.Record) bool { return r.Is("level", "error") }),
		"redoubt-all", scan(logscan.Scanner{Parser: logscan.Logfmt()}, func(r *logscan.Record) bool { return r.Is("level", "error") }),
		"go-logfmt", func(c corpus) (n int) {
			d := logfmt.NewDecoder(bytes.NewReader(c.text))
			for d.ScanRecord() {
				for d.ScanKeyval() {
					if string(d.Key()) == "level" && string(d.Value()) == "error" {
						n++
					}
				}
			}
			return n
		},
	)
}

// BenchmarkTimeParse parses a time in each form, 1000 times.
func BenchmarkTimeParse(b *testing.B) {
	p := logscan.TimeParser{Reference: func() time.Time { return time.Unix(1772366400, 0) }}
	for _, f := range [][2]string{{time.Stamp, "Mar  1 12:00:00"}, {"02/Jan/2006:15:04:05 -0700", "01/Mar/2026:12:00:00 +0000"}, {time.RFC3339Nano, "2026-03-01T12:00:00.123Z"}} {
		text := []byte(f[1])
		c := corpus{lines: 1000, want: 1000}
		b.Run(strings.Fields(f[1])[0], func(b *testing.B) {
			compare(b, c,
				"redoubt", func(corpus) (n int) {
					for range 1000 {
						if _, err := p.Parse(text); err == nil {
							n++
						}
					}
					return n
				},
				"time.Parse", func(corpus) (n int) {
					for range 1000 {
						if _, err := time.Parse(f[0], string(text)); err == nil {
							n++
						}
					}
					return n
				})
		})
	}
}
