package outbox

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

var noonish = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const hubURL = "https://hub.example/push"

// pushSettings allow pushes to the hub.
func pushSettings(t *testing.T, values ...string) site.Settings {
	t.Helper()
	s := site.DefaultSettings()
	for i, v := range append([]string{"allowed_user_api_push_urls", hubURL}, values...) {
		if i%2 == 0 {
			continue
		}
		if err := s.Set(append([]string{"allowed_user_api_push_urls", hubURL}, values...)[i-1], v); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// detailsOf is a delivery to an active user with one key.
func detailsOf(edit ...func(*Details)) Details {
	p := Details{
		Delivery:     Delivery{ID: 7, UserID: 1, NotificationID: 3, PushURL: hubURL, Host: "https://hub.example:443", CreatedAt: noonish.Add(-time.Second), Attempt: 1},
		User:         site.User{ID: 1, Username: "ada", Active: true},
		Notification: site.Notification{ID: 3, UserID: 1, Type: 1, Data: json.RawMessage(`{"topic_title":"T","excerpt":"E","display_username":"bob","url":"/t/x/1"}`)},
		Keys: []Key{{UserAPIKey: site.UserAPIKey{
			ID: 5, UserID: 1, ClientID: "phone", Scopes: userkeys.Scopes{"notifications"}, PushURL: hubURL, CreatedAt: noonish.Add(-time.Hour),
		}}},
	}
	for _, f := range edit {
		f(&p)
	}
	return p
}

// TestDecide tests SS23, SS24, T32: the rights at the moment of sending count.
func TestDecide(t *testing.T) {
	t.Parallel()
	key := func(edit func(*Key)) func(*Details) {
		return func(p *Details) { edit(&p.Keys[0]) }
	}
	seen := func(ago time.Duration) func(*Details) {
		return func(p *Details) { p.User.LastSeenAt = noonish.Add(-ago) }
	}
	test := func(p *Details) {
		p.Delivery.KeyID, p.Delivery.NotificationID, p.Notification = 5, 0, site.Notification{}
	}
	for name, c := range map[string]struct {
		edit     []func(*Details)
		settings []string
		want     Outcome
		next     time.Duration
	}{
		"all is well":                 {},
		"seen long ago":               {edit: []func(*Details){seen(10 * time.Minute)}},
		"seen just before it":         {edit: []func(*Details){seen(4 * time.Minute)}, want: Retried, next: 6 * time.Minute},
		"seen after it":               {edit: []func(*Details){seen(time.Second / 2)}, want: Dropped},
		"seen after it, long ago":     {edit: []func(*Details){seen(time.Hour), func(p *Details) { p.Delivery.CreatedAt = noonish.Add(-2 * time.Hour) }}},
		"no window":                   {edit: []func(*Details){seen(0)}, settings: []string{"push_notification_time_window_mins", "0"}},
		"do not disturb":              {edit: []func(*Details){func(p *Details) { p.QuietUntil = noonish.Add(time.Hour) }}, want: Retried, next: time.Hour},
		"quiet is over":               {edit: []func(*Details){func(p *Details) { p.QuietUntil = noonish }}},
		"suspended":                   {edit: []func(*Details){func(p *Details) { p.User.SuspendedAt = noonish }}, want: Dropped},
		"deactivated":                 {edit: []func(*Details){func(p *Details) { p.User.Active = false }}, want: Dropped},
		"read meanwhile":              {edit: []func(*Details){func(p *Details) { p.Notification.Read = true }}, want: Dropped},
		"the notification is gone":    {edit: []func(*Details){func(p *Details) { p.Notification = site.Notification{} }}, want: Dropped},
		"revoked":                     {edit: []func(*Details){key(func(k *Key) { k.RevokedAt = noonish.Add(-1) })}, want: Dropped},
		"expires now":                 {edit: []func(*Details){key(func(k *Key) { k.ExpiresAt = noonish })}, want: Dropped},
		"expires in a moment":         {edit: []func(*Details){key(func(k *Key) { k.ExpiresAt = noonish.Add(1) })}},
		"no scope":                    {edit: []func(*Details){key(func(k *Key) { k.Scopes = userkeys.Scopes{"read"} })}, want: Dropped},
		"the scope is off the list":   {settings: []string{"allow_user_api_key_scopes", "read|push"}, want: Dropped},
		"the address is off the list": {settings: []string{"allowed_user_api_push_urls", hubURL + "/2"}, want: Dropped},
		"no keys any more":            {edit: []func(*Details){func(p *Details) { p.Keys = nil }}, want: Dropped},
		"switched off":                {edit: []func(*Details){key(func(k *Key) { k.Push.OffAt = noonish })}, want: GivenUp},
		"a test":                      {edit: []func(*Details){test, seen(0), func(p *Details) { p.QuietUntil = noonish.Add(time.Hour) }}},
		"a test of what is off":       {edit: []func(*Details){test, key(func(k *Key) { k.Push.OffAt = noonish })}},
		"a test of a revoked key":     {edit: []func(*Details){test, key(func(k *Key) { k.RevokedAt = noonish })}, want: Dropped},
		"a test for a suspended user": {edit: []func(*Details){test, func(p *Details) { p.User.SuspendedAt = noonish }}, want: Dropped},
	} {
		v := decide(detailsOf(c.edit...), pushSettings(t, c.settings...), noonish)
		if v.outcome != c.want || v.outcome == 0 && len(v.keys) != 1 || c.next != 0 && !v.nextAt.Equal(noonish.Add(c.next)) {
			t.Errorf("%s: %+v", name, v)
		}
	}
	two := detailsOf(func(p *Details) {
		second := p.Keys[0]
		second.ID, second.RevokedAt = 6, noonish
		p.Keys = append(p.Keys, second)
	})
	if v := decide(two, pushSettings(t), noonish); v.outcome != 0 || len(v.keys) != 1 || v.keys[0].ID != 5 {
		t.Errorf("one of two revoked: %+v", v)
	}
	many := detailsOf(func(p *Details) {
		for i := range 99 {
			k := p.Keys[0]
			k.ID = int64(100 + i)
			p.Keys = append(p.Keys, k)
		}
	})
	if v := decide(many, pushSettings(t), noonish); len(v.keys) != userkeys.MaxPushSignatures || v.keys[0].ID != 135 {
		t.Errorf("of many keys: %d from %d", len(v.keys), v.keys[0].ID)
	}
}

// TestPushBody tests SS20, W12.3: the body that shipped receivers read, and nothing more than they may know.
func TestPushBody(t *testing.T) {
	t.Parallel()
	base, _ := url.Parse("https://site.example")
	p := detailsOf(func(p *Details) {
		p.Notification.TopicID, p.Notification.PostNumber = 9, 2
		second := p.Keys[0]
		second.ID, second.ClientID = 6, "tablet"
		p.Keys = append(p.Keys, second)
	})
	settings := pushSettings(t, "title", "A <b> & site", "site_description", "d", "push_api_secret_key", "planted")
	body, err := bodyOf(p, p.Keys, settings, base)
	if err != nil {
		t.Fatal(err)
	}
	element := `{"notification_type":1,"post_number":2,"topic_title":"T","topic_id":9,"excerpt":"E","username":"bob","url":"https://site.example/t/x/1","client_id":"phone","notification_id":3}`
	want := `{"url":"https://site.example","title":"A <b> & site","description":"d","notifications":[` + element + `,` + strings.Replace(element, "phone", "tablet", 1) + `]}`
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if err := settings.Set("discourse_push_secret", "true"); err != nil {
		t.Fatal(err)
	}
	if body, err = bodyOf(p, p.Keys, settings, base); err != nil || !strings.HasPrefix(string(body), `{"secret_key":"planted","url"`) {
		t.Errorf("for old receivers: %s, %v", body, err)
	}
	test := detailsOf(func(p *Details) { p.Delivery.KeyID, p.Notification = 5, site.Notification{} })
	body, err = bodyOf(test, test.Keys, pushSettings(t), base)
	if err != nil || !strings.Contains(string(body), `"topic_title":"Test notification"`) || !strings.Contains(string(body), `"url":"https://site.example/"`) {
		t.Errorf("a test: %s, %v", body, err)
	}
}

func TestAnswered(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		status     int
		retryAfter time.Duration
		attempt    int
		age        time.Duration
		want       Outcome
		problem    Problem
		off        bool
		close      time.Duration
		soonest    time.Duration
		latest     time.Duration
	}{
		"200":                    {status: 200, want: Delivered},
		"204":                    {status: 204, want: Delivered},
		"SS25 410":               {status: 410, want: GivenUp, problem: ProblemGone, off: true},
		"404 may be a mistake":   {status: 404, attempt: 2, want: Retried, problem: "status 404", soonest: 10 * time.Second, latest: 20 * time.Second},
		"SS25 404 again":         {status: 404, attempt: 3, want: GivenUp, problem: ProblemGone, off: true},
		"SS14 301":               {status: 301, want: GivenUp, problem: ProblemMoved, off: true},
		"SS14 308":               {status: 308, want: GivenUp, problem: ProblemMoved, off: true},
		"SS14 302":               {status: 302, want: Retried, problem: "status 302", soonest: 2500 * time.Millisecond, latest: 5 * time.Second},
		"SS14 307":               {status: 307, want: Retried, problem: "status 307", soonest: 2500 * time.Millisecond, latest: 5 * time.Second},
		"401":                    {status: 401, attempt: 3, want: Retried, problem: "status 401", soonest: 40 * time.Second, latest: 80 * time.Second},
		"429":                    {status: 429, want: Retried, problem: ProblemBusy, close: time.Minute, soonest: time.Minute, latest: time.Minute},
		"429 for an hour":        {status: 429, retryAfter: time.Hour, want: Retried, problem: ProblemBusy, close: time.Hour, soonest: time.Hour, latest: time.Hour},
		"429 for a month":        {status: 429, retryAfter: 30 * day, want: Retried, problem: ProblemBusy, close: day, soonest: day, latest: day},
		"503 with a time":        {status: 503, retryAfter: time.Hour, want: Retried, problem: ProblemBusy, close: time.Hour, soonest: time.Hour, latest: time.Hour},
		"503":                    {status: 503, want: Retried, problem: "status 503", soonest: 2500 * time.Millisecond, latest: 5 * time.Second},
		"500 many times":         {status: 500, attempt: 40, want: Retried, problem: "status 500", soonest: 2 * time.Hour, latest: 4 * time.Hour},
		"500 shortly before end": {status: 500, attempt: 40, age: day - time.Minute, want: Retried, problem: "status 500", soonest: time.Minute, latest: time.Minute},
		"500 after a day":        {status: 500, attempt: 40, age: day, want: GivenUp, problem: "status 500", off: true},
		"101 unasked":            {status: 101, want: Retried, problem: "status 101", soonest: 2500 * time.Millisecond, latest: 5 * time.Second},
	} {
		r := Result{At: noonish}
		r.answered(c.status, c.retryAfter, max(c.attempt, 1), noonish.Add(-c.age))
		var close time.Duration
		if !r.CloseUntil.IsZero() {
			close = r.CloseUntil.Sub(noonish)
		}
		if r.Outcome != c.want || r.Problem != c.problem || r.Off != c.off || close != c.close {
			t.Errorf("%s: %+v", name, r)
		}
		if wait := r.NextAt.Sub(noonish); r.Outcome == Retried && (wait < c.soonest || wait > c.latest) {
			t.Errorf("%s: again after %v", name, wait)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "-5": 0, "soon": 0, "5": 5 * time.Second, "99999999999999999999": 0, "2000000000": 24 * time.Hour,
		noonish.Add(time.Hour).Format(http.TimeFormat): time.Hour, noonish.Add(-time.Hour).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, noonish); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// TestBackoff: it grows, never in step, and covers a day with few attempts.
func TestBackoff(t *testing.T) {
	t.Parallel()
	var waits []time.Duration
	seen := map[time.Duration]bool{}
	for attempt := 1; attempt < 12; attempt++ {
		longest := time.Duration(0)
		for range 200 {
			d := backoff(attempt)
			seen[d] = true
			longest = max(longest, d)
		}
		waits = append(waits, longest)
	}
	if !slices.IsSorted(waits[:7]) || waits[0] > firstRetry || waits[10] > longestRetry || waits[10] < longestRetry/2 || len(seen) < 1000 {
		t.Errorf("longest waits %v, %d different ones", waits, len(seen))
	}
}

// TestWebhookID tests that two deliveries never have the same webhook-id, even if two databases made them.
func TestWebhookID(t *testing.T) {
	t.Parallel()
	d := Delivery{ID: 7, CreatedAt: noonish}
	other := d
	other.CreatedAt = other.CreatedAt.Add(time.Microsecond)
	again := d
	again.Attempt, again.QueuedAt, again.NextAt = 9, noonish.Add(time.Hour), noonish.Add(time.Hour)
	if webhookID(d) != webhookID(again) || webhookID(d) == webhookID(other) {
		t.Errorf("%s, %s, %s", webhookID(d), webhookID(again), webhookID(other))
	}
}

// TestNothingIsPushedWhileKeysPause: the apps of somebody who has not signed in for too long hear nothing of them.
func TestNothingIsPushedWhileKeysPause(t *testing.T) {
	t.Parallel()
	p := &pusher{cfg: Config{PauseAfter: map[string]time.Duration{"id": 30 * 24 * time.Hour, "forum": 0}}}
	for _, c := range []struct {
		login string
		ago   time.Duration
		want  Outcome
	}{
		{"id", 29 * 24 * time.Hour, 0}, {"id", 30 * 24 * time.Hour, Dropped}, {"forum", 400 * 24 * time.Hour, 0}, {"taken out of the configuration", 0, Dropped}, {"", 400 * 24 * time.Hour, 0},
	} {
		d := detailsOf(func(d *Details) { d.User.Login, d.User.SignedInAt = c.login, noonish.Add(-c.ago) })
		if got := p.decide(d, pushSettings(t), noonish); got.outcome != c.want {
			t.Errorf("%s, %v ago: outcome %v, want %v", c.login, c.ago, got.outcome, c.want)
		}
	}
}
