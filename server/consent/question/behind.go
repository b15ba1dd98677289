package question

import (
	"net/url"

	"userkeys"
	"userkeys/site"
)

// Behind tells who asks for access on the page of this site at address, for the page where somebody signs in first;
// nil if nobody does there. The address may come from anybody, so it names only who could be given access: a
// destination that the settings do not allow is left out.
func Behind(address string, settings site.Settings) *Destination {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	field := "auth_redirect"
	switch u.Path {
	case "/user-api-key/activate":
		return &Destination{Kind: "device"}
	case "/api_key/generate":
		field = "redirect_url"
	case "/user-api-key/new", "/user-api-key/otp":
	default:
		return nil
	}
	unnamed := &Destination{Kind: "page"}
	q, err := userkeys.ParseParameters(u.RawQuery)
	if err != nil || len(q[field]) != 1 {
		return unnamed
	}
	to, err := settings.CheckRedirect(q.Get(field))
	if err != nil {
		return unnamed
	}
	d := To(&to)
	return &d
}
