// The rules of the house that a program can check. TestHouse holds the tree to them; TestHouseBites breaks each of
// them once in a tree of its own, so that no rule can fall asleep. A failure says what to do.
package redoubt_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var update = flag.Bool("update", false, "rewrite testdata/api from the code")

const module = "github.com/redoubt-go/redoubt"

// The seven packages: none imports another, and each has the whole documentation skeleton.
var seven = []string{"retry", "breaker", "ratelimit", "cache", "audit", "logscan", "semver"}

// A rule reports what breaks it, a problem a line, each with its place. Breaks is a smallest tree that breaks the rule,
// and want a part of what is then reported.
type rule struct {
	name   string
	todo   string // what to do about a problem
	check  func(*tree) []string
	breaks map[string]string
	want   string
}

var rules = []rule{{
	name: "layout", todo: "add the file; each has its place in CONTRIBUTING.md",
	check:  checkLayout,
	breaks: map[string]string{"README.md": "# redoubt"},
	want:   "LICENSE: missing",
}, {
	name: "go.mod", todo: "the root requires x/sync, x/time, go-cmp and gopter and nothing else; move what needs more into a nested module",
	check:  checkRootModule,
	breaks: map[string]string{"go.mod": "module " + module + "\n\ngo 1.26.0\n\nrequire github.com/x/y v1.0.0\n"},
	want:   "go.mod:5: require github.com/x/y",
}, {
	name: "nested modules", todo: "name the module after its folder, say go 1.26.0 and replace the root by its relative path",
	check:  checkNestedModules,
	breaks: map[string]string{"contrib/redis/go.mod": "module example.com/redis\n\ngo 1.26.0\n"},
	want:   "contrib/redis/go.mod: no line \"module " + module + "/contrib/redis\"",
}, {
	name: "package comment", todo: "write the package comment in doc.go, and nothing else there",
	check:  checkPackageComment,
	breaks: map[string]string{"retry/doc.go": "// Package retry retries.\npackage retry\n\nvar X = 1\n"},
	want:   "retry/doc.go: holds more than the package comment",
}, {
	name: "skeleton", todo: "give the package comment the seven-part skeleton, in order: use, " + strings.Join(headings, ", "),
	check:  checkSkeleton,
	breaks: map[string]string{"retry/doc.go": "// Package retry retries.\n//\n//\tuse()\n//\n// # Errors\n//\n// None.\npackage retry\n"},
	want:   "retry/doc.go: no heading \"Choosing values\"",
}, {
	name: "compiled twins", todo: "copy the lines into an Example (or the Example's lines into the text), so that the compiler reads them too",
	check: checkTwins,
	breaks: map[string]string{
		"retry/doc.go":          "// Package retry retries.\n//\n//\tuse()\npackage retry\n",
		"retry/example_test.go": "package retry_test\n\nfunc Example() {\n\tuseOther()\n}\n",
	},
	want: "retry/doc.go: example code is not compiled anywhere",
}, {
	name: "imports", todo: "packages import the standard library and their parent only; net/http belongs in a …http subpackage, another library in contrib/",
	check:  checkImports,
	breaks: map[string]string{"retry/retry.go": "package retry\n\nimport \"net/http\"\n\nvar _ http.Handler\n"},
	want:   "retry/retry.go:3: imports net/http",
}, {
	name: "documented", todo: "write the comment: meaning, unit, range, errors",
	check:  checkDocumented,
	breaks: map[string]string{"retry/retry.go": "package retry\n\nfunc Do() {}\n"},
	want:   "retry/retry.go:3: Do has no comment",
}, {
	name: "examples", todo: "write the Example with an // Output: comment",
	check:  checkExamples,
	breaks: map[string]string{"retry/retry.go": "package retry\n\n// Do does.\nfunc Do() {}\n"},
	want:   "retry: no runnable ExampleDo",
}, {
	name: "configurations", todo: "a func, slice or map field keeps the struct from being compared; else put `_ [0]func()` first",
	check:  checkConfigs,
	breaks: map[string]string{"retry/retry.go": "package retry\n\n// Policy decides.\ntype Policy struct{ Max int }\n"},
	want:   "retry/retry.go:4: Policy is comparable",
}, {
	name: "hooks", todo: "word the contract of OnEvent as everywhere: " + hookContract,
	check:  checkHooks,
	breaks: map[string]string{"retry/retry.go": "package retry\n\n// Config configures.\ntype Config struct {\n\t// OnEvent is called.\n\tOnEvent func(context.Context, Event)\n}\n"},
	want:   "retry/retry.go:6: the comment of OnEvent",
}, {
	name: "state", todo: "keep state in a value that New returns: no init, no environment, no package variable that changes",
	check:  checkState,
	breaks: map[string]string{"retry/retry.go": "package retry\n\nvar n int\n\nfunc f() { n++ }\n"},
	want:   "retry/retry.go:5: changes the package variable n",
}, {
	name: "function length", todo: "name a part of the function and move it out; 80 lines is the bound, 6 the median",
	check:  checkLength,
	breaks: map[string]string{"retry/retry.go": "package retry\n\nfunc f() {\n" + strings.Repeat("\t_ = 1\n", 80) + "}\n"},
	want:   "retry/retry.go:3: f has 82 lines",
}, {
	name: "external tests", todo: "test from outside, in package <name>_test; what must be reached goes through export_test.go",
	check:  checkTestPackages,
	breaks: map[string]string{"retry/retry_test.go": "package retry\n"},
	want:   "retry/retry_test.go: package retry",
}, {
	name: "markers", todo: "finish it or leave it out; mend the finding instead of silencing it",
	check:  checkMarkers,
	breaks: map[string]string{"retry/retry.go": "package retry\n\n//nolint\nfunc f() {}\n"},
	want:   "retry/retry.go:3: //nolint",
}, {
	name: "api listing", todo: "look at the difference, then run: go test -run TestHouse . -update",
	check: checkAPI,
	breaks: map[string]string{
		"retry/retry.go":         "package retry\n\n// Do does.\nfunc Do() {}\n",
		"testdata/api/retry.txt": "func Done()\n",
	},
	want: "testdata/api/retry.txt: lacks \"func Do()\"",
}}

