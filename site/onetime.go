package site

import (
	"net/url"
	"time"

	"userkeys"
)

// OneTimePassword signs a user in once (W10.2). A user has one at a time,
// the newest, bound to the user and not to the name.
type OneTimePassword struct {
	Password        string // secret, 32 hex digits; only its hash is stored
	UserID          int64
	KeyID           int64  // of the app's key, which the session that it begins ends with; 0: the app had none
	ApplicationName string // whom it was made for
	CreatedAt       time.Time
	ExpiresAt       time.Time
}

// OneTimeLifetime is how long a one-time password is good (W10.2).
const OneTimeLifetime = 10 * time.Minute

// ParseOneTimeRequest reads the parameters of a request for a one-time
// password alone, required ones first, in the order of the wire (W10.1).
func ParseOneTimeRequest(p url.Values) (AuthorizationRequest, error) {
	for _, name := range []string{"public_key", "auth_redirect", "application_name"} {
		if userkeys.IsBlank(p.Get(name)) {
			return AuthorizationRequest{}, missingParameter(name)
		}
	}
	r := AuthorizationRequest{
		Kind: KindOneTime, ApplicationName: p.Get("application_name"), PublicKey: p.Get("public_key"),
		AuthRedirect: p.Get("auth_redirect"), HasAuthRedirect: true, Padding: p.Get("padding"),
	}
	return r, r.checkForm()
}

// checkOneTime checks in the order of the wire (W10.1).
func (r AuthorizationRequest) checkOneTime(s Settings, client Client) (CheckedRequest, error) {
	if err := r.checkForm(); err != nil {
		return CheckedRequest{}, err
	}
	if err := s.givesKeys(); err != nil {
		return CheckedRequest{}, err
	}
	out := CheckedRequest{AuthorizationRequest: r, Name: r.nameFor(client), KeyText: r.PublicKey}
	if err := out.checkAnswer(s, client); err != nil {
		return CheckedRequest{}, err
	}
	if err := s.AllowsOneTimePasswords(); err != nil {
		return CheckedRequest{}, err
	}
	if err := out.Key.Fits(out.Pad, userkeys.OneTimePasswordLen); err != nil {
		return CheckedRequest{}, err
	}
	return out, nil
}

// AllowsOneTimePasswords returns an error unless the site allows the scope one_time_password.
func (s Settings) AllowsOneTimePasswords() error {
	if s.AllowUserAPIKeyScopes.Has(userkeys.ScopeOneTimePassword) {
		return nil
	}
	return &userkeys.Error{
		Code: userkeys.ScopeNotAllowed, Reason: "scope not allowed",
		Public: "this site gives no one-time passwords; " + AdminCan + "add the scope one_time_password to " +
			"allow_user_api_key_scopes",
	}
}
