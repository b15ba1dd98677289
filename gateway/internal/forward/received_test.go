package forward

import (
	"io"
	"strings"
	"testing"
)

func TestStreamsAreForgottenWhenTheyEnd(t *testing.T) {
	t.Parallel()
	p := &Proxy{}
	before, after := newStream(p), newStream(p)
	p.streams.add(before)
	if len(p.streams.open) != 1 {
		t.Fatalf("%d streams are open, want 1", len(p.streams.open))
	}
	p.Drain()
	p.streams.add(after) // begins while the server stops
	for _, b := range []*received{before, after} {
		if !b.ended.Load() {
			t.Error("a stream goes on after Drain")
		}
		_ = b.Close()
	}
	if len(p.streams.open) != 0 {
		t.Errorf("%d streams are kept", len(p.streams.open))
	}
}

func newStream(p *Proxy) *received {
	return &received{ReadCloser: io.NopCloser(strings.NewReader("data: 1\n\n")), p: p}
}