func TestHouse(t *testing.T) {
	house, err := load(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		writeAPI(t, house)
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, problem := range r.check(house) {
				t.Errorf("%s\n\tto do: %s", problem, r.todo)
			}
		})
	}
}

func TestHouseBites(t *testing.T) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			broken := fstest.MapFS{}
			for name, text := range r.breaks {
				broken[name] = &fstest.MapFile{Data: []byte(text)}
			}
			house, err := load(broken)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(r.check(house), "\n")
			if !strings.Contains(got, r.want) {
				t.Errorf("the rule let it pass:\n got %q\nwant %q", got, r.want)
			}
		})
	}
}

// A tree is the checkout as the rules see it: the text of each file, and the Go packages of the root module and of contrib.
type tree struct {
	fset  *token.FileSet
	text  map[string]string // every file but those of .git, by slash-separated path
	pkgs  []*pkg            // the packages of the root module and of those in contrib, by folder
	mods  []string          // the folders of the nested modules
	names map[*ast.File]string
}

type pkg struct {
	dir         string
	code, tests []*ast.File
}

func load(fsys fs.FS) (*tree, error) {
	t := &tree{fset: token.NewFileSet(), text: map[string]string{}, names: map[*ast.File]string{}}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name == ".git":
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		t.text[name] = string(text)
		if path.Base(name) == "go.mod" && name != "go.mod" {
			t.mods = append(t.mods, path.Dir(name))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return t, t.parse()
}

// parse reads the Go files of the root module and of those in contrib into t.pkgs.
func (t *tree) parse() error {
	byDir := map[string]*pkg{}
	for _, name := range slices.Sorted(maps.Keys(t.text)) {
		if path.Ext(name) != ".go" || t.nested(name) || strings.Contains(name, "testdata/") {
			continue
		}
		file, err := parser.ParseFile(t.fset, name, t.text[name], parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		p := byDir[dir]
		if p == nil {
			p = &pkg{dir: dir}
			byDir[dir], t.pkgs = p, append(t.pkgs, p)
		}
		if t.names[file] = name; strings.HasSuffix(name, "_test.go") {
			p.tests = append(p.tests, file)
		} else {
			p.code = append(p.code, file)
		}
	}
	return nil
}

// nested reports whether a file belongs to a module that nobody imports.
func (t *tree) nested(name string) bool {
	return topDir(name) != "contrib" && slices.ContainsFunc(t.mods, func(dir string) bool { return strings.HasPrefix(name, dir+"/") })
}

// library yields the packages that a user imports: not the root's map, not the examples, not the commands, not internals.
func (t *tree) library() []*pkg {
	return slices.DeleteFunc(slices.Clone(t.pkgs), func(p *pkg) bool {
		return topDir(p.dir) != "contrib" && !slices.Contains(seven, topDir(p.dir)) ||
			strings.Contains(p.dir, "/cmd/") || strings.Contains(p.dir, "/internal/") || len(p.code) == 0
	})
}

func topDir(dir string) string {
	top, _, _ := strings.Cut(dir, "/")
	return top
}

// at is the place of a node, for a problem's beginning.
func (t *tree) at(n ast.Node) string {
	pos := t.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", pos.Filename, pos.Line)
}

// ---- the rules, in the order of the table

func checkLayout(t *tree) (bad []string) {
	want := []string{
		".ci/run", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md", "doc.go", "go.mod", "go.sum",
		"internal/bench/README.md", "internal/bench/go.mod", "internal/tools/go.mod",
	}
	for _, dir := range seven {
		want = append(want, dir+"/doc.go", dir+"/example_test.go", dir+"/"+dir+"_test.go")
	}
	for _, name := range want {
		if t.text[name] == "" {
			bad = append(bad, name+": missing")
		}
	}
	return bad
}

var allowedRequire = regexp.MustCompile(`^(require )?(golang\.org/x/(sync|time)|github\.com/(google/go-cmp|leanovate/gopter)) v\S+$`)

func checkRootModule(t *tree) (bad []string) {
	verbs := []string{"require (", ")", "module " + module, "go 1.26.0", "exclude github.com/smartystreets/goconvey v1.8.1"}
	for i, line := range strings.Split(t.text["go.mod"], "\n") {
		line = strings.TrimSpace(line)
		if line != "" && !slices.Contains(verbs, line) && !allowedRequire.MatchString(line) {
			bad = append(bad, fmt.Sprintf("go.mod:%d: %s", i+1, line))
		}
	}
	return bad
}

func checkNestedModules(t *tree) (bad []string) {
	for _, dir := range t.mods {
		lines := strings.Split(t.text[dir+"/go.mod"], "\n")
		want := []string{"module " + module + "/" + dir, "go 1.26.0"}
		if strings.Contains(t.text[dir+"/go.mod"], module+" v") {
			want = append(want, "replace "+module+" => "+strings.Repeat("../", strings.Count(dir, "/"))+"..")
		}
		for _, line := range want {
			if !slices.Contains(lines, line) {
				bad = append(bad, fmt.Sprintf("%s/go.mod: no line %q", dir, line))
			}
		}
	}
	return bad
}

func checkPackageComment(t *tree) (bad []string) {
	for _, p := range append(t.library(), t.rootPackage()...) {
		seen := false
		for _, f := range p.code {
			name := t.names[f]
			isDoc := path.Base(name) == "doc.go"
			switch {
			case isDoc && len(f.Decls) > 0:
				bad = append(bad, name+": holds more than the package comment")
			case !isDoc && f.Doc != nil:
				bad = append(bad, name+": has a package comment; doc.go is its place")
			}
			seen = seen || isDoc && strings.HasPrefix(f.Doc.Text(), "Package "+f.Name.Name+" ")
		}
		if !seen {
			bad = append(bad, p.dir+"/doc.go: no comment that begins with \"Package "+path.Base(p.dir)+" \"")
		}
	}
	return bad
}

// rootPackage is the root package, which holds the map of the library and no code.
func (t *tree) rootPackage() []*pkg {
	return slices.DeleteFunc(slices.Clone(t.pkgs), func(p *pkg) bool { return p.dir != "." || len(p.code) == 0 })
}

var headings = []string{"Choosing values", "Errors", "Concurrency", "Cost", "Composition", "Source"}

func checkSkeleton(t *tree) (bad []string) {
	for _, p := range t.library() {
		name, comment := t.packageComment(p)
		if !slices.Contains(seven, p.dir) {
			continue
		}
		if !strings.Contains(strings.SplitN(comment, "\n# ", 2)[0], "\n\t") {
			bad = append(bad, name+": no lines of use before the first heading")
		}
		from := 0
		for _, h := range headings {
			i := strings.Index(comment[from:], "\n# "+h+"\n")
			if i < 0 {
				bad = append(bad, fmt.Sprintf("%s: no heading %q, or not in its order", name, h))
				continue
			}
			from += i
		}
	}
	return bad
}

func (t *tree) packageComment(p *pkg) (name, comment string) {
	for _, f := range p.code {
		if path.Base(t.names[f]) == "doc.go" {
			return t.names[f], f.Doc.Text()
		}
	}
	return p.dir + "/doc.go", ""
}

// checkTwins wants the lines of use of each package comment, which are its first code, and all of the code in each
// README.md to stand, line by line, in a file that is compiled, for a nested module's in that module.
func checkTwins(t *tree) (bad []string) {
	for _, p := range append(t.library(), t.rootPackage()...) {
		name, comment := t.packageComment(p)
		block := firstCode(comment)
		if !t.compiled(block, func(file string) bool { return path.Dir(file) == p.dir }) {
			bad = append(bad, fmt.Sprintf("%s: example code is not compiled anywhere in %s:\n%s", name, p.dir, block))
		}
	}
	for name, text := range t.text {
		if path.Base(name) != "README.md" {
			continue
		}
		near := func(file string) bool { return path.Dir(name) == "." || strings.HasPrefix(file, path.Dir(name)+"/") }
		for _, fence := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(text, -1) {
			if !t.compiled(bare(fence[1]), near) {
				bad = append(bad, name+": example code is not compiled anywhere:\n"+fence[1])
			}
		}
	}
	return bad
}

// firstCode returns the first code block of a comment, bare; a comment without one has an empty one, which stands anywhere.
func firstCode(comment string) string {
	var block strings.Builder
	for line := range strings.Lines(comment) {
		switch {
		case strings.HasPrefix(line, "\t"):
			block.WriteString(line)
		case strings.TrimSpace(line) != "" && block.Len() > 0:
			return bare(block.String())
		}
	}
	return bare(block.String())
}

// bare drops indentation and blank lines, so that only the code is compared.
func bare(code string) string {
	var b strings.Builder
	for line := range strings.Lines(code) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// compiled reports whether the bare lines stand together in an example or a test that place allows.
func (t *tree) compiled(block string, place func(file string) bool) bool {
	for name, text := range t.text {
		isExample := strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "examples/") && path.Ext(name) == ".go"
		if isExample && place(name) && strings.Contains("\n"+bare(text), "\n"+block) {
			return true
		}
	}
	return false
}

func checkImports(t *tree) (bad []string) {
	for _, p := range t.pkgs {
		for _, f := range p.code {
			for _, spec := range f.Imports {
				if imp := strings.Trim(spec.Path.Value, `"`); !mayImport(p.dir, imp) {
					bad = append(bad, fmt.Sprintf("%s: imports %s", t.at(spec), imp))
				}
			}
		}
	}
	return bad
}

func mayImport(dir, imp string) bool {
	if topDir(dir) == "contrib" {
		return true
	}
	if topDir(dir) == "examples" {
		return std(imp) || strings.HasPrefix(imp, module+"/")
	}
	if slices.Contains(seven, dir) && slices.Contains([]string{"net/http", "expvar", "log"}, imp) {
		return false
	}
	parent, sub := strings.CutPrefix(imp, module+"/")
	return std(imp) || sub && dir != parent && (parent == topDir(dir) || strings.HasPrefix(dir, parent+"/"))
}

func std(imp string) bool { return !strings.Contains(topDir(imp), ".") }

func checkDocumented(t *tree) (bad []string) {
	missing := func(n ast.Node, name string, docs ...*ast.CommentGroup) {
		if ast.IsExported(name) && !slices.ContainsFunc(docs, func(c *ast.CommentGroup) bool { return c.Text() != "" }) {
			bad = append(bad, fmt.Sprintf("%s: %s has no comment", t.at(n), name))
		}
	}
	for _, p := range t.library() {
		for _, decl := range declarations(p) {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil || ast.IsExported(receiver(d)) {
					missing(d, d.Name.Name, d.Doc)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					undocumented(spec, d.Doc, missing)
				}
			}
		}
	}
	return bad
}

func undocumented(spec ast.Spec, group *ast.CommentGroup, missing func(ast.Node, string, ...*ast.CommentGroup)) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		missing(s, s.Name.Name, group, s.Doc, s.Comment)
		if st, ok := s.Type.(*ast.StructType); ok && s.Name.IsExported() {
			for _, f := range st.Fields.List {
				for _, name := range f.Names {
					missing(f, name.Name, f.Doc, f.Comment)
				}
			}
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			missing(s, name.Name, group, s.Doc, s.Comment)
		}
	}
}

