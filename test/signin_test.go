package scenario_test

// Signing in through providers: OpenID Connect, DiscourseConnect, the header of a proxy. LG11-LG18 of docs/attacks.md.

import (
	"encoding/base64"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"userkeys/internal/accounts"
	"userkeys/internal/sso"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/testkit/provider"
	"userkeys/internal/wiring"
	"userkeys/site"
	"userkeys/store"
)

// ways are a scene's providers.
type ways struct {
	oidc  *provider.OIDC
	forum *provider.Connect
}

// ssoLogins is a site whose people sign in through an OpenID provider, a forum, or a proxy on this machine.
func ssoLogins(t *testing.T) (ways, testkit.Option) {
	clock := time.Now // until there is a site
	p := ways{provider.NewOIDC(t, func() time.Time { return clock() }), provider.NewConnect(t)}
	forum, err := url.Parse(p.forum.URL)
	if err != nil {
		t.Fatal(err)
	}
	return p, func(cfg *wiring.Config) {
		clock = cfg.Now
		cfg.Logins = []sso.Login{{
			Name: "id", Issuer: p.oidc.Issuer, PauseAfter: 30 * 24 * time.Hour,
			Rules: sso.Rules{TrustLevel: 1, Groups: true, Rules: []sso.Rule{
				{Group: "root", Admin: true}, {Group: "regulars", TrustLevel: 3}, {User: "boss", AddGroup: "bosses"},
			}},
			Title: "Example ID", Kind: sso.KindOIDC,
			OIDC: sso.OIDCConfig{
				Issuer: p.oidc.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret,
			},
		}, {
			Name: "forum", Issuer: p.forum.URL, Rules: sso.Rules{TrustLevel: 1},
			Kind: sso.KindDiscourse, Discourse: sso.ConnectConfig{URL: forum, Secret: provider.ConnectSecret},
		}, {
			Name: "proxy", Issuer: "header:proxy", Rules: sso.Rules{TrustLevel: 1},
			Kind: sso.KindHeader,
			Header: sso.HeaderConfig{
				User: "Remote-User", Groups: "Remote-Groups", From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
			},
		}}
	}
}

// withWays plays a scene with providers.
func withWays(t *testing.T, play func(sc *scene, p ways), opts ...testkit.Option) {
	t.Helper()
	p, logins := ssoLogins(t)
	onSQLite(t, func(sc *scene) { play(sc, p) }, append([]testkit.Option{logins}, opts...)...)
}

// goThrough begins a sign-in and goes where the provider sends the browser; the answer is the site's last one.
func goThrough(p *testkit.Person, name, back string) testkit.Answer {
	away := p.Get("/user-api-key/login/" + name + "?redirect=" + url.QueryEscape(back))
	return comeBack(p, away)
}

// comeBack goes on from the redirect to a provider.
func comeBack(p *testkit.Person, away testkit.Answer) testkit.Answer {
	for strings.Contains(away.Header.Get("Location"), "://") {
		away = p.Get(away.Header.Get("Location"))
	}
	return away
}

// whoIs is the user name of who is signed in, or "".
func whoIs(p *testkit.Person) string {
	a := p.Get("/session/current.json")
	_, rest, _ := strings.Cut(a.Body, `"username":"`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

// TestOutsideFirstVisit: somebody who is known elsewhere signs in, is asked for a key, and never chooses a password.
func TestOutsideFirstVisit(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		p.oidc.SignsIn("00u-17", "preferred_username", "carol", "name", "Carol \u00dcnger", "email", "carol@mail.example",
			"email_verified", true, "groups", []string{"editors", "regulars", "no, such group"})
		carol := sc.Visitor()
		page := carol.Get("/user-api-key/login?redirect=%2Fmy%2Fapps").Must(t, 200, "Sign in with Example ID", "Sign in with forum")
		page.Must(t, 200, `href="/user-api-key/login/id?redirect=%2Fmy%2Fapps"`)
		app := sc.App("laptop", "read")
		if got := goThrough(carol, "id", app.Path()); got.StatusCode != 303 || got.Header.Get("Location") != app.Path() {
			t.Fatalf("%d %q: %s", got.StatusCode, got.Header.Get("Location"), got.Body)
		}
		app.Connect(carol)
		app.Call("GET", "/session/current.json").Must(t, 200, `"username":"carol"`, "\"name\":\"Carol \u00dcnger\"")
		u, err := sc.Identity.FindUser(t.Context(), "carol")
		if err != nil || u.ExternalID != "00u-17" || u.Login != "id" || u.TrustLevel != 3 || u.Admin ||
			strings.Join(u.Groups, " ") != "editors regulars" || u.Email != "carol@mail.example" {
			t.Fatalf("%+v, %v", u, err)
		}
		// What the provider says is believed anew each time, and no more than the rules say.
		p.oidc.SignsIn("00u-17", "preferred_username", "caroline", "groups", []string{"root"})
		goThrough(carol, "id", "/my/apps")
		if u, _ = sc.Identity.FindUser(t.Context(), "carol"); !u.Admin || u.TrustLevel != 1 || len(u.Groups) != 1 {
			t.Errorf("after another sign-in: %+v", u)
		}
		p.oidc.SignsIn("00u-17", "groups", []string{})
		sc.User("root", testkit.Admin)
		goThrough(carol, "id", "/my/apps")
		if u, _ = sc.Identity.FindUser(t.Context(), "carol"); u.Admin {
			t.Error("who left the group is an administrator still")
		}
	})
}

