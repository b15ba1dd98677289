package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

// textFields puts a text into every place that takes one, one at a time.
func (w *world) textFields(text string) map[string]error {
	u := w.user(fmt.Sprintf("user%d", w.next()))
	out := map[string]error{}
	by := site.Caller{As: site.CallerKind(text)}
	from := site.Caller{Address: text}
	for name, edit := range map[string]func(*site.Notification){
		"notification slug":  func(n *site.Notification) { n.Slug = text },
		"notification title": func(n *site.Notification) { n.FancyTitle = text },
		"notification data":  func(n *site.Notification) { n.Data = json.RawMessage(text) },
	} {
		_, out[name] = w.AddNotifications(w.ctx, announce(note(1, edit), u.Username))
	}
	_, out["notification actor"] = w.AddNotifications(w.ctx, site.Announcement{Usernames: []string{u.Username}, Notification: note(1), Caller: by})
	for name, edit := range map[string]func(*site.Grant){
		"grant client_id":        func(g *site.Grant) { g.Key.ClientID = text },
		"grant application_name": func(g *site.Grant) { g.Key.ApplicationName = text },
		"grant push_url":         func(g *site.Grant) { g.Key.PushURL = text },
		"grant scope":            func(g *site.Grant) { g.Key.Scopes = userkeys.Scopes{text} },
		"grant actor":            func(g *site.Grant) { g.Caller = by },
		"grant address":          func(g *site.Grant) { g.Caller = from },
	} {
		g := w.grantOf(u, fmt.Sprintf("c%d", w.next()))
		edit(&g)
		_, out[name] = w.Store.Grant(w.ctx, g)
	}
	for name, edit := range map[string]func(*site.Consent){
		"consent session":   func(c *site.Consent) { c.Session = text },
		"consent name":      func(c *site.Consent) { c.Request.ApplicationName = text },
		"consent client_id": func(c *site.Consent) { c.Request.ClientID = text },
		"consent nonce":     func(c *site.Consent) { c.Request.Nonce = text },
		"consent key":       func(c *site.Consent) { c.Request.PublicKey = text },
		"consent redirect":  func(c *site.Consent) { c.Request.AuthRedirect = text },
		"consent push_url":  func(c *site.Consent) { c.Request.PushURL = text },
		"consent padding":   func(c *site.Consent) { c.Request.Padding = text },
		"consent expiry":    func(c *site.Consent) { c.Request.ExpiresInSeconds = text },
		"consent scope":     func(c *site.Consent) { c.Request.Scopes = userkeys.Scopes{text} },
	} {
		c := site.Consent{ID: fmt.Sprintf("id %d", w.next()), UserID: u.ID, ExpiresAt: noon}
		edit(&c)
		out[name] = w.CreateConsent(w.ctx, c)
	}
	for name, edit := range map[string]func(*site.Account){
		"user name":     func(a *site.Account) { a.Username = text },
		"user fullname": func(a *site.Account) { a.Name = text },
		"user email":    func(a *site.Account) { a.Email = text },
		"user group":    func(a *site.Account) { a.Groups = []string{text} },
		"user hash":     func(a *site.Account) { a.PasswordHash = text },
	} {
		a := site.Account{User: site.User{Username: fmt.Sprintf("made%d", w.next())}}
		edit(&a)
		_, out["create "+name] = w.CreateUser(w.ctx, a, admin)
		if name == "user hash" {
			out["password"] = w.SetPassword(w.ctx, u.ID, text, admin.At(noon))
			continue
		}
		a.ID = u.ID
		if name == "user name" {
			a.Username += "2"
		} else {
			a.Username = fmt.Sprintf("made%d", w.next()) // the first is taken
		}
		if name == "user email" {
			a.Email += "2"
		}
		out["update "+name] = w.UpdateUser(w.ctx, a.User, admin.At(noon))
	}
	out["setting value"] = w.SetSetting(w.ctx, "title", text, admin.At(noon))
	out["setting name"] = w.SetSetting(w.ctx, text, "x", admin.At(noon))
	out["setting reset"] = w.ResetSetting(w.ctx, text, admin.At(noon))
	_, _, out["guess"] = w.ChargeAttempt(w.ctx, text, time.Hour, noon)
	out["forget"] = w.ForgetGuesses(w.ctx, text)
	out["token"] = w.CreateToken(w.ctx, site.Token{Kind: text, Hash: []byte("x"), Expires: noon})
	_, out["consume"] = w.ConsumeToken(w.ctx, site.Token{Kind: text, Hash: []byte("x")}, noon)
	out["status emoji"] = w.SetUserStatus(w.ctx, u.ID, site.UserStatus{Emoji: text})
	out["status text"] = w.SetUserStatus(w.ctx, u.ID, site.UserStatus{Description: text})
	_, out["revoke actor"] = w.Store.Revoke(w.ctx, site.Revocation{IDs: []int64{1}, By: site.RevokedByOwner, Caller: by})
	_, out["admin key description"] = w.CreateAdminKey(w.ctx, site.AdminAPIKey{Description: text, Hash: w.hash()}, admin)
	_, out["find users"] = w.FindUsers(w.ctx, site.UserFilter{Text: text})
	_, out["list by client"] = w.Keys(w.ctx, site.KeyFilter{ClientID: text})
	return out
}

