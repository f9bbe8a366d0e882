//go:build unix

package natstest

import "syscall"

// Suspend stops the process. It keeps its connections and does not answer. It
// is for Unix only.
func (s *Server) Suspend() { s.signal(syscall.SIGSTOP) }

// Resume lets a stopped process continue. It is for Unix only.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(sig)
	}
}
