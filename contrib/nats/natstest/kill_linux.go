package natstest

import "syscall"

// dieWithParent ends servers with the test process, also if it is killed.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
