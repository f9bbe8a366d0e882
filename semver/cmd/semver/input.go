package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"text/template"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/gomod"
	"github.com/redoubt-go/redoubt/semver/tag"
)

// maxLine bounds a line of standard input.
const maxLine = 64 << 10

// An input describes how versions are written.
type input struct {
	mode   string
	format tag.Format
	parse  func(text string) (tag.Tag, error)
}

// An item is a version of the input.
type item struct {
	tag.Tag
	n    int    // its number
	unit string // "argument" or "line"
	err  error  // why it is no version
}

// place returns where the item stands, for errors.
func (it item) place() string { return it.unit + " " + strconv.Itoa(it.n) }

// versionFlags defines the flags of commands that read versions.
func (c *call) versionFlags() {
	c.flags.StringVar(&c.input.mode, "mode", "", "`MODE` of the versions: strict, v, tolerant, v|partial …, tag, go, coerce")
	c.flags.StringVar(&c.input.format.Prefix, "prefix", "", "`TEXT` before the version of a tag: contrib/redis/")
	c.flags.StringVar(&c.input.format.Variant, "variant", "", "`PATTERN` of the text after the version of a tag: alpine*")
	c.flags.Func("vendors", "`NAMES` of vendors whose builds count as their release: eks,gke,k3s", func(s string) error {
		c.input.format.Vendors = strings.Split(s, ",")
		return nil
	})
	c.flags.Func("format", "`TEMPLATE` that prints a version: {{.Major}}.{{.Minor}}; also Text, Version, Patch, Prerelease, Build, Variant", func(s string) (err error) {
		c.format, err = template.New("-format").Parse(s)
		return err
	})
	c.flags.BoolVar(&c.skip, "skip", false, "leave out lines that are no versions")
}

// check sets the parser of the mode.
func (in *input) check() error {
	f := in.format
	if f.Prefix != "" || f.Variant != "" || f.Vendors != nil {
		if in.mode != "" && in.mode != "tag" {
			return fmt.Errorf("-prefix, -variant and -vendors describe tags, not -mode %s", quote.Name(in.mode))
		}
		in.mode = "tag"
	}
	switch in.mode {
	case "tag":
		in.parse = f.Parse
		return f.Validate()
	case "go":
		in.parse = whole(gomod.ParseToolchain)
	case "coerce":
		in.parse = whole(coerce)
	case "":
		in.parse = whole(semver.AllowV.Parse)
	default:
		var mode semver.Mode
		if mode.UnmarshalText([]byte(in.mode)) != nil {
			return fmt.Errorf("no mode %s; it is strict, v, tolerant, tag, go, coerce, or names joined by |: v|partial|zeros|space", quote.Text(in.mode))
		}
		in.parse = whole(mode.Parse)
	}
	return nil
}

// whole returns a parser of tags that have nothing but a version.
func whole(parse func(string) (semver.Version, error)) func(string) (tag.Tag, error) {
	return func(text string) (tag.Tag, error) {
		v, err := parse(text)
		return tag.Tag{Text: text, Version: v, Numbers: 3}, err
	}
}

// coerce returns the first version in a text.
func coerce(text string) (semver.Version, error) {
	v, ok := tag.Coerce(text)
	if !ok {
		return v, fmt.Errorf("no version in %s", quote.Text(text))
	}
	return v, nil
}

// one parses a version that is an argument.
func (c *call) one(text string) (semver.Version, error) {
	t, err := c.input.parse(text)
	if err != nil {
		return t.Version, c.hint(text, err)
	}
	return t.Version, nil
}

// hint adds the most probable cause to the error of a version.
func (c *call) hint(text string, err error) error {
	plain := c.input.mode == "" || c.input.mode == "v" || c.input.mode == "strict"
	switch {
	case text == "":
		return errors.New("a version is empty: is a variable of the shell unset?")
	case plain && accepts(semver.Tolerant.Parse, text):
		return fmt.Errorf("%w; -mode tolerant admits it", err)
	case plain && accepts(tag.Format{}.Parse, text):
		return fmt.Errorf("%w; -mode tag admits it", err)
	case plain && accepts(gomod.ParseToolchain, text):
		return fmt.Errorf("%w; -mode go admits it", err)
	}
	return err
}

