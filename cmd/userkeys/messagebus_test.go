package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys/internal/testkit"
)

// bus is a website that has a message bus, with one message for whoever polls
// with the identity that only the proxy can give.
func bus(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Api-Key") != "" {
			t.Error("the website was given the key")
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		fields, err := url.ParseQuery(string(body))
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if err != nil || r.Header.Get("Dont-Chunk") != "true" || !strings.HasPrefix(r.URL.Path, "/message-bus/") || !strings.HasSuffix(r.URL.Path, "/poll") {
			t.Errorf("%s %s: %q, %v", r.Method, r.URL, body, r.Header)
		}
		if fields.Get("/notification/1") != "0" { // it has seen the message
			_, _ = io.WriteString(w, "[]")
			return
		}
		_, _ = io.WriteString(w, `[{"global_id":1,"message_id":1,"channel":"/notification/1","data":{"for":"`+r.Header.Get("X-Userkeys-Username")+`"}}]`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// The official message bus client, unchanged, polls through the proxy with a
// key of the scope message_bus, and stops when the key is revoked.
func TestMessageBusClient(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	testkit.Run(t, testkit.Password+"\n", "user", "add", "alice", "--password-stdin", "--data", data)
	testkit.Run(t, "", "settings", "set", "max_user_api_reqs_per_minute", "1000", "--data", data)
	s := testkit.At(t, testkit.Serve(t, "--data", data, "--upstream", bus(t)).URL)
	app := s.App("bus", "message_bus").Connect(s.Person("alice"))
	_, heard := npmApp(t, "message_bus.cjs", s.URL, app.Key.Reveal(), "/notification/1")
	if diff := cmp.Diff(map[string]any{"data": map[string]any{"for": "alice"}}, heard()); diff != "" {
		t.Errorf("the first message (-want +got):\n%s", diff)
	}
	app.Call("POST", "/user-api-key/revoke").Must(t, http.StatusOK)
	if diff := cmp.Diff(map[string]any{"refused": 403.0}, heard()); diff != "" {
		t.Errorf("after the revocation (-want +got):\n%s", diff)
	}
}
