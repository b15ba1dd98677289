package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/fakesite"
	"userkeys/server/page"
	"userkeys/site"
)

func save(name, value string) fakesite.Call {
	return fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/settings", As: "root", Form: map[string]string{"name": name, "value": value, "action": "save"}}
}

func TestSettingsPageShowsEverySetting(t *testing.T) {
	t.Parallel()
	f := fakesite.NewPinned(t, map[string]string{"title": "Pinned"})
	f.Set("push_api_secret_key", "planted-secret")
	a := f.Do(fakesite.Call{Path: "/user-api-key/settings", As: "root"})
	a.Must(t, http.StatusOK, "set, not shown", "Set by the configuration of this server")
	a.MustNot(t, "planted-secret")
	for _, d := range site.AllSettings() {
		text := testkit.Inside(t, a.Text, d.Name)
		if !strings.Contains(text, page.Sentence(d.Summary)) {
			t.Errorf("%s lacks its summary", d.Name)
		}
		field := testkit.ByID(t, a.Text, d.Name+"-value")
		if f.Authority.Pinned(d.Name) {
			if field != nil {
				t.Errorf("%s can be changed", d.Name)
			}
			continue
		}
		want := map[site.SettingKind]string{"bool": "select", "int": "input", "list": "textarea", "text": "input"}[d.Kind]
		if field == nil || field.Data != want {
			t.Errorf("%s has no %s", d.Name, want)
		}
	}
}

func TestSettingsSaveAndReset(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	a := f.Do(save("allow_user_api_key_scopes", "read\r\nwrite\r\n"))
	a.Must(t, http.StatusSeeOther)
	if got := a.Header.Get("Location"); got != "/user-api-key/settings?saved=allow_user_api_key_scopes#allow_user_api_key_scopes" {
		t.Errorf("it leads to %q", got)
	}
	if got := f.Authority.Settings().AllowUserAPIKeyScopes.String(); got != "read,write" {
		t.Errorf("the scopes are %q", got)
	}
	if by := f.Events()[0].Caller; by.User.ID != fakesite.Root.ID || !by.Admin() || by.Kind() != "user" {
		t.Errorf("it was changed by %+v", by)
	}
	f.Do(fakesite.Call{Path: "/user-api-key/settings?saved=allow_user_api_key_scopes", As: "root"}).Must(t, http.StatusOK, `role="status">Saved`)
	c := save("allow_user_api_key_scopes", "nonsense")
	c.Form["action"] = "reset"
	f.Do(c).Must(t, http.StatusSeeOther)
	if got := f.Authority.Settings().AllowUserAPIKeyScopes; got.Has("write") {
		t.Errorf("after the reset the scopes are %v", got)
	}
}

func TestSettingsErrorsStandAtTheField(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	a := f.Do(save("max_user_api_reqs_per_minute", "1e9"))
	a.Must(t, http.StatusBadRequest, `aria-invalid="true" autofocus`, `role="alert">Not saved: <a href="#max_user_api_reqs_per_minute">`)
	if got := testkit.Inside(t, a.Text, "max_user_api_reqs_per_minute-error"); !strings.Contains(got, "whole number") {
		t.Errorf("the error reads %q", got)
	}
	if got := testkit.Attr(testkit.ByID(t, a.Text, "max_user_api_reqs_per_minute-value"), "value"); got != "1e9" {
		t.Errorf("what was typed is %q now", got)
	}
	a = f.Do(save("allowed_user_api_auth_redirects", "https://app.example/cb\r\nhttps://*example.com/<b>"))
	a.Must(t, http.StatusBadRequest)
	a.MustNot(t, "<b>")
	if got := testkit.Inside(t, a.Text, "allowed_user_api_auth_redirects-value"); got != "https://app.example/cb\nhttps://*example.com/<b>" && got != "https://app.example/cb\r\nhttps://*example.com/<b>" {
		t.Errorf("what was typed is %q now", got)
	}
	f.Do(save("no_such_setting", "1")).Must(t, http.StatusNotFound)
}

func TestSettingsPinnedAreRefused(t *testing.T) {
	t.Parallel()
	f := fakesite.NewPinned(t, map[string]string{"title": "Pinned"})
	f.Do(save("title", "Other")).Must(t, http.StatusConflict)
	if f.Authority.Settings().Title == "Other" {
		t.Error("a pinned setting was changed")
	}
}

func TestSettingsSecrets(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Do(save("push_api_secret_key", "planted-secret")).Must(t, http.StatusSeeOther)
	f.Do(save("push_api_secret_key", "")).Must(t, http.StatusBadRequest)
	if f.Authority.Settings().PushAPISecretKey != "planted-secret" {
		t.Error("an empty field removed the secret")
	}
	a := f.Do(save("push_api_secret_key", "planted\x01secret"))
	a.Must(t, http.StatusBadRequest)
	a.MustNot(t, "planted")
}

func TestSettingsWarnOfPublicSuffixes(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Do(save("allowed_user_api_auth_redirects", "https://*.github.io/*")).Must(t, http.StatusSeeOther)
	f.Do(fakesite.Call{Path: "/user-api-key/settings?saved=allowed_user_api_auth_redirects", As: "root"}).
		Must(t, http.StatusOK, "anybody can register a name under github.io")
}

// TestSettingsHaveTitles: every setting is in one group, under a title of its own.
func TestSettingsHaveTitles(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	text := f.Do(fakesite.Call{Path: "/user-api-key/settings", As: "root"}).Text
	titles := map[string]string{}
	for _, d := range site.AllSettings() {
		if n := strings.Count(text, `id="`+d.Name+`"`); n != 1 {
			t.Errorf("%s stands %d times on the page", d.Name, n)
		}
		title := testkit.Inside(t, text, d.Name+"-title")
		if title == d.Name || title == "" || titles[title] != "" {
			t.Errorf("the title of %s is %q, as that of %s", d.Name, title, titles[title])
		}
		titles[title] = d.Name
	}
}

// TestSettingsSearch finds by name, older name, title and summary; what is found is open.
func TestSettingsSearch(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	for query, want := range map[string][]string{
		"auth_redirects":                 {"allowed_user_api_auth_redirects"},
		"PUSH%20servers":                 {"allowed_user_api_push_urls", "allowed_internal_hosts"},
		"expire_user_api_keys_days":      {"revoke_user_api_keys_unused_days"},
		"secret%20scanners":              {"user_api_key_prefix"},
		"no%20such%20setting%20at%20all": nil,
	} {
		a := f.Do(fakesite.Call{Path: "/user-api-key/settings?q=" + query, As: "root"})
		a.Must(t, http.StatusOK, "Show all settings")
		for _, name := range want {
			a.Must(t, http.StatusOK, `id="`+name+`"`)
		}
		if n := strings.Count(a.Text, "<details open>"); n != len(want) || strings.Contains(a.Text, "<details>") {
			t.Errorf("%s: %d are found and open", query, n)
		}
	}
	f.Do(fakesite.Call{Path: "/user-api-key/settings?q=%3Cb%3Ex", As: "root"}).Must(t, http.StatusOK, "There is no setting with").MustNot(t, "<b>x")
	a := f.Do(save("title", " "))
	a.Must(t, http.StatusBadRequest, "<details open>")
	if n := strings.Count(a.Text, "<details open>"); n != 1 {
		t.Errorf("after a refusal %d are open", n)
	}
}
