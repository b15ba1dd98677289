package userkeys_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
)

// TestParseScopes holds the list to the wire's rules (4.4).
func TestParseScopes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       userkeys.Scopes
		code       userkeys.Code
	}{
		{name: "one", text: "read", want: userkeys.Scopes{"read"}},
		{name: "order is kept", text: "write,read", want: userkeys.Scopes{"write", "read"}},
		{name: "SC3 trailing commas drop", text: "read,,", want: userkeys.Scopes{"read"}},
		{name: "SC2 leading comma stays a name", text: ",read", want: userkeys.Scopes{"", "read"}},
		{name: "SC2 inner comma stays a name", text: "read,,write", want: userkeys.Scopes{"read", "", "write"}},
		{name: "SC2 names are not trimmed", text: "read, write", want: userkeys.Scopes{"read", " write"}},
		{name: "SC4 repeated names count once", text: strings.Repeat("read,", 20), want: userkeys.Scopes{"read"}},
		{name: "SC4 21 names", text: strings.Repeat("read,", 21), code: userkeys.InvalidParameters},
		{name: "SC4 501 bytes", text: strings.Repeat("a", 501), code: userkeys.InvalidParameters},
		{name: "SC4 500 bytes", text: strings.Repeat("a", 500), want: userkeys.Scopes{strings.Repeat("a", 500)}},
		{name: "SC3 commas alone", text: ",", code: userkeys.ScopeNotAllowed},
		{name: "nothing", text: "", code: userkeys.ScopeNotAllowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := userkeys.ParseScopes(c.text)
			if _, code := public(err); code != c.code {
				t.Fatalf("%v, want %q", err, c.code)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// FuzzParseScopes: what is read, and could be granted, can be written and is read the same.
func FuzzParseScopes(f *testing.F) {
	for _, s := range []string{"read", "read,write", ",", ",read", "read,,", "a,b,a", "a,,a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := userkeys.ParseScopes(text)
		if err != nil {
			return
		}
		if len(got) == 0 || len(got) > 20 || len(got.String()) > len(text) {
			t.Fatalf("%q became %q", text, got)
		}
		for i, name := range got {
			if slices.Contains(got[:i], name) || strings.Contains(name, ",") || !got.Has(name) {
				t.Fatalf("%q became %q", text, got)
			}
		}
		if got.Has("") {
			return // no site has such a scope; written at the end of a list it would be lost
		}
		if again, err := userkeys.ParseScopes(got.String()); err != nil || !slices.Equal(again, got) {
			t.Fatalf("%q, %q, %v", got, again, err)
		}
	})
}

// TestPresetScopes holds Discourse's scopes to W9.1, and to our HEAD.
func TestPresetScopes(t *testing.T) {
	t.Parallel()
	c := discourse(t)
	for _, k := range []struct {
		scope   string
		yes, no string
	}{
		{"read", "GET /,GET /any/thing,HEAD /x", "POST /x,PUT /x,PATCH /x,DELETE /x,OPTIONS /x"},
		{"write", "GET /x,HEAD /x,POST /x,PUT /x,PATCH /x,DELETE /x", "OPTIONS /x,TRACE /x"},
		{"message_bus", "POST /message-bus/0123456789abcdef/poll", "GET /message-bus/x/poll,POST /message-bus/x,POST /x"},
		{"push", "", "GET /,POST /message-bus/x/poll"},
		{"one_time_password", "", "GET /,POST /user-api-key/otp"},
		{"notifications", "POST /message-bus/x/poll,GET /notifications,GET /notifications.json,GET /notifications/totals.json,PUT /notifications/mark-read,PUT /notifications/read.json", "GET /,POST /notifications,DELETE /notifications,GET /notifications/1"},
		{"session_info", "GET /session/current,GET /session/current.json,GET /u/sam/topic-tracking-state.json", "DELETE /session/current,GET /u/sam,GET /u//topic-tracking-state.json"},
		{"bookmarks_calendar", "GET /u/sam/bookmarks.ics", "GET /u/sam/bookmarks,GET /u/sam/bookmarks.json"},
		{"user_status", "GET /user-status.json,PUT /user-status,DELETE /user-status", "POST /user-status,GET /x"},
		{"unknown", "", "GET /,POST /"},
		{"", "", "GET /"},
	} {
		for i, list := range []string{k.yes, k.no} {
			for req := range strings.SplitSeq(list, ",") {
				if req == "" {
					continue
				}
				method, path, _ := strings.Cut(req, " ")
				if got, want := c.Covers(userkeys.Scopes{k.scope}, method, path), i == 0; got != want {
					t.Errorf("%s covers %s: %v", k.scope, req, got)
				}
			}
		}
	}
	if c.Covers(nil, "GET", "/") {
		t.Error("SC9 no scopes cover something")
	}
	if !c.Covers(userkeys.Scopes{"push", "session_info"}, "GET", "/session/current.json") {
		t.Error("scopes are not OR-ed")
	}
}

// TestEventsAreTheSitesOwn: what opens the message bus opens /events where that is the bus too, and only there.
func TestEventsAreTheSitesOwn(t *testing.T) {
	t.Parallel()
	plain := discourse(t)
	with := plain.WithEvents()
	for scope, opens := range map[string]bool{"message_bus": true, "notifications": true, "session_info": false, "push": false, "read": true} {
		names := userkeys.Scopes{scope}
		if got := with.Covers(names, "GET", "/events"); got != opens {
			t.Errorf("%s opens the site's /events: %v", scope, got)
		}
		if got := plain.Covers(names, "GET", "/events"); got != (scope == "read") {
			t.Errorf("%s opens another website's /events: %v", scope, got)
		}
		if with.Covers(names, "POST", "/events") || scope != "read" && with.Covers(names, "GET", "/events/1") {
			t.Errorf("%s opens more", scope)
		}
	}
	if !with.Covers(userkeys.Scopes{"message_bus"}, "POST", "/message-bus/x/poll") {
		t.Error("the bus is closed")
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	c := discourse(t)
	all := userkeys.Scopes{"write", "read", "notifications", "session_info"}
	for _, k := range []struct {
		allowed            userkeys.Scopes
		method, path, want string
	}{
		{all, "GET", "/session/current.json", "session_info"},
		{all, "GET", "/notifications", "notifications"},
		{all, "GET", "/t/1", "read"},
		{all, "POST", "/posts.json", "write"},
		{userkeys.Scopes{"read"}, "POST", "/posts.json", ""},
		{nil, "GET", "/", ""},
	} {
		if got := c.Missing(k.allowed, k.method, k.path); got != k.want {
			t.Errorf("%s %s would need %q, want %q", k.method, k.path, got, k.want)
		}
	}
}

func TestOwnScopes(t *testing.T) {
	t.Parallel()
	r, err := userkeys.ParseRoute("GET /orders/{id}")
	if err != nil {
		t.Fatal(err)
	}
	orders := userkeys.Scope{Name: "orders", Sentence: "see your orders", Routes: []userkeys.Route{r}}
	c, err := userkeys.NewCatalog(orders)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Missing(userkeys.Scopes{"read", "orders"}, "GET", "/orders/1"); got != "orders" {
		t.Errorf("the site's own scope is not the first to help: %q", got)
	}
	if all := c.Scopes(); all[0].Name != "orders" || len(all) != 10 {
		t.Errorf("%d scopes, the first %q", len(all), all[0].Name)
	}
	c.Scopes()[0].Name = "changed"
	if _, ok := c.Scope("orders"); !ok {
		t.Error("a caller changed the catalog")
	}
	want := []string{"see your orders", "read everything that you can read", "nothing: the scope gone is not known here any more"}
	if d := cmp.Diff(want, c.Sentences(userkeys.Scopes{"orders", "read", "gone"})); d != "" {
		t.Error(d)
	}
	for name, s := range map[string]userkeys.Scope{
		"SC6 __proto__":   {Name: "__proto__", Sentence: "x"},
		"SC6 1":           {Name: "1", Sentence: "x"},
		"SC6 read/write":  {Name: "read/write", Sentence: "x"},
		"empty":           {Sentence: "x"},
		"65 letters":      {Name: strings.Repeat("a", 65), Sentence: "x"},
		"upper case":      {Name: "Orders", Sentence: "x"},
		"no sentence":     {Name: "orders"},
		"of Discourse":    {Name: "read", Sentence: "x"},
		"a dash":          {Name: "a-b", Sentence: "x"},
		"outside ASCII":   {Name: "caf\u00e9", Sentence: "x"},
		"with line break": {Name: "a\n", Sentence: "x"},
	} {
		_, err := userkeys.NewCatalog(s)
		if _, code := public(err); code != userkeys.InvalidParameters {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := userkeys.NewCatalog(orders, orders); err == nil {
		t.Error("a scope is defined twice")
	}
}

// TestCheckOfScopesAllocatesNothing: it is on the way of every request with a key.
func TestCheckOfScopesAllocatesNothing(t *testing.T) {
	// Not parallel: it counts allocations.
	c, names := discourse(t), userkeys.Scopes{"session_info", "notifications", "read"}
	n := testing.AllocsPerRun(100, func() {
		path, err := userkeys.CanonicalPath("/t/topic/12345.json")
		if err != nil || !c.Covers(names, "GET", path) {
			t.Error("not covered")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
