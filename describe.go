package userkeys

import "slices"

// Describe says what a site with these settings and scopes allows; base is the
// site's address without a slash at its end.
func (s Settings) Describe(c *Catalog, base string) Description {
	d := Description{
		APIVersion: APIVersion, Title: s.Title, Open: s.AllowUserAPIKeys, Scopes: s.describeScopes(c), Paddings: s.Paddings(),
		PublicKey: DescribedRSA{
			Type: "RSA", Formats: []string{"PUBLIC KEY", "RSA PUBLIC KEY"},
			MinBits: MinKeyBits, MinBitsDevice: minDeviceBits, MaxBits: MaxKeyBits,
		},
		DeviceFlow: s.AllowUserAPIKeyDeviceAuth,
		Redirects:  DescribedRedirect{Paste: true, Loopback: s.AllowUserAPILoopbackRedirect, Schemes: s.redirectSchemes()},
		Limits: DescribedLimits{
			PerMinute: s.MaxUserAPIReqsPerMinute, PerDay: s.MaxUserAPIReqsPerDay,
			UserPerMinute: s.MaxUserAPIReqsPerUserPerMinute, UserPerDay: s.MaxUserAPIReqsPerUserPerDay,
		},
		Lifetime: DescribedLifetime{
			MaxSeconds: s.MaxUserAPIKeyExpiryDays * secondsPerDay,
			UnusedDays: s.RevokeUserAPIKeysUnusedDays, MaxLifeDays: s.RevokeUserAPIKeysMaxlifeDays,
		},
		KeyFormat: DescribedKey{Pattern: KeyPattern, Prefix: s.UserAPIKeyPrefix},
		MaxParameters: map[string]int{
			"nonce": maxNonce, "scopes": MaxScopesBytes, "client_id": maxClientID, "public_key": MaxPublicKey,
			"application_name": maxApplicationName, "auth_redirect": MaxAddress, "push_url": MaxAddress,
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

func (s Settings) describeScopes(c *Catalog) []DescribedScope {
	out := []DescribedScope{}
	for _, name := range s.AllowUserAPIKeyScopes {
		scope, ok := c.Scope(name)
		if !ok {
			continue
		}
		d := DescribedScope{Name: name, Sentence: scope.Sentence, Routes: []string{}}
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
func (s Settings) Paddings() []Padding {
	all := []Padding{PaddingPKCS1, PaddingOAEP}
	if s.AllowUserAPIKeyOAEP256 {
		all = append(all, PaddingOAEP256)
	}
	return all
}

// ParsePadding is [ParsePadding], for the paddings of this site.
func (s Settings) ParsePadding(text string) (Padding, error) {
	p, err := ParsePadding(text)
	if err == nil && !slices.Contains(s.Paddings(), p) {
		err = Errorf(InvalidPadding, "this site does not seal answers with padding %s; leave it out, or use oaep", p)
	}
	return p, err
}
