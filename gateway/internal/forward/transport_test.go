package forward

import (
	"fmt"
	"net/url"
	"runtime"
	"testing"
)

// Every upstream has the transport that docs/operating.md says, and requests name a host also where it is a socket.
func TestTransportOfAnUpstream(t *testing.T) {
	t.Parallel()
	const ours, standard = "*transport.synchronous", "*http.Transport"
	for _, tt := range []struct {
		upstream   string
		isStandard bool
		want, host string
	}{
		{"http://127.0.0.1:3000", false, ours, "127.0.0.1:3000"},
		{"http://[::1]:3000", false, ours, "[::1]:3000"},
		{"http://b\u00fccher.example", false, standard, "b\u00fccher.example"}, // whose name is spelled otherwise to look it up
		{"unix:///run/site.sock", false, ours, "localhost"},
		{"https://up.example", false, standard, "up.example"},
		{"http://127.0.0.1:3000", true, standard, "127.0.0.1:3000"},
		{"unix:///run/site.sock", true, standard, "localhost"},
	} {
		u, err := url.Parse(tt.upstream)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
			tt.want = standard
		}
		cfg := Config{Upstream: u, Standard: tt.isStandard}
		if got := fmt.Sprintf("%T", cfg.newTransport()); got != tt.want || cfg.Upstream.Host != tt.host {
			t.Errorf("%s: %s to %s, want %s to %s", tt.upstream, got, cfg.Upstream.Host, tt.want, tt.host)
		}
	}
}
