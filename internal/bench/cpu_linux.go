package bench

import (
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ProcessCPU is the CPU time that a process and its threads have used, in
// nanoseconds: the process CPU clock, which counts what sampling in ticks misses.
func ProcessCPU(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED; the kernel writes such ids as ^pid<<3 | clock
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(ts.Nano()), nil
}

// ThreadCPU is the CPU time that the calling thread has used. The caller has locked its goroutine to it.
func ThreadCPU() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(ts.Nano()), nil
}

// onCore calls start on a thread that is bound to a core, which a process
// started there inherits.
func onCore(core int, start func() error) error {
	if core < 0 || core >= runtime.NumCPU() {
		return start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	only.Set(core)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return start() // not allowed here: the ratios are noisier, not wrong
	}
	err := start()
	if back := unix.SchedSetaffinity(0, &before); back != nil && err == nil {
		err = os.NewSyscallError("sched_setaffinity", back)
	}
	return err
}

// PinSelf binds all threads of this process to a core, so that the load does
// not run beside what it measures. Without that core it does nothing.
func PinSelf(core int) error {
	if core < 0 || core >= runtime.NumCPU() {
		return nil
	}
	var only unix.CPUSet
	only.Set(core)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(tid, &only); err != nil {
			return os.NewSyscallError("sched_setaffinity", err)
		}
	}
	return nil
}
