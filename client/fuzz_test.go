package client_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"userkeys"
	"userkeys/client"
)

// FuzzAnswers gives an app whatever a site may answer: it never panics, and nothing that
// it would show steers a terminal or leads elsewhere.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		`{"notifications":[{"id":1,"notification_type":1,"read":false,"created_at":"2026-01-02T03:04:05Z","fancy_title":"a &amp; <b>b","slug":"s","topic_id":3,"post_number":2,"data":{"display_username":"bob","url":"//evil.example"}}]}`,
		`{"notifications":[{"data":"x"},{"data":{"link":"javascript:alert(1)"}},{"slug":"../../x","topic_id":9}]}`,
		`{"id":7,"username":"a\u001b[2J","unread_notifications":-3}`, `{"current_user":{"username":"alice"}}`,
		`[{"channel":"/__status","data":{"/notification/7":3}},{"channel":"/notification/7","message_id":4,"data":{}}]`,
		`{"device_code":"d","user_code":"AB\u202eCD","verification_uri":"https://forum.example/x"}`,
		`{"state":"generic_error","errors":["\u0000"],"reason":"x"}`, `{"errors":["slow"],"error_type":"rate_limit","extras":{"wait_seconds":1e300}}`,
		`["BAD CSRF"]`, `null`, `[]`, `{`, ``,
	} {
		f.Add(200, body, "3")
		f.Add(429, body, "-1")
		f.Add(403, body, "Fri, 31 Dec 9999 23:59:59 GMT")
	}
	f.Fuzz(func(t *testing.T, code int, body, after string) {
		if code < 100 || code > 999 || strings.ContainsAny(after, "\r\n") {
			return
		}
		hc := &http.Client{Transport: &answers{steps: steps(status(code, body, "Retry-After", after, "Content-Type", "application/json"))}}
		c := &client.Credential{Site: "https://forum.example/f", Key: testKey, Scopes: userkeys.Scopes{"read"}}
		shown := func(texts ...string) {
			for _, s := range texts {
				if s != userkeys.Printable(s) || strings.ContainsAny(s, "\r\n") || len(s) > 4<<10 {
					t.Errorf("would be shown: %q", s)
				}
			}
		}
		fails := func(err error) {
			if err == nil {
				return
			}
			shown(client.Explain(err))
			var api *client.APIError
			if errors.As(err, &api) && (api.RetryAfter < 0 || api.RetryAfter > 8*24*3600e9) {
				t.Errorf("waits for %v", api.RetryAfter)
			}
		}
		totals, err := c.Totals(t.Context(), hc)
		fails(err)
		shown(totals.Username)
		if totals.All() < 0 {
			t.Errorf("%+v", totals)
		}
		list, err := c.Notifications(t.Context(), hc, 5)
		fails(err)
		for _, n := range list {
			shown(n.Title, n.From, n.URL)
			if u, err := url.Parse(n.URL); n.URL != "" && (err != nil || !client.OnSite(c.Site, u)) {
				t.Errorf("leads to %q", n.URL)
			}
		}
		var bus client.Bus
		news, err := bus.Poll(t.Context(), c, hc, "/notification/7")
		fails(err)
		for _, m := range news {
			if m.Channel != "/notification/7" {
				t.Errorf("heard %q", m.Channel)
			}
		}
		d, err := client.BeginDevice(t.Context(), hc, client.Request{Site: c.Site, ApplicationName: "a", ClientID: "c", Scopes: c.Scopes, KeyPair: testPair()})
		fails(err)
		if err == nil {
			shown(d.UserCode)
		}
		_, err = c.Alive(t.Context(), hc)
		fails(err)
	})
}
