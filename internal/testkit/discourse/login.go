package discourse

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

const oneTimeLifetime = 10 * time.Minute

// oneTime is whom a one-time password signs in, and until when.
type oneTime struct {
	user string
	ends time.Time
}

func (c *call) loginPage() (answer, error) {
	return page(http.StatusOK, formPage("Log In", "/session", hidden{"authenticity_token", c.csrfToken()})), nil
}

func (c *call) csrf() (answer, error) { return data(map[string]string{"csrf": c.csrfToken()}), nil }

// signIn is what the login page sends: scripts get the user, forms go on to
// where the visitor wanted to be.
func (c *call) signIn() (answer, error) {
	u := c.s.user(c.param("login"))
	if u == nil || u.Suspended || u.Inactive || c.param("password") != Password {
		return data(map[string]string{"error": "Incorrect username, email or password"}), nil
	}
	c.signInAs(u)
	if c.json || isScript(c.r) {
		return data(map[string]any{"user": userModel(u)}), nil
	}
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

// otp finds whom the one-time password of the path signs in; nil if it is not good.
func (c *call) otp() *User {
	o, ok := c.s.otps[c.param("token")]
	if !ok || !c.now.Before(o.ends) {
		return nil
	}
	return c.s.user(o.user)
}

func badOTPPage() answer {
	return page(http.StatusOK, problemPage("The login token is missing, invalid or expired."))
}

// otpPage asks whoever opens it to confirm; it spends nothing unless that user is signed in already.
func (c *call) otpPage() (answer, error) {
	u := c.otp()
	switch u {
	case nil:
		return badOTPPage(), nil
	case c.user:
		delete(c.s.otps, c.param("token"))
		return redirect("/"), nil
	}
	return page(http.StatusOK, formPage("Logging in as "+u.Name, c.path, hidden{"authenticity_token", c.csrfToken()})), nil
}

func (c *call) otpSignIn() (answer, error) {
	u := c.otp()
	if u == nil {
		return badOTPPage(), nil
	}
	delete(c.s.otps, c.param("token"))
	c.signInAs(u)
	return redirect("/"), nil
}
