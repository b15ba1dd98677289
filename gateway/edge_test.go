package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"userkeys/site"
)

// edged is a checker with settings for the edge, that a test may change.
type edged struct {
	*fakeChecker
	settings site.Settings
}

func (e *edged) Edge() *site.Edge { return site.NewEdge(e.settings) }

func newEdged(t testing.TB, nameValues ...string) *edged {
	t.Helper()
	e := &edged{fakeChecker: &fakeChecker{}, settings: site.DefaultSettings()}
	e.set(t, nameValues...)
	return e
}

func (e *edged) set(t testing.TB, nameValues ...string) {
	t.Helper()
	for i := 0; i+1 < len(nameValues); i += 2 {
		if err := e.settings.Set(nameValues[i], nameValues[i+1]); err != nil {
			t.Fatal(err)
		}
	}
}

// from is a request from an address, as a server gets it.
func from(ip, method, target string, nameValues ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr = ip + ":4711"
	for i := 0; i+1 < len(nameValues); i += 2 {
		r.Header.Add(nameValues[i], nameValues[i+1])
	}
	return r
}

func answerOf(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// addresses is a handler that says the address it was asked at, as handlers log it.
var addresses = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, r.RequestURI+" "+r.URL.String()+" "+r.URL.RawQuery)
})
