package house

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

func languageRules() []Rule {
	return []Rule{{
		Name:  "language ceilings",
		Todo:  "write plain English: name the noun in place of what, one and that of; no people; at most 25 words a sentence. go test -run TestLanguage -v ./internal/house lists the places",
		Check: func(t *Tree) []string { return t.checkCeilings(columns[1:]...) },
	}}
}

const maxSentence = 30 // words

// A finding is a place in a text that breaks the language rules.
type finding struct{ kind, text string }

// countComments counts the findings in the comments of a package.
func (t *Tree) countComments(p *pkg) map[string]int {
	all := map[string]int{}
	for _, f := range p.code {
		for _, group := range f.Comments {
			for kind, n := range countProse(prose(group.Text())) {
				all[kind] += n
			}
		}
	}
	return all
}

func countProse(text string) map[string]int {
	all := map[string]int{}
	for _, f := range findings(text) {
		all[f.kind]++
	}
	return all
}

// Language returns every finding in the comments and pages of the tree, with
// its place.
func (t *Tree) Language() (all []string) {
	for _, p := range t.written() {
		for _, file := range p.code {
			for _, group := range file.Comments {
				for _, f := range findings(prose(group.Text())) {
					all = append(all, fmt.Sprintf("%s: %s: %s", t.at(group), f.kind, f.text))
				}
			}
		}
	}
	for _, name := range t.files(".md") {
		if name != "CHANGELOG.md" {
			for _, f := range findings(markdownProse(t.text[name])) {
				all = append(all, fmt.Sprintf("%s: %s: %s", name, f.kind, f.text))
			}
		}
	}
	return all
}

// Words returns the number of words in the comments of a package, for rates.
func (t *Tree) Words(dir string) (n int) {
	for _, f := range t.pkg(dir).code {
		for _, group := range f.Comments {
			n += len(strings.Fields(prose(group.Text())))
		}
	}
	return n
}

// Count returns the findings of each kind in the comments of a package.
func (t *Tree) Count(dir string) map[string]int { return t.countComments(t.pkg(dir)) }

var (
	thatOf = regexp.MustCompile(`(?i)\b(that|those) of\b`)
	people = regexp.MustCompile(`(?i)\b(nobody|somebody|anybody|everybody|someone|anyone|everyone|no one|strangers?|deeds?|puzzles?|who asks|whoever)\b`)
	quoted = regexp.MustCompile(`["“][^"”]{1,40}["”]`)
	what   = regexp.MustCompile(`(?i)\bwhat\b`)
)

// findings returns the findings in a text without code. Quoted words do not
// count.
func findings(text string) (all []finding) {
	for _, s := range sentences(text) {
		s := quoted.ReplaceAllString(s, `"quoted"`)
		for _, m := range what.FindAllStringIndex(s, -1) {
			all = append(all, finding{"what", around(s, m)})
		}
		for _, m := range thatOf.FindAllStringIndex(s, -1) {
			all = append(all, finding{"that-of", around(s, m)})
		}
		for _, m := range people.FindAllStringIndex(s, -1) {
			all = append(all, finding{"people", around(s, m)})
		}
		for _, m := range pronounOnes(s) {
			all = append(all, finding{"one", around(s, m)})
		}
		if n := countWords(s); n > maxSentence {
			all = append(all, finding{"long", fmt.Sprintf("%d words: %s", n, s)})
		}
	}
	return all
}

func around(s string, m []int) string { return s[max(0, m[0]-30):min(len(s), m[1]+30)] }

func countWords(s string) (n int) {
	for _, w := range strings.Fields(s) {
		if strings.ContainsFunc(w, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			n++
		}
	}
	return n
}

var tokenRE = regexp.MustCompile(`[\pL\d_][\pL\d_'’.-]*[\pL\d_]|[\pL\d_]|[^\s\pL\d_]`)

// Words around "one" that decide whether it is a number or a pronoun.
var (
	// "At least one", "more than one", "zero or one", "plus one": a number.
	beforeNumber = words("least most exactly than to plus minus by or and from version just about up until only be")
	// "The one", "this one", "a new one": a pronoun, unless a noun follows.
	beforePronoun = words("the this that each any every another which a an old new first last next earlier later latest same other wrong right better good bad larger smaller longer shorter empty valid invalid present current previous such")
	// "One of", "one or more", "one more", "one at a time", "one per": a
	// number.
	afterNumber = words("of or more less per at by after another and-a-half")
	// "One that", "one is", "one can", "one for": a pronoun.
	afterPronoun = words("that which who whose whom is was has had does did can cannot may might must should would could will for in with as on without before after to into under behind between if when while unless because but so")
)

func words(list string) map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(list) {
		all[w] = true
	}
	return all
}

// pronounOnes returns the places of "one" and "ones" as pronouns. Numbers do
// not count: "at least one", "one of the keys", "one second".
func pronounOnes(s string) (places [][]int) {
	tokens := tokenRE.FindAllStringIndex(s, -1)
	at := func(i int) string {
		if i < 0 || i >= len(tokens) {
			return "."
		}
		return strings.ToLower(s[tokens[i][0]:tokens[i][1]])
	}
	for i := range tokens {
		if isPronounOne(at(i), at(i-2), at(i-1), at(i+1), at(i+2)) {
			places = append(places, tokens[i])
		}
	}
	return places
}

func isPronounOne(word, before2, before, next, next2 string) bool {
	isWord := unicode.IsLetter([]rune(next)[0])
	switch {
	case word == "ones":
		return before != "all" && before != "of" // bits
	case word == "one's" || word == "one’s" || word == "oneself":
		return true
	case word != "one":
		return false
	case before == "no":
		return false // counted as people
	case unicode.IsDigit([]rune(next)[0]) || unicode.IsDigit([]rune(next2)[0]) && next == "in":
		return false // one in 64
	case before == "only":
		return before2 == "the" && (!isWord || afterPronoun[next])
	case next == "who" || next == "that" || next == "which" || next == "whose":
		return true
	case before == "this" || before == "another":
		return true
	case beforePronoun[before]:
		return !isWord || afterPronoun[next] || next == "of" || next == "and" || next == "or" || next == "at"
	case beforeNumber[before] || afterNumber[next]:
		return false
	case before == "." && next == "for":
		return false
	}
	return !isWord && strings.ContainsAny(next, ".,;:!?)—") || afterPronoun[next]
}

// sentences splits a text at full stops, question and exclamation marks, empty
// lines and list items. A stop inside a word, as in retry.Do or 1.5, or after
// an abbreviation does not end a sentence.
func sentences(text string) (all []string) {
	for _, paragraph := range regexp.MustCompile(`\n\s*\n`).Split(text, -1) {
		start := 0
		for _, m := range regexp.MustCompile(`[.!?]["”')\]]*(\s+|$)`).FindAllStringIndex(paragraph, -1) {
			head := paragraph[start:m[1]]
			if m[1] < len(paragraph) && abbreviated(head) {
				continue
			}
			all = append(all, head)
			start = m[1]
		}
		all = append(all, paragraph[start:])
	}
	for i, s := range all {
		all[i] = strings.Join(strings.Fields(s), " ")
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

func abbreviated(s string) bool {
	f := strings.Fields(s)
	return len(f) > 0 && slices.Contains([]string{"e.g.", "(e.g.", "i.e.", "(i.e.", "etc.", "vs.", "cf.", "no.", "p."}, strings.ToLower(f[len(f)-1]))
}
