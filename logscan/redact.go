package logscan

import "regexp"

// Mask returns a function for Scanner.Redact that puts a "*" in the place of
// every byte of a match of any of the expressions, which are all matched against
// the line as it was. So a line keeps its length, and what is valid JSON stays so
// when the matches lie within strings and do not begin or end inside an escape.
// MaxLine may cut a secret: an expression should match the beginning of one.
// It allocates, in package regexp, for every match.
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