// Text that is not valid UTF-8, or has a NUL, is refused before it is kept (DB1).
func TestTextThatIsNotUTF8IsRefused(t *testing.T) {
	each(t, func(w *world) {
		for name, text := range map[string]string{
			"NUL": "a\x00b", "lone byte": "a\xff", "surrogate": "\xed\xa0\x80", "overlong": "\xc0\xaf", "cut off": "\xe2\x82",
		} {
			before := w.Statements()
			for field, err := range w.textFields(text) {
				if err == nil {
					w.Errorf("%s in %s was taken", name, field)
				} else {
					w.refused(err, userkeys.InvalidParameters)
				}
			}
			// The making of the one good user; nothing of the rest may reach the database.
			if n := w.Statements() - before; n > 3 {
				w.Errorf("%s: %d statements for text that is refused", name, n)
			}
		}
		_, err := w.Account(w.ctx, "a\x00")
		w.refused(err, userkeys.InvalidParameters)
		_, err = w.UserNamed(w.ctx, "a\x00")
		w.refused(err, userkeys.InvalidParameters)
		_, err = w.AddNotifications(w.ctx, announce(note(1), "a\x00"))
		w.refused(err, userkeys.InvalidParameters)
		_, err = w.Client(w.ctx, "\xff")
		w.refused(err, userkeys.InvalidParameters)
		err = w.UndoRevoke(w.ctx, site.Undo{Caller: site.Caller{Address: "\x00"}})
		w.refused(err, userkeys.InvalidParameters)
		w.refused(w.DeleteUser(w.ctx, 1, site.Caller{As: "\x00"}.At(noon)), userkeys.InvalidParameters)
		_, err = w.Consent(w.ctx, "\x00\xff") // its hash is looked for, and is no row
		w.refused(err, userkeys.ConsentGone)
	})
}

// Text that is too long is refused (DB3).
func TestLongTextIsRefused(t *testing.T) {
	each(t, func(w *world) {
		for field, err := range w.textFields(strings.Repeat("x", 1<<20)) {
			if err == nil {
				w.Errorf("a megabyte in %s was taken", field)
			} else {
				w.refused(err, userkeys.InvalidParameters)
			}
		}
		// What is unique is bounded so that both databases can index it, also
		// where it does not compress.
		var b strings.Builder
		for i := 0; b.Len() < 1000; i++ {
			b.WriteString(w.hash().Short())
		}
		u := w.user(b.String()[:1000])
		w.key(u, b.String()[:1000])
		_, _, err := w.ChargeAttempt(w.ctx, b.String()[:1000], 0, noon)
		w.ok(err)
		k := w.key(u, "c", func(g *site.Grant) { g.Key.ApplicationName = strings.Repeat("\u00e9", 1<<15) })
		if got := w.stored(k.ID).ApplicationName; len(got) != 1<<16 {
			w.Errorf("a long name came back with %d bytes", len(got))
		}
	})
}

