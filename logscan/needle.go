package logscan

import "bytes"

// A needle is a text that is searched for in one block after another.
type needle struct {
	text  []byte
	rare  int   // index of the byte of text that is rarest in logs
	tuned bool  // rare is the rarest in a sample of the data
	next  int64 // offset of the next text, or an offset before which there is none
}

func needles(texts [][]byte) []needle {
	ns := make([]needle, len(texts))
	for i, text := range texts {
		ns[i] = needle{text: text, rare: rarest(text)}
	}
	return ns
}

// rarest returns the index of the byte to search for first. It is a guess that
// matters only for speed: logs have few capitals and many small letters, spaces
// and digits.
func rarest(text []byte) int {
	best, least := 0, 4
	for i, c := range text {
		often := 1
		switch {
		case c >= 'A' && c <= 'Z', c >= 0x80:
			often = 0
		case c == ' ', digit(c), bytes.IndexByte([]byte("etaoinsrhld"), c) >= 0:
			often = 3
		case c >= 'a' && c <= 'z':
			often = 2
		}
		if often <= least {
			best, least = i, often
		}
	}
	return best
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

// index is bytes.Index, except that it searches for the rarest byte and not for
// the first. If that byte comes more often than once in 32 bytes, index chooses
// the byte by a sample of the data and, the next time, calls bytes.Index.
func (n *needle) index(data []byte) int {
	if len(n.text) == 0 {
		return 0
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
			if !n.tuned {
				n.tuned, n.rare = true, rarestIn(data[start:min(start+4096, len(data))], n.text)
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

// rarestIn returns the index of the byte of text that is rarest in sample.
func rarestIn(sample, text []byte) int {
	var count [256]int
	for _, c := range sample {
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