// TestOutsideTheLastAdministratorStays: a provider cannot leave a site without one.
func TestOutsideTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		p.oidc.SignsIn("1", "preferred_username", "carol", "groups", []string{"root"})
		carol := sc.Visitor()
		goThrough(carol, "id", "/my/apps").Must(t, 303)
		p.oidc.SignsIn("1", "preferred_username", "carol", "groups", []string{"editors"}, "email", "carol@new.example",
			"email_verified", true)
		goThrough(carol, "id", "/my/apps").Must(t, 303)
		if u, err := sc.Identity.FindUser(t.Context(), "carol"); err != nil || !u.Admin || len(u.Groups) != 1 ||
			u.Email != "carol@new.example" { // what is right of the provider's word counts
			t.Errorf("%+v, %v", u, err)
		}
	})
}

// TestOutsideNames: a name that is taken, or is none here, is asked about and never merged.
func TestOutsideNames(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		for subject, name := range map[string]string{"1": "alice", "2": "ALICE", "3": "\u00dcn\u00ef c\u00f6de", "4": "alice@mail.example", "5": ""} {
			p.forum.SignsIn(subject, "username", name, "email", "alice@mail.example")
			v := sc.Visitor()
			asked := goThrough(v, "forum", "/my/apps?sort=used").Must(t, 409, "Choose a user name")
			if who := whoIs(v); who != "" {
				t.Fatalf("%s is signed in as %s", name, who)
			}
			for _, bad := range []string{"alice", "a b", "", "-x"} {
				away := v.Submit(asked, "/user-api-key/login/forum", "username", bad)
				if bad == "" {
					comeBack(v, away).Must(t, 409)
					continue
				}
				comeBack(v, away).Must(t, 409, "Choose a user name", `value="/my/apps?sort=used"`)
			}
			away := v.Submit(asked, "/user-api-key/login/forum", "username", "person"+subject)
			if got := comeBack(v, away); got.Header.Get("Location") != "/my/apps?sort=used" {
				t.Fatalf("%s: %d %s", name, got.StatusCode, got.Body)
			}
			if who := whoIs(v); who != "person"+subject {
				t.Errorf("%s is signed in as %q", name, who)
			}
		}
		if u, _ := sc.Identity.FindUser(t.Context(), "person3"); u.Name != "\u00dcn\u00ef c\u00f6de" || u.ExternalID != "3" {
			t.Errorf("%+v", u)
		}
	})
}

// TestLG11_OpenIDAnswers: no answer counts that is not the provider's, for this site, this browser and this sign-in.
func TestLG11_OpenIDAnswers(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		p.oidc.SignsIn("1", "preferred_username", "carol")
		claim := func(name string, value any) func(*provider.Answer) {
			return func(a *provider.Answer) {
				if a.Claims != nil {
					a.Claims[name] = value
				}
			}
		}
		callback := func(name, value string) func(*provider.Answer) {
			return func(a *provider.Answer) {
				if a.Callback != nil {
					a.Callback.Set(name, value)
				}
			}
		}
		now := sc.Clock.Now()
		for what, lie := range map[string]func(*provider.Answer){
			"state missing":         func(a *provider.Answer) { a.Callback.Del("state") },
			"state other":           callback("state", "0123"),
			"state twice":           func(a *provider.Answer) { a.Callback.Add("state", a.Callback.Get("state")) },
			"code other":            callback("code", "0123"),
			"code missing":          func(a *provider.Answer) { a.Callback.Del("code") },
			"iss missing":           func(a *provider.Answer) { a.Callback.Del("iss") },
			"iss other":             callback("iss", "https://evil.example"),
			"iss with a slash":      callback("iss", p.oidc.Issuer+"/"),
			"an error":              callback("error", "server_error"),
			"nonce other":           claim("nonce", "x"),
			"nonce missing":         claim("nonce", nil),
			"aud other":             claim("aud", "another"),
			"aud with another":      claim("aud", []string{provider.ClientID, "another"}),
			"azp other":             claim("azp", "another"),
			"iss of the token":      claim("iss", "https://evil.example"),
			"exp past":              claim("exp", now.Add(-time.Hour).Unix()),
			"exp missing":           claim("exp", nil),
			"iat future":            claim("iat", now.Add(time.Hour).Unix()),
			"nbf future":            claim("nbf", now.Add(time.Hour).Unix()),
			"sub empty":             claim("sub", ""),
			"sub missing":           claim("sub", nil),
			"sub with NUL":          claim("sub", "a\x00b"),
			"sub too long":          claim("sub", strings.Repeat("a", 256)),
			"HS256 with the key":    func(a *provider.Answer) { a.Alg, a.Key = jose.HS256, p.oidc.Key.N.Bytes() },
			"HS256 with the secret": func(a *provider.Answer) { a.Alg, a.Key = jose.HS256, []byte(strings.Repeat(provider.ClientSecret, 3)) },
			"no signature": func(a *provider.Answer) {
				a.Token = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + "e30" + "."
			},
			"garbage": func(a *provider.Answer) { a.Token = "x.y.z" },
			"a kid that nobody knows and another key": func(a *provider.Answer) {
				a.KeyID, a.Key = "two", testkit.KeyOf(t, 2048)
			},
		} {
			p.oidc.Lies(func(a *provider.Answer) {
				defer func() { _ = recover() }() // a lie about the other half of the answer
				lie(a)
			})
			v := sc.Visitor()
			a := goThrough(v, "id", "/my/apps")
			if a.StatusCode != 403 || whoIs(v) != "" {
				t.Errorf("%s: status %d, signed in as %q", what, a.StatusCode, whoIs(v))
			}
			a.MustNot(t, provider.ClientSecret)
		}
		p.oidc.Lies(nil)
		v := sc.Visitor()
		goThrough(v, "id", "/my/apps").Must(t, 303)
		if whoIs(v) != "carol" {
			t.Error("without a lie nobody is signed in")
		}
	})
}

