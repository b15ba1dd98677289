package scenario_test

// Using a key: polls of the message bus and event streams, until their key ends.

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/testkit/nettest"
	"userkeys/internal/wiring"
	"userkeys/server"
	"userkeys/site"
)

const busPath = "/message-bus/0123456789abcdef/poll"

// pollOf sends a poll of an app in the background and returns a channel for its answer.
func pollOf(app *testkit.App, body string) <-chan testkit.Answer {
	r := app.Request("POST", busPath, body)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Dont-Chunk", "true")
	answer := make(chan testkit.Answer, 1)
	go func() {
		a, err := app.Site.Visitor().Try(r)
		if err != nil {
			a = testkit.Answer{Response: &http.Response{Request: r}, Body: err.Error()}
		}
		answer <- a
	}()
	return answer
}

// listening waits until the bus of a node has n listeners.
func (sc *scene) listening(s *testkit.Site, n int) {
	sc.t.Helper()
	for deadline := time.Now().Add(nettest.Patience); s.Inbox.Bus.Listeners() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			sc.t.Fatalf("%d listen, want %d", s.Inbox.Bus.Listeners(), n)
		}
	}
}

// soon receives from c, and fails if nothing comes within bound.
func soon[T any](sc *scene, c <-chan T, bound time.Duration) T {
	sc.t.Helper()
	began := time.Now()
	select {
	case v := <-c:
		sc.t.Logf("after %v", time.Since(began).Round(time.Millisecond))
		return v
	case <-time.After(bound):
		sc.t.Fatalf("nothing within %v", bound)
		panic("unreachable")
	}
}

// add writes a notification for a user on a node.
func (sc *scene) add(s *testkit.Site, who string) {
	sc.t.Helper()
	if _, err := s.Inbox.Add(sc.t.Context(), site.Announcement{
		Usernames:    []string{who},
		Notification: site.Notification{Type: 1}, Caller: testkit.Command,
	}); err != nil {
		sc.t.Fatal(err)
	}
}

// eachWay plays a scene twice on a running site: with polls that wait in their handlers, and with parked polls, as above
// a thousand listeners.
func eachWay(t *testing.T, play func(sc *scene)) {
	t.Helper()
	t.Parallel()
	for name, above := range map[string]int{"few": 0, "a crowd": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onSQLite(t, func(sc *scene) {
				go func() { _ = sc.Run(sc.t.Context()) }() // ends with the test
				first := soon(sc, pollOf(sc.App("first", "message_bus").Connect(sc.alice), "/latest=-1"),
					nettest.Patience).Must(sc.t, 200)
				if parked := first.Close; parked != (above < 0) {
					sc.t.Fatalf("that a poll is parked is %v", parked)
				}
				play(sc)
			}, parkAbove(above))
		})
	}
}

func parkAbove(n int) testkit.Option { return func(cfg *wiring.Config) { cfg.ParkAbove = n } }

