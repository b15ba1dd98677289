package testkit

import (
	"userkeys"
	"userkeys/site"
)

// Program is one of the site's own programs: it has an admin API key.
type Program struct {
	Site *Site
	Key  userkeys.Key
	ID   int64  // of the key
	Acts string // whom it names in Api-Username; empty: nobody
}

// Program makes an admin API key that acts as username, or as anybody if username is empty. Without permissions the key
// may do everything.
func (s *Site) Program(username string, may ...site.AdminPermission) *Program {
	s.t.Helper()
	key, k, err := s.Authority.CreateAdminKey(s.t.Context(), site.NewAdminAPIKey{
		Description: "program of " + username, Username: username, Permissions: may,
	}, Command)
	if err != nil {
		s.t.Fatal(err)
	}
	return &Program{Site: s, Key: key, ID: k.ID}
}

// As is the program as it names a user in Api-Username.
func (p *Program) As(username string) *Program {
	as := *p
	as.Acts = username
	return &as
}

// Call sends a request with the key; a body is JSON unless a header says otherwise.
func (p *Program) Call(method, path, body string, header ...string) Answer {
	p.Site.t.Helper()
	stranger := p.Site.Visitor()
	r := stranger.Request(method, path, body)
	r.Header.Set(site.AdminKeyHeader, p.Key.Reveal())
	if p.Acts != "" {
		r.Header.Set(site.AdminUsernameHeader, p.Acts)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return stranger.Do(r)
}
