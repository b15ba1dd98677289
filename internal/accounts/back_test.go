package accounts

import (
	"net/url"
	"testing"
)

func TestLoginURL_Brings_every_parameter_back(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory(), func(c *Config) { c.LoginPath = "/user-api-key/login" })
	back := "/user-api-key/new?application_name=A%26B+%C3%A9&nonce=a%3Db&scopes=read&x=1&x=2"
	u, err := url.Parse(s.LoginURL(back))
	if err != nil || u.Path != "/user-api-key/login" || u.Host != "" || u.Query().Get("redirect") != back {
		t.Errorf("%v, %v", u, err)
	}
}
