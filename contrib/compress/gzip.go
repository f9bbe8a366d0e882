package compress

import (
	"bufio"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/redoubt-go/redoubt/internal/gunzip"
	"github.com/redoubt-go/redoubt/logscan"
)

// Gzip returns a decoder of gzip that reads what the one built into logscan reads, and faster. Both refuse a member that is
// damaged, but may have delivered more or less of it by then.
func Gzip() []logscan.Decoder {
	open := func(r io.Reader) (io.ReadCloser, error) {
		return io.NopCloser(gunzip.NewReader(bufio.NewReader(r), new(gzip.Reader))), nil
	}
	return []logscan.Decoder{{Name: "gzip", Magic: "\x1f\x8b\x08", New: open}}
}
