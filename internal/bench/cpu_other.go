//go:build !linux

package bench

import (
	"errors"
	"time"
)

// ProcessCPU is the CPU time that a process has used; it is known on Linux only.
func ProcessCPU(int) (time.Duration, error) {
	return 0, errors.New("bench: the CPU time of another process can be read on Linux only")
}

// ThreadCPU is the CPU time of the calling thread; it is known on Linux only.
func ThreadCPU() (time.Duration, error) {
	return 0, errors.New("bench: the CPU time of a thread can be read on Linux only")
}

func onCore(_ int, start func() error) error { return start() }

// PinSelf does nothing here: binding to a core is done on Linux only.
func PinSelf(int) error { return nil }
