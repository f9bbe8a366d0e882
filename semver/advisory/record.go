package advisory

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/semver"
)

// maxRead bounds the OSV records of a call of ReadOSV, in bytes.
const maxRead = 64 << 20

// An Affected is the set of versions of a package that an OSV record declares
// affected.
type Affected struct {
	ID      string       `json:"id"`      // of the record
	Package string       `json:"package"` // such as "Go/example.com/widget": the ecosystem and the name
	Range   semver.Range `json:"range"`   // the versions
}

// Rule returns a rule that passes the versions that are not affected. Its
// Violation has the ID as its name.
//
// Errors of the rule: [semver.ErrExcluded].
func (a Affected) Rule() semver.Rule {
	if a.Range.IsEmpty() { // NotIn would pass no version
		return semver.Rules()
	}
	return semver.Named(a.ID, semver.NotIn(a.Range))
}

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
			Type   string  `json:"type"`
			Events []Event `json:"events"`
		} `json:"ranges"`
		Versions []string `json:"versions"`
	} `json:"affected"`
}

// ReadOSV reads OSV records from r, at most 64 MiB. The input is a sequence of
// records, of arrays of records, and of answers to queries. An answer is an
// object with the records as "vulns", or an empty object.
//
// ReadOSV selects a package by its name, or by the ecosystem, a slash and the
// name. An empty pkg selects all packages. Withdrawn records are left out.
//
// Errors: JSON that is malformed or contains no OSV record; the errors of
// [ParseOSV] and of r. A record with neither SEMVER ranges nor versions is an
// error too, because such a record does not make any version safe.
func ReadOSV(r io.Reader, pkg string) (found []Affected, err error) {
	limited := &io.LimitedReader{R: r, N: maxRead + 1}
	dec := json.NewDecoder(limited)
	for n := 0; ; n++ {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		switch {
		case errors.Is(err, io.EOF) && n == 0:
			return nil, errors.New("advisory: empty")
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil && limited.N <= 0:
			return nil, fmt.Errorf("advisory: more than %d bytes", maxRead)
		case err != nil:
			return nil, fmt.Errorf("advisory: %w", err)
		}
		records, err := parseRecords(raw)
		if err != nil {
			return nil, fmt.Errorf("advisory: %w", err)
		}
		for _, r := range records {
			some, err := r.sets(pkg)
			if err != nil {
				return nil, fmt.Errorf("advisory: %s: %w", cmp.Or(quote.Name(r.ID), "a record"), err)
			}
			found = append(found, some...)
		}
	}
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

// sets returns the sets of a record for a package.
func (r *record) sets(pkg string) (found []Affected, err error) {
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
			set, err := ParseOSV(events.Events...)
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
		found = append(found, Affected{r.ID, name, set})
	}
	return found, nil
}
