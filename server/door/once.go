package door

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/site"
)

// A form that makes something carries a token that is new on each page, so that a form that is sent twice, by a
// reload or a second click, makes one thing. The token protects from mistakes and not from attackers, so it is
// not signed: its time bounds how long the site must remember it.
const (
	OnceField    = "form"
	FormLifetime = 24 * time.Hour
	minFormText  = 26 // characters after the time
)

// NewForm is the one-time token of a form on a page of now.
func NewForm(now time.Time) string {
	return strconv.FormatInt(now.Unix(), 10) + "." + rand.Text()
}

// spendForm takes the token of r's form, which it must have, and which nobody in c's session sent before.
func (d *Door) spendForm(r *http.Request, c site.Caller) error {
	token := r.PostForm.Get(OnceField)
	text, random, _ := strings.Cut(token, ".")
	unix, err := strconv.ParseInt(text, 10, 64)
	if err != nil || len(random) < minFormText || len(token) > 100 {
		return userkeys.Errorf(userkeys.InvalidParameters,
			"the form has no token of its own; open the page again, or use the admin API")
	}
	made, now := time.Unix(unix, 0), d.cfg.Now()
	until := made.Add(FormLifetime)
	if made.After(now.Add(time.Minute)) || !now.Before(until) { // nodes' clocks differ a little
		return userkeys.Errorf(userkeys.Conflict, "this form is too old; open the page again")
	}
	return d.cfg.Authority.SpendOnce(r.Context(), c.Session.ID+" "+token, until)
}
