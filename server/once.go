package server

import (
	"context"
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/site"
)

// A form that makes something carries a token that is new on each page, so that a form that is sent twice, by a reload or a
// second click, makes one thing. The token protects from mistakes and not from attackers, so it is not signed: its time
// bounds how long the site must remember it.
const (
	onceField    = "form"
	formLifetime = 24 * time.Hour
	minFormText  = 26 // characters after the time
)

// forms is what forms that make something need of the authority.
type forms interface {
	// SpendForm notes that the form with this token was sent; [userkeys.Conflict] if it was sent before.
	SpendForm(ctx context.Context, token string, until time.Time) error
}

// newForm is the token of a form on a page of now.
func newForm(now time.Time) string {
	return strconv.FormatInt(now.Unix(), 10) + "." + rand.Text()
}

// spendForm takes the token of r's form, which it must have, and which nobody in v's session sent before.
func (s *Server) spendForm(r *http.Request, v site.Visitor) error {
	token := r.PostForm.Get(onceField)
	text, random, _ := strings.Cut(token, ".")
	unix, err := strconv.ParseInt(text, 10, 64)
	if err != nil || len(random) < minFormText || len(token) > 100 {
		return userkeys.Errorf(userkeys.InvalidParameters, "the form has no token of its own; open the page again, or use the admin API")
	}
	made, now := time.Unix(unix, 0), s.cfg.Now()
	until := made.Add(formLifetime)
	if made.After(now.Add(time.Minute)) || !now.Before(until) { // nodes' clocks differ a little
		return userkeys.Errorf(userkeys.Conflict, "this form is too old; open the page again")
	}
	return s.forms.SpendForm(r.Context(), v.Session.ID+" "+token, until)
}