func declarations(p *pkg) (all []ast.Decl) {
	for _, f := range p.code {
		all = append(all, f.Decls...)
	}
	return all
}

// receiver is the name of the type a method belongs to.
func receiver(d *ast.FuncDecl) string {
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

func checkExamples(t *tree) (bad []string) {
	for _, p := range t.library() {
		if topDir(p.dir) == "contrib" { // whose examples may need a server
			continue
		}
		shown := map[string]bool{}
		for _, e := range doc.Examples(p.tests...) {
			symbol, _, _ := strings.Cut(e.Name, "_")
			shown[symbol] = shown[symbol] || e.Output != "" || e.EmptyOutput
		}
		for _, name := range exported(p) {
			if !shown[name] {
				bad = append(bad, fmt.Sprintf("%s: no runnable Example%s", p.dir, name))
			}
		}
	}
	return bad
}

// exported lists the exported functions and types of a package.
func exported(p *pkg) (names []string) {
	for _, decl := range declarations(p) {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.IsExported() {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if s, ok := spec.(*ast.TypeSpec); ok && s.Name.IsExported() {
					names = append(names, s.Name.Name)
				}
			}
		}
	}
	return names
}

// configs are the structs that users write as literals besides those named Config.
var configs = regexp.MustCompile(`^(.*Config|Policy|Scanner|Follower|Transport|Hedge|Attr)$`)

