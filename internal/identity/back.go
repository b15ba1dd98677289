package identity

import (
	"net/url"
	"slices"
	"strings"
)

// maxBack bounds a return address; an authorization request with its public
// key fits several times over.
const maxBack = 16 << 10

// SafeBack is where a browser may be sent after login: raw itself if it is an
// absolute path on this site, else "/". It protects whoever follows a link to
// our login page from ending up on somebody else's.
func SafeBack(raw string) string {
	if len(raw) > maxBack || !isText(raw) || strings.Contains(raw, `\`) ||
		!strings.HasPrefix(raw, "/") || strings.HasPrefix(raw, "//") {
		return "/"
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return "/"
	}
	// The decoded path too, for programs between us and the browser that decode first.
	// Dots between slashes go away on the browser's side: /.//host is //host there.
	steps := strings.Split(u.Path, "/")
	if strings.HasPrefix(u.Path, "//") || strings.Contains(u.Path, `\`) || !isText(u.Path) ||
		slices.Contains(steps, "..") || slices.Contains(steps, ".") {
		return "/"
	}
	return raw
}

// LoginURL is the login page that leads back to back afterwards.
func (ac *Accounts) LoginURL(back string) string {
	return ac.loginPath + "?redirect=" + url.QueryEscape(SafeBack(back))
}
