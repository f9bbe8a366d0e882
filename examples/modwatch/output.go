package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// outputs are the destinations of the report besides the terminal.
type outputs struct {
	html, svg *os.File // nil if not wanted
	listener  net.Listener
}

// openOutputs opens all destinations before the run begins, so that a wrong
// path is reported at once.
func openOutputs(o options) (out outputs, err error) {
	defer func() {
		if err != nil {
			out.close()
		}
	}()
	if out.html, err = create("html", o.html); err != nil {
		return out, err
	}
	if out.svg, err = create("svg", o.svg); err != nil {
		return out, err
	}
	if o.ledger != "" {
		if err := os.MkdirAll(filepath.Clean(o.ledger), 0o700); err != nil {
			return out, fmt.Errorf("-ledger: %w: name a folder that can be written", err)
		}
	}
	if o.http != "" {
		if out.listener, err = net.Listen("tcp", o.http); err != nil {
			return out, fmt.Errorf("-http: %w: choose another port, or 0 for a free one", err)
		}
	}
	return out, nil
}

func create(flag, name string) (*os.File, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("-%s: %w: name a file that can be written", flag, err)
	}
	return file, nil
}

// write writes the report to the files.
func (out outputs) write(s state) error {
	var errs []error
	if out.html != nil {
		errs = append(errs, page(out.html, s, false))
	}
	if out.svg != nil {
		_, err := out.svg.WriteString(standalone(s, wide))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (out outputs) close() error {
	var errs []error
	for _, file := range []*os.File{out.html, out.svg} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	if out.listener != nil {
		out.listener.Close() // the server may have closed it before
	}
	return errors.Join(errs...)
}
