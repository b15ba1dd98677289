package site

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"userkeys"
)

// AdminCan begins the end of a refusal's text, which says what an administrator can do about it. Programs read the
// whole text; pages show the end to administrators only, so that nobody can be sent to talk one into it.
const AdminCan = "an administrator can "

// CheckedRequest is a request that a site would grant, with all that a page shows.
type CheckedRequest struct {
	AuthorizationRequest                    // as asked
	Name                 string             // application name to show and store
	Key                  userkeys.PublicKey // the effective key
	KeyText              string             // and its PEM
	Pad                  userkeys.Padding
	Redirect             *userkeys.Redirect // nil: no redirect asked for
	Lifetime             time.Duration      // that the app asked for, and is told the end of; 0: none
	Ends                 time.Duration      // how long the key will live; 0: no end of its own
	Push                 bool               // the payload's push flag
}

// Check returns r with everything that a page shows, or an error if a site with these settings and scopes does not
// ask its users. The client is what the site knows of the app: by r.ClientID or, for a one-time password, by
// r.PublicKey; the zero Client if it knows nothing. The order of the checks is the wire's (W4.2, W10.1), so that apps
// see the same refusal here as at Discourse. Whether the user may give keys is checked later, by
// [Settings.CheckGrantor].
func (r AuthorizationRequest) Check(s Settings, c *userkeys.Catalog, client Client) (CheckedRequest, error) {
	switch r.Kind {
	case KindKey:
		return r.checkKey(s, c, client)
	case KindDevice:
		return r.checkDevice(s, c, client)
	case KindOneTime:
		return r.checkOneTime(s, client)
	}
	return CheckedRequest{}, invalid("this is no request that this site knows")
}

func (r AuthorizationRequest) checkKey(s Settings, c *userkeys.Catalog, client Client) (CheckedRequest, error) {
	if err := checkPresence(r.Nonce, r.Scopes.String(), r.ClientID); err != nil && !r.Draft {
		return CheckedRequest{}, err
	}
	if err := r.checkForm(); err != nil {
		return CheckedRequest{}, err
	}
	if err := s.givesKeys(); err != nil {
		return CheckedRequest{}, err
	}
	out := CheckedRequest{AuthorizationRequest: r, Name: r.nameFor(client), KeyText: r.PublicKey}
	if client.PublicKey != "" {
		out.KeyText = client.PublicKey
	}
	if userkeys.IsBlank(out.KeyText) {
		return CheckedRequest{}, missingParameter("public_key")
	}
	if userkeys.IsBlank(out.Name) {
		return CheckedRequest{}, missingParameter("application_name")
	}
	if err := r.checkScopes(s, c, client); err != nil {
		return CheckedRequest{}, err
	}
	if err := out.checkAnswer(s, client); err != nil {
		return CheckedRequest{}, err
	}
	var err error
	if out.Push, err = r.checkPush(s); err != nil {
		return CheckedRequest{}, err
	}
	if out.Lifetime, err = s.parseLifetime(r.ExpiresInSeconds); err != nil {
		return CheckedRequest{}, err
	}
	out.Ends = out.Lifetime
	if err := out.checkSize(s); err != nil {
		return CheckedRequest{}, err
	}
	return out, nil
}

// checkAnswer reads how the answer is sealed and where it goes.
func (c *CheckedRequest) checkAnswer(s Settings, client Client) error {
	var err error
	if c.Key, err = userkeys.ParsePublicKey(c.KeyText); err != nil {
		return err
	}
	if c.Pad, err = s.ParsePadding(c.Padding); err != nil {
		return err
	}
	c.Redirect, err = c.checkRedirect(s, client)
	return err
}

func (s Settings) givesKeys() error {
	if s.AllowUserAPIKeys {
		return nil
	}
	return userkeys.Errorf(userkeys.KeysNotAllowed,
		"unable to issue user api keys: the administrator of this site has turned them off (allow_user_api_keys)")
}

// nameFor returns the name to show and store. A registered client keeps its name whatever the request says,
// because otherwise anybody could rename an app for everybody. The stored name of another client does not
// count: it is what an app told another user.
func (r AuthorizationRequest) nameFor(client Client) string {
	if client.Registered() && !userkeys.IsBlank(client.ApplicationName) {
		return client.ApplicationName
	}
	return r.ApplicationName
}