func checkConfigs(t *tree) (bad []string) {
	for s, st := range t.structs() {
		if configs.MatchString(s.Name.Name) && !slices.ContainsFunc(st.Fields.List, incomparable) {
			bad = append(bad, fmt.Sprintf("%s: %s is comparable", t.at(s), s.Name.Name))
		}
	}
	return bad
}

func (t *tree) structs() map[*ast.TypeSpec]*ast.StructType {
	all := map[*ast.TypeSpec]*ast.StructType{}
	for _, p := range t.library() {
		for _, decl := range declarations(p) {
			if d, ok := decl.(*ast.GenDecl); ok {
				for _, spec := range d.Specs {
					if s, ok := spec.(*ast.TypeSpec); ok {
						if st, ok := s.Type.(*ast.StructType); ok && s.Name.IsExported() {
							all[s] = st
						}
					}
				}
			}
		}
	}
	return all
}

func incomparable(f *ast.Field) bool {
	switch x := f.Type.(type) {
	case *ast.FuncType, *ast.MapType:
		return true
	case *ast.ArrayType:
		_, ofFuncs := x.Elt.(*ast.FuncType)
		return x.Len == nil || ofFuncs
	}
	return false
}

const hookContract = "It may be nil. It is called synchronously, outside locks, after the change it reports and in the order of the changes; " +
	"it may call back into this package and must not block."