// TestBus polls the message bus of a site of two nodes.
func TestBus(t *testing.T) {
	eachWay(t, func(sc *scene) {
		other := testkit.NewSite(sc.t, sc.elsewhere())
		aliceID := sc.Keys()[0].UserID
		alerts := fmt.Sprintf("/notification-alert/%d", aliceID)
		app := sc.App("listener", "message_bus").Connect(sc.alice)

		sc.row("a poll is woken by its own node, and by another one", func(sc *scene) {
			app := app.At(sc.Site)
			for what, node := range map[string]*testkit.Site{"its own": sc.Site, "another": other} {
				at := pollOf(app, alerts+"=-1")
				status := soon(sc, at, nettest.Patience).Must(sc.t, 200, `"channel":"/__status"`)
				_, end, _ := strings.Cut(status.Body, alerts+`":`)
				end = end[:strings.IndexByte(end, '}')]
				waits := pollOf(app, alerts+"="+end)
				sc.listening(sc.Site, 1)
				sc.add(node, "alice")
				soon(sc, waits, nettest.Bound(1500*time.Millisecond)).Must(sc.t, 200, `"channel":"`+alerts+`"`)
				sc.t.Log(what)
			}
		})
		sc.row("SC1 what opens the bus", func(sc *scene) {
			for _, scope := range []string{"notifications", "message_bus", "read", "session_info", "push"} {
				app := sc.App("of "+scope, scope).Connect(sc.alice)
				a := send(app, "POST", busPath+"?dlp=t", `{"`+alerts+`":0}`)
				if open := scope == "notifications" || scope == "message_bus"; (a.StatusCode == 200) != open || !open && a.StatusCode != 403 {
					sc.t.Errorf("a poll with %s: %d", scope, a.StatusCode)
				}
				a = send(app, "HEAD", "/events", "")
				if open := scope != "session_info" && scope != "push"; (a.StatusCode == 200) != open || !open && a.StatusCode != 403 {
					sc.t.Errorf("events with %s: %d", scope, a.StatusCode)
				}
			}
		})
		sc.row("W7.7 a stranger, and a dead key, hear nothing", func(sc *scene) {
			a := post(sc.Visitor(), busPath, "application/x-www-form-urlencoded", alerts+"=0").Must(sc.t, 403)
			if a.Body != "Invalid Access" {
				sc.t.Errorf("a stranger gets %q", a.Body)
			}
			none := sc.App("none", "message_bus")
			none.Key = userkeys.Key(strings.Repeat("0", 32))
			sc.check(send(none, "POST", busPath, "{}"), deadKey)
			sc.check(sc.Visitor().Get("/events"), want{status: 403, kind: "not_logged_in"})
		})
		sc.row("KU9 another user's channels are silent", func(sc *scene) {
			name := sprint("bob%d", len(sc.Keys()))
			bob := sc.User(name)
			sc.add(sc.Site, name)
			send(app.At(sc.Site), "POST", busPath+"?dlp=t",
				sprint(`{"/notification/%d":0,"/notification-alert/%d":-1,"/notification-alert/%d":-2}`, bob.ID, bob.ID,
					bob.ID+1)).Must(sc.t, 200).MustNot(sc.t, "notification")
		})
		sc.row("C34 the client package hears", func(sc *scene) {
			c := &client.Credential{Site: sc.URL, Username: "alice", Key: app.Key, Scopes: userkeys.Scopes{"message_bus"}}
			var bus client.Bus
			counts := sprint("/notification/%d", aliceID)
			if news, err := bus.Poll(sc.t.Context(), c, nil, counts); err != nil || len(news) != 0 {
				sc.t.Fatal(news, err)
			}
			heard := make(chan []client.BusMessage, 1)
			go func() {
				news, err := bus.Poll(sc.t.Context(), c, nil, counts)
				if err != nil {
					sc.t.Error(err)
				}
				heard <- news
			}()
			sc.listening(sc.Site, 1)
			sc.add(other, "alice")
			if news := soon(sc, heard, nettest.Bound(5*time.Second)); len(news) != 1 || news[0].Channel != counts {
				sc.t.Errorf("heard %+v", news)
			}
		})
	})
}

// TestBusEndsWithTheSession checks that a poll and a stream of a session end soon after it, although nothing is sent.
func TestBusEndsWithTheSession(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		go func() { _ = sc.Run(sc.t.Context()) }() // ends with the test
		by, ctx := testkit.Command, sc.t.Context()
		for what, end := range map[string]func(p *testkit.Person, u site.User) error{
			"signed out": func(p *testkit.Person, _ site.User) error {
				post(p, "/user-api-key/logout", "application/x-www-form-urlencoded", "authenticity_token="+sc.tokenOf(p)).Must(sc.t, 303)
				return nil
			},
			"another password": func(_ *testkit.Person, u site.User) error {
				return sc.Identity.SetPassword(ctx, u.ID, "correct horse battery", by)
			},
			"suspended": func(_ *testkit.Person, u site.User) error {
				_, err := sc.Identity.Suspend(ctx, u.ID, by)
				return err
			},
			"deleted": func(_ *testkit.Person, u site.User) error { return sc.Identity.Delete(ctx, u.ID, by) },
		} {
			sc.row(what, func(sc *scene) {
				name := "hears" + what[:3]
				u := sc.User(name)
				p := sc.Site.Person(name)
				answers := make(chan testkit.Answer, 2)
				for _, c := range []struct{ method, path string }{{"POST", busPath}, {"GET", "/events"}} {
					r := p.Request(c.method, c.path, "")
					r.Header.Set("Dont-Chunk", "true")
					r.Header.Set("Sec-Fetch-Site", "same-origin")
					go func() {
						a, err := p.Try(r)
						if err != nil { // the test may be over
							a = testkit.Answer{Response: &http.Response{Request: r}, Body: err.Error()}
						}
						answers <- a
					}()
				}
				sc.listening(sc.Site, 2)
				if err := end(p, u); err != nil {
					sc.t.Fatal(err)
				}
				for range 2 {
					a := soon(sc, answers, nettest.Bound(5*time.Second))                                                 // promised within a second; this is beside other tests
					if poll := a.Request.Method == "POST"; poll && (a.StatusCode != 403 || a.Body != "Invalid Access") { // the stream may have begun or not
						sc.t.Errorf("%d %q", a.StatusCode, a.Body)
					}
				}
			})
		}
	})
}