// checkScopes asks the site's list first, then the catalog, then the client.
func (r AuthorizationRequest) checkScopes(s Settings, c *userkeys.Catalog, client Client) error {
	refuse := func(format string, args ...any) error {
		err := userkeys.Errorf(userkeys.ScopeNotAllowed, format, args...)
		err.Reason = "scope not allowed"
		return err
	}
	for _, name := range r.Scopes {
		_, known := c.Scope(name)
		switch allowed := s.AllowUserAPIKeyScopes.Has(name); {
		case !known:
			return refuse("this site knows no scope %s; it allows %s", userkeys.Quoted(name), scopeList(s.AllowUserAPIKeyScopes))
		case !allowed:
			return refuse("this site does not allow the scope %s, only %s; "+AdminCan+"add it to "+
				"allow_user_api_key_scopes", name, scopeList(s.AllowUserAPIKeyScopes))
		}
	}
	for _, name := range r.Scopes {
		if len(client.Scopes) > 0 && !client.Scopes.Has(name) {
			return refuse("this app may not ask for the scope %s; it is registered for %s", name, scopeList(client.Scopes))
		}
	}
	return nil
}

// scopeList writes scopes for people.
func scopeList(s userkeys.Scopes) string { return strings.Join(s, ", ") }

// checkRedirect holds a registered client to its one address, byte by byte,
// and every address to the site's list.
func (r AuthorizationRequest) checkRedirect(s Settings, client Client) (*userkeys.Redirect, error) {
	switch {
	case !r.HasAuthRedirect && r.AuthRedirect == "":
		return nil, nil
	case r.AuthRedirect == "":
		return nil, userkeys.Errorf(userkeys.RedirectNotAllowed,
			"auth_redirect is empty; leave it out to have the payload shown to the user")
	case client.Registered() && r.AuthRedirect != client.AuthRedirect:
		return nil, userkeys.Errorf(userkeys.RedirectNotAllowed,
			"auth_redirect is not the one that this app is registered with, letter by letter")
	}
	to, err := s.CheckRedirect(r.AuthRedirect)
	if err != nil {
		return nil, err
	}
	return &to, nil
}

// CheckRedirect returns an error unless the site sends payloads to authRedirect: a loopback address, while
// allow_user_api_key_loopback_redirects is on, or one that a rule of allowed_user_api_auth_redirects allows. The
// error names the rule that an administrator would have to add.
func (s Settings) CheckRedirect(authRedirect string) (userkeys.Redirect, error) {
	to, err := userkeys.ParseRedirect(authRedirect)
	if err != nil {
		return userkeys.Redirect{}, err
	}
	if s.AllowUserAPILoopbackRedirect && to.Loopback() {
		return to, nil
	}
	for _, text := range s.AllowedUserAPIAuthRedirects {
		if rule, err := ParseRedirectRule(text); err == nil && rule.Matches(to) {
			return to, nil
		}
	}
	public := "this site does not send answers to that auth_redirect; "
	if s.AllowUserAPILoopbackRedirect && to.Scheme() == "http" && to.Hostname() == "localhost" {
		public += "the app can use 127.0.0.1 in place of localhost, which is allowed on any port, or "
	}
	public += AdminCan + "allow it with this line in allowed_user_api_auth_redirects: " + to.SuggestedRule()
	return userkeys.Redirect{}, &userkeys.Error{
		Code: userkeys.RedirectNotAllowed, Reason: "redirect not allowed",
		Public: public,
	}
}

// checkPush returns the push flag of the payload. An address that is not on the
// site's list is no error on the wire, but the app is told that nothing will come.
func (r AuthorizationRequest) checkPush(s Settings) (bool, error) {
	if strings.TrimSpace(r.PushURL) == "" {
		return false, nil
	}
	if problem := userkeys.WebAddressProblem(r.PushURL); problem != "" {
		return false, invalid("push_url is no http or https address: %s", problem)
	}
	return s.Pushes(r.Scopes, r.PushURL), nil
}

// InternalPushTargets are the hosts with ports that pushes may reach although they lie
// inside: those of allowed_internal_hosts, and addresses in allowed_user_api_push_urls that are
// written out as an IP address or as localhost.
func (s Settings) InternalPushTargets() []string {
	targets := slices.Clone(s.AllowedInternalHosts)
	for _, address := range s.AllowedUserAPIPushURLs {
		u, err := url.Parse(address)
		if err != nil {
			continue
		}
		if _, notIP := netip.ParseAddr(u.Hostname()); notIP == nil || u.Hostname() == "localhost" {
			_, target, _ := strings.Cut(PushHostOf(address), "://")
			targets = append(targets, target)
		}
	}
	return targets
}

