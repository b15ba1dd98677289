package scenario_test

// Revoking: keys, what a user's end does to them, and answers that are still being written. Group RV of
// docs/attacks.md.

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
	"userkeys/site"
)

// TestStreamsEnd checks that an answer that is still being written ends with its key (KU16).
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
			"revoked by itself": func(sc *scene, app *testkit.App,
				_ string,
			) {
				app.Call("POST", "/user-api-key/revoke").Must(sc.t, 200)
			},
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

// manage sends a form of the apps page with the right token.
func (sc *scene) manage(p *testkit.Person, what, id string, header ...string) testkit.Answer {
	sc.t.Helper()
	return post(p, "/user-api-key/"+what, urlencoded,
		url.Values{"id": {id}, "authenticity_token": {sc.tokenOf(p)}}.Encode(), header...)
}

// TestRevoke tries the attacks RV: what ends a key, and what does not.
func TestRevoke(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		const path = "/session/current.json"
		sc.User("bob")
		sc.User("root", testkit.Admin)
		bob, root := sc.Person("bob"), sc.Person("root")
		sc.Set("allow_user_api_key_scopes", "read|write")
		bobs, roots := sc.App("bob's", "read,write").Connect(bob), sc.App("root's", "read,write").Connect(root)
		var victim site.UserAPIKey
		for _, k := range sc.Keys() {
			if k.ClientID == "victim" {
				victim = k
			}
		}
		id := sprint("%d", victim.ID)
		for _, what := range []string{"revoke", "undo-revoke"} {
			sc.refused("RV1 "+what+" another user's key, by session", denied,
				func(sc *scene) testkit.Answer { return sc.manage(bob, what, id, "Accept", "application/json") })
		}
		for who, app := range map[string]*testkit.App{"of bob": bobs, "of an administrator": roots} {
			sc.refused("RV1 another's key, by a key with write "+who, want{status: 403, kind: "invalid_access", reason: "a key revokes only itself"}, func(sc *scene) testkit.Answer {
				r := app.Request("POST", "/user-api-key/revoke", "id="+id)
				r.Header.Set("Content-Type", urlencoded)
				return sc.Visitor().Do(r)
			})
			sc.refused("RV8 undo by a key with write "+who, notForKeys, func(sc *scene) testkit.Answer {
				r := app.Request("POST", "/user-api-key/undo-revoke", "id="+id)
				r.Header.Set("Content-Type", urlencoded)
				return sc.Visitor().Do(r)
			})
		}
		for _, odd := range []string{
			"0", "-1", "1 or 1=1", "9223372036854775807", "9223372036854775808", "1e3", " " + id,
			id + " ", "+" + id, "0" + id, "\u0661", "../" + id, "", id + ".0", "0x1", "null", "NaN", strings.Repeat("9", 1000),
		} {
			for _, what := range []string{"revoke", "undo-revoke"} {
				sc.refused(sprint("RV2 DB5 %s the id %.30q", what, odd), unknown,
					func(sc *scene) testkit.Answer { return sc.manage(sc.alice, what, odd, "Accept", "application/json") })
			}
		}
		token := sc.tokenOf(sc.alice)
		for _, number := range []string{id + ".0", id + "e0", "1E0", "[" + id + "]", "true", "-0"} {
			sc.row("DB5 RV2 the id as JSON "+number, func(sc *scene) {
				before := sc.Keys()
				a := post(sc.alice, "/user-api-key/revoke", "application/json", `{"id":`+number+`}`, "X-CSRF-Token", token,
					"Accept", "application/json")
				if a.StatusCode != 404 && a.StatusCode != 400 {
					sc.t.Errorf("status %d", a.StatusCode)
				}
				sc.unchanged(before)
			})
		}
		for _, what := range []string{"revoke", "undo-revoke", "revoke-all"} {
			at := "/user-api-key/" + what
			sc.refused("RV3 GET "+at, wrongMethod, func(sc *scene) testkit.Answer { return sc.alice.Get(at + "?id=" + id) })
			sc.refused("RV3 without the token "+at, badCSRF,
				func(sc *scene) testkit.Answer { return sc.alice.Post(at, url.Values{"id": {id}}) })
			for _, from := range []string{"cross-site", "same-site"} {
				sc.refused("RV3 AD2 "+from+" "+at, badCSRF,
					func(sc *scene) testkit.Answer { return sc.manage(sc.alice, what, id, "Sec-Fetch-Site", from) })
			}
			sc.refused("RV3 of a stranger "+at, want{status: 403, kind: "not_logged_in"}, func(sc *scene) testkit.Answer {
				return post(sc.Visitor(), at, urlencoded, "id="+id, "Accept", "application/json")
			})
		}
		mine := func(sc *scene, clientID string, more ...string) (*testkit.App, string) {
			app := sc.App(clientID, "read").With(more...).Connect(sc.alice)
			return app, sprint("%d", sc.Keys()[0].ID)
		}
		sc.row("RV5 twice by session is done twice; with the revoked key it is refused", func(sc *scene) {
			app, id := mine(sc, "twice")
			for range 2 {
				sc.manage(sc.alice, "revoke", id, "Accept", "application/json").Must(sc.t, 200, `{"success":"OK"}`)
				sc.check(app.Call("GET", path), deadKey)
				sc.check(app.Call("POST", "/user-api-key/revoke"), deadKey)
			}
		})
		sc.row("RV8 undo: by the owner within a day", func(sc *scene) {
			app, id := mine(sc, "undone")
			sc.manage(sc.alice, "revoke", id).Must(sc.t, 303)
			sc.manage(sc.alice, "undo-revoke", id, "Accept", "application/json").Must(sc.t, 200)
			app.Call("GET", path).Must(sc.t, 200)
			sc.manage(sc.alice, "revoke", id)
			sc.check(sc.manage(bob, "undo-revoke", id, "Accept", "application/json"), denied)
			sc.check(app.Call("GET", path), deadKey)
		})
		sc.row("RV8 undo of what the app gave back, and has forgotten", func(sc *scene) {
			app, id := mine(sc, "forgotten")
			app.Call("POST", "/user-api-key/revoke").Must(sc.t, 200)
			sc.check(sc.manage(sc.alice, "undo-revoke", id, "Accept", "application/json"), denied)
			sc.check(app.Call("GET", path), deadKey)
		})
		sc.row("RV8 undo after a new grant", func(sc *scene) {
			old, id := mine(sc, "regranted")
			sc.manage(sc.alice, "revoke", id)
			mine(sc, "regranted")
			sc.check(sc.manage(sc.alice, "undo-revoke", id, "Accept", "application/json"), unknown)
			sc.check(old.Call("GET", path), deadKey)
		})
		sc.row("RV8 undo of an administrator's revocation", func(sc *scene) {
			app, id := mine(sc, "abuser")
			sc.manage(root, "revoke", id, "Accept", "application/json").Must(sc.t, 200)
			sc.check(app.Call("GET", path), deadKey)
			sc.check(sc.manage(sc.alice, "undo-revoke", id, "Accept", "application/json"), denied)
			sc.check(app.Call("GET", path), deadKey)
		})
		sc.row("RV8 undo after expiry, and after a day", func(sc *scene) {
			app, id := mine(sc, "expired", "expires_in_seconds", "60")
			later, laterID := mine(sc, "late")
			sc.manage(sc.alice, "revoke", id)
			sc.manage(sc.alice, "revoke", laterID)
			sc.Clock.Pass(25 * time.Hour)
			for _, i := range []string{id, laterID} {
				sc.check(sc.manage(sc.alice, "undo-revoke", i, "Accept", "application/json"), denied)
			}
			sc.check(app.Call("GET", path), deadKey)
			sc.check(later.Call("GET", path), deadKey)
		})
		sc.row("RV6 fosite CVE-2020-15223 a database that fails while revoking", func(sc *scene) {
			app, id := mine(sc, "stubborn")
			sc.exec("ALTER TABLE userkeys_epoch RENAME TO gone")
			a := sc.manage(sc.alice, "revoke", id, "Accept", "application/json")
			b := app.Call("POST", "/user-api-key/revoke")
			sc.exec("ALTER TABLE gone RENAME TO userkeys_epoch")
			if a.StatusCode < 500 || b.StatusCode < 500 || strings.Contains(a.Body+b.Body,
				"success") || strings.Contains(a.Body+b.Body, "epoch") {
				sc.t.Errorf("%d %s; %d %s", a.StatusCode, a.Body, b.StatusCode, b.Body)
			}
			app.Call("GET", path).Must(sc.t, 200)
			sc.alice.Get("/my/apps").Must(sc.t, 200, "App stubborn")
		})
		sc.row("RV9 revoke all", func(sc *scene) {
			one, _ := mine(sc, "one")
			two, _ := mine(sc, "two")
			sc.manage(sc.alice, "revoke-all", "").Must(sc.t, 303)
			for _, app := range []*testkit.App{one, two, sc.victim} {
				sc.check(app.Call("GET", path), deadKey)
			}
			bobs.Call("GET", path).Must(sc.t, 200)
		})
	})
}

