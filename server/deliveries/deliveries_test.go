package deliveries_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/internal/rows"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/fakesite"
	"userkeys/outbox"
	"userkeys/server/deliveries"
	"userkeys/server/page"
	"userkeys/site"
)

func TestAdminKeysListHasPushes(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithPushed(t)
	f.AddAdminKey("root")
	a := f.Do(fakesite.Call{Path: "/user-api-key/admin/keys.json?live=true"}.By(fakesite.AdminText("root"), "")).Must(t, http.StatusOK)
	var got struct {
		Keys []struct {
			ID   int64
			Push *rows.KeyPush
		}
	}
	if err := json.Unmarshal([]byte(a.Text), &got); err != nil {
		t.Fatal(err)
	}
	states := map[int64]string{}
	for _, k := range got.Keys {
		switch {
		case k.Push == nil:
		case k.Push.OffAt != nil:
			states[k.ID] = "off " + *k.Push.Problem
		case k.Push.FailingSince != nil:
			states[k.ID] = "failing " + *k.Push.Problem
		default:
			states[k.ID] = "on"
		}
	}
	want := map[int64]string{2: "on", 6: "on", 7: "on", 8: "failing status 503", 9: "off gone", 10: "on", 11: "on", 12: "failing busy", 13: "failing status 503"}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Error(diff)
	}
}

func TestDeliveriesPageByPages(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	address := fakesite.GoodHost + "/" + strings.Repeat("p", 100)
	f.AddHost(outbox.Host{Host: fakesite.GoodHost}, address)
	for i := range 90 { // one is given up, one waits, and so on
		d := outbox.Delivery{UserID: 1, NotificationID: 1, PushURL: address, CreatedAt: fakesite.Now, QueuedAt: fakesite.Now, NextAt: fakesite.Now.Add(time.Hour)}
		if i%2 == 0 {
			d.DeadAt, d.Problem, d.Attempt = fakesite.Now, outbox.ProblemTLS, 9
		}
		f.AddDelivery(d)
	}
	seen := map[string]int{}
	path := "/user-api-key/deliveries"
	for range 3 {
		a := f.Do(fakesite.Call{Path: path, As: "root"}).Must(t, http.StatusOK)
		for _, part := range strings.Split(a.Text, `<li id="delivery-`)[1:] {
			id, _, _ := strings.Cut(part, `"`)
			seen[id]++
		}
		before, _, _ := strings.Cut(a.Text, `#dead">Older ones`)
		path = html.UnescapeString(before[strings.LastIndex(before, `"`)+1:])
	}
	for i := range 90 {
		id, want := fmt.Sprint(i+1), 1
		if i%2 == 1 { // those that wait: the first page of them, each time
			if want = 0; i >= 50 {
				want = 3
			}
		}
		if seen[id] != want {
			t.Errorf("delivery %s was seen %d times, want %d", id, seen[id], want)
		}
	}
	f.Do(fakesite.Call{Path: "/user-api-key/deliveries?waiting=2&dead=1", As: "root"}).Must(t, http.StatusOK, "Nothing older waits.", "Nothing older was given up.")
	for _, odd := range []string{"?waiting=-1", "?dead=%27", "?host=javascript:alert(1)", "?host=%00", "?done=replayed&n=9e9", "?done=<b>", "?hosts=none"} { // AD3
		f.Do(fakesite.Call{Path: "/user-api-key/deliveries" + odd, As: "root"}).Must(t, http.StatusOK, "delivery-90", "delivery-89").MustNot(t, "javascript:")
	}
}

func TestDeliveriesPageWithManyHosts(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	for i := range 60 {
		h := outbox.Host{Host: fmt.Sprintf("https://h%02d.example:443", i), Delivered: 1, DeliveredAt: fakesite.Now}
		switch i {
		case 57:
			f.AddDelivery(outbox.Delivery{UserID: 1, PushURL: h.Host, DeadAt: fakesite.Now})
		case 58:
			h.Failures = 1
		case 59:
			h.ClosedUntil = fakesite.Now.Add(time.Hour)
			for range 100 {
				f.AddDelivery(outbox.Delivery{UserID: 1, PushURL: h.Host, QueuedAt: fakesite.Now})
			}
		}
		f.AddHost(h, h.Host)
	}
	a := f.Do(fakesite.Call{Path: "/user-api-key/deliveries", As: "root"}).Must(t, http.StatusOK, "50 more", "<dd>100</dd>", "<dd>60</dd>")
	at := func(host string) int { return strings.Index(a.Text, "<bdi>https://"+host+".example</bdi>") }
	if at("h59") < 0 || at("h59") > at("h58") || at("h58") > at("h57") || at("h57") > at("h00") || at("h30") >= 0 {
		t.Errorf("the order is h59 %d, h58 %d, h57 %d, h00 %d, h30 %d", at("h59"), at("h58"), at("h57"), at("h00"), at("h30"))
	}
	a = f.Do(fakesite.Call{Path: "/user-api-key/deliveries?hosts=all", As: "root"}).Must(t, http.StatusOK)
	if at("h30") < 0 {
		t.Error("a host is left out")
	}
	a.MustNot(t, " more</a>")
}

