package forward

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What the upstream takes its time for is not the client's slowness.
func TestSlowUpstreamIsNotASlowUpload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := body{ReadCloser: io.NopCloser(strings.NewReader(strings.Repeat("x", 10))), least: 3840}
		b.stall = &stall{after: time.Minute, now: time.Now, control: *http.NewResponseController(httptest.NewRecorder())}
		for range 10 {
			time.Sleep(50 * time.Second)
			if _, err := b.Read(make([]byte, 1)); err != nil || b.patience() != time.Minute {
				t.Fatalf("%v, patience %v", err, b.patience())
			}
		}
	})
}