func checkHooks(t *tree) (bad []string) {
	for _, st := range t.structs() {
		for _, f := range st.Fields.List {
			if len(f.Names) == 1 && f.Names[0].Name == "OnEvent" && !strings.Contains(strings.Join(strings.Fields(f.Doc.Text()), " "), hookContract) {
				bad = append(bad, fmt.Sprintf("%s: the comment of OnEvent lacks the contract", t.at(f)))
			}
		}
	}
	return bad
}

func checkState(t *tree) (bad []string) {
	for _, p := range t.library() {
		globals := map[string]bool{}
		for _, decl := range declarations(p) {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
				for _, spec := range d.Specs {
					vs := spec.(*ast.ValueSpec)
					for _, name := range vs.Names {
						globals[name.Name] = true
					}
					if sel, ok := vs.Type.(*ast.SelectorExpr); ok && slices.Contains([]string{"sync", "atomic"}, fmt.Sprint(sel.X)) {
						bad = append(bad, fmt.Sprintf("%s: package variable of type %s.%s", t.at(vs), sel.X, sel.Sel))
					}
				}
			}
		}
		for _, decl := range declarations(p) {
			if d, ok := decl.(*ast.FuncDecl); ok {
				bad = append(bad, t.stateOf(d, globals)...)
			}
		}
	}
	return bad
}

