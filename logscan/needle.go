package logscan

import "bytes"

// A needle is a text that is searched for in one block after another.
type needle struct {
	text []byte
	rare int   // index of the byte of text to search for, or -1
	next int64 // offset of the next text, or an offset before which there is none
}

func needles(texts [][]byte) []needle {
	ns := make([]needle, len(texts))
	for i, text := range texts {
		ns[i] = needle{text: text, rare: -1}
	}
	return ns
}

// find returns the index of the text in data, or len(data). data begins at the
// offset off. The result of an earlier call holds until the scan has passed it.
func (n *needle) find(data []byte, off int64) int {
	from := max(n.next-off, 0)
	if from >= int64(len(data)) {
		return len(data)
	}
	if bytes.HasPrefix(data[from:], n.text) {
		return int(from)
	}
	at := n.index(data[from:])
	if at < 0 {
		n.next = off + int64(len(data))
		return len(data)
	}
	n.next = off + from + int64(at)
	return int(from) + at
}

// index is bytes.Index, except that it searches for the byte that is rarest in
// a sample of the data, and not for the first byte. If that byte comes more
// often than once in 32 bytes, index takes another sample, and then calls
// bytes.Index.
func (n *needle) index(data []byte) int {
	if len(n.text) == 0 {
		return 0
	}
	again := true
	if n.rare < 0 {
		n.rare, again = rarestIn(data, n.text), false
	}
	for i, misses := n.rare, 0; i < len(data); i++ {
		at := bytes.IndexByte(data[i:], n.text[n.rare])
		if at < 0 {
			return -1
		}
		i += at
		start := i - n.rare
		if data[start] == n.text[0] && bytes.HasPrefix(data[start:], n.text) {
			return start
		}
		if misses++; misses > 4+i/32 {
			if again {
				again, n.rare = false, rarestIn(data[start:], n.text)
				i, misses = start+n.rare, i/32
				continue
			}
			if at = bytes.Index(data[start:], n.text); at >= 0 {
				at += start
			}
			return at
		}
	}
	return -1
}

// rarestIn returns the index of the byte of text that is rarest at the
// beginning of data.
func rarestIn(data, text []byte) int {
	var count [256]int
	for _, c := range data[:min(len(data), 4096)] {
		count[c]++
	}
	best := 0
	for i, c := range text {
		if count[c] < count[text[best]] {
			best = i
		}
	}
	return best
}
