package consent

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/server/page"
	"userkeys/site"
)

// The fields of a form by which a user narrows what is asked: one checkbox a
// scope, one list of lifetimes. chooseField tells a form that has them from
// one that does not, where no box would mean "nothing".
const (
	chooseField   = "choose"
	lifetimeField = "lifetime"
	allowPrefix   = "allow_"
)

// askView is what a page asks about: what the app would be able to do, and for how long.
type askView struct {
	Scopes []scopeView
	Terms  []term // shorter lifetimes to choose from; none if there are none
	// Prolong is until when the app can renew its key by itself; unknown: it cannot.
	Prolong page.Moment
}

// Several tells whether there is anything to untick.
func (a askView) Several() bool { return len(a.Scopes) > 1 }

// scopeView is a scope with the name of its checkbox.
type scopeView struct{ Field, Sentence string }

// term is a lifetime to choose.
type term struct{ Seconds, Words string }

func (h *Handlers) askView(q site.CheckedRequest) askView {
	var a askView
	sentences := h.authority.Catalog().Sentences(q.Scopes)
	for i, name := range q.Scopes {
		a.Scopes = append(a.Scopes, scopeView{allowPrefix + name, sentences[i]})
	}
	for _, d := range []time.Duration{time.Hour, page.Day, 7 * page.Day, 30 * page.Day, 90 * page.Day, 365 * page.Day} {
		if q.Ends == 0 || d < q.Ends {
			a.Terms = append(a.Terms, term{strconv.Itoa(int(d / time.Second)), page.Lifetime(d)})
		}
	}
	now := h.door.Now()
	if most := now.AddDate(0, 0, h.door.Settings().MaxUserAPIKeyExpiryDays); q.Lifetime > 0 &&
		now.Add(q.Lifetime).Before(most) {
		a.Prolong = page.MomentAt(most, now)
	}
	return a
}

// parseChoice reads what the user chose; a form without choices takes the request as it is.
func parseChoice(form url.Values) (site.Choice, error) {
	var c site.Choice
	if form.Has(chooseField) {
		c.Scopes = userkeys.Scopes{}
		for name := range form {
			if scope, ok := strings.CutPrefix(name, allowPrefix); ok {
				c.Scopes = append(c.Scopes, scope)
			}
		}
	}
	if text := form.Get(lifetimeField); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil || seconds == 0 {
			return c, userkeys.Errorf(userkeys.InvalidParameters, "lifetime must be a number of seconds")
		}
		c.Lifetime = time.Duration(seconds) * time.Second
	}
	return c, nil
}
