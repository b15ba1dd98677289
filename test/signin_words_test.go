package scenario_test

// What people read who sign in through a provider and have to do something.

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"userkeys/internal/sso"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/wiring"
)

// TestOutsideNameIsProposed: who cannot have their name of elsewhere reads why, and finds the nearest one that is free.
func TestOutsideNameIsProposed(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		sc.User("Jorg-Muller")
		ask := func(username, name string) testkit.Answer {
			p.oidc.SignsIn("17", "preferred_username", username, "name", name)
			return goThrough(sc.Visitor(), "id", "/my/apps").Must(t, http.StatusConflict, "You signed in with <bdi>Example ID</bdi>.",
				`href="/user-api-key/login?redirect=`).MustNot(t, `role="alert"`)
		}
		ask("J\u00f6rg M\u00fcller", "").Must(t, 409, "Your name there is &ldquo;<bdi>J\u00f6rg M\u00fcller</bdi>&rdquo;, which cannot be a user name here.",
			`value="Jorg-Muller-2"`).MustNot(t, "ask an administrator")
		ask("jorg-muller", "").Must(t, 409, "which is taken here. If that account is yours, ask an administrator", `value="jorg-muller-2"`)
		ask("ann@mail.example", "").Must(t, 409, "&ldquo;<bdi>ann@mail.example</bdi>&rdquo;", `value="ann"`)
		ask("Root", "Rita Root").Must(t, 409, "which is kept for the site itself", `value="Rita-Root"`)
		ask("\u5c71\u7530", "Taro Yamada").Must(t, 409, `value="Taro-Yamada"`)
		ask("\u0627\u062d\u0645\u062f <b>", "").Must(t, 409, "&ldquo;<bdi>\u0627\u062d\u0645\u062f &lt;b&gt;</bdi>&rdquo;", `value=""`)
		ask("a\u202eb", "").Must(t, 409, "No user name came from there.").MustNot(t, "\u202e")
		ask("", "").Must(t, 409, "No user name came from there.", `value=""`)
		if log := sc.Log.String(); strings.Contains(log, "refused") || !strings.Contains(log, "login asks for a user name") {
			t.Errorf("the log calls a question a refusal:\n%s", log)
		}
		// A name that was chosen and cannot be had is refused with the reason, and the nearest to it is proposed.
		p.oidc.SignsIn("17", "preferred_username", "J\u00f6rg")
		v := sc.Visitor()
		asked := goThrough(v, "id", "/my/apps")
		for chosen, want := range map[string][]string{
			"no spaces, please": {"&ldquo;<bdi>no spaces, please</bdi>&rdquo; cannot be a user name here.", `value="no-spaces-please"`},
			"Jorg-Muller":       {"&ldquo;<bdi>Jorg-Muller</bdi>&rdquo; is taken here.", `value="Jorg-Muller-2"`},
			"SYSTEM":            {"&ldquo;<bdi>SYSTEM</bdi>&rdquo; is kept for the site itself.", `value="Jorg"`},
		} {
			comeBack(v, v.Submit(asked, "/user-api-key/login/id", "username", chosen)).Must(t, 409, want...).Must(t, 409, `role="alert"`)
		}
		comeBack(v, v.Submit(asked, "/user-api-key/login/id")).Must(t, 303)
		if who := whoIs(v); who != "Jorg" {
			t.Errorf("who takes what is proposed is %q", who)
		}
	})
	p, logins := ssoLogins(t)
	s := testkit.NewSite(t, dbtest.SQLite(t), onlyForum(logins), func(cfg *wiring.Config) { cfg.NoPasswords = true })
	p.forum.SignsIn("1", "username", "a b")
	goThrough(s.Visitor(), "forum", "/my/apps").Must(t, 409).MustNot(t, "in another way") // there is none
}

// TestOutsideComesAgain: a reload of the last page of a sign-in, or the way back to it, loses neither the way on nor
// the session that there is.
func TestOutsideComesAgain(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		back := "/my/apps?sort=used"
		on := "/user-api-key/login/forum?redirect=" + url.QueryEscape(back)
		p.forum.SignsIn("1", "username", "a b")
		v := sc.Visitor()
		callback := v.Get(v.Get(on).Header.Get("Location")).Header.Get("Location")
		asked := v.Get(callback).Must(t, 409, "Choose a user name")
		for range 2 {
			v.Get(callback).Must(t, 403, "start again", `href="`+strings.ReplaceAll(on, "&", "&amp;")+`"`).MustNot(t, "Go on as")
		}
		if who := whoIs(v); who != "" {
			t.Fatalf("a reload signs %q in", who)
		}
		comeBack(v, v.Submit(asked, "/user-api-key/login/forum")).Must(t, 303)
		v.Get(callback).Must(t, 403, `You are signed in as <bdi><strong>a-b</strong></bdi> all the same.`, `href="`+back+`" autofocus>Go on as`)
		sc.Visitor().Get(callback).Must(t, 403).MustNot(t, back)
	})
}

// TestOutsideRefusalsSayWhatHelps: each refusal says what happened, and to whom to turn.
func TestOutsideRefusalsSayWhatHelps(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		p.forum.SignsIn("1", "username", "carol", "groups", "night shift")
		goThrough(sc.Visitor(), "forum", "/my/apps").Must(t, 403, "sign in once it is approved").MustNot(t, "suspended")
		u, err := sc.Identity.FindUser(t.Context(), "carol")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sc.Identity.Suspend(t.Context(), u.ID, testkit.Command); err != nil {
			t.Fatal(err)
		}
		goThrough(sc.Visitor(), "forum", "/my/apps").Must(t, 403, "is suspended; ask an administrator").MustNot(t, "approved")
		p.forum.SignsIn("2", "username", "eve")
		goThrough(sc.Visitor(), "forum", "/my/apps").Must(t, 403, "an administrator can say which")
		goThrough(sc.Visitor(), "proxy", "/my/apps").Must(t, 403, "The proxy before this site does not say who you are")
		v := sc.Visitor()
		away, err := url.Parse(v.Get("/user-api-key/login/id").Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		q := url.Values{"error": {"access_denied"}, "state": {away.Query().Get("state")}, "iss": {p.oidc.Issuer}}
		v.Get("/user-api-key/login/id/callback?"+q.Encode()).Must(t, 403, "The sign-in with Example ID was cancelled.")
	}, func(cfg *wiring.Config) {
		cfg.Logins[1].Rules = sso.Rules{TrustLevel: 1, Approve: true, OnlyGroups: []string{"night shift"}}
	})
}

// TestSignInOnceMoreSaysWhy: whoever is signed in and has to prove it reads so, and a wrong password changes nothing
// about that.
func TestSignInOnceMoreSaysWhy(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, _ ways) {
		page := sc.alice.Get("/user-api-key/login?again=1&redirect=%2Fmy%2Fapps").Must(t, 200,
			"You are signed in as <bdi><strong>alice</strong></bdi>. What you want to do needs proof that it is you",
			`/login/id?again=1&amp;redirect=`)
		sc.alice.Submit(page, "/user-api-key/login", "username", "alice", "password", "wrong").Must(t, 403,
			"needs proof that it is you", `/login/id?again=1&amp;redirect=`).MustNot(t, "Go on as")
		sc.Visitor().Get("/user-api-key/login?again=1").Must(t, 200).MustNot(t, "needs proof")
	})
}
