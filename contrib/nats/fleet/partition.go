package fleet

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// layoutVersion is the version of Partition. It is a part of each message.
const layoutVersion = 1

const maxPartitions = 1 << 12

// Partition returns the partition of a key, from 0 to n-1: the first 8 bytes of
// the SHA-256 of the key, as a big-endian number, modulo n. This is version 1
// of the algorithm, and does not change. If n < 1, Partition returns 0.
func Partition(key []byte, n int) int {
	sum := sha256.Sum256(key)
	return int(binary.BigEndian.Uint64(sum[:]) % uint64(max(n, 1)))
}

// layout returns the header with which consumers recognize messages of shippers
// with another number of partitions.
func layout(n int) string { return fmt.Sprintf("%d/%d", layoutVersion, n) }

func subject(prefix string, partition int) string { return fmt.Sprintf("%s.%d", prefix, partition) }

// problems collects the errors of a configuration.
type problems []error

func (p *problems) add(wrong bool, format string, args ...any) {
	if wrong {
		*p = append(*p, fmt.Errorf("fleet: "+format, args...))
	}
}

func (p *problems) addLayout(prefix string, partitions int) {
	p.add(!isSubject(prefix), "Prefix is %q, want a subject without wildcards", prefix)
	p.add(partitions < 1 || partitions > maxPartitions, "Partitions is %d, want 1 to %d", partitions, maxPartitions)
}

func (p problems) err() error { return errors.Join(p...) }

// isSubject reports whether s is a subject to which messages can be published.
func isSubject(s string) bool {
	for token := range strings.SplitSeq(s, ".") {
		if !isToken(token, "") {
			return false
		}
	}
	return len(s) <= 256
}

// isToken reports whether s consists of letters, digits, dashes, underscores
// and more.
func isToken(s, more string) bool {
	other := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && !strings.ContainsRune(more, r)
	}
	return s != "" && !strings.ContainsFunc(s, other)
}
