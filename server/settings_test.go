package server

import (
	"net/http"
	"strings"
	"testing"

	"userkeys/site"
)

func save(name, value string) call {
	return call{method: http.MethodPost, path: "/user-api-key/settings", as: "root", form: map[string]string{"name": name, "value": value, "action": "save"}}
}

func TestSettingsPageShowsEverySetting(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.authority.pinned["title"] = true
	f.authority.set("push_api_secret_key", "planted-secret")
	a := f.do(call{path: "/user-api-key/settings", as: "root"})
	a.must(t, http.StatusOK, "set, not shown", "Set by the configuration of this server")
	a.mustNot(t, "planted-secret")
	for _, d := range site.AllSettings() {
		text := inside(t, a.text, d.Name)
		if !strings.Contains(text, sentence(d.Summary)) {
			t.Errorf("%s lacks its summary", d.Name)
		}
		field := byID(t, a.text, d.Name+"-value")
		if f.authority.pinned[d.Name] {
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
	f := newSite(t)
	a := f.do(save("allow_user_api_key_scopes", "read\r\nwrite\r\n"))
	a.must(t, http.StatusSeeOther)
	if got := a.Header.Get("Location"); got != "/user-api-key/settings?saved=allow_user_api_key_scopes#allow_user_api_key_scopes" {
		t.Errorf("it leads to %q", got)
	}
	if got := f.authority.settings.AllowUserAPIKeyScopes.String(); got != "read,write" {
		t.Errorf("the scopes are %q", got)
	}
	if by := f.authority.actors[0]; by.User.ID != root.ID || !by.Admin() || by.Kind() != "user" {
		t.Errorf("it was changed by %+v", by)
	}
	f.do(call{path: "/user-api-key/settings?saved=allow_user_api_key_scopes", as: "root"}).must(t, http.StatusOK, `role="status">Saved`)
	c := save("allow_user_api_key_scopes", "nonsense")
	c.form["action"] = "reset"
	f.do(c).must(t, http.StatusSeeOther)
	if got := f.authority.settings.AllowUserAPIKeyScopes; got.Has("write") {
		t.Errorf("after the reset the scopes are %v", got)
	}
}

func TestSettingsErrorsStandAtTheField(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	a := f.do(save("max_user_api_reqs_per_minute", "1e9"))
	a.must(t, http.StatusBadRequest, `aria-invalid="true" autofocus`, `role="alert">Not saved: <a href="#max_user_api_reqs_per_minute">`)
	if got := inside(t, a.text, "max_user_api_reqs_per_minute-error"); !strings.Contains(got, "whole number") {
		t.Errorf("the error reads %q", got)
	}
	if got := attr(byID(t, a.text, "max_user_api_reqs_per_minute-value"), "value"); got != "1e9" {
		t.Errorf("what was typed is %q now", got)
	}
	a = f.do(save("allowed_user_api_auth_redirects", "https://app.example/cb\r\nhttps://*example.com/<b>"))
	a.must(t, http.StatusBadRequest)
	a.mustNot(t, "<b>")
	if got := inside(t, a.text, "allowed_user_api_auth_redirects-value"); got != "https://app.example/cb\nhttps://*example.com/<b>" && got != "https://app.example/cb\r\nhttps://*example.com/<b>" {
		t.Errorf("what was typed is %q now", got)
	}
	f.do(save("no_such_setting", "1")).must(t, http.StatusNotFound)
}

func TestSettingsPinnedAreRefused(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.authority.pinned["title"] = true
	f.do(save("title", "Other")).must(t, http.StatusConflict)
	if f.authority.settings.Title == "Other" {
		t.Error("a pinned setting was changed")
	}
}

func TestSettingsSecrets(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.do(save("push_api_secret_key", "planted-secret")).must(t, http.StatusSeeOther)
	f.do(save("push_api_secret_key", "")).must(t, http.StatusBadRequest)
	if f.authority.settings.PushAPISecretKey != "planted-secret" {
		t.Error("an empty field removed the secret")
	}
	a := f.do(save("push_api_secret_key", "planted\x01secret"))
	a.must(t, http.StatusBadRequest)
	a.mustNot(t, "planted")
}

func TestSettingsWarnOfPublicSuffixes(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.do(save("allowed_user_api_auth_redirects", "https://*.github.io/*")).must(t, http.StatusSeeOther)
	f.do(call{path: "/user-api-key/settings?saved=allowed_user_api_auth_redirects", as: "root"}).
		must(t, http.StatusOK, "anybody can register a name under github.io")
}
