package jobs

import (
	"fmt"
	"runtime/debug"
)

// Catch makes an error of a panic. It is deferred by what several requests wait for, or what goes on beside them: there
// is no handler whose server would catch it, and it must not end the program.
func Catch(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
	}
}
