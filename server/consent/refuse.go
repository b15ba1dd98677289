package consent

import (
	"net/http"
	"strings"

	"userkeys"
	"userkeys/authority"
	"userkeys/gateway"
	"userkeys/server/door"
	"userkeys/server/page"
	"userkeys/site"
)

// refusal is a request that will not be put to the user, and why.
type refusal struct {
	request site.AuthorizationRequest
	err     error
}

// refusedPage says why the site will not put a request to anybody, in words for each who may read it.
type refusedPage struct {
	Title  string
	What   string
	User   string        // who can help whoever uses the app
	Author string        // what whoever makes the app can do; empty: nothing
	Admin  *refusedAdmin // what the administrator who reads this can do; nil: none reads it
	// Details are for whoever makes the app. What the app sent stands here only.
	Details []detail
}

// refusedAdmin is what an administrator can do about a refusal.
type refusedAdmin struct {
	Help    string
	Setting string // its name, where a setting decides
	Line    string // that the setting lacks; empty: none
	To      string // who would get keys by that line
}

// refuse answers a request that will not be put to the user: browsers with a page that says who can help. The page
// makes no link of what was sent. What programs must see as malformed is JSON for them whatever they ask for (W4.3).
func (h *Handlers) refuse(w http.ResponseWriter, r *http.Request, c site.Caller, no refusal) error {
	e := userkeys.AsError(no.err)
	status := http.StatusOK
	if isMalformed(e) {
		if !gateway.WantsPage(r) {
			return door.RefuseJSON(w, r, e)
		}
		status = e.Code.Status()
	}
	refused, explained := explain(h.door.Settings(), no.request, e)
	if !explained {
		return no.err
	}
	door.Note(r, no.err)
	if gateway.WantsJSON(r) {
		return door.WriteJSON(w, h.refusedModel(c, no.request, e))
	}
	return h.pages.refused.Show(w, c, status, refused.readBy(c))
}

// isMalformed reports whether a request was refused for its form, before anything else of it was looked at.
func isMalformed(e *userkeys.Error) bool {
	return e.Code == userkeys.MissingParameter || e.Code == userkeys.InvalidParameters ||
		e.Code == userkeys.InvalidPadding
}

// readBy is the page as c reads it. What would help an administrator is for administrators who are signed in: a page
// that anybody can make this site show to anybody must not tell people in its name what to change.
func (p refusedPage) readBy(c site.Caller) refusedPage {
	if !c.Admin() {
		p.Admin = nil
	}
	return p
}

const (
	unable    = "This site is unable to issue user API keys to an app that asks in this way. "
	askAuthor = "Show this page to whoever makes the app."
	askBoth   = "Ask an administrator of this site, or whoever makes the app."
	askAdmin  = "Ask an administrator of this site."
)

// forAuthors is the public text of a refusal without what it tells administrators to do, which programs read with it.
func forAuthors(public string) string {
	why, _, _ := strings.Cut(public, site.AdminCan)
	return page.Sentence(strings.TrimRight(strings.TrimSuffix(strings.TrimSpace(why), ", or"), "; "))
}

// explain is the page that says what would help with a refusal; false for one that needs no such page.
func explain(settings site.Settings, q site.AuthorizationRequest, e *userkeys.Error) (refusedPage, bool) {
	p := refusedPage{
		Title: "No key for this app", User: askAuthor, Details: []detail{{"What is wrong", forAuthors(e.Public)}},
	}
	switch e.Code {
	case userkeys.MissingParameter, userkeys.InvalidParameters, userkeys.InvalidPadding:
		p.What = unable + "Its request is not complete, or cannot be read."
	case userkeys.InvalidPublicKey, userkeys.PayloadTooLarge:
		p.What = unable + "Its request has no key that an answer could be sealed with."
		p.Author = "Send an RSA public key as PEM text, of 2048 bits or more, with line ends and plus signs " +
			"percent-encoded, and a short nonce."
	case userkeys.InvalidExpiry:
		p.What = unable + "The app asks for access for a time that this site does not give."
		p.Author = "Ask for expires_in_seconds as a whole number, or leave it out."
		p.Admin = &refusedAdmin{
			Help:    "The longest lifetime is " + page.Count(settings.MaxUserAPIKeyExpiryDays, "day") + " at present.",
			Setting: "max_user_api_key_expiry_days",
		}
	case userkeys.ScopeNotAllowed:
		p.What, p.User = unable+"The app asks for something that this site lets no app do, or not this one.", askBoth
		p.Author = "Ask only for scopes that this site gives (" + strings.Join(settings.AllowUserAPIKeyScopes, ", ") +
			") and, if the app is registered, for those of its registration."
		p.Admin = &refusedAdmin{Help: "What apps may ask for is yours to decide.", Setting: "allow_user_api_key_scopes"}
		p.Details = append(p.Details, detail{"Scopes asked for", page.ShownText(q.Scopes.String())})
	case userkeys.RedirectNotAllowed:
		return explainRedirect(p, q), true
	case userkeys.KeysNotAllowed:
		p.What, p.User = "This site is unable to issue user API keys at present: its administrator has turned them off. "+
			"Apps that have a key keep it.", askAdmin
		p.Details = nil
		p.Admin = &refusedAdmin{Help: "User API keys are turned off.", Setting: "allow_user_api_keys"}
	case userkeys.UserNotAllowed:
		return explainUser(p, e), true
	default:
		return p, false
	}
	return p, true
}

// explainRedirect explains a refused auth_redirect. The line that would allow it leads to whoever sent the request,
// so it comes with what it means.
func explainRedirect(p refusedPage, q site.AuthorizationRequest) refusedPage {
	p.What, p.User = unable+"The app wants its answer sent to an address that this site does not send answers to.", askBoth
	p.Author = "Ask an administrator of this site to allow the address, or leave auth_redirect out: the user then " +
		"copies the answer."
	p.Details = append(p.Details, detail{"Address asked for (auth_redirect)", page.ShownText(q.AuthRedirect)})
	p.Admin = &refusedAdmin{
		Help: "Where answers may be sent is yours to decide.", Setting: "allowed_user_api_auth_redirects",
	}
	if to, err := userkeys.ParseRedirect(q.AuthRedirect); err == nil {
		p.Admin.Line, p.Admin.To = to.SuggestedRule(), to.Origin()
	}
	return p
}

// explainUser explains that it is the user who may not give keys.
func explainUser(p refusedPage, e *userkeys.Error) refusedPage {
	p.Title, p.User = "You cannot give this app a key", askAdmin
	p.Details = nil // nothing that the app sent is wrong
	if e.Reason == authority.ReasonMayNotAct {
		p.What = "Your account on this site cannot have keys at present: " + e.Public + "."
		p.Admin = &refusedAdmin{Help: "Make the account active or end its suspension: userkeys user set NAME --active, " +
			"userkeys user unsuspend NAME, or Store.UpdateUser in a program with userkeys built in."}
		return p
	}
	p.What = "Your trust level, or the groups you are in, are not enough to give an app access to your account on " +
		"this site."
	p.Admin = &refusedAdmin{
		Help: "Who may give an app a key is said by trust level or group.", Setting: "user_api_key_allowed_groups",
	}
	return p
}
