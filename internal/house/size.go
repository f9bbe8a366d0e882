package house

import (
	"fmt"
	"go/scanner"
	"go/token"
	"strings"
)

func sizeRules() []Rule {
	return []Rule{{
		Name: "function length", Todo: "name a part of the function and move it out; 80 lines is the bound",
		Check: checkLength,
	}, {
		Name: "size ceilings", Todo: "remove code, or move it to a subpackage; a higher ceiling in " + ceilingsFile + " needs a review",
		Check: func(t *Tree) []string { return t.checkCeilings("code") },
	}}
}

func checkLength(t *Tree) (bad []string) {
	for _, p := range t.pkgs {
		for _, d := range p.funcs() {
			if n := t.fset.Position(d.End()).Line - t.fset.Position(d.Pos()).Line + 1; n > 80 {
				bad = append(bad, fmt.Sprintf("%s: %s has %d lines", t.at(d), d.Name.Name, n))
			}
		}
	}
	return bad
}

// codeLines counts the lines with code, without blank lines and lines with
// comments only.
func (t *Tree) codeLines(p *pkg) (n int) {
	for _, f := range p.code {
		n += codeLines(t.text[t.name[f]])
	}
	return n
}

func codeLines(src string) int {
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(src))
	var s scanner.Scanner
	s.Init(file, []byte(src), nil, 0)
	lines := map[int]bool{}
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return len(lines)
		}
		if tok == token.SEMICOLON && lit == "\n" {
			continue
		}
		first := file.Line(pos)
		for i := range 1 + strings.Count(lit, "\n") { // a raw string has several lines
			lines[first+i] = true
		}
	}
}
