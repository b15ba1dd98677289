package site

import (
	"slices"

	"userkeys"
)

// Describe returns what a site with these settings and scopes tells apps; base is the
// site's address without a slash at its end.
func (s Settings) Describe(c *userkeys.Catalog, base string) userkeys.Description {
	d := userkeys.Description{
		APIVersion: userkeys.APIVersion, Title: s.Title, Open: s.AllowUserAPIKeys, Scopes: s.describeScopes(c),
		Paddings: s.Paddings(),
		PublicKey: userkeys.DescribedRSA{
			Type: "RSA", Formats: []string{"PUBLIC KEY", "RSA PUBLIC KEY"},
			MinBits: userkeys.MinKeyBits, MinBitsDevice: minDeviceBits, MaxBits: userkeys.MaxKeyBits,
		},
		DeviceFlow: s.AllowUserAPIKeyDeviceAuth,
		Redirects: userkeys.DescribedRedirect{
			Paste: true, Loopback: s.AllowUserAPILoopbackRedirect,
			Schemes: s.redirectSchemes(),
		},
		Limits: userkeys.DescribedLimits{
			PerMinute: s.MaxUserAPIReqsPerMinute, PerDay: s.MaxUserAPIReqsPerDay,
			UserPerMinute: s.MaxUserAPIReqsPerUserPerMinute, UserPerDay: s.MaxUserAPIReqsPerUserPerDay,
		},
		Lifetime: userkeys.DescribedLifetime{
			MaxSeconds: s.MaxUserAPIKeyExpiryDays * secondsPerDay,
			UnusedDays: s.RevokeUserAPIKeysUnusedDays, MaxLifeDays: s.RevokeUserAPIKeysMaxlifeDays,
		},
		KeyFormat: userkeys.DescribedKey{Pattern: userkeys.KeyPattern, Prefix: s.UserAPIKeyPrefix},
		MaxParameters: map[string]int{
			"nonce": maxNonce, "scopes": userkeys.MaxScopesBytes, "client_id": maxClientID, "public_key": userkeys.MaxPublicKey,
			"application_name": maxApplicationName, "auth_redirect": userkeys.MaxAddress, "push_url": userkeys.MaxAddress,
		},
		Endpoints: map[string]string{
			"authorization": base + "/user-api-key/new", "revocation": base + "/user-api-key/revoke.json",
			"renewal": base + "/user-api-key/renew.json", "registration": base + "/user-api-key-client.json",
			"apps": base + "/my/apps",
		},
	}
	if d.DeviceFlow {
		d.Endpoints["device_authorization"] = base + "/user-api-key/device.json"
		d.Endpoints["device_poll"] = base + "/user-api-key/device/poll.json"
	}
	return d
}

func (s Settings) describeScopes(c *userkeys.Catalog) []userkeys.DescribedScope {
	out := []userkeys.DescribedScope{}
	for _, name := range s.AllowUserAPIKeyScopes {
		scope, ok := c.Scope(name)
		if !ok {
			continue
		}
		d := userkeys.DescribedScope{Name: name, Sentence: scope.Sentence, Routes: []string{}}
		for _, r := range scope.Routes {
			d.Routes = append(d.Routes, r.String())
		}
		out = append(out, d)
	}
	return out
}

func (s Settings) redirectSchemes() []string {
	out := []string{}
	for _, text := range s.AllowedUserAPIAuthRedirects {
		if rule, err := ParseRedirectRule(text); err == nil && !slices.Contains(out, rule.Scheme()) {
			out = append(out, rule.Scheme())
		}
	}
	return out
}

// Paddings are those that the site seals answers with, the default first.
func (s Settings) Paddings() []userkeys.Padding {
	all := []userkeys.Padding{userkeys.PaddingPKCS1, userkeys.PaddingOAEP}
	if s.AllowUserAPIKeyOAEP256 {
		all = append(all, userkeys.PaddingOAEP256)
	}
	return all
}

// ParsePadding is [userkeys.ParsePadding], for the paddings of this site.
func (s Settings) ParsePadding(text string) (userkeys.Padding, error) {
	p, err := userkeys.ParsePadding(text)
	if err == nil && !slices.Contains(s.Paddings(), p) {
		err = userkeys.Errorf(userkeys.InvalidPadding,
			"this site does not seal answers with padding %s; leave it out, or use oaep", p)
	}
	return p, err
}
