package admin

import (
	"net/http"
	"strconv"
	"strings"

	"userkeys"
	"userkeys/gateway"
	"userkeys/internal/rows"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/server/page"
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

// showSettings shows an administrator every setting.
func (h *Handlers) showSettings(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	return h.pages.settings.Show(w, c, http.StatusOK, h.settingsPage(r.URL.Query().Get("saved"), "", "", ""))
}

// settingsPost saves or resets one setting. What was typed stays in its field if it is refused.
func (h *Handlers) settingsPost(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	d, err := site.FindSetting(r.PostForm.Get("name"))
	if err != nil {
		return err
	}
	value := r.PostForm.Get("value")
	switch {
	case r.PostForm.Get("action") == "reset":
		err = h.cfg.Settings.ResetSetting(r.Context(), d.Name, c)
	case d.Secret && value == "":
		err = userkeys.Errorf(userkeys.InvalidParameters, "type the new secret, or reset the setting to remove it")
	default:
		err = h.cfg.Settings.ChangeSetting(r.Context(), d.Name, fieldValue(d, value), c)
	}
	if err == nil {
		return door.Redirect(w, http.StatusSeeOther, door.SettingsPath+"?saved="+d.Name+"#"+d.Name)
	}
	e := userkeys.AsError(err)
	if e.Code != userkeys.InvalidParameters && e.Code != userkeys.Conflict || gateway.WantsJSON(r) {
		return err
	}
	door.Note(r, err)
	if d.Secret {
		value = ""
	}
	why := page.Sentence(strings.TrimPrefix(e.Public, d.Name+": "))
	return h.pages.settings.Show(w, c, e.Code.Status(), h.settingsPage("", d.Name, value, why))
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
func (h *Handlers) settingsPage(saved, wrong, typed, why string) settingsPage {
	inForce := h.door.Settings()
	p := settingsPage{Failed: wrong}
	for _, d := range site.AllSettings() {
		v := h.settingView(d, inForce)
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

func (h *Handlers) settingView(d site.Setting, inForce site.Settings) settingView {
	v := settingView{Setting: d, Pinned: h.cfg.Settings.Pinned(d.Name), Was: inWords(d, d.Default)}
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

func (h *Handlers) settingRow(d site.Setting, inForce site.Settings) rows.Setting {
	row := rows.NewSetting(d, inForce)
	row.Pinned = h.cfg.Settings.Pinned(d.Name)
	return row
}

func (h *Handlers) listSettings(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	inForce := h.door.Settings()
	var list []rows.Setting
	for _, d := range site.AllSettings() {
		list = append(list, h.settingRow(d, inForce))
	}
	return door.WriteJSON(w, map[string][]rows.Setting{"settings": list})
}

// settingNamed is the setting of the address and the name it was called by,
// which may be an older one that takes its value in another form.
func settingNamed(r *http.Request) (d site.Setting, called string, err error) {
	if called, err = input.NameDotJSON(r, "name"); err == nil {
		d, err = site.FindSetting(called)
	}
	return d, called, err
}

func (h *Handlers) putSetting(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	d, called, err := settingNamed(r)
	if err != nil {
		return err
	}
	if err := input.OnlyFields(r.PostForm, "value"); err != nil {
		return err
	}
	value, err := input.Required(r.PostForm, "value")
	if err != nil {
		return err
	}
	if d.Secret && value == "" {
		return userkeys.Errorf(userkeys.InvalidParameters, "give the new secret, or DELETE the setting to remove it")
	}
	if err := h.cfg.Settings.ChangeSetting(r.Context(), called, value, c); err != nil {
		return err
	}
	return h.answerSetting(w, d)
}

func (h *Handlers) deleteSetting(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	d, _, err := settingNamed(r)
	if err != nil {
		return err
	}
	if err := h.cfg.Settings.ResetSetting(r.Context(), d.Name, c); err != nil {
		return err
	}
	return h.answerSetting(w, d)
}

func (h *Handlers) answerSetting(w http.ResponseWriter, d site.Setting) error {
	return door.WriteJSON(w, map[string]rows.Setting{"setting": h.settingRow(d, h.door.Settings())})
}
