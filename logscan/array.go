package logscan

import (
	"bufio"
	"fmt"
	"io"
)

// JSONArray returns a Decoder for documents that are a JSON object with a
// single array of events, such as {"Records":[{...},{...}]} of CloudTrail:
// every element becomes a line, which [JSON] reads. The document begins with
// {"key":[ without white space. The rest of the document is ignored.
//
// An element is as long as [Scanner.MaxLine] allows. Nothing else is held in
// memory. The elements are checked by the parser, and the document only as far
// as is necessary to find them.
func JSONArray(key string) Decoder {
	return Decoder{Name: "JSON array", Magic: `{"` + key + `":[`, New: func(r io.Reader) (io.ReadCloser, error) {
		a := &array{r: bufio.NewReader(r)}
		if _, err := a.r.Discard(len(`{"":[`) + len(key)); err != nil {
			return nil, noEOF(err)
		}
		return a, nil
	}}
}

// An array writes the elements of an array as lines.
type array struct {
	r      *bufio.Reader
	depth  int  // of objects and arrays within the array
	quoted bool // within a string
	slash  bool // behind a backslash
	ended  bool
}

// Close implements io.Closer.
func (*array) Close() error { return nil }

// Read implements io.Reader.
func (a *array) Read(p []byte) (n int, err error) {
	for n < len(p) && !a.ended {
		c, err := a.r.ReadByte()
		if err != nil {
			return n, noEOF(err)
		}
		switch {
		case a.slash:
			a.slash = false
		case a.quoted && c == '\\':
			a.slash = true
		case c == '"':
			a.quoted = !a.quoted
		case a.quoted:
		case c == '\n' || c == '\r':
			c = ' '
		case c == '{' || c == '[':
			if a.depth++; a.depth > maxNesting {
				return n, fmt.Errorf("%w: nested too deeply", ErrMalformed)
			}
		case c == ']' && a.depth == 0:
			a.ended = true
			c = '\n'
		case c == '}' || c == ']':
			a.depth--
		case c == ',' && a.depth == 0:
			c = '\n'
		}
		p[n] = c
		n++
	}
	if n == 0 && a.ended {
		return 0, io.EOF
	}
	return n, nil
}
