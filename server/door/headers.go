package door

import (
	"net/http"

	"userkeys"
)

// setHeaders sets what every answer carries; a handler may narrow or replace a
// line, never forget one.
func (d *Door) setHeaders(h http.Header, route, id string) {
	h.Set("X-Request-Id", id)
	if route != "" {
		h.Set("X-Discourse-Route", route)
	}
	h.Set("Content-Security-Policy", CSP(nil))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	// Not no-referrer: with it the Origin of our own forms would be null.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), clipboard-read=(), display-capture=(), geolocation=(), microphone=(), "+
		"payment=(), publickey-credentials-get=(), usb=()")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "0")
	if d.cfg.BaseURL.Scheme == "https" {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// CSP is the content security policy of a page. A form on it may lead to, if
// not nil, the address that answers are sent to: Chromium applies form-action
// to the redirect after a form too. Only a parsed address gets in here, whose
// scheme cannot end the directive.
func CSP(to *userkeys.Redirect) string {
	action := "'self'"
	if to != nil {
		action += " " + to.Scheme() + ":"
	}
	return "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; " +
		"base-uri 'none'; frame-ancestors 'none'; form-action " + action
}

// SetHeaders sets what every answer carries, for one that no route gives.
func (d *Door) SetHeaders(h http.Header) { d.setHeaders(h, "", requestID()) }
