// Command release rehearses a release of every module of the repository.
//
// It copies the tracked files, gives each published module the form that its
// tag will have, and serves the modules to the go command from a folder. Then
// a new module, which knows nothing of this repository, requires each of them,
// compiles all its packages, compiles the programs of README.md, and installs
// the commands.
//
//	go -C internal/release run .
//	go -C internal/release run . -version v0.2.0 -write
//
// With -write it also changes the go.mod and go.sum files of the repository to
// the form that is tagged: they require the version, and replace nothing.
package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	modzip "golang.org/x/mod/zip"
)

const (
	root      = "github.com/redoubt-go/redoubt"
	rootLines = 10 // of go.sum in a module that requires the root: two for redoubt, and two for each module that its tests require
)

// A release is a copy of the repository in the form that is tagged, and a
// folder that serves its modules.
type release struct {
	version string
	temp    string   // the parent of all other folders
	tree    string   // the copy of the repository
	proxy   string   // in the layout of the module proxy
	env     []string // of the go command
}

func main() {
	version := flag.String("version", "v0.1.0", "the `version` to rehearse")
	write := flag.Bool("write", false, "change go.mod and go.sum of the modules to the form that is tagged")
	flag.Parse()
	if err := run(*version, *write); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(version string, write bool) error {
	if !semver.IsValid(version) || semver.Canonical(version) != version {
		return fmt.Errorf("-version is %q, want a whole version such as v0.1.0", version)
	}
	temp, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	r := &release{version: version, temp: temp, tree: filepath.Join(temp, "tree"), proxy: filepath.Join(temp, "proxy")}
	repository, err := output("", nil, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	if err := r.goEnv(); err != nil {
		return err
	}
	dirs, err := r.copyTree(repository)
	if err != nil {
		return err
	}
	fmt.Printf("%-60s %8s %7s %8s %8s\n", "module at "+version, "zip", "go.sum", "modules", "foreign")
	for _, dir := range dirs {
		if err := r.publish(dir); err != nil {
			return fmt.Errorf("%s: %w", cmp.Or(dir, "the root module"), err)
		}
		if err := r.require(dir); err != nil {
			return fmt.Errorf("a module that requires %s: %w", path.Join(root, dir), err)
		}
	}
	if err := r.programs(); err != nil {
		return fmt.Errorf("README.md: %w", err)
	}
	if err := r.install(dirs); err != nil {
		return err
	}
	if !write {
		return nil
	}
	for _, dir := range dirs[1:] {
		for _, name := range []string{"go.mod", "go.sum"} {
			data, err := os.ReadFile(filepath.Join(r.tree, dir, name))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(repository, dir, name), data, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// goEnv sets the environment of the go command: it finds the modules of the
// release first, then the modules that this machine knows, then all others.
// They stay out of the module cache of the user, as the version may get other
// content until it is tagged.
func (r *release) goEnv() error {
	known, err := output("", nil, "go", "env", "GOMODCACHE", "GOPROXY")
	if err != nil {
		return err
	}
	cache, proxy, _ := strings.Cut(known, "\n")
	r.env = append(os.Environ(),
		"GOPROXY=file://"+filepath.ToSlash(r.proxy)+",file://"+filepath.ToSlash(cache)+"/cache/download,"+proxy,
		"GONOSUMDB="+root, "GOPRIVATE=", "GOWORK=off", "GOTOOLCHAIN=local",
		"GOFLAGS=-modcacherw -trimpath", "GOMODCACHE="+filepath.Join(r.temp, "modcache"), "GOBIN="+filepath.Join(r.temp, "bin"))
	return nil
}

// copyTree copies the tracked files and returns the folders of the published
// modules: the root, and the folders under contrib after the modules that they
// require.
func (r *release) copyTree(repository string) ([]string, error) {
	list, err := output(repository, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	var dirs []string
	for name := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(repository, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, and not yet committed
		} else if err != nil {
			return nil, err
		}
		target := filepath.Join(r.tree, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(target, data, 0o644); err != nil {
			return nil, err
		}
		if dir, base := path.Split(name); base == "go.mod" && (dir == "" || strings.HasPrefix(dir, "contrib/")) {
			dirs = append(dirs, path.Clean("/" + dir)[1:])
		}
	}
	requires := make(map[string][]string)
	for _, dir := range dirs {
		if requires[dir], err = r.edit(dir); err != nil {
			return nil, err
		}
	}
	var sorted []string
	for len(sorted) < len(dirs) {
		before := len(sorted)
		for _, dir := range dirs {
			missing := func(required string) bool { return !slices.Contains(sorted, required) }
			if missing(dir) && !slices.ContainsFunc(requires[dir], missing) {
				sorted = append(sorted, dir)
			}
		}
		if len(sorted) == before {
			return nil, errors.New("the modules require one another in a circle")
		}
	}
	return sorted, nil
}

// edit gives the go.mod of a published module its tagged form, and returns the
// folders of the modules of the repository that it requires.
func (r *release) edit(dir string) ([]string, error) {
	name := filepath.Join(r.tree, dir, "go.mod")
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	file, err := modfile.Parse(name, data, nil)
	if err != nil {
		return nil, err
	}
	if want := path.Join(root, dir); file.Module.Mod.Path != want {
		return nil, fmt.Errorf("%s/go.mod is of module %s, want %s", dir, file.Module.Mod.Path, want)
	}
	var requires []string
	for _, require := range file.Require {
		if require.Mod.Path != root && !strings.HasPrefix(require.Mod.Path, root+"/") {
			continue
		}
		requires = append(requires, strings.TrimPrefix(strings.TrimPrefix(require.Mod.Path, root), "/"))
		if err := file.AddRequire(require.Mod.Path, r.version); err != nil {
			return nil, err
		}
	}
	for _, replace := range slices.Clone(file.Replace) {
		if replace.Old.Path != root && !strings.HasPrefix(replace.Old.Path, root+"/") {
			return nil, fmt.Errorf("%s/go.mod replaces %s, which a module that requires it does not", dir, replace.Old.Path)
		}
		if err := file.DropReplace(replace.Old.Path, replace.Old.Version); err != nil {
			return nil, err
		}
	}
	if len(file.Exclude) > 0 {
		return nil, fmt.Errorf("%s/go.mod excludes versions: go install refuses such a module", dir)
	}
	file.Cleanup()
	formatted, err := file.Format()
	if err != nil {
		return nil, err
	}
	return requires, os.WriteFile(name, formatted, 0o644)
}

// publish completes go.sum and puts the module into the proxy.
func (r *release) publish(dir string) error {
	source := filepath.Join(r.tree, dir)
	if _, err := output(source, r.env, "go", "mod", "tidy"); err != nil {
		return err
	}
	license, err := os.ReadFile(filepath.Join(r.tree, "LICENSE"))
	if err != nil {
		return err
	}
	// The go command does the same for a module in a folder without a license.
	if err := os.WriteFile(filepath.Join(source, "LICENSE"), license, 0o644); err != nil {
		return err
	}
	mod := module.Version{Path: path.Join(root, dir), Version: r.version}
	escaped, err := module.EscapePath(mod.Path)
	if err != nil {
		return err
	}
	target := filepath.Join(r.proxy, escaped, "@v")
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := modzip.CreateFromDir(&archive, mod, source); err != nil {
		return err
	}
	gomod, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return err
	}
	info := fmt.Sprintf(`{"Version":%q,"Time":%q}`, r.version, time.Now().UTC().Format(time.RFC3339))
	return errors.Join(
		os.WriteFile(filepath.Join(target, "list"), []byte(r.version+"\n"), 0o644),
		os.WriteFile(filepath.Join(target, r.version+".info"), []byte(info), 0o644),
		os.WriteFile(filepath.Join(target, r.version+".mod"), gomod, 0o644),
		os.WriteFile(filepath.Join(target, r.version+".zip"), archive.Bytes(), 0o644))
}

// require compiles a program that imports every package of a module, from a
// new module, and prints what the program inherits.
func (r *release) require(dir string) error {
	mod := path.Join(root, dir)
	consumer, err := r.consumer(mod)
	if err != nil {
		return err
	}
	list, err := output(filepath.Join(r.tree, dir), r.env, "go", "list", "-f", "{{if ne .Name \"main\"}}{{.ImportPath}}{{end}}", "./...")
	if err != nil {
		return err
	}
	var program strings.Builder
	program.WriteString("package main\n\nimport (\n")
	for pkg := range strings.SplitSeq(list, "\n") {
		if pkg != "" && pkg != root && !strings.Contains(pkg, "/internal/") {
			fmt.Fprintf(&program, "\t_ %q\n", pkg)
		}
	}
	program.WriteString(")\n\nfunc main() {}\n")
	if err := r.build(consumer, program.String()); err != nil {
		return err
	}
	sum, err := os.ReadFile(filepath.Join(consumer, "go.sum"))
	if err != nil {
		return err
	}
	modules, err := output(consumer, r.env, "go", "list", "-m", "all")
	if err != nil {
		return err
	}
	deps, err := output(consumer, r.env, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
	if err != nil {
		return err
	}
	foreign := make(map[string]bool)
	for dep := range strings.SplitSeq(deps, "\n") {
		if dep != "" && dep != "example.com/consumer" && dep != root && !strings.HasPrefix(dep, root+"/") {
			foreign[dep] = true
		}
	}
	escaped, err := module.EscapePath(mod)
	if err != nil {
		return err
	}
	archive, err := os.Stat(filepath.Join(r.proxy, escaped, "@v", r.version+".zip"))
	if err != nil {
		return err
	}
	lines := bytes.Count(sum, []byte("\n"))
	fmt.Printf("%-60s %5d KB %7d %8d %8d\n", mod, archive.Size()>>10, lines,
		strings.Count(modules, "\n"), len(foreign)) // the list of modules begins with the consumer
	if dir == "" && (lines > rootLines || len(foreign) > 0) {
		return fmt.Errorf("go.sum has %d lines and %d foreign modules are compiled, want at most %d and 0, as README.md says", lines, len(foreign), rootLines)
	}
	return nil
}

// consumer returns the folder of a new module that requires mod.
func (r *release) consumer(mod string) (string, error) {
	dir, err := os.MkdirTemp(r.temp, "consumer")
	if err != nil {
		return "", err
	}
	if _, err := output(dir, r.env, "go", "mod", "init", "example.com/consumer"); err != nil {
		return "", err
	}
	_, err = output(dir, r.env, "go", "get", mod+"@"+r.version)
	return dir, err
}

func (r *release) build(dir, program string) error {
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644); err != nil {
		return err
	}
	if _, err := output(dir, r.env, "go", "mod", "tidy"); err != nil {
		return err
	}
	_, err := output(dir, r.env, "go", "build", "-o", filepath.Join(r.temp, "program"), ".")
	return err
}

// programs compiles and runs each complete program of README.md.
func (r *release) programs() error {
	readme, err := os.ReadFile(filepath.Join(r.tree, "README.md"))
	if err != nil {
		return err
	}
	count := 0
	for _, block := range strings.Split(string(readme), "```go\n")[1:] {
		program, _, _ := strings.Cut(block, "```")
		if !strings.HasPrefix(program, "package main\n") {
			continue
		}
		count++
		dir, err := r.consumer(root)
		if err != nil {
			return err
		}
		if err := r.build(dir, program); err != nil {
			return err
		}
		out, err := output(dir, r.env, filepath.Join(r.temp, "program"))
		if err != nil {
			return err
		}
		fmt.Printf("program %d of README.md prints: %s\n", count, out)
	}
	if count == 0 {
		return errors.New("no complete program: no code block begins with \"package main\"")
	}
	return nil
}

// install installs every command as README.md describes.
func (r *release) install(dirs []string) error {
	for _, dir := range dirs {
		list, err := output(filepath.Join(r.tree, dir), r.env, "go", "list", "-f", "{{if eq .Name \"main\"}}{{.ImportPath}}{{end}}", "./...")
		if err != nil {
			return err
		}
		for line := range strings.SplitSeq(list, "\n") {
			if !strings.Contains(line, "/cmd/") {
				continue
			}
			if _, err := output(r.temp, r.env, "go", "install", line+"@"+r.version); err != nil {
				return err
			}
			fmt.Printf("go install %s@%s\n", line, r.version)
		}
	}
	return nil
}

// output runs a command in a folder and returns its standard output, without
// the last line end. The error contains all that the command printed.
func output(dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}
