package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/logscan"
)

// A Config selects the entries of [Journalctl]. The zero Config selects the
// whole journal.
type Config struct {
	_ [0]func()

	// After is the cursor of the last entry that is not wanted. Empty means the
	// start of the journal.
	After string
	// Follow waits for new entries until the context of the scan ends.
	Follow bool
	// Match are conditions such as "_SYSTEMD_UNIT=ssh.service"; see
	// journalctl(1).
	Match []string
	// Directory is the folder of the journal files, such as the journal of
	// another machine. Empty means the journal of this machine.
	Directory string
	// Command is the program. Empty means "journalctl".
	Command string
}

// Validate reports every condition that is none.
func (c Config) Validate() error {
	var errs []error
	for i, m := range c.Match {
		name, _, ok := bytes.Cut([]byte(m), []byte{'='})
		if m != "+" && (!ok || !fieldName(name)) {
			errs = append(errs, fmt.Errorf("journal: Match[%d] is %s, want FIELD=VALUE", i, quote.Text(m)))
		}
	}
	return errors.Join(errs...)
}

// Journalctl returns the output of journalctl -o export as an input, for a
// Scanner with [Export] and [Parser]. The program ends with the scan.
func Journalctl(c Config) logscan.Inputs {
	return func(yield func(logscan.Input, error) bool) {
		if err := c.Validate(); err != nil {
			yield(logscan.Input{Name: "journal"}, err)
			return
		}
		yield(logscan.Input{Name: "journal", Open: c.open}, nil)
	}
}

func (c Config) open(ctx context.Context) (io.ReadCloser, error) {
	name := c.Command
	if name == "" {
		name = "journalctl"
	}
	args := []string{"--output=export", "--no-pager", "--quiet", "--all"}
	if c.After != "" {
		args = append(args, "--after-cursor="+c.After)
	}
	if c.Follow {
		args = append(args, "--follow", "--no-tail")
	}
	if c.Directory != "" {
		args = append(args, "--directory="+c.Directory)
	}
	args = append(append(args, "--"), c.Match...)
	p := &process{ctx: ctx, cmd: exec.CommandContext(ctx, name, args...)}
	p.cmd.Stderr = &p.stderr
	var err error
	if p.out, err = p.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return p, p.cmd.Start()
}

// A process is the output of a program.
type process struct {
	ctx    context.Context // of the scan, which the process serves
	cmd    *exec.Cmd
	out    io.ReadCloser
	stderr tail
	waited bool
}

// Read returns the error of the program in place of io.EOF.
func (p *process) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	if err == nil || n > 0 {
		return n, nil
	}
	p.waited = true
	if e := p.cmd.Wait(); e != nil && p.ctx.Err() == nil {
		return 0, fmt.Errorf("journal: %w: %s", e, quote.Text(string(bytes.TrimSpace(p.stderr.b))))
	}
	return 0, err
}

// Close ends the program.
func (p *process) Close() error {
	if !p.waited {
		_ = p.cmd.Process.Kill() // an error means that it has ended
		_ = p.cmd.Wait()         // it was killed
	}
	return nil
}

// A tail keeps the last bytes of a text.
type tail struct{ b []byte }

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-256):]
	return len(p), nil
}
