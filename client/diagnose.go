package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"userkeys"
)

// Diagnose finds out why a call with c was answered with 403 by a site that does not say so, as Discourse does
// not. err is the error of that call, from [Do]. Diagnose makes one more call, a GET that the key's scopes
// allow, and returns an [*APIError] whose KeyIsDead or MissingScope tells the reason. It returns err itself,
// which may be nil, if there is nothing to find out, or no call that the scopes allow.
func (c *Credential) Diagnose(ctx context.Context, base *http.Client, err error) error {
	var e *APIError
	if !errors.As(err, &e) || e.Status != http.StatusForbidden || e.Reason != "" {
		return err
	}
	told := *e
	switch alive, askErr := c.Alive(ctx, base); {
	case askErr != nil:
		return err
	case !alive:
		told.Reason = userkeys.ErrInvalidKey.Reason
	default:
		scope := (Support{}).MissingScope(c.Scopes, e.Method, strings.TrimPrefix(e.Path, pathOf(c.Site)))
		if scope == "" {
			return err // key and scope are good: the user may not do this
		}
		told.Reason = "missing scope: " + scope
	}
	return &told
}

// Alive asks the site whether the key still works, by a GET that its scopes allow. It counts as a call.
//
// Errors: [userkeys.InvalidAccess] if none of the scopes allows such a call; those of [Do] if the site cannot be
// asked now.
func (c *Credential) Alive(ctx context.Context, base *http.Client) (bool, error) {
	path := c.harmlessPath()
	if path == "" {
		return false, userkeys.Errorf(userkeys.InvalidAccess,
			"none of the scopes %s opens anything that could be asked", c.Scopes)
	}
	var body map[string]json.RawMessage // an object: a page of a proxy says nothing about the key
	err := c.get(ctx, base, path, &body)
	var e *APIError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &e) && e.Worthless():
		return e.MissingScope() != "", nil
	case errors.As(err, &e) && e.Status == http.StatusNotFound:
		return true, nil // the site checks the key before the route
	}
	return false, err
}

// harmlessPath returns a path that shows little, changes nothing and that the scopes of c allow; empty if there is
// none.
func (c *Credential) harmlessPath() string {
	for _, path := range []string{sessionPath, "/notifications.json?limit=1", "/user-status.json"} {
		if (Support{}).covers(c.Scopes, http.MethodGet, path) {
			return path
		}
	}
	return ""
}

// MissingScope returns the narrowest scope that scopes lack for a request to a path of the site; the query does
// not matter. It is empty if scopes suffice, or if no scope allows the request.
func (s Support) MissingScope(scopes userkeys.Scopes, method, path string) string {
	if s.covers(scopes, method, path) {
		return ""
	}
	var all userkeys.Scopes
	catalog := s.catalog()
	for _, scope := range catalog.Scopes() {
		all = append(all, scope.Name)
	}
	return catalog.Missing(all, method, pathOf(path))
}

func (s Support) covers(scopes userkeys.Scopes, method, path string) bool {
	return s.catalog().Covers(scopes, method, pathOf(path))
}

// catalog returns the scopes of Discourse, and the site's own scopes that it describes.
func (s Support) catalog() *userkeys.Catalog {
	var own []userkeys.Scope
	preset, err := userkeys.NewCatalog()
	if err != nil { // cannot happen: the preset is tested
		panic(err)
	}
	if s.Description != nil {
		for _, d := range s.Description.Scopes {
			if _, ok := preset.Scope(d.Name); !ok {
				own = append(own, described(d))
			}
		}
	}
	if c, err := userkeys.NewCatalog(own...); err == nil {
		return c
	}
	return preset // the description is not valid
}

func described(d userkeys.DescribedScope) userkeys.Scope {
	scope := userkeys.Scope{Name: d.Name, Sentence: d.Sentence}
	for _, text := range d.Routes {
		if r, err := userkeys.ParseRoute(text); err == nil {
			scope.Routes = append(scope.Routes, r)
		}
	}
	return scope
}

// pathOf returns the decoded path of an address or of a path with a query.
func pathOf(path string) string {
	u, err := url.Parse(path)
	if err != nil {
		return path
	}
	return u.Path
}