// TestLG11_UnknownKeysAreNoFlood: two hundred tokens with invented key ids have the provider's keys fetched once a
// minute at most.
func TestLG11_UnknownKeysAreNoFlood(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		sc.Clock.Stop()
		p.oidc.SignsIn("1", "preferred_username", "carol")
		key := testkit.KeyOf(t, 2048)
		p.oidc.Lies(func(a *provider.Answer) { a.KeyID, a.Key = "two", key })
		for range 200 {
			goThrough(sc.Visitor(), "id", "/my/apps")
		}
		if n := p.oidc.KeysFetched(); n != 1 {
			t.Errorf("the keys were fetched %d times", n)
		}
		p.oidc.Lies(nil)
		v := sc.Visitor()
		if goThrough(v, "id", "/my/apps"); whoIs(v) != "carol" {
			t.Error("a good token is refused after the flood")
		}
	})
}

// TestLG11_TheBrowserThatBegan: a sign-in that one browser began cannot be finished by another, or twice, or later
// than ten minutes.
func TestLG11_TheBrowserThatBegan(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		for _, name := range []string{"id", "forum"} {
			p.oidc.SignsIn("1", "preferred_username", "mallory")
			p.forum.SignsIn("1", "username", "mallory-of-the-forum")
			attacker, victim := sc.Visitor(), sc.Visitor()
			begin := func(v *testkit.Person) string { // the callback's address, not followed
				away := v.Get("/user-api-key/login/" + name + "?redirect=%2Fmy%2Fapps")
				return v.Get(away.Header.Get("Location")).Header.Get("Location")
			}
			stolen := begin(attacker)
			victim.Get(stolen).Must(t, 403, "start again")
			begin(victim) // a sign-in of the victim's own does not help
			victim.Get(stolen).Must(t, 403)
			if whoIs(victim) != "" {
				t.Fatalf("%s: the victim is signed in as %s", name, whoIs(victim))
			}
			cookie := attacker.HTTP.Jar.Cookies(attacker.Request("GET", "/", "").URL)
			attacker.Get(stolen).Must(t, 303)
			attacker.HTTP.Jar.SetCookies(attacker.Request("GET", "/", "").URL, cookie)
			attacker.Get(stolen).Must(t, 403) // the cookie of before it was finished
			slow := sc.Visitor()
			late := begin(slow)
			sc.Clock.Pass(11 * time.Minute)
			slow.Get(late).Must(t, 403)
		}
	})
}

// TestOutsideTabs: four tabs of one browser sign in side by side.
func TestOutsideTabs(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		p.oidc.SignsIn("1", "preferred_username", "carol")
		v := sc.Visitor()
		var callbacks []string
		for range 4 {
			away := v.Get("/user-api-key/login/id?redirect=%2Fmy%2Fapps")
			callbacks = append(callbacks, v.Get(away.Header.Get("Location")).Header.Get("Location"))
		}
		for _, c := range callbacks {
			v.Get(c).Must(t, 303)
		}
		// The address of a page that asks for a key has a whole public key in it, and comes back as it was.
		app := sc.App(strings.Repeat("client", 20), "read")
		if got := goThrough(v, "id", app.Path()).Header.Get("Location"); got != app.Path() {
			t.Errorf("the way back is %q", got)
		}
		v.Get("/user-api-key/login/id?redirect="+url.QueryEscape("/my/apps?x="+noise(6000))).Must(t, 400, "too long")
	})
}

// noise is text that cannot be made shorter.
func noise(n int) string {
	var b strings.Builder
	x := uint32(1)
	for b.Len() < n {
		x = x*1664525 + 1013904223
		b.WriteByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[x>>26%62])
	}
	return b.String()
}

// TestLG12_NobodyIsMixedUp: many people finish at the same moment, and each is who they are.
func TestLG12_NobodyIsMixedUp(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		const people = 40
		var visitors []*testkit.Person
		var callbacks []string
		for i := range people {
			name := "person" + string(rune('a'+i/26)) + string(rune('a'+i%26))
			p.forum.SignsIn(name, "username", name)
			v := sc.Visitor()
			v.Name = name
			away := v.Get("/user-api-key/login/forum?redirect=%2Fmy%2Fapps")
			visitors, callbacks = append(visitors, v), append(callbacks, v.Get(away.Header.Get("Location")).Header.Get("Location"))
		}
		done := make(chan string, people)
		for i, v := range visitors {
			go func() {
				a, err := v.Try(v.Request("GET", callbacks[i], ""))
				if err != nil || a.StatusCode != 303 {
					done <- v.Name + ": " + a.Body
					return
				}
				done <- ""
			}()
		}
		for range people {
			if problem := <-done; problem != "" {
				t.Error(problem)
			}
		}
		for _, v := range visitors {
			if who := whoIs(v); who != v.Name {
				t.Errorf("%s is signed in as %q", v.Name, who)
			}
		}
	})
}

