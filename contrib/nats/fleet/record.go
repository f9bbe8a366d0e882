package fleet

import (
	"fmt"
	"hash/fnv"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/follow"
)

// The headers of a message.
const (
	headerPath    = "Fleet-Path"
	headerTime    = "Fleet-Time"
	headerDropped = "Fleet-Dropped"
	headerLayout  = "Fleet-Layout"
)

// A Record is a line of a machine, as a [Consumer] handles it. It is valid
// until Handle returns.
type Record struct {
	// Record contains the line, its time as the parser of the Shipper has read
	// it, and the fields of ConsumerConfig.Parser. Source is the path of the
	// log.
	*logscan.Record

	// ID identifies the line in its log: the host, the ID of follow.Record, and
	// a hash of the Prefix and the line. If the line is stored twice under a
	// Prefix, or handled twice, it has the same ID.
	ID string

	Host      string // ShipperConfig.Host
	Partition int    // the partition of the key
	Seq       uint64 // the sequence number in the stream
}

// recordID returns the ID of a line. The hash of the line distinguishes the
// lines of a file that was truncated and begins with the same first line. The
// hash of the prefix distinguishes the copies of a line in a stream of several
// prefixes, which the stream would store once otherwise.
func recordID(prefix, host string, r follow.Record) string {
	h := fnv.New64a()
	_, _ = io.WriteString(h, prefix+" ")
	h.Write(r.Line)
	return fmt.Sprintf("%s/%s-%016x", host, r.ID(), h.Sum64())
}

// newMessage returns the message of a line, without its line.
func newMessage(c *ShipperConfig, r follow.Record) *nats.Msg {
	key := []byte(nil)
	if c.Key != nil {
		key = c.Key(r.Record)
	}
	if len(key) == 0 {
		key = []byte(c.Host + ":" + r.Source)
	}
	h := nats.Header{
		jetstream.MsgIDHeader: {recordID(c.Prefix, c.Host, r)},
		headerPath:            {escape(r.Source)},
		headerLayout:          {layout(c.Partitions)},
	}
	if at := r.Time(); !at.IsZero() {
		h[headerTime] = []string{at.Format(time.RFC3339Nano)}
	}
	if r.Dropped > 0 {
		h[headerDropped] = []string{strconv.FormatInt(r.Dropped, 10)}
	}
	return &nats.Msg{Subject: subject(c.Prefix, Partition(key, c.Partitions)), Header: h}
}

// escape returns a path that can be the value of a header.
func escape(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c == '%' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// setHeaders reads the headers of a message. Values that are missing or
// malformed stay zero.
func (r *Record) setHeaders(h nats.Header) {
	r.ID = h.Get(jetstream.MsgIDHeader)
	r.Host, _, _ = strings.Cut(r.ID, "/")
	if path, err := url.PathUnescape(h.Get(headerPath)); err == nil {
		r.Source = path
	}
	if n, err := strconv.ParseInt(h.Get(headerDropped), 10, 64); err == nil && n > 0 {
		r.Dropped = n
	}
}

// setTime sets the time that the Shipper has read. Without it, a time without a
// year would depend on the clock of the Consumer.
func (r *Record) setTime(h nats.Header) {
	if at, err := time.Parse(time.RFC3339Nano, h.Get(headerTime)); err == nil {
		r.SetTime(at)
	}
}
