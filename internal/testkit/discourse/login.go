package discourse

import (
	"net/http"
	"net/url"
	"strings"
)

func (c *call) loginPage() (answer, error) {
	return page(http.StatusOK, formPage("Log In", "/session", hidden{"authenticity_token", c.csrfToken()})), nil
}

// signIn is what the login page sends. It goes on to where the visitor wanted to be.
func (c *call) signIn() (answer, error) {
	u := c.s.user(c.param("login"))
	if u == nil || u.Suspended || u.Inactive || c.param("password") != Password {
		return data(map[string]string{"error": "Incorrect username, email or password"}), nil
	}
	c.signInAs(u)
	return c.enter()
}

// enter goes on from the login page to where the visitor wanted to be, on this site only.
func (c *call) enter() (answer, error) {
	to := c.param("redirect")
	if to == "" {
		to, _ = url.QueryUnescape(c.cookie(destinationCookie)) // what is no address leads home
	}
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
		to = "/"
	}
	c.setCookie(http.Cookie{Name: destinationCookie, MaxAge: -1})
	return redirect(to), nil
}
