package identity

import "net/url"

// LoginURL is the login page that leads back to back afterwards. The page
// judges by itself where it may lead: anybody can write a link to it.
func (ac *Accounts) LoginURL(back string) string {
	return ac.loginPath + "?redirect=" + url.QueryEscape(back)
}
