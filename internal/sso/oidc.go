package sso

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"userkeys"
	"userkeys/internal/outward"
)

// OIDCConfig is an OpenID provider.
type OIDCConfig struct {
	Issuer       string // an https address, exactly as the provider says it
	ClientID     string
	ClientSecret string   // empty for a client without one
	Scopes       []string // besides openid; empty: profile and email
	GroupsClaim  string   // the claim that holds the groups; empty: groups
}

const (
	oidcPatience   = 8 * time.Second // of each request to the provider
	maxOIDCAnswer  = 1 << 20
	keysRefetch    = time.Minute // at most one for keys that nobody knows
	clockTolerance = time.Minute
)

// algorithms are the signatures that count: those that the provider alone can make.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// oidcProvider asks an OpenID provider by the code flow with PKCE.
type oidcProvider struct {
	OIDCConfig
	name     string
	callback string
	client   *http.Client
	now      func() time.Time

	asking chan struct{} // held by whoever asks the provider about itself, and guards what follows
	found  *discovered   // nil until the provider has answered
	failed time.Time     // when it last did not
	err    error         // what came of that
}

// discovered is what a provider says of itself.
type discovered struct {
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
	// namesItself says that the provider names itself in every answer, so that one without a name is not its own.
	namesItself bool
}

func newOIDC(l Login, callback string, client *http.Client, now func() time.Time) *oidcProvider {
	if client == nil {
		client = outward.New(outward.Config{
			Inward: inwardOf(l.OIDC.Issuer), Timeout: oidcPatience, MaxBody: maxOIDCAnswer,
		})
	}
	return &oidcProvider{
		OIDCConfig: l.OIDC, name: l.title(), callback: callback, client: client, now: now, asking: make(chan struct{}, 1),
	}
}

// inwardOf lists the issuer's own address, which the administrator has chosen; what it names besides must be public.
func inwardOf(issuer string) func() []string {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil
	}
	host := u.Host
	if u.Port() == "" {
		host += map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	}
	return func() []string { return []string{host} }
}

// retryDiscovery is how long a provider that did not answer is left alone.
const retryDiscovery = 5 * time.Second

// discover asks the provider about itself, once for all that wait; after a failure again, but not at once.
func (o *oidcProvider) discover(ctx context.Context) (*discovered, error) {
	select {
	case o.asking <- struct{}{}:
		defer func() { <-o.asking }()
	case <-ctx.Done():
		return nil, o.unavailable(ctx.Err())
	}
	if o.found != nil {
		return o.found, nil
	}
	if o.err != nil && o.now().Sub(o.failed) < retryDiscovery {
		return nil, o.err
	}
	found, err := o.ask(ctx)
	if err != nil {
		o.err, o.failed = o.unavailable(err), o.now()
		return nil, o.err
	}
	o.found = found
	return found, nil
}