// TestLG13_EmailIsNoIdentity: whoever has somebody's address at another provider, or says so, does not become them.
func TestLG13_EmailIsNoIdentity(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		sc.User("dora", func(n *accounts.NewUser) { n.Email = "dora@mail.example" })
		for i, claims := range [][]any{
			{"email", "dora@mail.example", "email_verified", true},
			{"email", "DORA@mail.example", "email_verified", true},
			{"email", "dora@mail.example"},
			{"email", "new@mail.example", "email_verified", false},
			{"email", "a@evil.example@mail.example", "email_verified", true},
		} {
			name := "stranger" + string(rune('1'+i))
			p.oidc.SignsIn(name, append(claims, "preferred_username", name)...)
			v := sc.Visitor()
			a := goThrough(v, "id", "/my/apps")
			if who := whoIs(v); who == "dora" || a.StatusCode == 303 && who != name {
				t.Fatalf("%v: signed in as %q", claims, who)
			}
			if u, err := sc.Identity.FindUser(t.Context(), name); err == nil && u.Email != "" {
				t.Errorf("%v: the account has the address %q", claims, u.Email)
			}
		}
		// The same subject at another provider is somebody else.
		p.forum.SignsIn("stranger1", "username", "stranger1")
		goThrough(sc.Visitor(), "forum", "/my/apps").Must(t, 409, "taken")
	})
}

// TestLG14_LG18_WhoMayNotAct: suspended and not approved people stay outside, whoever vouches for them.
func TestLG14_LG18_WhoMayNotAct(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		p.forum.SignsIn("1", "username", "carol")
		carol := sc.Visitor()
		goThrough(carol, "forum", "/my/apps").Must(t, 303)
		u, err := sc.Identity.FindUser(t.Context(), "carol")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sc.Identity.Suspend(t.Context(), u.ID, testkit.Command); err != nil {
			t.Fatal(err)
		}
		goThrough(sc.Visitor(), "forum", "/my/apps").Must(t, 403, "suspended")
		if u, _ = sc.Identity.FindUser(t.Context(), "carol"); u.SuspendedAt.IsZero() {
			t.Error("the sign-in ended the suspension")
		}
	})
	withWays(t, func(sc *scene, p ways) {
		p.forum.SignsIn("1", "username", "carol", "groups", "night shift")
		v := sc.Visitor()
		goThrough(v, "forum", "/my/apps").Must(t, 403, "has not approved it yet")
		u, err := sc.Identity.FindUser(t.Context(), "carol")
		if err != nil || u.Active {
			t.Fatalf("%+v, %v", u, err)
		}
		if _, err := sc.Identity.Update(t.Context(), u.ID, func(u *site.User) { u.Active = true }, testkit.Command); err != nil {
			t.Fatal(err)
		}
		goThrough(v, "forum", "/my/apps").Must(t, 303)
		p.forum.SignsIn("2", "username", "eve", "groups", "day shift")
		goThrough(sc.Visitor(), "forum", "/my/apps").Must(t, 403, "you are in none of them")
	}, func(cfg *wiring.Config) {
		cfg.Logins[1].Rules = sso.Rules{TrustLevel: 1, Approve: true, OnlyGroups: []string{"night shift"}}
	})
}

// TestLG15_LG16_ConnectAnswers: no answer of DiscourseConnect counts that is not the provider's to this sign-in.
func TestLG15_LG16_ConnectAnswers(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		p.forum.SignsIn("1", "username", "carol", "admin", "true", "moderator", "true")
		edit := func(change func(callback *string, v url.Values)) func(*string, url.Values) { return change }
		for what, lie := range map[string]func(*string, url.Values){
			"nonce unknown":     edit(func(_ *string, v url.Values) { v.Set("nonce", "0123") }),
			"nonce missing":     edit(func(_ *string, v url.Values) { v.Del("nonce") }),
			"nonce twice":       edit(func(_ *string, v url.Values) { v.Add("nonce", v.Get("nonce")) }),
			"no external_id":    edit(func(_ *string, v url.Values) { v.Del("external_id") }),
			"external_id empty": edit(func(_ *string, v url.Values) { v.Set("external_id", "") }),
			"external_id 0":     edit(func(_ *string, v url.Values) { v.Set("external_id", "0") }),
			"external_id twice": edit(func(_ *string, v url.Values) { v.Add("external_id", "2") }),
			"external_id NUL":   edit(func(_ *string, v url.Values) { v.Set("external_id", "1\x002") }),
			"failed":            edit(func(_ *string, v url.Values) { v.Set("failed", "true") }),
			"for elsewhere":     edit(func(_ *string, v url.Values) { v.Set("return_sso_url", "https://evil.example/") }),
		} {
			p.forum.Lies(lie)
			v := sc.Visitor()
			a := goThrough(v, "forum", "/my/apps")
			if a.StatusCode != 403 || whoIs(v) != "" {
				t.Errorf("%s: status %d, signed in as %q", what, a.StatusCode, whoIs(v))
			}
		}
		p.forum.Lies(nil)
		forge := func(change func(q url.Values)) {
			t.Helper()
			v := sc.Visitor()
			away := v.Get("/user-api-key/login/forum?redirect=%2Fmy%2Fapps")
			back, err := url.Parse(v.Get(away.Header.Get("Location")).Header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			q := back.Query()
			change(q)
			back.RawQuery = q.Encode()
			if a := v.Get(back.String()); a.StatusCode < 400 || whoIs(v) != "" {
				t.Errorf("%s: status %d, signed in as %q", back.RawQuery, a.StatusCode, whoIs(v))
			}
		}
		forge(func(q url.Values) { q.Set("sig", strings.ToUpper(q.Get("sig"))) })
		forge(func(q url.Values) { q.Set("sig", "") })
		forge(func(q url.Values) { q.Del("sig") })
		forge(func(q url.Values) { q.Set("sso", q.Get("sso")+"=") })
		forge(func(q url.Values) { q.Set("sso", base64.StdEncoding.EncodeToString([]byte("external_id=1"))) })
		forge(func(q url.Values) { q.Add("sso", q.Get("sso")) })
		// Our own request is signed as an answer is, and names nobody.
		v := sc.Visitor()
		away, err := url.Parse(v.Get("/user-api-key/login/forum").Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		v.Get("/user-api-key/login/forum/callback?"+away.RawQuery).Must(t, 403)
		// A provider's word about staff counts only where the configuration says so.
		v = sc.Visitor()
		goThrough(v, "forum", "/my/apps").Must(t, 303)
		if u, err := sc.Identity.FindUser(t.Context(), "carol"); err != nil || u.Admin || u.Moderator {
			t.Errorf("%+v, %v", u, err)
		}
	})
}