// stateOf finds what a function does to the process: changes of package variables, reads of the environment, init.
func (t *tree) stateOf(d *ast.FuncDecl, globals map[string]bool) (bad []string) {
	say := func(n ast.Node, what string) { bad = append(bad, t.at(n)+": "+what) }
	local := map[string]bool{}
	if d.Name.Name == "init" && d.Recv == nil {
		say(d, "func init")
	}
	changed := func(e ast.Expr) {
		if id := root(e); id != nil && id.Name != "_" && globals[id.Name] && !local[id.Name] {
			say(e, "changes the package variable "+id.Name)
		}
	}
	ast.Inspect(d, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, name := range n.Names {
				local[name.Name] = true
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				local[name.Name] = true
			}
		case *ast.AssignStmt:
			for _, lhs := range n.Lhs {
				if id, ok := lhs.(*ast.Ident); ok && n.Tok == token.DEFINE {
					local[id.Name] = true
				} else {
					changed(lhs)
				}
			}
		case *ast.IncDecStmt:
			changed(n.X)
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok && id.Name == "os" && (n.Sel.Name == "Getenv" || n.Sel.Name == "LookupEnv") {
				say(n, "reads the environment")
			}
		}
		return true
	})
	return bad
}

// root is the variable at the bottom of x.y[i].z.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

func checkLength(t *tree) (bad []string) {
	for _, p := range t.pkgs {
		for _, decl := range declarations(p) {
			if d, ok := decl.(*ast.FuncDecl); ok {
				if n := t.fset.Position(d.End()).Line - t.fset.Position(d.Pos()).Line + 1; n > 80 {
					bad = append(bad, fmt.Sprintf("%s: %s has %d lines", t.at(d), d.Name.Name, n))
				}
			}
		}
	}
	return bad
}