// TestBusEndsWithTheKey checks that polls and event streams end with their key (KU16, T34).
func TestBusEndsWithTheKey(t *testing.T) {
	eachWay(t, func(sc *scene) {
		other := testkit.NewSite(sc.t, sc.elsewhere())
		for what, end := range map[string]func(sc *scene, app *testkit.App, name string){
			"revoked by itself": func(sc *scene, app *testkit.App,
				_ string,
			) {
				app.Call("POST", "/user-api-key/revoke").Must(sc.t, 200)
			},
			"revoked on another node": func(sc *scene, app *testkit.App, _ string) {
				if err := other.Authority.Revoke(sc.t.Context(), sc.Keys()[0].ID, testkit.Command); err != nil {
					sc.t.Error(err)
				}
			},
			"expired": func(sc *scene, _ *testkit.App, _ string) { sc.Clock.Pass(2 * time.Hour) },
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
			sc.row("KU16 T34 "+what, func(sc *scene) {
				name := sprint("listens%d", len(sc.Keys()))
				sc.User(name)
				sc.Set("max_user_api_key_expiry_days", "30")
				app := sc.App("listener of "+name, "notifications").With("expires_in_seconds", "3600").Connect(sc.Person(name))
				waits := pollOf(app, "/notification/999=0")
				res, err := http.DefaultClient.Do(app.Request("GET", "/events", ""))
				if err != nil || res.StatusCode != 200 {
					sc.t.Fatal(res, err)
				}
				defer res.Body.Close()
				sc.listening(sc.Site, 2)
				end(sc, app, name)
				began := time.Now()
				sc.check(soon(sc, waits, nettest.Bound(5*time.Second)), deadKey)
				_, _ = io.Copy(io.Discard, res.Body) // how it ends does not matter
				if took := time.Since(began); took > nettest.Bound(3*time.Second) {
					sc.t.Errorf("the stream went on for %v", took)
				}
				sc.listening(sc.Site, 0)
			})
		}
	})
}