// TestConnectVector: the request and the answer are those of the worked example.
func TestConnectVector(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		"nonce=cb68251eefb5211e58c00ff1395f0c0b&return_sso_url=https%3A%2F%2Fuk.example%2Fuser-api-key%2Flogin%2Fdiscourse%2Fcallback":                                                                                                                             "971579d9accfd855e75a9fe0d77dc0fc7252da4f6ca40ef9433aeef0903e8abf",
		"admin=false&email=alice%40example.com&external_id=17&groups=staff%2Cnight+shift&moderator=false&name=Alice+A&nonce=cb68251eefb5211e58c00ff1395f0c0b&return_sso_url=https%3A%2F%2Fuk.example%2Fuser-api-key%2Flogin%2Fdiscourse%2Fcallback&username=alice": "76b7f7f06815481cc79858b92732ac38ac0ccd31181fbfef3919efe2c2b61598",
	} {
		if got := provider.SignConnect(base64.StdEncoding.EncodeToString([]byte(payload))); got != want {
			t.Errorf("%s: %s, want %s", payload, got, want)
		}
	}
}

// TestLG17_NoPasswords: where people sign in through a provider alone, nothing takes a password.
func TestLG17_NoPasswords(t *testing.T) {
	t.Parallel()
	_, logins := ssoLogins(t)
	s := testkit.NewSite(t, dbtest.Open(t, dbtest.SQLiteDB(t), store.SQLite), onlyForum(logins),
		func(cfg *wiring.Config) { cfg.NoPasswords = true })
	{
		s.User("bob", testkit.Admin)
		v := s.Visitor()
		v.Get("/user-api-key/login?redirect=%2Fmy%2Fapps").Must(t, 303)
		if to := v.Get("/user-api-key/login?redirect=%2Fmy%2Fapps").Header.Get("Location"); to != "/user-api-key/login/forum?redirect=%2Fmy%2Fapps" {
			t.Errorf("the login page leads to %q", to)
		}
		password := url.Values{"username": {"bob"}, "login": {"bob"}, "password": {testkit.Password}}
		for _, path := range []string{"/user-api-key/login", "/login", "/session", "/session.json", "/user-api-key/setup"} {
			if a := v.Post(path, password); a.StatusCode != 404 {
				t.Errorf("POST %s: %d", path, a.StatusCode)
			}
		}
		v.Get("/user-api-key/setup?token=x").Must(t, 404)
		v.Get("/user-api-key/login?signed_out=1").Must(t, 200, "You are signed out here").MustNot(t, `type="password"`)
		// The administrator on the machine comes in by a link, once.
		bob, err := s.Identity.FindUser(t.Context(), "bob")
		if err != nil {
			t.Fatal(err)
		}
		token, err := s.Identity.SignInLink(t.Context(), bob.ID, site.Caller{As: site.CallerCommand})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			v.Get("/user-api-key/sign-in-link?token="+token).Must(t, 200, "Sign in as bob")
		}
		if whoIs(v) != "" {
			t.Fatal("a look at the link signs in")
		}
		// A page of another site cannot sign somebody in as another person.
		for _, path := range []string{"/user-api-key/sign-in-link", "/user-api-key/login/forum", "/user-api-key/login", "/login"} {
			r := v.Request("POST", path, url.Values{"token": {token}}.Encode())
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			v.Do(r).Must(t, 403, "BAD CSRF")
		}
		v.Post("/user-api-key/sign-in-link", url.Values{"token": {token}}).Must(t, 303)
		if whoIs(v) != "bob" {
			t.Error("the link signs nobody in")
		}
		s.Visitor().Post("/user-api-key/sign-in-link", url.Values{"token": {token}}).Must(t, 403, `href="/user-api-key/login">Sign in`)
		for action, kind := range map[string]site.CallerKind{"sign-in link made": site.CallerCommand, "sign-in link used": site.CallerUser} {
			found, err := s.Store.AuditEvents(t.Context(), site.AuditFilter{Action: action, Limit: 10})
			if err != nil || len(found) != 1 || found[0].UserID != bob.ID || found[0].Caller.Kind() != kind {
				t.Errorf("%s: %+v, %v", action, found, err)
			}
		}
		// Who is no administrator any more does not come in, and the audit log does not say so.
		s.User("ann", testkit.Admin)
		if token, err = s.Identity.SignInLink(t.Context(), bob.ID, site.Caller{As: site.CallerCommand}); err != nil {
			t.Fatal(err)
		}
		bob.Admin = false
		if err := s.Store.UpdateUser(t.Context(), bob, testkit.Command.At(time.Now())); err != nil {
			t.Fatal(err)
		}
		s.Visitor().Post("/user-api-key/sign-in-link", url.Values{"token": {token}}).Must(t, 403)
		if used, err := s.Store.AuditEvents(t.Context(), site.AuditFilter{Action: "sign-in link used", Limit: 10}); err != nil || len(used) != 1 {
			t.Errorf("%+v, %v", used, err)
		}
	}
}