// done is what was done, and which of the given-up deliveries 4 and 5 are still so.
func done(f *fakesite.Site) []string {
	done := f.Done()
	for _, id := range []int{4, 5} {
		if len(done) > 0 && f.Count("userkeys_deliveries WHERE dead_at <> 0 AND id = $1", id) == 1 {
			done = append(done, fmt.Sprint("given up: ", id))
		}
	}
	return done
}

func TestDeliveriesForms(t *testing.T) {
	t.Parallel()
	post := func(what string, fields ...string) fakesite.Call {
		c := fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/deliveries/" + what, As: "root", Form: map[string]string{}}
		for i := 0; i+1 < len(fields); i += 2 {
			c.Form[fields[i]] = fields[i+1]
		}
		return c
	}
	as := func(name string, c fakesite.Call) fakesite.Call { c.As = name; return c }
	of := url.QueryEscape(fakesite.BadHost)
	for _, tt := range []struct {
		name   string
		call   fakesite.Call
		status int
		leads  string
		done   []string
	}{
		{"one again", post("replay", "id", "4"), 303, "?done=replayed&n=1", []string{"pushes replayed (1 deliveries) by 3 user", "given up: 5"}},
		{"one discarded", post("discard", "id", "5"), 303, "?done=discarded&n=1", []string{"pushes discarded (1 deliveries) by 3 user", "given up: 4"}},
		{"one that is gone", post("replay", "id", "4711"), 303, "?done=replayed", nil},
		{"all of a host, from its page", post("discard", "host", fakesite.BadHost, "of", fakesite.BadHost), 303, "?done=discarded&host=" + of + "&n=2", []string{"pushes discarded (2 deliveries http://10.1.2.3:9000) by 3 user"}},
		{"all", post("replay", "all", "true"), 303, "?done=replayed&n=2", []string{"pushes replayed (2 deliveries) by 3 user"}},
		{"a host tried again", post("resume", "host", fakesite.BadHost), 303, "?done=resumed", []string{"push resumed (http://10.1.2.3:9000, 3 keys) by 3 user", "given up: 4", "given up: 5"}},
		{"nothing said does not mean all", post("discard"), 400, "", nil},
		{"an empty id does not mean all", post("discard", "id", ""), 400, "", nil},
		{"an empty host does not mean all", post("discard", "host", ""), 400, "", nil},
		{"all, but not quite", post("discard", "all", "yes"), 400, "", nil},
		{"two at once", post("discard", "id", "4", "host", fakesite.BadHost), 400, "", nil},
		{"all and one", post("discard", "id", "4", "all", "true"), 400, "", nil},
		{"no id", post("discard", "id", "x"), 404, "", nil},
		{"no host", post("discard", "host", "ftp://x"), 400, "", nil},
		{"an unknown host tried again", post("resume", "host", "https://unknown.example"), 404, "", nil},
		{"no host tried again", post("resume"), 400, "", nil},
		{"a user", as("alice", post("discard", "all", "true")), 403, "", nil},
		{"a moderator", as("mod", post("resume", "host", fakesite.BadHost)), 403, "", nil},
		{"nobody", as("", post("replay", "all", "true")), 403, "", nil},
		{"GR3 without the session's token", fakesite.Without(post("discard", "all", "true")), 403, "", nil},
		{"GR2 from another site", fakesite.With(post("resume", "host", fakesite.BadHost), "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), 403, "", nil},
		{"a page to come back to that is elsewhere", post("replay", "id", "4", "of", "https://evil.example@x\r\ny"), 303, "?done=replayed&n=1", []string{"pushes replayed (1 deliveries) by 3 user", "given up: 5"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := fakesite.New(t)
			f.FillOutbox()
			a := f.Do(tt.call).Must(t, tt.status)
			if got := strings.TrimPrefix(a.Header.Get("Location"), "/user-api-key/deliveries"); got != tt.leads {
				t.Errorf("it leads to %q, want %q", got, tt.leads)
			}
			if diff := cmp.Diff(tt.done, done(f)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What needs no hand looks different from what does.
func TestDeliveriesPageTellsStates(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) time.Time { return fakesite.Now.Add(-d) }
	f := fakesite.New(t)
	hosts := []outbox.Host{
		{Host: "https://off.example:443", Delivered: 1_204_331, DeliveredAt: ago(page.Day), Off: 3},
		{Host: "https://busy.example:443", Failures: 1, FailedAt: ago(time.Minute), Problem: outbox.ProblemBusy, ClosedUntil: fakesite.Now.Add(time.Minute)},
		{Host: "https://once.example:443", Failures: 1, FailedAt: ago(time.Minute), Problem: "status 503"},
		{Host: "https://down.example:443", Failures: 4, FailedAt: ago(time.Minute), Problem: "status 503", Off: 1},
		{Host: "https://well.example:443", DeliveredAt: ago(time.Minute), FailedAt: ago(time.Hour), Problem: "status 500", ClosedUntil: ago(time.Hour)},
	}
	for _, h := range hosts {
		f.AddHost(h, h.Host+"/x")
	}
	for _, d := range []outbox.Delivery{
		{UserID: 1, NotificationID: 1, PushURL: "https://a.example/x", CreatedAt: ago(time.Hour), QueuedAt: fakesite.Now.Add(5 * time.Minute), NextAt: fakesite.Now.Add(5 * time.Minute)},
		{UserID: 1, NotificationID: 1, PushURL: "https://a.example/x", CreatedAt: ago(time.Hour), QueuedAt: ago(time.Hour), NextAt: fakesite.Now.Add(time.Minute)},
	} {
		f.AddDelivery(d)
	}
	a := f.Do(fakesite.Call{Path: "/user-api-key/deliveries", As: "root"}).Must(t, http.StatusOK, "1,204,331 delivered")
	rows := map[string]string{}
	for _, row := range strings.Split(a.Text, "<li>") {
		for _, h := range hosts {
			if strings.Contains(row, "<bdi>"+deliveries.HostName(h.Host)+"</bdi>") {
				rows[h.Host], _, _ = strings.Cut(row, "</li>")
			}
		}
	}
	for host, want := range map[string]struct{ must, not []string }{
		"https://off.example:443":  {[]string{`<span class="tag trouble">switched off for 3 apps</span>`, "Try again"}, []string{"Replay"}},
		"https://busy.example:443": {[]string{`<span class="tag">waiting</span>`, "Some of it is left alone until", "Try again"}, []string{"trouble"}},
		"https://once.example:443": {[]string{`<span class="tag">waiting</span>`, "status 503"}, []string{"trouble"}},
		"https://down.example:443": {[]string{`<span class="tag trouble">failing</span>`, "switched off for 1 app<"}, nil},
		"https://well.example:443": {[]string{">1 hour ago</time>.</p>"}, []string{"status 500", "left alone", "Try again", "tag"}},
	} {
		for _, text := range want.must {
			if !strings.Contains(rows[host], text) {
				t.Errorf("%s lacks %q: %s", host, text, rows[host])
			}
		}
		for _, text := range want.not {
			if strings.Contains(rows[host], text) {
				t.Errorf("%s has %q: %s", host, text, rows[host])
			}
		}
	}
	if got := testkit.Inside(t, a.Text, "delivery-1"); !strings.Contains(got, "queued 1 hour ago") || !strings.Contains(got, "Held back until") || !strings.Contains(got, "in 5 minutes") {
		t.Errorf("what is held back reads %s", got)
	}
	if got := testkit.Inside(t, a.Text, "delivery-2"); strings.Contains(got, "Held back") || !strings.Contains(got, "not tried yet") {
		t.Errorf("what is being sent reads %s", got)
	}
}

// The page is the administrators'; what it shows of apps is text.
func TestDeliveriesPageIsTheAdministrators(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.FillOutbox()
	a := f.Do(fakesite.Call{Path: "/user-api-key/deliveries", As: "root"}).Must(t, http.StatusOK, "status 503", "/secret-path", "&lt;b&gt;")
	a.MustNot(t, "<b>", "\u202e") // ID8, ID10
	for as, status := range map[string]int{"": 302, "alice": 403, "mod": 403} {
		f.Do(fakesite.Call{Path: "/user-api-key/deliveries", As: as}).Must(t, status).MustNot(t, "10.1.2.3")
	}
	key := fmt.Sprintf("key-%d", f.Add(site.UserAPIKey{UserID: fakesite.Root.ID, Scopes: userkeys.Scopes{"read", "write"}, CreatedAt: fakesite.Now}).ID)
	f.Do(fakesite.Call{Path: "/user-api-key/deliveries", Key: key}).Must(t, http.StatusForbidden, "not for keys").MustNot(t, "10.1.2.3")
	f.Do(fakesite.Call{Path: "/user-api-key/admin/deliveries.json", Key: key}).Must(t, http.StatusForbidden, "not for keys").MustNot(t, "10.1.2.3")
	f.Gone()
	f.Do(fakesite.Call{Path: "/user-api-key/deliveries", As: "root"}).Must(t, http.StatusServiceUnavailable).MustNot(t, "database is closed")
}

func TestAdminDeliveries(t *testing.T) {
	t.Parallel()
	list := func(t *testing.T, query string) (ids []int64, next *int64) {
		t.Helper()
		f := fakesite.NewWithAdminKeys(t)
		f.FillOutbox()
		a := f.Do(fakesite.Call{Path: "/user-api-key/admin/deliveries.json" + query}.By(fakesite.AdminText("root"), "")).Must(t, http.StatusOK)
		var got struct {
			Deliveries []struct{ ID int64 }
			Next       *int64
		}
		if err := json.Unmarshal([]byte(a.Text), &got); err != nil {
			t.Fatal(err)
		}
		for _, d := range got.Deliveries {
			ids = append(ids, d.ID)
		}
		return ids, got.Next
	}
	two := int64(2)
	for _, tt := range []struct {
		query string
		ids   []int64
		next  *int64
	}{
		{"", []int64{3, 2, 1}, nil},
		{"?dead=false", []int64{3, 2, 1}, nil},
		{"?dead=true", []int64{5, 4}, nil},
		{"?limit=2", []int64{3, 2}, &two},
		{"?limit=2&before=2", []int64{1}, nil},
		{"?host=https://push.example:443", []int64{1}, nil},
		{"?host=push.example", []int64{1}, nil},
		{"?user=Alice", []int64{2, 1}, nil},
		{"?user_id=2&dead=true", []int64{4}, nil},
		{"?host=unknown.example", nil, nil},
	} {
		ids, next := list(t, tt.query)
		if diff := cmp.Diff(tt.ids, ids); diff != "" {
			t.Errorf("%s: %s", tt.query, diff)
		}
		if diff := cmp.Diff(tt.next, next); diff != "" {
			t.Errorf("%s: next %s", tt.query, diff)
		}
	}
	f := fakesite.NewWithAdminKeys(t)
	f.FillOutbox()
	get := func(path string) fakesite.Answer {
		return f.Do(fakesite.Call{Path: path}.By(fakesite.AdminText("root"), ""))
	}
	get("/user-api-key/admin/deliveries.json").Must(t, http.StatusOK,
		`{"id":3,"user_id":2,"username":"bob","notification_id":null,"key_id":5,"push_url":"http://10.1.2.3:9000/secret-path","host":"http://10.1.2.3:9000","created_at":"2026-11-22T11:00:00Z","queued_at":"2026-11-22T11:00:00Z","next_at":"2026-11-22T12:01:00Z","attempts":1,"dead_at":null,"problem":"address"}`)
	get("/user-api-key/admin/deliveries.json?dead=true").Must(t, http.StatusOK, `"next_at":null,"attempts":14,"dead_at":"2026-11-21T12:00:00Z","problem":"connection"`)
	get("/user-api-key/admin/push-hosts.json").Must(t, http.StatusOK,
		`{"host":"https://push.example:443","queued":1,"dead":0,"off":0,"delivered":1204,"failed":3,"failures":0,"closed_until":null,"delivered_at":"2026-11-22T11:58:00Z","failed_at":"2026-11-21T12:00:00Z","problem":null,"due_at":"2026-11-22T12:00:00Z"}`,
		`"off":3,"delivered":7,"failed":40,"failures":12,"closed_until":"2026-11-22T12:04:00Z"`)
	for _, bad := range []string{"deliveries.json?dead=maybe", "deliveries.json?host=ftp://x", "deliveries.json?user=alice&user_id=1", "deliveries.json?before=0", "deliveries.json?limit=1001", "deliveries.json?dad=true", "deliveries.json?dead=true&dead=false", "push-hosts.json?host=x"} {
		get("/user-api-key/admin/"+bad).Must(t, http.StatusBadRequest, "invalid_parameters")
	}
	get("/user-api-key/admin/deliveries.json?user=nobody").Must(t, http.StatusNotFound)
}

func TestAdminDeliveriesChanges(t *testing.T) {
	t.Parallel()
	many := "[1" + strings.Repeat(",1", 1000) + "]"
	for _, tt := range []struct {
		name, what, body string
		status           int
		text             string
		done             []string
	}{
		{"by ids", "replay", `{"ids":[4,5]}`, 200, `"replayed":2`, []string{"pushes replayed (by admin key 1: 2 deliveries) by 3 admin key"}},
		{"of a host", "discard", `{"host":"http://10.1.2.3:9000"}`, 200, `"discarded":2`, []string{"pushes discarded (by admin key 1: 2 deliveries http://10.1.2.3:9000) by 3 admin key"}},
		{"all", "replay", `{"all":true}`, 200, `"replayed":2`, []string{"pushes replayed (by admin key 1: 2 deliveries) by 3 admin key"}},
		{"a host tried again", "resume", `{"host":"push.example"}`, 200, `"success":"OK"`, []string{"push resumed (by admin key 1: https://push.example:443, 2 keys) by 3 admin key", "given up: 4", "given up: 5"}},
		{"a key tried again", "resume", `{"key_id":9}`, 200, `"success":"OK"`, []string{"push resumed key 9 (by admin key 1: https://push.example:443) by 3 admin key", "given up: 4", "given up: 5"}},
		{"nothing said does not mean all", "discard", ``, 400, "JSON object", nil},
		{"an empty object does not mean all", "discard", `{}`, 400, "only one of them", nil},
		{"an empty list does not mean all", "discard", `{"ids":[]}`, 400, "1 to 1000", nil},
		{"null does not mean all", "discard", `{"ids":null}`, 400, "1 to 1000", nil},
		{"an empty host does not mean all", "discard", `{"host":""}`, 400, "written as it is listed", nil},
		{"all, denied", "discard", `{"all":false}`, 400, "only one of them", nil},
		{"two at once", "discard", `{"ids":[4],"all":true}`, 400, "only one of them", nil},
		{"a member that is not known", "discard", `{"id":4}`, 400, "no member", nil},
		{"a member twice", "discard", `{"ids":[4],"ids":[5]}`, 400, "each name once", nil},
		{"what is no number", "discard", `{"ids":[4,-1]}`, 400, "1 to 1000", nil},
		{"too many", "discard", `{"ids":` + many + `}`, 400, "1 to 1000", nil},
		{"no text for a host", "resume", `{"host":7}`, 400, "must be a text", nil},
		{"no id of a key", "resume", `{"key_id":"9"}`, 400, "whole number", nil},
		{"nothing to try again", "resume", `{}`, 400, "host or key_id", nil},
		{"of a host with nothing given up", "discard", `{"host":"push.example"}`, 200, `"discarded":0`, nil},
		{"none that is there", "replay", `{"ids":[99]}`, 404, "none of these deliveries", nil},
		{"an unknown host's", "replay", `{"host":"nope"}`, 404, "nothing was ever pushed to https://nope:443; there is http://10.1.2.3:9000, https://push.example:443", nil},
		{"an unknown host", "resume", `{"host":"unknown.example"}`, 404, "there is http://10.1.2.3:9000, https://push.example:443", nil},
		{"a host without its scheme", "resume", `{"host":"10.1.2.3:9000"}`, 404, "did you mean http://10.1.2.3:9000?", nil},
		{"an unknown key", "resume", `{"key_id":4711}`, 404, "no such key", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := fakesite.NewWithPushed(t)
			f.FillOutbox()
			f.AddAdminKey("root")
			f.Do(fakesite.JSONCall(http.MethodPost, "/user-api-key/admin/deliveries/"+tt.what+".json", tt.body).By(fakesite.AdminText("root"), "")).Must(t, tt.status, tt.text)
			if diff := cmp.Diff(tt.done, done(f)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
