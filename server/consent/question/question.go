// Package question is what a consent page shows of a request, in words and in an order that a person can judge it by,
// and what the form of that page chose. You go here to change what the page says of a scope, a destination or a
// lifetime.
package question

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/server/page"
	"userkeys/site"
)

// The fields of a form by which a user narrows what is asked: one checkbox a
// scope, one list of lifetimes. chooseField tells a form that has them from
// one that does not, where no box would mean "nothing". onlyField is the button that approves reading alone.
const (
	chooseField   = "choose"
	lifetimeField = "lifetime"
	allowPrefix   = "allow_"
	onlyField     = "only"
	onlyReading   = "reading"
)

// Ask is what a page asks about: what the app would be able to do, and for how long.
type Ask struct {
	Scopes   []Scope // the heaviest first
	Lifetime Lifetime
}

// Several tells whether there is anything to untick.
func (a Ask) Several() bool { return len(a.Scopes) > 1 }

// Mixed tells whether some scopes read only and others do more.
func (a Ask) Mixed() bool {
	some := func(want bool) bool {
		return slices.ContainsFunc(a.Scopes, func(s Scope) bool { return s.weight.Reads() == want })
	}
	return some(true) && some(false)
}

// Has tells whether the app asks for a scope.
func (a Ask) Has(name string) bool {
	return slices.ContainsFunc(a.Scopes, func(s Scope) bool { return s.Name == name })
}

// Scope is a scope that the app asks for.
type Scope struct {
	Name, Field, Sentence string
	Checked               bool
	weight                weight
}

// Acts tells whether the app could act in the user's place.
func (s Scope) Acts() bool { return s.weight == acts }

// Changes tells whether the app could change something.
func (s Scope) Changes() bool { return s.weight == changes }

// Lifetime is for how long the app would have access. A page says it in one sentence.
type Lifetime struct {
	Span   string      // how long at a time; empty: no end was asked for
	Until  page.Moment // the latest end, whatever the app does; unknown: there is none
	Renews bool        // the app can ask for the span again, until that end
	Unused int         // days without use after which it ends sooner; 0: never
	Terms  []Term      // shorter lifetimes to choose from; none if there are none
}

// Term is a lifetime to choose.
type Term struct {
	Seconds, Words string
	Chosen         bool
}

// Rules are what a question depends on besides the request.
type Rules struct {
	Settings site.Settings
	Catalog  *userkeys.Catalog
	Now      time.Time
}

// About is the question of q, with what was chosen before; nil: everything, as asked.
func (r Rules) About(q site.CheckedRequest, chosen *site.Choice) Ask {
	var a Ask
	for i, sentence := range r.Catalog.Sentences(q.Scopes) {
		name := q.Scopes[i]
		a.Scopes = append(a.Scopes, Scope{
			Name: name, Field: allowPrefix + name, Sentence: sentence, weight: weightOf(r.Catalog, name),
			Checked: chosen == nil || chosen.Scopes.Has(name),
		})
	}
	slices.SortStableFunc(a.Scopes, func(x, y Scope) int { return int(x.weight - y.weight) })
	a.Lifetime = r.lifetime(q)
	for _, d := range []time.Duration{time.Hour, page.Day, 7 * page.Day, 30 * page.Day, 90 * page.Day, 365 * page.Day} {
		if q.Ends == 0 || d < q.Ends {
			a.Lifetime.Terms = append(a.Lifetime.Terms, Term{
				strconv.Itoa(int(d / time.Second)), page.Lifetime(d), chosen != nil && chosen.Lifetime == d,
			})
		}
	}
	return a
}

func weightOf(c *userkeys.Catalog, name string) weight {
	s, known := c.Scope(name)
	if !known {
		return reads // it opens nothing
	}
	return weigh(s)
}

// lifetime says how long a key for q would live by all rules together.
func (r Rules) lifetime(q site.CheckedRequest) Lifetime {
	settings, now := r.Settings, r.Now
	var v Lifetime
	var last time.Time
	if q.Ends > 0 {
		v.Span, last = page.Lifetime(q.Ends), now.Add(q.Ends)
		if most := now.AddDate(0, 0, settings.MaxUserAPIKeyExpiryDays); q.Lifetime > 0 && last.Before(most) {
			v.Renews, last = true, most
		}
	}
	if days := settings.RevokeUserAPIKeysMaxlifeDays; days > 0 {
		if end := now.AddDate(0, 0, days); last.IsZero() || end.Before(last) {
			last = end
			if end.Before(now.Add(q.Ends)) {
				v.Span, v.Renews = "", false
			}
		}
	}
	v.Until = page.MomentAt(last, now)
	v.Unused = sooner(settings.RevokeUserAPIKeysUnusedDays, q.Ends)
	return v
}

// sooner is days if a key would end by them before its lifetime does; else 0.
func sooner(days int, lifetime time.Duration) int {
	if lifetime == 0 || time.Duration(days)*page.Day < lifetime {
		return days
	}
	return 0
}

// ParseChoice reads what the user chose; a form without choices takes the request as it is.
func ParseChoice(form url.Values, catalog *userkeys.Catalog) (site.Choice, error) {
	var c site.Choice
	if form.Has(chooseField) {
		c.Scopes = userkeys.Scopes{}
		for name := range form {
			if scope, ok := strings.CutPrefix(name, allowPrefix); ok {
				c.Scopes = append(c.Scopes, scope)
			}
		}
	}
	switch only := form.Get(onlyField); {
	case only == "":
	case only == onlyReading && c.Scopes == nil: // without the boxes everything would be given
		return c, userkeys.Errorf(userkeys.InvalidParameters,
			"only needs choose and an %sNAME for each scope that is asked for", allowPrefix)
	case only == onlyReading:
		c.Scopes = slices.DeleteFunc(c.Scopes, func(name string) bool { return !weightOf(catalog, name).Reads() })
	default:
		return c, userkeys.Errorf(userkeys.InvalidParameters, "only must be %s, or left out", onlyReading)
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

// ChoseNothing reports whether a form had choices, and all of them were no.
func ChoseNothing(c site.Choice) bool { return c.Scopes != nil && len(c.Scopes) == 0 }