// onlyForum leaves one way to sign in.
func onlyForum(logins testkit.Option) testkit.Option {
	return func(cfg *wiring.Config) {
		logins(cfg)
		cfg.Logins = cfg.Logins[1:2]
	}
}

// TestHeaderLogin: a proxy's word counts as long as the proxy gives it, and nobody else's counts.
func TestHeaderLogin(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, _ ways) {
		v := sc.Visitor()
		as := func(path string, header ...string) testkit.Answer {
			r := v.Request("GET", path, "")
			for i := 0; i+1 < len(header); i += 2 {
				r.Header[header[i]] = append(r.Header[header[i]], header[i+1])
			}
			return v.Do(r)
		}
		enter := func(header ...string) testkit.Answer {
			away := as("/user-api-key/login/proxy?redirect=%2Fmy%2Fapps", header...)
			return as(away.Header.Get("Location"), header...)
		}
		enter().Must(t, 403)
		enter("Remote-User", "").Must(t, 403)
		enter("Remote-User", "carol", "Remote-User", "dora").Must(t, 403)
		enter("Remote-User", "carol", "Remote_User", "dora").Must(t, 403)
		enter("Remote-User", "carol", "remote.user", "dora").Must(t, 403)
		enter("remote_user", "carol").Must(t, 403)
		enter("Remote-User", "carol").Must(t, 303)
		as("/session/current.json", "Remote-User", "carol").Must(t, 200, `"username":"carol"`)
		for _, header := range [][]string{{}, {"Remote-User", "dora"}, {"Remote-User", "carol", "Remote_User", "carol"}} {
			if a := as("/session/current.json", header...); a.StatusCode == 200 {
				t.Errorf("%v: signed in still: %s", header, a.Body)
			}
		}
		as("/session/current.json", "Remote-User", "carol").Must(t, 200, `"username":"carol"`)
	})
	withWays(t, func(sc *scene, _ ways) {
		v := sc.Visitor()
		r := v.Request("GET", v.Get("/user-api-key/login/proxy").Header.Get("Location"), "")
		r.Header.Set("Remote-User", "carol")
		v.Do(r).Must(t, 403)
		if !strings.Contains(sc.Log.String(), "came from an address that is not trusted") {
			t.Error("the log does not say who tried")
		}
	}, func(cfg *wiring.Config) {
		cfg.Logins[2].Header.From = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
}

// TestOwnersWhoAreGone: the keys of somebody who does not sign in again pause, and come back with them.
func TestOwnersWhoAreGone(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		p.oidc.SignsIn("1", "preferred_username", "carol")
		p.forum.SignsIn("2", "username", "dora")
		carol, dora := sc.Visitor(), sc.Visitor()
		goThrough(carol, "id", "/my/apps").Must(t, 303)
		goThrough(dora, "forum", "/my/apps").Must(t, 303)
		hers, doras := sc.App("c", "read,notifications").Connect(carol), sc.App("d", "read,notifications").Connect(dora)
		sc.Clock.Pass(29 * 24 * time.Hour)
		hers.Call("GET", "/session/current.json").Must(t, 200)
		sc.Clock.Pass(25 * time.Hour)
		hers.Call("GET", "/session/current.json").Must(t, 403, `"reason":"owner must sign in again"`)
		doras.Call("GET", "/session/current.json").Must(t, 200)
		if whoIs(carol) != "" {
			t.Error("the session outlives the time after which its user is gone")
		}
		goThrough(carol, "id", "/my/apps").Must(t, 303)
		hers.Call("GET", "/session/current.json").Must(t, 200)
	})
}

// TestProviderIsDown: the site starts without its provider, says so to whoever wants to sign in, and goes on as soon
// as the provider answers.
func TestProviderIsDown(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, _ ways) {
		v := sc.Visitor()
		a := v.Get("/user-api-key/login/id?redirect=%2Fmy%2Fapps")
		a.Must(t, http.StatusServiceUnavailable, "Example ID does not answer at the moment.", "Sign in with forum")
		if a.Header.Get("Retry-After") == "" {
			t.Error("nothing says when to try again")
		}
	}, func(cfg *wiring.Config) { cfg.Logins[0].OIDC.Issuer = "http://127.0.0.1:1" })
}

