package main

import (
	"io"
	"os/exec"
)

// A program is a decoder that runs a program. Read alone reads the source,
// because a scan uses the source between two calls of Read.
type program struct {
	src    io.Reader
	cmd    *exec.Cmd
	in     chan []byte // to the program
	out    chan []byte // from the program
	stop   chan struct{}
	ended  bool   // nothing more goes to the program
	failed error  // of src
	next   []byte // read from src
	rest   []byte // of the output
}

// startProgram starts a program that decodes src.
func startProgram(src io.Reader, path string, args ...string) (io.ReadCloser, error) {
	p := &program{src: src, cmd: exec.Command(path, args...), in: make(chan []byte), out: make(chan []byte), stop: make(chan struct{})}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		var err error
		for b := range p.in {
			if err == nil { // otherwise the program has ended, and its status is the error
				_, err = stdin.Write(b)
			}
		}
		_ = stdin.Close() // the program notices a failure by itself
	}()
	go func() {
		defer close(p.out)
		for {
			b := make([]byte, 64<<10)
			n, err := stdout.Read(b)
			select {
			case p.out <- b[:n]:
			case <-p.stop:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return p, nil
}

// Read returns the error of the program in place of io.EOF.
func (p *program) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if len(p.next) == 0 && !p.ended {
			p.next = make([]byte, 64<<10)
			n, err := p.src.Read(p.next)
			if p.next = p.next[:n]; err != nil {
				p.ended = true
				if err != io.EOF {
					p.failed = err
				}
			}
			if p.ended && n == 0 {
				close(p.in)
			} else if n == 0 {
				continue
			}
		}
		var in chan []byte
		if len(p.next) > 0 {
			in = p.in
		}
		select {
		case in <- p.next:
			if p.next = nil; p.ended {
				close(p.in)
			}
		case rest, ok := <-p.out:
			if !ok {
				return 0, p.status()
			}
			p.rest = rest
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// status returns the error of the source or of the program that has ended.
func (p *program) status() error {
	err := p.cmd.Wait()
	switch {
	case p.failed != nil:
		return p.failed
	case err != nil:
		return err
	}
	return io.EOF
}

// Close ends the program.
func (p *program) Close() error {
	close(p.stop)
	if !p.ended || len(p.next) > 0 {
		close(p.in)
	}
	_ = p.cmd.Process.Kill() // an error means that it has ended
	_ = p.cmd.Wait()         // it was killed
	return nil
}
