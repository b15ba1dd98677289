package server

import (
	"net/http"
	"strconv"
	"strings"

	"userkeys"
	"userkeys/gateway"
	"userkeys/site"
)

// settingsPage shows every site setting.
type settingsPage struct {
	Settings []settingView
	Saved    string // name of the setting that was just saved
	Failed   string // ... or refused
}

// settingView is one setting on the page.
type settingView struct {
	site.Setting
	Value    string // as the field shows it; a list has one element a line
	Was      string // the default in words
	Changed  bool
	Pinned   bool
	Set      bool // a secret that has a value
	Rows     int
	Warnings []string
	Error    string
	Saved    bool
}

// settings shows an administrator every setting.
func (s *Server) settings(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	return s.pages.Settings(w, http.StatusOK, s.frame(v), s.settingsPage(r.URL.Query().Get("saved"), "", "", ""))
}

// settingsPost saves or resets one setting. What was typed stays in its field if it is refused.
func (s *Server) settingsPost(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	d, err := site.FindSetting(r.PostForm.Get("name"))
	if err != nil {
		return err
	}
	value := r.PostForm.Get("value")
	switch {
	case r.PostForm.Get("action") == "reset":
		err = s.site.ResetSetting(r.Context(), d.Name, s.caller(r, v))
	case d.Secret && value == "":
		err = userkeys.Errorf(userkeys.InvalidParameters, "type the new secret, or reset the setting to remove it")
	default:
		err = s.site.ChangeSetting(r.Context(), d.Name, fieldValue(d, value), s.caller(r, v))
	}
	if err == nil {
		redirect(w, http.StatusSeeOther, settingsPath+"?saved="+d.Name+"#"+d.Name)
		return nil
	}
	e := userkeys.AsError(err)
	if e.Code != userkeys.InvalidParameters && e.Code != userkeys.Conflict || gateway.WantsJSON(r) {
		return err
	}
	exchangeOf(r).err = err
	if d.Secret {
		value = ""
	}
	why := sentence(strings.TrimPrefix(e.Public, d.Name+": "))
	return s.pages.Settings(w, e.Code.Status(), s.frame(v), s.settingsPage("", d.Name, value, why))
}

// fieldValue is a form's value as [site.Settings.Set] takes it: a list is
// written one element a line, or as a|b.
func fieldValue(d site.Setting, value string) string {
	if d.Kind != site.SettingList {
		return value
	}
	return strings.Join(strings.FieldsFunc(value, func(r rune) bool { return r == '\n' || r == '\r' }), "|")
}

// settingsPage shows the settings in force; the one called wrong with what was typed and why it was refused.
func (s *Server) settingsPage(saved, wrong, typed, why string) settingsPage {
	inForce := s.site.Settings()
	p := settingsPage{Failed: wrong}
	for _, d := range site.AllSettings() {
		v := s.settingView(d, inForce)
		if d.Name == saved {
			p.Saved, v.Saved = d.Name, true
		}
		if d.Name == wrong {
			v.Value, v.Error = typed, why
		}
		v.Rows = min(max(strings.Count(v.Value, "\n")+1, 2), 10)
		p.Settings = append(p.Settings, v)
	}
	return p
}

func (s *Server) settingView(d site.Setting, inForce site.Settings) settingView {
	v := settingView{Setting: d, Pinned: s.site.Pinned(d.Name), Was: inWords(d, d.Default)}
	v.Value, _ = inForce.Value(d.Name) // the table knows its own names
	v.Changed = v.Value != d.Default
	switch {
	case d.Secret:
		v.Set, v.Value = v.Value != "", ""
	case d.Kind == site.SettingList:
		v.Value = strings.ReplaceAll(v.Value, "|", "\n")
	}
	if d.Name == "allowed_user_api_auth_redirects" {
		v.Warnings = publicSuffixWarnings(inForce.AllowedUserAPIAuthRedirects)
	}
	return v
}

// inWords says a value to people.
func inWords(d site.Setting, value string) string {
	switch {
	case d.Kind == site.SettingBool:
		if on, _ := strconv.ParseBool(value); on {
			return "on"
		}
		return "off"
	case value == "":
		return "empty"
	case d.Kind == site.SettingList:
		return strings.ReplaceAll(value, "|", ", ")
	}
	return value
}