// TestSyncUsers: a website tells of its users before they come, and of who is not one of them any more.
func TestSyncUsers(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		sc.User("root", testkit.Admin)
		root := sc.Program("root", site.AdminUsers)
		sync := func(body string) testkit.Answer {
			return root.Call("POST", "/user-api-key/admin/users/sync.json", body, "Content-Type", "application/json")
		}
		one := `{"external_id":"17","username":"carol","name":"Carol","email":"carol@mail.example","groups":["editors"]`
		sync(`{"login":"id","users":[`+one+`},{"external_id":"18","username":"alice"},{"external_id":"","username":"x"},`+
			`{"external_id":"19","username":"boss","groups":["root"]}]}`).
			Must(t, 200, `"created":1`, `"refused":3`, `"external_id":"17","username":"carol","outcome":"created"`, "user link NAME id")
		sync(`{"login":"id","users":[`+one+`}]}`).Must(t, 200, `"unchanged":1`)
		p.oidc.SignsIn("17", "preferred_username", "somebody-else", "groups", []string{"editors"})
		carol := sc.Visitor()
		goThrough(carol, "id", "/my/apps").Must(t, 303)
		if whoIs(carol) != "carol" {
			t.Fatalf("signed in as %q", whoIs(carol))
		}
		app := sc.App("c", "read").Connect(carol)
		sync(`{"login":"id","users":[`+one+`,"suspended":true}]}`).Must(t, 200, `"changed":1`)
		if a := app.Call("GET", "/session/current.json"); !a.IsRefused() {
			t.Errorf("the key of somebody who is gone: %d", a.StatusCode)
		}
		goThrough(carol, "id", "/my/apps").Must(t, 403, "suspended")
		sync(`{"login":"id","users":[`+one+`,"suspended":false}]}`).Must(t, 200, `"changed":1`)
		app.Call("GET", "/session/current.json").Must(t, 200)
		for _, bad := range []string{
			``, `[]`, `{}`, `{"login":"id","users":[]}`, `{"login":"no","users":[` + one + `}]}`, `{"users":[` + one + `}]}`,
			`{"login":"id","users":[` + one + `,"admin":"yes"}]}`, `{"login":"id","users":[` + one + `,"password":"x"}]}`,
			`{"login":"id","login":"id","users":[` + one + `}]}`, `{"login":"id","users":[` + one + `}]} x`,
		} {
			if a := sync(bad); a.StatusCode != 400 {
				t.Errorf("%s: %d %s", bad, a.StatusCode, a.Body)
			}
		}
		root.Call("POST", "/user-api-key/admin/users/sync.json", "login=id", "Content-Type", urlencoded).Must(t, 415)
		sc.Program("root", site.AdminKeys).Call("POST", "/user-api-key/admin/users/sync.json", `{}`, "Content-Type", "application/json").Must(t, 403)
	})
}

// TestForgedCallbacks: hundreds of answers that were changed by one byte, or put together of two, sign nobody in.
func TestForgedCallbacks(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		random := rand.New(rand.NewPCG(1, 2))
		p.oidc.SignsIn("1", "preferred_username", "carol")
		p.forum.SignsIn("1", "username", "carla")
		v := sc.Visitor()
		var seen []string
		rounds := 200
		if os.Getenv("USERKEYS_LONG") != "" {
			rounds = 1000
		}
		for i := range rounds {
			name := []string{"id", "forum"}[i%2]
			away := v.Get("/user-api-key/login/" + name + "?redirect=%2Fmy%2Fapps")
			back := v.Get(away.Header.Get("Location")).Header.Get("Location")
			path, query, _ := strings.Cut(back, "?")
			bytes := []byte(query)
			if i%5 == 0 && len(seen) > 1 { // one's own path, another's answer
				bytes = []byte(seen[random.IntN(len(seen)-1)])
			} else {
				at := random.IntN(len(bytes))
				if was := bytes[at]; was == 'x' {
					bytes[at] = 'y'
				} else {
					bytes[at] = 'x'
				}
			}
			seen = append(seen, query)
			a, err := v.Try(v.Request("GET", path+"?"+string(bytes), ""))
			if err == nil && a.StatusCode == 303 {
				t.Fatalf("%s?%s of %s is taken", path, bytes, query)
			}
		}
		if who := whoIs(v); who != "" {
			t.Errorf("signed in as %q", who)
		}
	})
}

// TestOutsideNobodyTakesAName: a name that was chosen counts only where one's own is taken or is none, and names that
// people take for the site's own are not given.
func TestOutsideNobodyTakesAName(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		p.forum.SignsIn("1", "username", "mallory")
		v := sc.Visitor()
		comeBack(v, v.Post("/user-api-key/login/forum", url.Values{"username": {"bob"}})).Must(t, 303)
		if who := whoIs(v); who != "mallory" {
			t.Errorf("mallory is %q", who)
		}
		for subject, name := range map[string]string{"2": "Admin", "3": "root", "4": "admin@evil.example"} {
			p.forum.SignsIn(subject, "username", name)
			asked := goThrough(sc.Visitor(), "forum", "/my/apps").Must(t, 409, "Choose a user name")
			v := sc.Visitor()
			comeBack(v, v.Submit(asked, "/user-api-key/login/forum", "username", "SYSTEM")).Must(t, 409, "is kept for the site itself")
		}
	})
}

// TestHeaderSubjectsAreExact: white space of other alphabets makes nobody somebody else, nor a member of a group.
func TestHeaderSubjectsAreExact(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, _ ways) {
		enter := func(user, groups string, more ...string) testkit.Answer {
			v := sc.Visitor()
			r := v.Request("GET", v.Get("/user-api-key/login/proxy").Header.Get("Location"), "")
			r.Header.Set("Remote-User", user)
			r.Header.Set("Remote-Groups", groups)
			for i := 0; i+1 < len(more); i += 2 {
				r.Header[more[i]] = []string{more[i+1]}
			}
			return v.Do(r)
		}
		enter("boss", "").Must(t, 303)
		for _, name := range []string{"boss\u00a0", "\u3000boss", "boss\u2003"} {
			enter(name, "").Must(t, 403)
		}
		enter("carol", "root\u00a0").Must(t, 303)
		if u, err := sc.Identity.FindUser(t.Context(), "carol"); err != nil || u.Admin {
			t.Errorf("%+v, %v", u, err)
		}
		enter("boss", "", "User_Api_Key", "x").Must(t, 403)
	}, func(cfg *wiring.Config) {
		cfg.Logins[2].Rules = sso.Rules{TrustLevel: 1, Rules: []sso.Rule{{Group: "root", Admin: true}}}
	})
}

