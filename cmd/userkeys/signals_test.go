package main

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"userkeys/internal/testkit"
)

// An event stream of the website ends with its last chunk when the server is told to stop,
// and does not hold it up.
func TestServeEndsTheWebsitesEventStreamsAtOnce(t *testing.T) {
	t.Parallel()
	website := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: first\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(website.Close)
	p := testkit.Serve(t, "--data", t.TempDir(), "--upstream", website.URL)
	res, err := http.Get(p.URL + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	events := bufio.NewReader(res.Body)
	if line, err := events.ReadString('\n'); err != nil || line != "data: first\n" {
		t.Fatalf("%q, %v", line, err)
	}
	p.Stop(t)
	if rest, err := io.ReadAll(events); err != nil || strings.TrimSpace(string(rest)) != "" {
		t.Errorf("the stream was cut off: %q, %v", rest, err)
	}
}
