package reach

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// pages are the first folders of the pages of a Discourse and of userkeys, which are not part of a site's address.
var pages = []string{
	"t", "c", "u", "g", "tag", "tags", "latest", "top", "new", "unread", "categories", "login", "signup", "session",
	"posts", "p",
	"admin", "about", "search", "user-api-key", "my", "badges", "notifications", "session.json", "latest.json",
}

// WithoutPage removes from an address that a user has pasted what makes it the address of a page, and names what it
// removed; "" if nothing.
func WithoutPage(typed string) (string, string) {
	s := typed
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return typed, ""
	}
	var what []string
	if u.User != nil {
		what = append(what, "a user name")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		what = append(what, "a query or fragment")
	}
	folders := strings.Split(strings.Trim(path.Clean("/"+u.Path), "/"), "/")
	if i := slices.IndexFunc(folders, func(f string) bool { return slices.Contains(pages, f) }); i >= 0 {
		what = append(what, "the path of a page")
		folders = folders[:i]
	}
	site := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/" + strings.Join(folders, "/")}
	return site.String(), strings.Join(what, ", ")
}

// WithoutQuery returns scheme, host and path of an address.
func WithoutQuery(u *url.URL) string {
	at := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return at.String()
}
