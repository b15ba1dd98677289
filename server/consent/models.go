package consent

import (
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/server/door"
	"userkeys/server/page"
	"userkeys/site"
)

// The models are the pages for programs, by the wire's names (4.3 and 22).

// personModel is a signed-in user.
type personModel struct {
	Username string `json:"username"`
	Avatar   string `json:"avatar_template"`
}

func (h *Handlers) person(c site.Caller) *personModel {
	if !c.SignedIn() {
		return nil
	}
	return &personModel{c.User.Username, h.door.Frame().Asset("avatar.svg")}
}

// readyModel is a request that was put to the user. consent_id is our
// addition: it is what an answer sends in place of the whole request.
type readyModel struct {
	State           string       `json:"state"`
	ConsentID       string       `json:"consent_id"`
	ApplicationName string       `json:"application_name"`
	PublicKey       string       `json:"public_key"`
	Nonce           string       `json:"nonce"`
	ClientID        string       `json:"client_id"`
	AuthRedirect    *string      `json:"auth_redirect"`
	RedirectURI     *string      `json:"redirect_uri"`
	PushURL         *string      `json:"push_url"`
	LocalizedScopes []string     `json:"localized_scopes"`
	Scopes          string       `json:"scopes"`
	WriteScope      bool         `json:"write_scope"`
	Padding         *string      `json:"padding"`
	ExpiresIn       *string      `json:"expires_in_seconds"`
	ExpiresAt       *string      `json:"expires_at"`
	CurrentUser     *personModel `json:"current_user"`
}

func (h *Handlers) readyModel(c site.Caller, q authority.Question) readyModel {
	m := readyModel{
		State: "ready", ConsentID: q.ID, ApplicationName: q.Name, PublicKey: q.KeyText, Nonce: q.Nonce, ClientID: q.ClientID,
		AuthRedirect: door.Optional(q.AuthRedirect), RedirectURI: redirectShown(q.Redirect),
		PushURL:         door.Optional(q.PushURL),
		LocalizedScopes: h.authority.Catalog().Sentences(q.Scopes), Scopes: q.Scopes.String(),
		WriteScope: q.Scopes.Has(userkeys.ScopeWrite),
		Padding:    door.Optional(q.Padding), ExpiresIn: door.Optional(q.ExpiresInSeconds), CurrentUser: h.person(c),
	}
	if q.Lifetime > 0 {
		m.ExpiresAt = door.Optional(h.door.Now().Add(q.Lifetime).UTC().Format(time.RFC3339))
	}
	return m
}

// redirectShown is the host of a redirect, for people; null for none and for
// the official app's own (W4.3).
func redirectShown(r *userkeys.Redirect) *string {
	if r == nil || r.String() == "discourse://auth_redirect" {
		return nil
	}
	return door.Optional(r.Host())
}

// refusedModel says why a request is not put to the user. errors and reason are
// our addition: a program should not have to guess.
func (h *Handlers) refusedModel(c site.Caller, q site.AuthorizationRequest, e *userkeys.Error) map[string]any {
	m := map[string]any{"state": "generic_error", "errors": []string{e.Public}, "reason": door.Reason(e)}
	if e.Code == userkeys.UserNotAllowed {
		m["state"], m["application_name"], m["current_user"] = "no_trust_level", page.ShownName(q.ApplicationName),
			h.person(c)
	}
	return m
}
