package logscan

import "regexp"

// Mask returns a function for [Scanner.Redact]. It replaces every byte of every
// match by "*". All expressions are matched against the original line.
//
// The line keeps its length. JSON stays valid if the matches lie within strings
// and do not begin or end inside an escape. [Scanner.MaxLine] may cut a secret,
// so an expression should also match the beginning of a secret. Package regexp
// allocates for every match.
func Mask(res ...*regexp.Regexp) func(dst, src []byte) []byte {
	return func(dst, src []byte) []byte {
		from := len(dst)
		dst = append(dst, src...)
		for _, re := range res {
			for _, at := range re.FindAllIndex(src, -1) {
				for i := at[0]; i < at[1]; i++ {
					dst[from+i] = '*'
				}
			}
		}
		return dst
	}
}
