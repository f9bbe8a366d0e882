package semver

import (
	"database/sql"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver

	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/advisory"
)

// database returns a database with a table of versions, whose keys are an
// index.
func database(t *testing.T, all []semver.Version) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1) // a connection has its own memory
	tx := must(db.Begin())
	must(tx.Exec(`CREATE TABLE release (key BLOB PRIMARY KEY, version TEXT) WITHOUT ROWID`))
	insert := must(tx.Prepare(`INSERT INTO release VALUES (?, ?)`))
	for _, i := range rand.New(rand.NewPCG(3, 4)).Perm(len(all)) {
		must(insert.Exec(must(all[i].MarshalBinary()), all[i]))
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return db
}

// selected returns the versions that a query finds.
func selected(t *testing.T, db *sql.DB, query string, args ...any) iter.Seq[semver.Version] {
	return func(yield func(semver.Version) bool) {
		rows, err := db.Query(query, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var v semver.Version
			if err := rows.Scan(&v); err != nil {
				t.Fatal(err)
			}
			if !yield(v) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	scanBounded   = `SELECT version FROM release WHERE key >= ? AND key < ? ORDER BY key`
	scanUnbounded = `SELECT version FROM release WHERE key >= ? ORDER BY key`
)

// members finds the members of a range by a scan for each interval.
func members(t *testing.T, db *sql.DB, r semver.Range) (found []semver.Version) {
	for iv := range r.Intervals() {
		query, args := scanUnbounded, []any{must(iv.Lo.MarshalBinary())}
		if !iv.Unbounded {
			query, args = scanBounded, append(args, must(iv.Hi.MarshalBinary()))
		}
		for v := range selected(t, db, query, args...) {
			if v.IsPrerelease() && iv.Prereleases || !v.IsPrerelease() && iv.Releases {
				found = append(found, v)
			}
		}
	}
	slices.SortFunc(found, semver.Version.CompareTotal)
	return found
}

// sources makes ranges from every source, in turn.
func sources(g generator) iter.Seq[semver.Range] {
	version := func() semver.Version { return semver.MustParse(g.version()) }
	return func(yield func(semver.Range) bool) {
		last := semver.All()
		for i := 0; ; i++ {
			var r semver.Range
			var err error
			switch i % 11 {
			case 0:
				r, err = semver.NPM.ParseRange(g.npmRange())
			case 1:
				r, err = semver.Cargo.ParseRange(g.cargoRange())
			case 2:
				r, err = semver.Helm.ParseRange(g.helmRange())
			case 3:
				r, err = semver.Terraform.ParseRange(g.terraformRange())
			case 4:
				r, err = semver.TerraformProvider.ParseRange(g.terraformRange())
			case 5: // of the fixes of Go's advisories, 6 % have build metadata
				fix := version().WithoutBuild().String() + g.pick("", "+incompatible", "+b")
				r, err = advisory.ParseOSV(advisory.Event{Introduced: "0"}, advisory.Event{Fixed: fix})
			case 6:
				r, err = advisory.ParseOSV(advisory.Event{Introduced: g.version()}, advisory.Event{LastAffected: g.version()})
			case 7:
				_, r, err = advisory.ParseVERS("vers:golang/>=" + version().Core().String() + "|<11.0.0+incompatible")
			case 8:
				r = semver.Exactly(version(), version(), version()).Union(semver.Closed(version(), version()))
			case 9:
				r = last.Complement().Intersect(semver.Above(version()))
			case 10:
				r = last.Difference(semver.AtMost(version())).Union(semver.Between(version(), version()))
			}
			if err != nil {
				continue
			}
			if last = r; !yield(r) {
				return
			}
		}
	}
}

// TestIndexScans compares the members that scans of an index in SQLite find
// with Contains.
func TestIndexScans(t *testing.T) {
	var all []semver.Version
	for _, s := range generated(6000, func(g generator) string {
		return strings.Replace(g.version(), "10", g.pick("10", "11", "99999999999999999999"), 1) + g.pick("", "", "", ".x", ".7")
	}) {
		if v, err := semver.Parse(s); err == nil {
			all = append(all, v)
		}
	}
	slices.SortFunc(all, semver.Version.CompareTotal)
	all = slices.Compact(all)
	db := database(t, all)

	sorted := slices.Collect(selected(t, db, `SELECT version FROM release ORDER BY key`))
	if !slices.Equal(sorted, all) {
		t.Fatal("the order of the index is not CompareTotal")
	}
	var plan string
	if err := db.QueryRow(`EXPLAIN QUERY PLAN `+scanBounded, []byte{0}, []byte{1}).Scan(new(int), new(int), new(int), &plan); err != nil || !strings.Contains(plan, "SEARCH") {
		t.Errorf("the plan is %q, %v, want a search of the index", plan, err)
	}

	n, wrong := 0, 0
	for r := range sources(generator{rand.New(rand.NewPCG(7, 8))}) {
		found := members(t, db, r)
		var want []semver.Version
		for _, v := range all {
			if r.Contains(v) {
				want = append(want, v)
			}
		}
		if !slices.Equal(found, want) {
			if wrong++; wrong < 10 {
				t.Errorf("%s: the scans find %d versions, Contains %d", r, len(found), len(want))
			}
		}
		if n++; n == 600 {
			break
		}
	}
	t.Logf("%d ranges, %d answers", n, n*len(all))
}

// TestIndexScansBite shows that a bound with build metadata would be noticed.
func TestIndexScansBite(t *testing.T) {
	all := []semver.Version{semver.MustParse("24.0.8"), semver.MustParse("24.0.9"), semver.MustParse("24.0.9+a")}
	db := database(t, all)
	lo, hi := must(semver.New(0, 0, 0).MarshalBinary()), must(semver.MustParse("24.0.9+incompatible").MarshalBinary())
	if n := len(slices.Collect(selected(t, db, scanBounded, lo, hi))); n != 3 {
		t.Errorf("a scan up to 24.0.9+incompatible finds %d versions, want 3", n)
	}
	r := must(advisory.ParseOSV(advisory.Event{Introduced: "0"}, advisory.Event{Fixed: "24.0.9+incompatible"}))
	if found := members(t, db, r); len(found) != 1 {
		t.Errorf("the advisory affects %v, want 24.0.8", found)
	}
}