func checkTestPackages(t *tree) (bad []string) {
	for _, p := range t.pkgs {
		for _, f := range p.tests {
			name := t.names[f]
			if topDir(name) != "examples" && path.Base(name) != "export_test.go" && !strings.HasSuffix(f.Name.Name, "_test") {
				bad = append(bad, name+": package "+f.Name.Name)
			}
		}
	}
	return bad
}

// markers are put together so that this file does not hold them itself.
var markers = regexp.MustCompile(`//(nolint|lint:)\S*|\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)

func checkMarkers(t *tree) (bad []string) {
	for name, text := range t.text {
		if path.Ext(name) != ".go" || name == "house_test.go" {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			if found := markers.FindString(line); found != "" {
				bad = append(bad, fmt.Sprintf("%s:%d: %s", name, i+1, found))
			}
		}
	}
	return bad
}

// ---- the API listings: what a release promises, a line an identifier

func checkAPI(t *tree) (bad []string) {
	for _, p := range t.library() {
		file := apiFile(p.dir)
		old, now := strings.Split(strings.TrimSpace(t.text[file]), "\n"), t.listing(p)
		for _, line := range now {
			if !slices.Contains(old, line) {
				bad = append(bad, fmt.Sprintf("%s: lacks %q", file, line))
			}
		}
		for _, line := range old {
			if line != "" && !slices.Contains(now, line) {
				bad = append(bad, fmt.Sprintf("%s: has %q, the code does not", file, line))
			}
		}
	}
	return bad
}

func apiFile(dir string) string { return "testdata/api/" + strings.ReplaceAll(dir, "/", "-") + ".txt" }

func writeAPI(t *testing.T, house *tree) {
	if err := os.MkdirAll("testdata/api", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range house.library() {
		text := strings.Join(house.listing(p), "\n") + "\n"
		house.text[apiFile(p.dir)] = text
		if err := os.WriteFile(apiFile(p.dir), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// listing returns the exported declarations of a package, one line each, sorted.
func (t *tree) listing(p *pkg) (lines []string) {
	for _, decl := range declarations(p) {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
				lines = append(lines, t.line(&ast.FuncDecl{Recv: d.Recv, Name: d.Name, Type: d.Type}))
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				lines = append(lines, t.specLines(d.Tok, spec)...)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func (t *tree) specLines(tok token.Token, spec ast.Spec) (lines []string) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() {
				lines = append(lines, tok.String()+" "+name.Name)
			}
		}
	case *ast.TypeSpec:
		if !s.Name.IsExported() {
			return nil
		}
		switch typ := s.Type.(type) {
		case *ast.StructType:
			return t.memberLines(s, "struct", typ.Fields)
		case *ast.InterfaceType:
			return t.memberLines(s, "interface", typ.Methods)
		}
		return []string{"type " + t.line(s)}
	}
	return lines
}

// memberLines lists a struct or interface: a line for itself, and one for each member that others can see.
func (t *tree) memberLines(s *ast.TypeSpec, kind string, members *ast.FieldList) []string {
	head := &ast.TypeSpec{Name: s.Name, TypeParams: s.TypeParams, Type: &ast.Ident{Name: kind}}
	lines := []string{"type " + t.line(head)}
	for _, f := range members.List {
		if len(f.Names) == 0 {
			lines = append(lines, fmt.Sprintf("type %s, embeds %s", s.Name.Name, t.line(f.Type)))
		}
		for _, name := range f.Names {
			if name.IsExported() {
				lines = append(lines, fmt.Sprintf("type %s, member %s %s", s.Name.Name, name.Name, t.line(f.Type)))
			}
		}
	}
	return lines
}

// line prints a node on one line.
func (t *tree) line(n ast.Node) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, t.fset, n); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
