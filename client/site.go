package client

import (
	"net"
	"net/url"
	"path"
	"strings"

	"userkeys"
)

// ParseSite reads the address of a site as a user types it and returns its canonical form: scheme, host, port if
// it is not the usual one, and folder without a slash at the end. Without a scheme it is https.
//
// Errors: [userkeys.MissingParameter], [userkeys.InvalidParameters].
func ParseSite(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", userkeys.Errorf(userkeys.MissingParameter,
			"the address of the site is missing; give one such as https://forum.example")
	}
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return "", userkeys.Errorf(userkeys.InvalidParameters,
			"%q is no address of a site; give one such as https://forum.example", s)
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return "", userkeys.Errorf(userkeys.InvalidParameters,
			"the address of a site begins with https:// or http://, not %s://", u.Scheme)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", userkeys.Errorf(userkeys.InvalidParameters, "the address of a site has no user name, query or fragment")
	}
	folder := path.Clean("/" + u.Path)
	if folder == "/" {
		folder = ""
	}
	host, err := userkeys.OriginHost(u)
	if err != nil {
		return "", err
	}
	site := url.URL{Scheme: u.Scheme, Host: host, Path: folder}
	return site.String(), nil
}

// PlainHTTP reports whether others can read what is sent to site, because it is http and not on this machine. Do
// not send keys to such a site.
func PlainHTTP(site string) bool {
	u, err := url.Parse(site)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}

// OnSite reports whether u is an address on site, which is as [ParseSite] writes it: it has the same scheme, host
// and port, is inside of the site's folder if there is one, and has no user name, which could make it look like
// another address.
func OnSite(site string, u *url.URL) bool {
	s, err := url.Parse(site)
	if err != nil || u == nil || u.User != nil || u.Scheme != s.Scheme {
		return false
	}
	want, err := userkeys.OriginHost(s)
	got, notHost := userkeys.OriginHost(u)
	if err != nil || notHost != nil || got != want {
		return false
	}
	at, folder := path.Clean("/"+u.Path), s.Path
	return folder == "" || at == folder || strings.HasPrefix(at, folder+"/")
}
