package notify

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
)

var noonish = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const hubURL = "https://hub.example/push"

// pushSettings allow pushes to the hub.
func pushSettings(t *testing.T, values ...string) userkeys.Settings {
	t.Helper()
	s := userkeys.DefaultSettings()
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

// parcel is one of an active user with one key.
func parcel(edit ...func(*userkeys.PushParcel)) userkeys.PushParcel {
	p := userkeys.PushParcel{
		Delivery:     userkeys.Delivery{ID: 7, UserID: 1, NotificationID: 3, PushURL: hubURL, Host: "https://hub.example:443", CreatedAt: noonish.Add(-time.Second), Attempt: 1},
		User:         userkeys.User{ID: 1, Username: "ada", Active: true},
		Notification: userkeys.Notification{ID: 3, UserID: 1, Type: 1, Data: json.RawMessage(`{"topic_title":"T","excerpt":"E","display_username":"bob","url":"/t/x/1"}`)},
		Keys: []userkeys.PushedKey{{UserAPIKey: userkeys.UserAPIKey{
			ID: 5, UserID: 1, ClientID: "phone", Scopes: userkeys.Scopes{"notifications"}, PushURL: hubURL, CreatedAt: noonish.Add(-time.Hour),
		}}},
	}
	for _, f := range edit {
		f(&p)
	}
	return p
}

// SS23, SS24, T32: what counts is what holds at the moment of sending.
func TestJudge(t *testing.T) {
	t.Parallel()
	key := func(edit func(*userkeys.PushedKey)) func(*userkeys.PushParcel) {
		return func(p *userkeys.PushParcel) { edit(&p.Keys[0]) }
	}
	seen := func(ago time.Duration) func(*userkeys.PushParcel) {
		return func(p *userkeys.PushParcel) { p.User.LastSeenAt = noonish.Add(-ago) }
	}
	test := func(p *userkeys.PushParcel) {
		p.Delivery.KeyID, p.Delivery.NotificationID, p.Notification = 5, 0, userkeys.Notification{}
	}
	for name, c := range map[string]struct {
		edit     []func(*userkeys.PushParcel)
		settings []string
		want     userkeys.PushOutcome
		next     time.Duration
	}{
		"all is well":                 {},
		"seen long ago":               {edit: []func(*userkeys.PushParcel){seen(10 * time.Minute)}},
		"seen just before it":         {edit: []func(*userkeys.PushParcel){seen(4 * time.Minute)}, want: userkeys.PushRetried, next: 6 * time.Minute},
		"seen after it":               {edit: []func(*userkeys.PushParcel){seen(time.Second / 2)}, want: userkeys.PushDropped},
		"seen after it, long ago":     {edit: []func(*userkeys.PushParcel){seen(time.Hour), func(p *userkeys.PushParcel) { p.Delivery.CreatedAt = noonish.Add(-2 * time.Hour) }}},
		"no window":                   {edit: []func(*userkeys.PushParcel){seen(0)}, settings: []string{"push_notification_time_window_mins", "0"}},
		"do not disturb":              {edit: []func(*userkeys.PushParcel){func(p *userkeys.PushParcel) { p.QuietUntil = noonish.Add(time.Hour) }}, want: userkeys.PushRetried, next: time.Hour},
		"quiet is over":               {edit: []func(*userkeys.PushParcel){func(p *userkeys.PushParcel) { p.QuietUntil = noonish }}},
		"suspended":                   {edit: []func(*userkeys.PushParcel){func(p *userkeys.PushParcel) { p.User.SuspendedAt = noonish }}, want: userkeys.PushDropped},
		"deactivated":                 {edit: []func(*userkeys.PushParcel){func(p *userkeys.PushParcel) { p.User.Active = false }}, want: userkeys.PushDropped},
		"read meanwhile":              {edit: []func(*userkeys.PushParcel){func(p *userkeys.PushParcel) { p.Notification.Read = true }}, want: userkeys.PushDropped},
		"the notification is gone":    {edit: []func(*userkeys.PushParcel){func(p *userkeys.PushParcel) { p.Notification = userkeys.Notification{} }}, want: userkeys.PushDropped},
		"revoked":                     {edit: []func(*userkeys.PushParcel){key(func(k *userkeys.PushedKey) { k.RevokedAt = noonish.Add(-1) })}, want: userkeys.PushDropped},
		"expires now":                 {edit: []func(*userkeys.PushParcel){key(func(k *userkeys.PushedKey) { k.ExpiresAt = noonish })}, want: userkeys.PushDropped},
		"expires in a moment":         {edit: []func(*userkeys.PushParcel){key(func(k *userkeys.PushedKey) { k.ExpiresAt = noonish.Add(1) })}},
		"no scope":                    {edit: []func(*userkeys.PushParcel){key(func(k *userkeys.PushedKey) { k.Scopes = userkeys.Scopes{"read"} })}, want: userkeys.PushDropped},
		"the scope is off the list":   {settings: []string{"allow_user_api_key_scopes", "read|push"}, want: userkeys.PushDropped},
		"the address is off the list": {settings: []string{"allowed_user_api_push_urls", hubURL + "/2"}, want: userkeys.PushDropped},
		"no keys any more":            {edit: []func(*userkeys.PushParcel){func(p *userkeys.PushParcel) { p.Keys = nil }}, want: userkeys.PushDropped},
		"switched off":                {edit: []func(*userkeys.PushParcel){key(func(k *userkeys.PushedKey) { k.Push.OffAt = noonish })}, want: userkeys.PushDied},
		"a test":                      {edit: []func(*userkeys.PushParcel){test, seen(0), func(p *userkeys.PushParcel) { p.QuietUntil = noonish.Add(time.Hour) }}},
		"a test of what is off":       {edit: []func(*userkeys.PushParcel){test, key(func(k *userkeys.PushedKey) { k.Push.OffAt = noonish })}},
		"a test of a revoked key":     {edit: []func(*userkeys.PushParcel){test, key(func(k *userkeys.PushedKey) { k.RevokedAt = noonish })}, want: userkeys.PushDropped},
		"a test for a suspended user": {edit: []func(*userkeys.PushParcel){test, func(p *userkeys.PushParcel) { p.User.SuspendedAt = noonish }}, want: userkeys.PushDropped},
	} {
		v := judge(parcel(c.edit...), pushSettings(t, c.settings...), noonish)
		if v.outcome != c.want || v.outcome == 0 && len(v.keys) != 1 || c.next != 0 && !v.nextAt.Equal(noonish.Add(c.next)) {
			t.Errorf("%s: %+v", name, v)
		}
	}
	two := parcel(func(p *userkeys.PushParcel) {
		second := p.Keys[0]
		second.ID, second.RevokedAt = 6, noonish
		p.Keys = append(p.Keys, second)
	})
	if v := judge(two, pushSettings(t), noonish); v.outcome != 0 || len(v.keys) != 1 || v.keys[0].ID != 5 {
		t.Errorf("one of two revoked: %+v", v)
	}
	many := parcel(func(p *userkeys.PushParcel) {
		for i := range 99 {
			k := p.Keys[0]
			k.ID = int64(100 + i)
			p.Keys = append(p.Keys, k)
		}
	})
	if v := judge(many, pushSettings(t), noonish); len(v.keys) != userkeys.MaxPushSignatures || v.keys[0].ID != 135 {
		t.Errorf("of many keys: %d from %d", len(v.keys), v.keys[0].ID)
	}
}

// SS20, W12.3: the body that shipped receivers read, and nothing more than they may know.
func TestPushBody(t *testing.T) {
	t.Parallel()
	base, _ := url.Parse("https://site.example")
	p := parcel(func(p *userkeys.PushParcel) {
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
	test := parcel(func(p *userkeys.PushParcel) { p.Delivery.KeyID, p.Notification = 5, userkeys.Notification{} })
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
		want       userkeys.PushOutcome
		problem    userkeys.PushProblem
		off        bool
		close      time.Duration
		soonest    time.Duration
		latest     time.Duration
	}{
		"200":                    {status: 200, want: userkeys.PushDelivered},
		"204":                    {status: 204, want: userkeys.PushDelivered},
		"SS25 410":               {status: 410, want: userkeys.PushDied, problem: userkeys.PushGone, off: true},
		"404 may be a mistake":   {status: 404, attempt: 2, want: userkeys.PushRetried, problem: "status 404", soonest: 10 * time.Second, latest: 20 * time.Second},
		"SS25 404 again":         {status: 404, attempt: 3, want: userkeys.PushDied, problem: userkeys.PushGone, off: true},
		"SS14 301":               {status: 301, want: userkeys.PushDied, problem: userkeys.PushMoved, off: true},
		"SS14 308":               {status: 308, want: userkeys.PushDied, problem: userkeys.PushMoved, off: true},
		"SS14 302":               {status: 302, want: userkeys.PushRetried, problem: "status 302", soonest: 2500 * time.Millisecond, latest: 5 * time.Second},
		"SS14 307":               {status: 307, want: userkeys.PushRetried, problem: "status 307", soonest: 2500 * time.Millisecond, latest: 5 * time.Second},
		"401":                    {status: 401, attempt: 3, want: userkeys.PushRetried, problem: "status 401", soonest: 40 * time.Second, latest: 80 * time.Second},
		"429":                    {status: 429, want: userkeys.PushRetried, problem: userkeys.PushBusy, close: time.Minute, soonest: time.Minute, latest: time.Minute},
		"429 for an hour":        {status: 429, retryAfter: time.Hour, want: userkeys.PushRetried, problem: userkeys.PushBusy, close: time.Hour, soonest: time.Hour, latest: time.Hour},
		"429 for a month":        {status: 429, retryAfter: 30 * day, want: userkeys.PushRetried, problem: userkeys.PushBusy, close: day, soonest: day, latest: day},
		"503 with a time":        {status: 503, retryAfter: time.Hour, want: userkeys.PushRetried, problem: userkeys.PushBusy, close: time.Hour, soonest: time.Hour, latest: time.Hour},
		"503":                    {status: 503, want: userkeys.PushRetried, problem: "status 503", soonest: 2500 * time.Millisecond, latest: 5 * time.Second},
		"500 many times":         {status: 500, attempt: 40, want: userkeys.PushRetried, problem: "status 500", soonest: 2 * time.Hour, latest: 4 * time.Hour},
		"500 shortly before end": {status: 500, attempt: 40, age: day - time.Minute, want: userkeys.PushRetried, problem: "status 500", soonest: time.Minute, latest: time.Minute},
		"500 after a day":        {status: 500, attempt: 40, age: day, want: userkeys.PushDied, problem: "status 500", off: true},
		"101 unasked":            {status: 101, want: userkeys.PushRetried, problem: "status 101", soonest: 2500 * time.Millisecond, latest: 5 * time.Second},
	} {
		r := userkeys.PushResult{At: noonish}
		answered(&r, c.status, c.retryAfter, max(c.attempt, 1), noonish.Add(-c.age))
		var close time.Duration
		if !r.CloseUntil.IsZero() {
			close = r.CloseUntil.Sub(noonish)
		}
		if r.Outcome != c.want || r.Problem != c.problem || r.Off != c.off || close != c.close {
			t.Errorf("%s: %+v", name, r)
		}
		if wait := r.NextAt.Sub(noonish); r.Outcome == userkeys.PushRetried && (wait < c.soonest || wait > c.latest) {
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

// TestWebhookID: never the same for two deliveries, also of two databases.
func TestWebhookID(t *testing.T) {
	t.Parallel()
	d := userkeys.Delivery{ID: 7, CreatedAt: noonish}
	other := d
	other.CreatedAt = other.CreatedAt.Add(time.Microsecond)
	again := d
	again.Attempt, again.QueuedAt, again.NextAt = 9, noonish.Add(time.Hour), noonish.Add(time.Hour)
	if webhookID(d) != webhookID(again) || webhookID(d) == webhookID(other) {
		t.Errorf("%s, %s, %s", webhookID(d), webhookID(again), webhookID(other))
	}
}