// TestSyncSuspendsWhateverElseIsWrong: somebody who is gone is gone, also with a name that cannot be kept, and a list that
// says nothing of a suspension ends none.
func TestSyncSuspendsWhateverElseIsWrong(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		p.forum.SignsIn("17", "username", "carol")
		carol := sc.Visitor()
		goThrough(carol, "forum", "/my/apps").Must(t, 303)
		app := sc.App("c", "read").Connect(carol)
		sc.User("root", testkit.Admin)
		sync := func(user string) testkit.Answer {
			return sc.Program("root", site.AdminUsers).Call("POST", "/user-api-key/admin/users/sync.json",
				`{"login":"forum","users":[`+user+`]}`, "Content-Type", "application/json")
		}
		sync(`{"external_id":"17","username":"carol","suspended":true,"email":"root@mail.example","name":"` + strings.Repeat("\u0958", 60) + `"}`)
		if a := app.Call("GET", "/session/current.json"); !a.IsRefused() {
			t.Errorf("the key lives: %d", a.StatusCode)
		}
		sync(`{"external_id":"17","username":"carol"}`).Must(t, 200)
		if a := app.Call("GET", "/session/current.json"); !a.IsRefused() {
			t.Errorf("a list that says nothing ends the suspension: %d", a.StatusCode)
		}
		sync(`{"external_id":"17","username":"carol","suspended":false}`).Must(t, 200, `"changed":1`)
		app.Call("GET", "/session/current.json").Must(t, 200)
	})
}

// TestPausesFailClosed: no way around a pause: a login that was renamed, an identity that was unlinked.
func TestPausesFailClosed(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		p.oidc.SignsIn("1", "preferred_username", "carol")
		carol := sc.Visitor()
		goThrough(carol, "id", "/my/apps").Must(t, 303)
		app := sc.App("c", "read").Connect(carol)
		app.Call("GET", "/session/current.json").Must(t, 200)
		u, err := sc.Identity.FindUser(t.Context(), "carol")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sc.db.Exec("UPDATE userkeys_users SET login = 'old' WHERE username = 'carol'"); err != nil {
			t.Fatal(err)
		}
		elsewhere := testkit.NewSite(t, sc.elsewhere(), func(cfg *wiring.Config) { cfg.Logins = nil })
		app.At(elsewhere).Call("GET", "/session/current.json").Must(t, 403, "owner must sign in again")
		id := site.Identity{Issuer: p.oidc.Issuer, Subject: "1", UserID: u.ID}
		goThrough(carol, "id", "/my/apps").Must(t, 303)
		if err := sc.Store.UnlinkIdentity(t.Context(), id, testkit.Command.At(sc.Clock.Now())); err != nil {
			t.Fatal(err)
		}
		if who := whoIs(carol); who != "" {
			t.Errorf("an identity was unlinked, and its session goes on as %s", who)
		}
		sc.Clock.Pass(31 * 24 * time.Hour)
		app.Call("GET", "/session/current.json").Must(t, 403, "owner must sign in again")
	})
}

// TestFreshSignIns: a provider that only knew somebody has not asked them, and its word is no fresh sign-in.
func TestFreshSignIns(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		root := sc.Visitor()
		again := func() testkit.Answer {
			return comeBack(root, root.Get("/user-api-key/login/id?again=1&redirect=%2Fuser-api-key%2Fsettings"))
		}
		set := func() testkit.Answer {
			csrf := root.Get("/session/csrf.json")
			_, token, _ := strings.Cut(csrf.Body, `"csrf":"`)
			token, _, _ = strings.Cut(token, `"`)
			r := root.Request("PUT", "/user-api-key/admin/settings/title.json", `{"value":"Ours"}`)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-CSRF-Token", token)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			return root.Do(r)
		}
		claims := []any{"preferred_username", "carol", "groups", []string{"root"}}
		p.oidc.SignsIn("1", claims...)
		goThrough(root, "id", "/my/apps").Must(t, 303)
		set().Must(t, 403, "sign in again")
		again().Must(t, 403) // the provider does not say when it asked
		p.oidc.SignsIn("1", append(claims, "auth_time", sc.Clock.Now().Add(-20*time.Hour).Unix())...)
		again().Must(t, 403)
		p.oidc.SignsIn("1", append(claims, "auth_time", sc.Clock.Now().Unix())...)
		again().Must(t, 303)
		set().Must(t, 200)
	})
}

// TestExternalIDsHaveTheirLogin: the ids of two providers may be alike, and the website can tell them apart.
func TestExternalIDsHaveTheirLogin(t *testing.T) {
	t.Parallel()
	up := testkit.NewUpstream(t)
	withWays(t, func(sc *scene, p ways) {
		p.oidc.SignsIn("17", "preferred_username", "carol")
		p.forum.SignsIn("17", "username", "dora")
		for name, who := range map[string]string{"id": "carol", "forum": "dora"} {
			v := sc.Visitor()
			goThrough(v, name, "/my/apps").Must(t, 303)
			app := sc.App(who, "read").Connect(v)
			up.Take()
			app.Call("GET", "/t/1.json")
			got := up.Take()
			if len(got) != 1 || got[0].Header.Get("X-Userkeys-External-Id") != "17" || got[0].Header.Get("X-Userkeys-Login") != name {
				t.Errorf("%s: the website got %+v", who, got)
			}
		}
	}, testkit.Behind(up.URL))
}
