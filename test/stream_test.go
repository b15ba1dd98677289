package scenario_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// TestStreamsEnd is KU16: an answer that is still being written ends with its key.
func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	behind(t, func(sc *scene, up *testkit.Upstream) {
		go func() { _ = sc.Run(sc.t.Context()) }() // ends with the test
		up.Say(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("data: x\n\n")) // until the site hangs up
				_ = http.NewResponseController(w).Flush()
				time.Sleep(50 * time.Millisecond)
			}
		})
		other := testkit.NewSite(sc.t, sc.elsewhere()) // another process
		for what, end := range map[string]func(sc *scene, app *testkit.App, name string){
			"revoked by itself": func(sc *scene, app *testkit.App, _ string) { app.Call("POST", "/user-api-key/revoke").Must(sc.t, 200) },
			"revoked on another node": func(sc *scene, _ *testkit.App, _ string) {
				if err := other.Authority.Revoke(sc.t.Context(), sc.Keys()[0].ID, testkit.Command); err != nil {
					sc.t.Error(err)
				}
			},
			"owner suspended": func(sc *scene, _ *testkit.App, name string) {
				u, err := other.Identity.FindUser(sc.t.Context(), name)
				if err == nil {
					_, err = other.Identity.Suspend(sc.t.Context(), u.ID, testkit.Command)
				}
				if err != nil {
					sc.t.Error(err)
				}
			},
		} {
			sc.row("KU16 "+what, func(sc *scene) {
				name := "streams" + sprint("%d", len(sc.Keys()))
				sc.User(name)
				app := sc.App("streamer", "read").Connect(sc.Person(name))
				res, err := http.DefaultClient.Do(app.Request("GET", "/events", ""))
				if err != nil {
					sc.t.Fatal(err)
				}
				defer res.Body.Close()
				if _, err := io.ReadFull(res.Body, make([]byte, 9)); err != nil || res.StatusCode != 200 {
					sc.t.Fatalf("status %d, %v", res.StatusCode, err)
				}
				end(sc, app, name)
				began := time.Now()
				if _, err := io.Copy(io.Discard, res.Body); err == nil {
					sc.t.Error("the stream looks complete")
				}
				if took := time.Since(began); took > nettest.Bound(2*time.Second) {
					sc.t.Errorf("the stream went on for %v", took)
				}
			})
		}
	})
}