// TestOwnerEnds changes a user by a command: keys and sessions end within a second on a site that learns of it only
// from the database (RV9, KU9).
func TestOwnerEnds(t *testing.T) {
	t.Parallel()
	const path = "/session/current.json"
	onBoth(t, func(sc *scene) {
		go func() { _ = sc.Run(sc.t.Context()) }()     // ends with the test
		other := testkit.NewSite(sc.t, sc.elsewhere()) // another process: what the command line is
		ended := func(name string, act func(ctx context.Context, u site.User) error, back func(ctx context.Context, u site.User) error) {
			sc.row("RV9 KU9 LG9 CVE-2022-41944 CVE-2026-43983 "+name, func(sc *scene) {
				u := sc.User(strings.ReplaceAll(name, " ", "-"))
				p := sc.Person(u.Username)
				app := sc.App("of "+name, "read").Connect(p)
				_, form := func() (testkit.Answer, url.Values) {
					page := app.Ask(p)
					f, _ := page.Form("/user-api-key")
					return page, f
				}()
				app.Call("GET", path).Must(sc.t, 200)
				p.Get(path).Must(sc.t, 200)
				if err := act(sc.t.Context(), u); err != nil {
					sc.t.Fatal(err)
				}
				within(sc, func() bool { return app.Call("GET", path).IsRefused() })
				sc.check(p.Get(path), unknown)
				sc.check(post(p, "/user-api-key", urlencoded, form.Encode(), "Accept", "application/json"),
					want{status: 403, kind: "not_logged_in"})
				if back == nil {
					return
				}
				if err := back(sc.t.Context(), u); err != nil {
					sc.t.Fatal(err)
				}
				within(sc, func() bool { return app.Call("GET", path).StatusCode == http.StatusOK })
				sc.check(p.Get(path), unknown) // the old session stays ended
			})
		}
		update := func(change func(u *site.User)) func(context.Context, site.User) error {
			return func(ctx context.Context, u site.User) error {
				_, err := other.Identity.Update(ctx, u.ID, change, testkit.Command)
				return err
			}
		}
		ended("suspended", func(ctx context.Context, u site.User) error {
			_, err := other.Identity.Suspend(ctx, u.ID, testkit.Command)
			return err
		}, func(ctx context.Context, u site.User) error {
			_, err := other.Identity.Unsuspend(ctx, u.ID, testkit.Command)
			return err
		})
		ended("inactive", update(func(u *site.User) { u.Active = false }), update(func(u *site.User) { u.Active = true }))
		ended("deleted", func(ctx context.Context, u site.User) error {
			return other.Identity.Delete(ctx, u.ID, testkit.Command)
		}, nil)
		sc.row("RV9 renamed: the keys go on under the new name", func(sc *scene) {
			u := sc.User("before")
			app := sc.App("renamed", "read").Connect(sc.Person("before"))
			app.Call("GET", path).Must(sc.t, 200, `"before"`)
			if err := update(func(u *site.User) { u.Username = "after" })(sc.t.Context(), u); err != nil {
				sc.t.Fatal(err)
			}
			within(sc, func() bool { return strings.Contains(app.Call("GET", path).Body, `"username":"after"`) })
		})
		sc.row("RV9 LG8 a new password ends the sessions", func(sc *scene) {
			u := sc.User("forgetful")
			p := sc.Person("forgetful")
			if err := other.Identity.SetPassword(sc.t.Context(), u.ID, "another long password", testkit.Command); err != nil {
				sc.t.Fatal(err)
			}
			sc.check(p.Get(path), unknown)
			sc.check(sc.Visitor().Login("forgetful", testkit.Password), want{status: 403})
		})
		sc.row("RV14 CVE-2026-27775 rights that the owner lost", func(sc *scene) {
			sc.User("staying", testkit.Admin)
			u := sc.User("demoted", testkit.Admin)
			app := sc.App("demoted's", "read").Connect(sc.Person("demoted"))
			app.Call("GET", path).Must(sc.t, 200, `"admin":true`)
			if err := update(func(u *site.User) { u.Admin = false })(sc.t.Context(), u); err != nil {
				sc.t.Fatal(err)
			}
			within(sc, func() bool { return strings.Contains(app.Call("GET", path).Body, `"admin":false`) })
		})
		sc.row("RV7 Vault CVE-2022-41316 a key revoked on another node", func(sc *scene) {
			app := sc.App("elsewhere", "read").Connect(sc.alice)
			app.Call("GET", path).Must(sc.t, 200)
			k := sc.Keys()[0]
			if err := other.Authority.Revoke(sc.t.Context(), k.ID, testkit.Command); err != nil {
				sc.t.Fatal(err)
			}
			within(sc, func() bool { return app.Call("GET", path).IsRefused() })
			for range 200 {
				sc.check(app.Call("GET", path), deadKey)
			}
		})
	})
}

// within waits until a condition holds, for a second at most.
func within(sc *scene, holds func() bool) {
	sc.t.Helper()
	began := time.Now()
	for !holds() {
		if took := time.Since(began); took > nettest.Bound(time.Second) {
			sc.t.Fatalf("not within %v", took)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
