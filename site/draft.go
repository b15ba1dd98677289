package site

import (
	"net/url"
	"slices"
	"strings"

	"userkeys"
)

// ParseDraftRequest reads a request in the words of the draft of 2016, before
// the protocol had its present names: redirect_url, access_level (read, write
// or push, several with commas), client_id, push_url and public_key, which the
// draft left out and nothing can do without. A name or nonce may be given;
// without, the client_id is the name and an empty nonce is sealed. push_url counts only with push.
// The answer goes back as the one parameter api_key.
func ParseDraftRequest(p url.Values) (AuthorizationRequest, error) {
	if err := userkeys.CheckDuplicates(p); err != nil {
		return AuthorizationRequest{}, err
	}
	for _, name := range []string{"client_id", "access_level", "public_key", "redirect_url"} {
		if userkeys.IsBlank(p.Get(name)) {
			return AuthorizationRequest{}, missingParameter(name)
		}
	}
	scopes, err := parseAccessLevel(p.Get("access_level"))
	if err != nil {
		return AuthorizationRequest{}, err
	}
	r := AuthorizationRequest{
		Draft: true, ApplicationName: p.Get("application_name"), ClientID: p.Get("client_id"), Nonce: p.Get("nonce"),
		Scopes:    scopes,
		PublicKey: p.Get("public_key"), AuthRedirect: p.Get("redirect_url"), HasAuthRedirect: true,
		Padding: p.Get("padding"), ExpiresInSeconds: p.Get("expires_in_seconds"),
	}
	if userkeys.IsBlank(r.ApplicationName) {
		r.ApplicationName = withoutLineEnd(r.ClientID)
	}
	if scopes.Has(userkeys.ScopePush) {
		r.PushURL = p.Get("push_url")
	}
	return r, r.checkForm()
}

// parseAccessLevel reads the draft's levels, which are scopes by the same names.
func parseAccessLevel(s string) (userkeys.Scopes, error) {
	levels := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
	var out userkeys.Scopes
	for _, l := range levels {
		if l != userkeys.ScopeRead && l != userkeys.ScopeWrite && l != userkeys.ScopePush {
			return nil, userkeys.Errorf(userkeys.ScopeNotAllowed,
				"access_level is read, write or push, several with commas; not %s", userkeys.Quoted(l))
		}
		if !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	if len(out) == 0 {
		return nil, missingParameter("access_level")
	}
	return out, nil
}

// AnswerName is the parameter under which the sealed payload goes back.
func (r AuthorizationRequest) AnswerName() string {
	if r.Draft {
		return "api_key"
	}
	return "payload"
}