func accepts[T any](parse func(string) (T, error), text string) bool {
	_, err := parse(text)
	return err == nil
}

// items yields the versions in the arguments, or else in the lines of standard
// input. Empty lines are left out.
func (c *call) items(args []string) iter.Seq[item] {
	return func(yield func(item) bool) {
		for i, text := range args {
			if !yield(c.item(text, i+1, "argument")) {
				return
			}
		}
		if len(args) > 0 {
			return
		}
		for n, line := range c.lines() {
			if n == 1 {
				line = strings.TrimPrefix(line, "\ufeff") // as editors on Windows write
			}
			if text := strings.TrimSpace(line); text != "" && !yield(c.item(text, n, "line")) {
				return
			}
		}
	}
}

func (c *call) item(text string, n int, unit string) item {
	t, err := c.input.parse(text)
	t.Text = text
	if err != nil && !errors.Is(err, tag.ErrFormat) {
		err = c.hint(text, err)
	}
	return item{t, n, unit, err}
}

// lines yields the lines of standard input with their numbers. Before it waits
// for more input, it passes on the output.
func (c *call) lines() iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for n := 1; ; n++ {
			if c.in.Buffered() == 0 {
				if err := c.out.Flush(); err != nil {
					return // run reports the error
				}
			}
			if err := c.ctx.Err(); err != nil {
				c.complain(err)
				return
			}
			line, err := c.in.ReadSlice('\n')
			switch {
			case errors.Is(err, bufio.ErrBufferFull):
				c.complain(fmt.Errorf("line %d has more than %d bytes", n, maxLine))
				for errors.Is(err, bufio.ErrBufferFull) {
					_, err = c.in.ReadSlice('\n')
				}
				line = nil
			case err != nil && !errors.Is(err, io.EOF):
				c.complain(fmt.Errorf("standard input: %w", err))
				return
			}
			if len(line) > 0 && !yield(n, string(line)) || err != nil {
				return
			}
		}
	}
}

// versions yields the items that are versions. It reports the others, except
// tags of another format and, with -skip, lines that are no versions.
func (c *call) versions(args []string) iter.Seq[item] {
	return func(yield func(item) bool) {
		for it := range c.items(args) {
			switch {
			case it.err == nil:
				if !yield(it) {
					return
				}
			case c.skip || errors.Is(it.err, tag.ErrFormat):
			default:
				c.complain(fmt.Errorf("%s: %w", it.place(), it.err))
			}
		}
	}
}

// row is the JSON form of a version.
type row struct {
	Text       string `json:"text"`
	Version    string `json:"version,omitempty"`
	Major      string `json:"major,omitempty"`
	Minor      string `json:"minor,omitempty"`
	Patch      string `json:"patch,omitempty"`
	Prerelease string `json:"prerelease,omitempty"`
	Build      string `json:"build,omitempty"`
	Variant    string `json:"variant,omitempty"`
}

// newRow returns the JSON form of an item. Numbers are texts because they may
// exceed the numbers of a JSON reader.
func newRow(it item) row {
	if it.err != nil {
		return row{Text: it.Text}
	}
	v := it.Version
	n := strings.SplitN(v.Core().String(), ".", 3)
	return row{it.Text, v.String(), n[0], n[1], n[2], v.Prerelease(), v.Build(), it.Variant}
}

// print prints an item as it was written, by the template, or as JSON.
func (c *call) print(it item) error {
	if c.json {
		return c.printJSON(newRow(it))
	}
	if c.format != nil {
		if err := c.format.Execute(c.out, newRow(it)); err != nil {
			return err
		}
		return c.out.WriteByte('\n')
	}
	text := it.Text
	if c.input.mode == "coerce" {
		text = it.Version.String()
	}
	_, err := fmt.Fprintln(c.out, text)
	return err
}
