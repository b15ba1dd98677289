package site

import (
	"errors"
	"net/url"
	"strings"

	"userkeys"
)

// ParseClientRegistration reads the fields by which an app registers (W15):
// client_id, application_name, public_key, auth_redirect and scopes, asked for in this order.
// The key and the redirect must be ones that a payload can be sent to. Whether the site allows the redirect
// is checked at each request.
func ParseClientRegistration(p url.Values) (Client, error) {
	for _, name := range []string{"client_id", "application_name", "public_key", "auth_redirect", "scopes"} {
		if userkeys.IsBlank(p.Get(name)) {
			return Client{}, missingParameter(name)
		}
	}
	scopes, err := userkeys.ParseScopes(p.Get("scopes"))
	if errors.Is(err, userkeys.ScopeNotAllowed) { // it names none: nothing that the site could allow
		err = invalid("scopes names no scope")
	}
	if err != nil {
		return Client{}, err
	}
	r := AuthorizationRequest{
		ApplicationName: p.Get("application_name"), ClientID: p.Get("client_id"), Scopes: scopes,
		PublicKey: p.Get("public_key"), AuthRedirect: p.Get("auth_redirect"),
	}
	if err := r.checkForm(); err != nil {
		return Client{}, err
	}
	return Client{
		ClientID: r.ClientID, ApplicationName: r.ApplicationName, PublicKey: r.PublicKey, AuthRedirect: r.AuthRedirect,
		Scopes: scopes,
	}, nil
}

// CheckRegistration returns an error unless a site with these settings and scopes registers c. It checks the
// scopes first, then the key, then the redirect.
func (s Settings) CheckRegistration(c Client, catalog *userkeys.Catalog) error {
	for _, name := range c.Scopes {
		if !s.AllowUserAPIKeyClientScopes.Has(name) {
			return &userkeys.Error{
				Code: userkeys.ScopeNotAllowed, Reason: "scope not allowed",
				Public: "this site registers no clients for the scope " + userkeys.Quoted(name) +
					"; " + AdminCan + "add it to allow_user_api_key_client_scopes",
			}
		}
	}
	if _, err := userkeys.ParsePublicKey(c.PublicKey); err != nil {
		return err
	}
	if _, err := userkeys.ParseRedirect(c.AuthRedirect); err != nil {
		return invalid("%s", userkeys.AsError(err).Public)
	}
	for _, name := range c.Scopes {
		if _, ok := catalog.Scope(name); !ok {
			return userkeys.Errorf(userkeys.Unprocessable, "this site knows no scope %s", userkeys.Quoted(name))
		}
	}
	return nil
}

// MayRebind reports whether the key of a client can be moved to the client_id to: not one that was made by hand, and
// only to some text of at most 200 bytes that an app can have.
func MayRebind(from, to string) bool {
	return !strings.HasPrefix(from, ByHandPrefix) && !userkeys.IsBlank(to) && clientIDProblem(to) == nil
}