// TestBusSaysNothingAfterARevoke checks that no open poll or stream gets what is written after a revocation was answered
// on the same node (KU16).
func TestBusSaysNothingAfterARevoke(t *testing.T) {
	eachWay(t, func(sc *scene) {
		app := sc.App("listener", "notifications").Connect(sc.alice)
		body := sprint("/notification-alert/%d=0", sc.Keys()[0].UserID)
		waits := pollOf(app, body)
		all := make(chan string, 2)
		for i, r := range []*http.Request{
			app.Request("POST", "/message-bus/other/poll", body),
			app.Request("GET", "/events", ""),
		} {
			if i == 0 {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil || res.StatusCode != 200 {
				sc.t.Fatal(res, err)
			}
			go func() {
				defer res.Body.Close()
				text, _ := io.ReadAll(res.Body) // how it ends does not matter
				all <- string(text)
			}()
		}
		sc.listening(sc.Site, 3)
		app.Call("POST", "/user-api-key/revoke").Must(sc.t, 200)
		for range 40 {
			sc.add(sc.Site, "alice")
		}
		sc.check(soon(sc, waits, nettest.Bound(5*time.Second)), deadKey)
		for range 2 {
			if text := soon(sc, all, nettest.Bound(5*time.Second)); strings.Contains(text,
				"notification_type") || strings.Contains(text, `"unread_notifications":1`) {
				sc.t.Errorf("after the revoke it says %s", text)
			}
		}
		sc.listening(sc.Site, 0)
	})
}

// TestBusBeforeAWebsite checks that the bus and /events are the website's unless --own names them, and that the scopes of
// the bus do not open them then.
func TestBusBeforeAWebsite(t *testing.T) {
	t.Parallel()
	behind(t, func(sc *scene, up *testkit.Upstream) {
		app := sc.App("bus", "message_bus,notifications").Connect(sc.alice)
		send(app, "POST", busPath, "{}").Must(sc.t, 200, "user=alice target="+busPath)
		sc.check(app.Call("GET", "/events"), denied)
		if got := up.Take(); len(got) != 1 {
			sc.t.Errorf("the website got %+v", got)
		}
	})
	behind(t, func(sc *scene, up *testkit.Upstream) {
		app := sc.App("bus", "message_bus").Connect(sc.alice)
		send(app, "POST", busPath+"?dlp=t", `{"/latest":-1}`).Must(sc.t, 200, `"/latest":0`)
		app.Call("HEAD", "/events").Must(sc.t, 200)
		send(app, "POST", "/message-bus/x/other", "{}").Must(sc.t, 403)
		if got := up.Take(); len(got) != 0 {
			sc.t.Errorf("the website got %+v", got)
		}
	}, own(server.EndpointPaths()...))
}

// TestEventSource checks that a page of the site receives events with its visitor's session and connects again after a
// break, and that a page of another site cannot.
func TestEventSource(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	st := dbtest.SQLite(t)
	up := testkit.NewUpstream(t)
	page := `<!doctype html><title>board</title><ul></ul><script>
		const say = (text) => { const li = document.createElement("li"); li.textContent = text; document.querySelector("ul").append(li) };
		const events = new EventSource(location.hash ? location.hash.slice(1) : "/events");
		events.onerror = () => say("error");
		for (const name of ["notification", "notification-alert"])
			events.addEventListener(name, (e) => say(name + " " + (JSON.parse(e.data).unread_notifications ?? JSON.parse(e.data).topic_title)));
	</script>`
	up.Say(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, page)
	})
	s := testkit.NewSite(t, st, testkit.Behind(up.URL), own(server.EndpointPaths()...))
	t.Cleanup(s.Inbox.Bus.Close) // streams go on until then
	s.User("alice")
	add := func(title string) {
		t.Helper()
		if _, err := s.Inbox.Add(t.Context(), site.Announcement{
			Usernames: []string{"alice"}, Caller: testkit.Command,
			Notification: site.Notification{Type: 1, FancyTitle: title},
		}); err != nil {
			t.Fatal(err)
		}
	}
	add("before")
	b.Open(s.URL + "/my/apps")
	signIn(b, "alice", testkit.Password)
	b.At("Your apps")
	b.Open(s.URL + "/board")
	heard := func(want ...string) {
		t.Helper()
		var got []string
		for deadline := time.Now().Add(nettest.Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			got = strings.Split(testkit.Eval[string](b,
				`[...document.querySelectorAll("li")].map(e => e.textContent).join("|")`), "|")
			if slices.Equal(got, want) {
				return
			}
		}
		t.Errorf("the page heard %q, want %q", got, want)
	}
	heard("notification 1")
	add("hello")
	heard("notification 1", "notification-alert hello", "notification 2")

	b.Expect("blocked by CORS policy")
	b.Expect("Failed to load resource")
	b.Open(up.URL + "/board#" + s.URL + "/events") // another origin
	heard("error")
}

// TestEventsFormat reads the bytes of a stream: a retry line, then events of three lines.
func TestEventsFormat(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.add(sc.Site, "alice")
		app := sc.App("stream", "notifications").Connect(sc.alice)
		res, err := http.DefaultClient.Do(app.Request("GET", "/events", ""))
		if err != nil {
			sc.t.Fatal(err)
		}
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		for _, want := range []string{"retry: 3000", "", "event: notification", "id: ", "data: {", ""} {
			if !lines.Scan() || !strings.HasPrefix(lines.Text(), want) || want == "" && lines.Text() != "" {
				sc.t.Errorf("the line is %q, want %q", lines.Text(), want)
			}
		}
	})
}
