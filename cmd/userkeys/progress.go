package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress shows on a terminal that the program waits, and for how much longer.
type progress struct {
	out  io.Writer
	left time.Duration

	once  sync.Once
	ended chan struct{}
	done  sync.WaitGroup
}

// startProgress makes a progress that shows nothing before start, and never where out is no terminal.
func startProgress(out io.Writer, left time.Duration) *progress {
	return &progress{out: out, left: left, ended: make(chan struct{})}
}

func (p *progress) start() {
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

func (p *progress) stop() {
	p.once.Do(func() { close(p.ended) })
	p.done.Wait()
}