// Pushes reports whether notifications of a key with these scopes go to pushURL:
// one of the two scopes that stand for it is among them and still allowed, and the
// address is listed, byte for byte (Discourse compares parts of the list's text).
func (s Settings) Pushes(scopes userkeys.Scopes, pushURL string) bool {
	return slices.ContainsFunc([]string{userkeys.ScopePush, userkeys.ScopeNotifications}, func(n string) bool {
		return scopes.Has(n) && s.AllowUserAPIKeyScopes.Has(n)
	}) && slices.Contains(s.AllowedUserAPIPushURLs, pushURL)
}

// A Choice is what a user made of a request on the page. The zero Choice takes it as asked.
type Choice struct {
	Scopes   userkeys.Scopes // some of those asked for, in any order; nil: all
	Lifetime time.Duration   // an earlier end than asked for; 0: as asked
}

// Narrow returns c as the user chose it: with some of its scopes and an earlier end. What the app did not ask
// for is refused. Scopes stay in the order in which the app asked for them.
func (c CheckedRequest) Narrow(s Settings, choice Choice) (CheckedRequest, error) {
	if choice.Scopes != nil {
		if len(choice.Scopes) == 0 {
			return c, invalid("choose at least one thing that the app may do, or deny the request")
		}
		for _, name := range choice.Scopes {
			if !c.Scopes.Has(name) {
				return c, invalid("the app did not ask for the scope %s", userkeys.Quoted(name))
			}
		}
		c.Scopes = slices.DeleteFunc(slices.Clone(c.Scopes), func(name string) bool { return !choice.Scopes.Has(name) })
		c.Push = c.Push && s.Pushes(c.Scopes, c.PushURL)
	}
	switch {
	case choice.Lifetime < 0 || c.Lifetime > 0 && choice.Lifetime > c.Lifetime:
		return c, invalid("a key cannot be given for longer than was asked for")
	case choice.Lifetime > 0:
		c.Ends = choice.Lifetime
		if c.Lifetime > 0 { // only an app that asked for an end is told one: others break on the member
			c.Lifetime = choice.Lifetime
		}
	}
	return c, c.checkSize(s)
}

const secondsPerDay = 24 * 60 * 60

// parseLifetime reads expires_in_seconds. What is not plainly a number of
// seconds within bounds is refused: a bad limit must never become no limit.
func (s Settings) parseLifetime(text string) (time.Duration, error) {
	if strings.TrimSpace(text) == "" {
		return 0, nil
	}
	days := s.MaxUserAPIKeyExpiryDays
	if days <= 0 {
		return 0, userkeys.Errorf(userkeys.InvalidExpiry,
			"this site lets no app choose a lifetime (max_user_api_key_expiry_days); leave expires_in_seconds out")
	}
	seconds, err := strconv.ParseUint(text, 10, 64)
	if err != nil || len(text) > 10 || seconds == 0 || seconds > uint64(days)*secondsPerDay {
		return 0, userkeys.Errorf(userkeys.InvalidExpiry, "expires_in_seconds must be a whole number from 1 to %d",
			uint64(days)*secondsPerDay)
	}
	return time.Duration(seconds) * time.Second, nil
}

// checkSize refuses a payload that would not fit. It measures one with another key and time of the same length.
func (c CheckedRequest) checkSize(s Settings) error {
	p := userkeys.Payload{Key: userkeys.NewKey(s.UserAPIKeyPrefix), Nonce: c.Nonce, Push: c.Push}
	if c.Lifetime > 0 {
		p.ExpiresAt = time.Unix(1, 0)
	}
	return p.Fits(c.Key, c.Pad)
}

// CheckGrantor returns an error unless u may give keys on this site (W5.2). It is called when a key is made, so
// that keys that exist stay when the user may give no new ones.
func (s Settings) CheckGrantor(u User) error {
	if u.Staff() || slices.ContainsFunc(s.UserAPIKeyAllowedGroups, u.InGroup) {
		return nil
	}
	return userkeys.Errorf(userkeys.UserNotAllowed,
		"you may not give keys to apps on this site: your trust level is too low and you are in no allowed group "+
			"(user_api_key_allowed_groups)")
}
