package client

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"userkeys"
)

// Check asks the site whether it would show this request to a user. No user is asked. A refusal is an error with
// the reason, as far as the site gives one.
//
// A Discourse before 2026 looks at auth_redirect only when the user approves, so there a nil error says nothing
// about the redirect.
func (a *Authorization) Check(ctx context.Context, base *http.Client) error {
	var state consentState
	err := a.look(ctx, base, ".json", &state)
	switch {
	case err == nil:
		return state.refusal()
	case wouldAsk(err):
		return nil
	case !noModel(err):
		return err
	}
	switch err = a.look(ctx, base, "", nil); {
	case err == nil: // a page instead of the way to the login: the one that refuses
		return consentState{State: "generic_error"}.refusal()
	case wouldAsk(err):
		return nil
	}
	return err
}

// look requests the consent page without being signed in: as a program, or as a browser if suffix is empty.
func (a *Authorization) look(ctx context.Context, base *http.Client, suffix string, into any) error {
	_, query, _ := strings.Cut(a.URL, "?")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Request.Site+newPath+suffix+"?"+query, nil)
	if err != nil {
		return err
	}
	if suffix == "" {
		req.Header.Set("Accept", "text/html")
	}
	return doWithin(maxAnswerBytes, stayingClient(base), req, into)
}

// wouldAsk reports whether err means that the request itself is good: the site redirects to its login, or refuses
// only because nobody is signed in.
func wouldAsk(err error) bool {
	var e *APIError
	if !errors.As(err, &e) {
		return false
	}
	return e.Status >= 300 && e.Status < 400 || e.Type == userkeys.NotLoggedIn.Type()
}

// noModel reports whether the site is so old that it shows its consent page to browsers only.
func noModel(err error) bool {
	var e *APIError
	if errors.As(err, &e) {
		return e.Status == http.StatusNotFound || e.Status == http.StatusNotAcceptable
	}
	return errors.Is(err, ErrNotJSON)
}

// consentState is the JSON form of a consent page.
type consentState struct {
	State  string   `json:"state"`
	Errors []string `json:"errors"` // userkeys only
	Reason string   `json:"reason"` // userkeys only
}

// refusal returns the error that the state means; nil if the site asks for consent.
func (s consentState) refusal() error {
	e := &userkeys.Error{
		Code: userkeys.InvalidAccess, Reason: printable(s.Reason),
		Public: strings.Join(messages(s.Errors), " "),
	}
	switch s.State {
	case "ready":
		return nil
	case "no_trust_level":
		e.Code = userkeys.UserNotAllowed
	}
	if c := reasonCode(e.Reason); c != "" {
		e.Code = c
	}
	if e.Public == "" {
		e.Public = "the site does not put this request to its users, and does not say why: a scope, the redirect or the " +
			"whole feature is not allowed there"
	}
	return e
}
