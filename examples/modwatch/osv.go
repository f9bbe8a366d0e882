package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/semver"
	osv "github.com/redoubt-go/redoubt/semver/advisory"
)

// A hazard is an advisory with the range of its versions.
type hazard struct {
	id       string
	affected semver.Range
}

// hazards are the advisories by module.
type hazards map[string][]hazard

func (h hazards) add(a advisory) error {
	affected, err := osv.ParseOSV(a.events...)
	if err != nil {
		return fmt.Errorf("%q: %w", a.id, err)
	}
	h[a.module] = append(h[a.module], hazard{a.id, affected})
	return nil
}

// builtIn are the advisories of the table.
func builtIn() hazards {
	h := hazards{}
	for _, a := range advisories {
		if err := h.add(a); err != nil {
			panic(err) // the table is part of the program
		}
	}
	return h
}

// Bounds of readOSV. The whole Go vulnerability database has some thousand
// files of a few kilobytes.
const (
	maxOSVBytes = 4 << 20
	maxOSVFiles = 100_000
)

// An osvRecord is the part of an OSV record (ossf.github.io/osv-schema) with
// the affected versions.
type osvRecord struct {
	ID        string
	Withdrawn time.Time
	Affected  []struct {
		Package struct{ Ecosystem, Name string }
		Ranges  []struct {
			Type   string
			Events []osv.Event
		}
	}
}

// readOSV reads the OSV records in dir and the folders below it, a JSON file
// for each. The downloads of vuln.go.dev and osv.dev have this form; the folder
// index of vuln.go.dev contains no records. Its errors contain the name of the
// file.
func readOSV(dir string) (hazards, error) {
	fsys, h, files := os.DirFS(dir), hazards{}, 0
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "index":
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".json":
			return nil
		}
		if files++; files > maxOSVFiles {
			return fmt.Errorf("more than %d files", maxOSVFiles)
		}
		if err := h.read(fsys, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	if err == nil && files == 0 {
		err = errors.New("no .json file: unpack vulndb.zip of vuln.go.dev or all.zip of osv.dev's Go folder there")
	}
	if err != nil {
		return nil, fmt.Errorf("-osv %s: %w", dir, err)
	}
	return h, nil
}

// plain reports whether an id is present and safe to print on a terminal.
func plain(id string) bool {
	return id != "" && len(id) <= 64 && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}

// read adds the Go modules of the OSV record in a file. A withdrawn record adds
// nothing.
func (h hazards) read(fsys fs.FS, name string) error {
	file, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxOSVBytes+1))
	switch {
	case err != nil:
		return err
	case len(text) > maxOSVBytes:
		return fmt.Errorf("larger than %d bytes", maxOSVBytes)
	}
	var rec osvRecord
	if err := json.Unmarshal(text, &rec); err != nil {
		return fmt.Errorf("not an OSV record: %w", err)
	}
	if !plain(rec.ID) {
		return errors.New("not an OSV record: it has no id of letters, digits and signs")
	}
	if !rec.Withdrawn.IsZero() {
		return nil
	}
	for _, affected := range rec.Affected {
		for _, r := range affected.Ranges {
			if affected.Package.Ecosystem != "Go" || r.Type != "SEMVER" {
				continue
			}
			if err := h.add(advisory{rec.ID, affected.Package.Name, r.Events}); err != nil {
				return err
			}
		}
	}
	return nil
}