// ask asks the provider about itself.
func (o *oidcProvider) ask(ctx context.Context) (*discovered, error) {
	asking, cancel := context.WithTimeout(oidc.ClientContext(context.WithoutCancel(ctx), o.client), oidcPatience)
	defer cancel()
	provider, err := oidc.NewProvider(asking, o.Issuer)
	if err != nil {
		return nil, err
	}
	var said struct {
		Keys        string   `json:"jwks_uri"`
		NamesItself bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
		Methods     []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := provider.Claims(&said); err != nil {
		return nil, err
	}
	calm := *o.client
	calm.Transport = &outward.Calm{
		Base: cmp.Or(calm.Transport, http.DefaultTransport), Address: said.Keys, Every: keysRefetch, Now: o.now,
	}
	keysFrom := oidc.ClientContext(context.WithoutCancel(ctx), &calm)
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // which every provider has unless it says otherwise
	if len(said.Methods) > 0 && !slices.Contains(said.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &discovered{
		namesItself: said.NamesItself,
		oauth: oauth2.Config{
			ClientID: o.ClientID, ClientSecret: o.ClientSecret, Endpoint: endpoint, RedirectURL: o.callback,
			Scopes: o.scopes(),
		},
		verifier: oidc.NewVerifier(o.Issuer, oidc.NewRemoteKeySet(keysFrom, said.Keys),
			&oidc.Config{ClientID: o.ClientID, SupportedSigningAlgs: algorithms, Now: o.now}),
	}, nil
}

func (o *oidcProvider) scopes() []string {
	if len(o.Scopes) == 0 {
		return []string{oidc.ScopeOpenID, "profile", "email"}
	}
	return append([]string{oidc.ScopeOpenID}, slices.DeleteFunc(slices.Clone(o.Scopes),
		func(s string) bool { return s == oidc.ScopeOpenID })...)
}

func (o *oidcProvider) unavailable(cause error) error {
	return &userkeys.Error{
		Code: userkeys.Unavailable, RetryAfter: retryDiscovery, Err: cause,
		Public: o.name + " does not answer at the moment",
	}
}

func (o *oidcProvider) address() *url.URL {
	u, err := url.Parse(o.Issuer)
	if err != nil {
		return nil
	}
	return u
}

func (o *oidcProvider) begin(ctx context.Context, s pendingSignIn) (string, error) {
	d, err := o.discover(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(s.Nonce), oauth2.S256ChallengeOption(s.Verifier)}
	if s.Again {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return d.oauth.AuthCodeURL(s.State, options...), nil
}

func (o *oidcProvider) answers(r *http.Request, s pendingSignIn) bool {
	return same(s.State, r.URL.Query().Get("state"))
}

func (o *oidcProvider) finish(r *http.Request, s pendingSignIn) (Person, error) {
	var none Person
	q := r.URL.Query()
	ctx, cancel := context.WithTimeout(oidc.ClientContext(r.Context(), o.client), oidcPatience)
	defer cancel()
	d, err := o.discover(ctx)
	if err != nil {
		return none, err
	}
	if (q.Has("iss") || d.namesItself) && q.Get("iss") != o.Issuer {
		return none, refused("the answer is from another issuer")
	}
	if q.Has("error") {
		if q.Get("error") == "access_denied" {
			return none, userkeys.Errorf(userkeys.InvalidCredentials, "the sign-in with %s was cancelled", o.name)
		}
		return none, refused("the provider says " + userkeys.Shorten(q.Get("error"), 100))
	}
	token, err := d.oauth.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(s.Verifier))
	if err != nil {
		var said *oauth2.RetrieveError
		if errors.As(err, &said) && said.Response != nil {
			if said.Response.StatusCode < 500 {
				return none, refused("the provider does not take the code: " + userkeys.Shorten(said.ErrorCode, 100))
			}
			err = errors.New("the provider answered " + said.Response.Status)
		}
		return none, o.unavailable(err)
	}
	text, ok := token.Extra("id_token").(string)
	if !ok {
		return none, refused("the provider sent no ID token")
	}
	id, err := d.verifier.Verify(ctx, text)
	if err != nil {
		return none, refused("the ID token is not good: " + err.Error())
	}
	return o.person(id, s)
}

// claims are what an ID token says of somebody.
type claims struct {
	AuthorizedParty string `json:"azp"`
	Username        string `json:"preferred_username"`
	Name            string `json:"name"`
	Email           string `json:"email"`
	// AuthTime is when the person last proved who they are, in seconds since 1970.
	AuthTime float64 `json:"auth_time"`
	// EmailVerified is true, or "true" from some providers.
	EmailVerified any `json:"email_verified"`
}

// person reads whom a verified token names, if it is the token of this sign-in.
func (o *oidcProvider) person(id *oidc.IDToken, s pendingSignIn) (Person, error) {
	var none Person
	var c claims
	all := map[string]any{}
	if err := errors.Join(id.Claims(&c), id.Claims(&all)); err != nil {
		return none, refused("the ID token cannot be read")
	}
	switch {
	case !same(s.Nonce, id.Nonce):
		return none, refused("the ID token is of another sign-in")
	case c.AuthorizedParty != "" && c.AuthorizedParty != o.ClientID,
		len(id.Audience) > 1 && c.AuthorizedParty != o.ClientID:
		return none, refused("the ID token is for another client")
	case s.Again && time.Unix(int64(c.AuthTime), 0).Before(s.Began.Add(-clockTolerance)):
		return none, refused("the provider did not ask anew who it is, or does not say when it did (auth_time)")
	case id.IssuedAt.After(o.now().Add(clockTolerance)):
		return none, refused("the ID token is of the future; look at the clocks")
	}
	out := Person{Subject: id.Subject, Username: c.Username, Name: c.Name}
	if c.EmailVerified == true || c.EmailVerified == "true" {
		out.Email = c.Email
	}
	name := o.GroupsClaim
	if name == "" {
		name = "groups"
	}
	switch groups := all[name].(type) {
	case []any:
		for _, g := range groups[:min(len(groups), maxListed)] {
			text, _ := g.(string)
			out.Groups = append(out.Groups, text)
		}
	case string: // a list as one text, from providers that have no other
		out.Groups = strings.SplitN(groups, " ", maxListed)
	}
	out.Groups = distinct(out.Groups)
	return out, nil
}