// Text that looks like SQL is kept as it is (DB2).
func TestTextThatLooksLikeSQLIsKept(t *testing.T) {
	each(t, func(w *world) {
		for i, text := range []string{
			`'; DROP TABLE userkeys_users; --`, `$1`, `?`, `$$`, `\`, `:name`, `@p1`, `%s %d`, `"`, `'`, `\'`, `{{id}}`, `/*`, `--`, `1 or 1=1`, `%_`,
		} {
			for field, err := range w.textFields(text) {
				if err != nil {
					w.Errorf("%s in %s: %v", text, field, err)
				}
			}
			// Whatever has an '@' is looked for among e-mail addresses; both came of textFields.
			u := must[site.Account](w)(w.Account(w.ctx, foldName(text)))
			if u.Username != text && u.Email != text {
				w.Errorf("user name %q came back as %q", text, u.Username)
			}
			k := w.key(u.User, text, func(g *site.Grant) {
				g.Key.ApplicationName, g.Key.PushURL, g.Key.Scopes = text, text, userkeys.Scopes{text, "read"}
			})
			got := w.stored(k.ID)
			if got.ClientID != text || got.ApplicationName != text || got.PushURL != text || !slices.Equal(got.Scopes, k.Scopes) {
				w.Errorf("key came back as %+v", got)
			}
			if v := must[map[string]string](w)(w.SettingValues(w.ctx)); v[text] != "" && v[text] != "x" || v["title"] != text {
				w.Errorf("%d: settings %v", i, v)
			}
		}
		for name, err := range map[string]error{
			"comma in a scope": func() error {
				g := w.grantOf(w.user("x1"), "c")
				g.Key.Scopes = userkeys.Scopes{"read,write"}
				_, err := w.Store.Grant(w.ctx, g)
				return err
			}(),
			"bar in a group": func() error {
				_, err := w.CreateUser(w.ctx, site.Account{User: site.User{Username: "x2", Groups: []string{"a|admins"}}}, admin)
				return err
			}(),
		} {
			if err == nil {
				w.Errorf("%s would come back as two", name)
			} else {
				w.refused(err, userkeys.InvalidParameters)
			}
		}
	})
}

// foldName is a name as somebody else would type it.
func foldName(s string) string { return strings.ToLower(s) }

// Numbers and times at their limits are kept or refused (DB5).
func TestNumbersAndTimesAtTheirLimits(t *testing.T) {
	each(t, func(w *world) {
		u := w.user("ada", func(a *site.Account) { a.TrustLevel = math.MaxInt })
		if got := must[site.User](w)(w.User(w.ctx, u.ID)); got.TrustLevel != math.MaxInt {
			w.Errorf("trust level %d", got.TrustLevel)
		}
		for _, id := range []int64{0, -1, math.MaxInt64, math.MinInt64} {
			_, err := w.User(w.ctx, id)
			w.refused(err, userkeys.NotFound)
			w.refused(w.DeleteUser(w.ctx, id, admin.At(noon)), userkeys.NotFound)
			if users := must[[]site.User](w)(w.FindUsers(w.ctx, site.UserFilter{After: id, Limit: 1})); (len(users) == 1) != (id <= 0) {
				w.Errorf("users after %d: %d", id, len(users))
			}
			w.ok(w.RecordUses(w.ctx, []site.KeyUse{{KeyID: id, LastUsedAt: noon, Day: []byte{0}}}))
		}
		for _, id := range []int64{1, math.MaxInt64} {
			w.changes(site.Mark{N: id})
		}
		for _, year := range []int{1, 1969, 1970, 2038, 2100, 9999, 10000, 300000} {
			at := time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)
			k := w.key(u, "c", func(g *site.Grant) { g.Key.ExpiresAt = at })
			got := w.stored(k.ID)
			want := at
			if year > 9999 { // no key without end may turn into a dead one
				want = time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
			}
			if !got.ExpiresAt.Equal(want) || got.Live(noon) != (year > 2026) {
				w.Errorf("year %d came back as %v", year, got.ExpiresAt)
			}
		}
		big := bytes.Repeat([]byte{0, 1, 255}, 5000)
		k := w.key(u, "day")
		w.ok(w.RecordUses(w.ctx, []site.KeyUse{{KeyID: k.ID, LastUsedAt: noon, Day: big}}))
		if got := must[site.StoredKey](w)(w.KeyByHash(w.ctx, k.Hash)); !bytes.Equal(got.Day, big) {
			w.Errorf("a day of %d bytes came back with %d", len(big), len(got.Day))
		}
	})
}
