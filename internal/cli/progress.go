package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// Progress shows on a terminal that the program waits, and how much longer.
type Progress struct {
	out  io.Writer
	left time.Duration

	once  sync.Once
	ended chan struct{}
	done  sync.WaitGroup
}

// StartProgress returns a progress that shows nothing until Start, and nothing at all if out is no terminal.
func StartProgress(out io.Writer, left time.Duration) *Progress {
	return &Progress{out: out, left: left, ended: make(chan struct{})}
}

// Start begins to show how much longer the program waits.
func (p *Progress) Start() {
	f, ok := p.out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return
	}
	p.done.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		until := time.Now().Add(p.left)
		for i := 0; ; i++ {
			fmt.Fprintf(p.out, "\r%c %s left \x1b[K", `|/-\`[i%4], time.Until(until).Round(time.Second))
			select {
			case <-tick.C:
			case <-p.ended:
				fmt.Fprint(p.out, "\r\x1b[K")
				return
			}
		}
	})
}

// Stop removes what is shown.
func (p *Progress) Stop() {
	p.once.Do(func() { close(p.ended) })
	p.done.Wait()
}
