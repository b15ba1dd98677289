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
	Groups []shownGroup
	Search string       // what somebody looks for; empty: everything is shown
	Saved  *settingView // the setting that was just saved
	Failed *settingView // ... or refused
	Again  string       // where to sign in again first; empty: there is no need
}

// settingView is one setting on the page.
type settingView struct {
	site.Setting
	Title    string // in the words of people
	Value    string // as the field shows it; a list has one element a line
	Now      string // the value in words
	Was      string // the default in words
	Changed  bool
	Pinned   bool
	Set      bool // a secret that has a value
	Rows     int
	Warnings []string
	Error    string
	Saved    bool
	Open     bool // its field is shown
}

// showSettings shows an administrator every setting.
func (h *Handlers) showSettings(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	query := r.URL.Query()
	p := h.settingsPage(settingsView{search: query.Get("q"), saved: query.Get("saved")})
	var err error
	if p.Again, err = h.door.AgainURL(r, door.SettingsPath); err != nil {
		return err
	}
	return h.pages.settings.Show(w, c, http.StatusOK, p)
}

// settingChange is what somebody wants to do to a setting.
type settingChange struct {
	setting site.Setting
	called  string // the setting's name, or an older one that takes its value in another form
	value   string
	reset   bool
	onPage  bool // by the page's form, and not by the admin API
}

// changeSetting saves or resets one setting: the one that the page's form names, or that of a request to the admin API.
func (h *Handlers) changeSetting(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	read := apiSettingChange
	if r.PathValue("name") == "" {
		read = formSettingChange
	}
	change, err := read(r)
	if err != nil {
		return err
	}
	d := change.setting
	switch {
	case change.reset:
		err = h.cfg.Settings.ResetSetting(r.Context(), d.Name, c)
	case d.Secret && change.value == "" && change.onPage:
		err = userkeys.Errorf(userkeys.InvalidParameters, "type the new secret, or reset the setting to remove it")
	case d.Secret && change.value == "":
		err = userkeys.Errorf(userkeys.InvalidParameters, "give the new secret, or DELETE the setting to remove it")
	default:
		err = h.cfg.Settings.ChangeSetting(r.Context(), change.called, change.value, c)
	}
	switch {
	case err != nil && change.onPage:
		return h.settingRefused(w, r, c, refusedSetting{d, err})
	case err != nil:
		return err
	case change.onPage:
		return door.Redirect(w, http.StatusSeeOther, door.SettingsPath+"?saved="+d.Name+"#"+d.Name)
	}
	return door.WriteJSON(w, map[string]rows.Setting{"setting": h.settingRow(d, h.door.Settings())})
}

// formSettingChange reads the form of a setting on the page.
func formSettingChange(r *http.Request) (settingChange, error) {
	d, err := site.FindSetting(r.PostForm.Get("name"))
	return settingChange{
		setting: d, called: d.Name, value: fieldValue(d, r.PostForm.Get("value")),
		reset: r.PostForm.Get("action") == "reset", onPage: true,
	}, err
}

// apiSettingChange reads a PUT or DELETE of the setting that the address names.
func apiSettingChange(r *http.Request) (settingChange, error) {
	called, err := input.NameDotJSON(r, "name")
	if err != nil {
		return settingChange{}, err
	}
	change := settingChange{called: called, reset: r.Method == http.MethodDelete}
	change.setting, err = site.FindSetting(called)
	if err != nil || change.reset {
		return change, err
	}
	if err := input.OnlyFields(r.PostForm, "value"); err != nil {
		return change, err
	}
	change.value, err = input.Required(r.PostForm, "value")
	return change, err
}

// refusedSetting is a setting that was not changed, and why.
type refusedSetting struct {
	setting site.Setting
	err     error
}

// settingRefused shows the page again, with what was typed in its field.
func (h *Handlers) settingRefused(w http.ResponseWriter, r *http.Request, c site.Caller, no refusedSetting) error {
	d, e := no.setting, userkeys.AsError(no.err)
	if e.Code != userkeys.InvalidParameters && e.Code != userkeys.Conflict || gateway.WantsJSON(r) {
		return no.err
	}
	door.Note(r, no.err)
	typed := r.PostForm.Get("value")
	if d.Secret {
		typed = ""
	}
	why := page.Sentence(strings.TrimPrefix(e.Public, d.Name+": "))
	shown := h.settingsPage(settingsView{wrong: d.Name, typed: typed, why: why})
	return h.pages.settings.Show(w, c, e.Code.Status(), shown)
}

// fieldValue is a form's value as [site.Settings.Set] takes it: a list is
// written one element a line, or as a|b.
func fieldValue(d site.Setting, value string) string {
	if d.Kind != site.SettingList {
		return value
	}
	return strings.Join(strings.FieldsFunc(value, func(r rune) bool { return r == '\n' || r == '\r' }), "|")
}

// settingsView says what the page shows besides the settings in force: the one that was saved, or the one that was
// refused, with what was typed and why.
type settingsView struct{ search, saved, wrong, typed, why string }

func (h *Handlers) settingsPage(s settingsView) settingsPage {
	inForce := h.door.Settings()
	p := settingsPage{Search: strings.TrimSpace(s.search)}
	views := map[string]settingView{}
	for _, d := range site.AllSettings() {
		v := h.settingView(d, inForce)
		if d.Name == s.saved {
			v.Saved, p.Saved = true, &v
		}
		if d.Name == s.wrong {
			v.Value, v.Error, p.Failed = s.typed, s.why, &v
		}
		v.Rows = min(max(strings.Count(v.Value, "\n")+1, 2), 10)
		views[d.Name] = v
	}
	p.Groups = groupSettings(views, p.Search)
	return p
}

func (h *Handlers) settingView(d site.Setting, inForce site.Settings) settingView {
	v := settingView{
		Setting: d, Title: titleOf(d.Name), Pinned: h.cfg.Settings.Pinned(d.Name), Was: inWords(d, d.Default),
	}
	v.Value, _ = inForce.Value(d.Name) // the table knows its own names
	v.Changed, v.Now = v.Value != d.Default, inWords(d, v.Value)
	if _, zero, ok := strings.Cut(d.Summary, "; 0 for "); ok && v.Value == "0" {
		v.Now = zero // such as never
	}
	switch {
	case d.Secret:
		v.Set, v.Value, v.Now = v.Value != "", "", "not set"
		if v.Set {
			v.Now = "set"
		}
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
