package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/advisory"
)

// maxFile bounds a file of OSV records.
const maxFile = 64 << 20

// A record is an OSV record, https://ossf.github.io/osv-schema/.
type record struct {
	ID        string `json:"id"`
	Withdrawn string `json:"withdrawn"`
	Affected  []struct {
		Package struct {
			Ecosystem string `json:"ecosystem"`
			Name      string `json:"name"`
		} `json:"package"`
		Ranges []struct {
			Type   string           `json:"type"`
			Events []advisory.Event `json:"events"`
		} `json:"ranges"`
		Versions []string `json:"versions"`
	} `json:"affected"`
}

// An advice is the set of vulnerable versions of a package in a record.
type advice struct {
	ID      string `json:"id"`
	Package string `json:"package"`
	set     semver.Range
}

// readOSV reads records: a sequence of records, of arrays of records, and of
// answers to queries, which are objects with the records as "vulns" or empty
// objects. It selects the package by name or by ecosystem/name.
//
// A record with neither SEMVER ranges nor versions is an error, because such a
// record does not make any version safe.
func readOSV(r io.Reader, pkg string) (found []advice, err error) {
	limited := &io.LimitedReader{R: r, N: maxFile + 1}
	dec := json.NewDecoder(limited)
	for n := 0; ; n++ {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		switch {
		case errors.Is(err, io.EOF) && n == 0:
			return nil, errors.New("empty")
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil && limited.N <= 0:
			return nil, fmt.Errorf("more than %d bytes", maxFile)
		case err != nil:
			return nil, err
		}
		records, err := parseRecords(raw)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			some, err := r.advices(pkg)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", cmp.Or(quote.Name(r.ID), "a record"), err)
			}
			found = append(found, some...)
		}
	}
}

// readPath reads a file, or the files of a folder whose names end with .json.
func readPath(path, pkg string) (found []advice, err error) {
	files := []string{path}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if files, err = jsonFiles(path); err != nil {
			return nil, err
		}
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		some, err := readOSV(f, pkg)
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		found = append(found, some...)
	}
	return found, nil
}

func jsonFiles(dir string) (files []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	if err == nil && files == nil {
		err = fmt.Errorf("%s contains no .json file", dir)
	}
	return files, err
}

// readAll reads the records of a single package.
func readAll(paths []string, pkg string) (found []advice, err error) {
	for _, path := range paths {
		some, err := readPath(path, pkg)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	if pkg == "" {
		for _, a := range found {
			if a.Package != found[0].Package {
				return nil, fmt.Errorf("records of %s and %s; choose a package with -package", quote.Name(found[0].Package), quote.Name(a.Package))
			}
		}
	}
	return found, nil
}

// parseRecords parses a JSON value that contains records.
func parseRecords(raw json.RawMessage) (records []record, err error) {
	if raw[0] == '[' {
		return records, json.Unmarshal(raw, &records)
	}
	var wrapped struct {
		record
		Vulns *[]record `json:"vulns"`
	}
	if err := json.Unmarshal(raw, &wrapped); err != nil {
		return nil, err
	}
	switch {
	case wrapped.Vulns != nil:
		return *wrapped.Vulns, nil
	case string(raw) == "{}":
		return nil, nil
	}
	return []record{wrapped.record}, nil
}

// advices returns the sets of a record for a package.
func (r *record) advices(pkg string) (found []advice, err error) {
	switch {
	case r.ID == "":
		return nil, errors.New("not an OSV record: no id")
	case r.Withdrawn != "":
		return nil, nil
	case len(r.Affected) == 0 && pkg == "":
		return nil, errors.New("no affected package")
	}
	for _, a := range r.Affected {
		name := a.Package.Ecosystem + "/" + a.Package.Name
		if pkg != "" && pkg != name && pkg != a.Package.Name {
			continue
		}
		var sets []semver.Range
		for _, events := range a.Ranges {
			if events.Type != "SEMVER" {
				continue
			}
			set, err := advisory.ParseOSV(events.Events...)
			if err != nil {
				return nil, err
			}
			sets = append(sets, set)
		}
		var listed []semver.Version
		for _, text := range a.Versions {
			v, err := semver.AllowV.Parse(text)
			if err != nil {
				if len(sets) > 0 {
					continue // the ranges decide
				}
				return nil, fmt.Errorf("no SEMVER range for %s, and %w", quote.Name(name), err)
			}
			listed = append(listed, v)
		}
		if len(sets) == 0 && len(listed) == 0 {
			return nil, fmt.Errorf("neither SEMVER ranges nor versions for %s, so every version may be affected", quote.Name(name))
		}
		set := semver.Exactly(listed...).Union(sets...)
		found = append(found, advice{r.ID, name, set})
	}
	return found, nil
}

// osv prints the set of each record.
func osv(c *call) func([]string) (int, error) {
	pkg := c.flags.String("package", "", "`NAME` or ecosystem/name of the package")
	return func(args []string) (int, error) {
		if len(args) == 0 {
			return failed, c.usage("no file")
		}
		status := no
		for _, path := range args {
			found, err := readPath(path, *pkg)
			if err != nil {
				return failed, err
			}
			for _, a := range found {
				status = yes
				if c.json {
					err = c.printJSON(struct {
						advice
						Range string `json:"range"`
					}{a, a.set.Canonical()})
				} else {
					_, err = fmt.Fprintln(c.out, strings.Join([]string{quote.Name(a.ID), quote.Name(a.Package), a.set.Canonical()}, "\t"))
				}
				if err != nil {
					return failed, err
				}
			}
		}
		return status, nil
	}
}
