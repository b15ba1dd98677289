package notify_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"userkeys/notify"
	"userkeys/site"
)

func TestAlert(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		n    site.Notification
		data string
		want notify.AlertPayload
	}{
		{
			"a reply",
			site.Notification{Type: 2, TopicID: 42, PostNumber: 3, Slug: "hello", FancyTitle: "Hello"},
			`{"topic_title":"Hello &","excerpt":"What\n\tcame","display_username":"bob","original_username":"x","username":"y"}`,
			notify.AlertPayload{Type: 2, TopicID: 42, PostNumber: 3, TopicTitle: "Hello &", Excerpt: "What came", Username: "bob", PostURL: "/t/hello/42/3"},
		},
		{
			"a title as HTML",
			site.Notification{Type: 2, FancyTitle: `A &amp; B <img alt="x"> &lt;b&gt;`},
			`{"original_username":"bob","username":"y"}`,
			notify.AlertPayload{Type: 2, TopicTitle: "A & B <b>", Username: "bob"},
		},
		{
			"chat",
			site.Notification{Type: 30},
			`{"url":"/chat/c/general/2","tag":"chat-2","translated_title":"bob in general","group_name":"staff","username":"bob"}`,
			notify.AlertPayload{Type: 30, PostURL: "/chat/c/general/2", Tag: "chat-2", TranslatedTitle: "bob in general", GroupName: "staff", Username: "bob"},
		},
		{
			"a link of the site's own",
			site.Notification{Type: 14},
			`{"url":"https://site.example/orders/1?x=2","title":"Order"}`,
			notify.AlertPayload{Type: 14, TopicTitle: "Order", PostURL: "https://site.example/orders/1?x=2"},
		},
		{
			"a link elsewhere, kept from before links were held to the site",
			site.Notification{Type: 14},
			`{"url":"https://shop.example/orders/1?x=2","link":"http://site.example/","bookmarkable_url":"/orders/1","title":"Order"}`,
			notify.AlertPayload{Type: 14, TopicTitle: "Order", PostURL: "/orders/1"},
		},
		{"a topic without a slug", site.Notification{Type: 1, TopicID: 5}, `{}`, notify.AlertPayload{Type: 1, TopicID: 5, PostURL: "/t/-/5"}},
		{"a slug that leads away", site.Notification{Type: 1, TopicID: 5, Slug: "../../admin"}, `{}`, notify.AlertPayload{Type: 1, TopicID: 5, PostURL: "/t/-/5"}},
		{"a slug in another script", site.Notification{Type: 1, TopicID: 5, Slug: "\u00fc?#"}, `{}`, notify.AlertPayload{Type: 1, TopicID: 5, PostURL: "/t/%C3%BC%3F%23/5"}},
		{"members of other kinds", site.Notification{Type: 1}, `{"topic_title":7,"excerpt":["a"],"display_username":null,"username":"bob","URL":"/other"}`, notify.AlertPayload{Type: 1, Username: "bob"}},
		{"only spaces", site.Notification{Type: 1, FancyTitle: "T"}, `{"topic_title":" \n","display_username":" ","username":"bob"}`, notify.AlertPayload{Type: 1, TopicTitle: "T", Username: "bob"}},
		{"no data", site.Notification{Type: 1}, ``, notify.AlertPayload{Type: 1}},
		{"control characters", site.Notification{Type: 1}, `{"excerpt":"a\u0000b\u0007 \u001b[31mc\u2028d"}`, notify.AlertPayload{Type: 1, Excerpt: "a b [31mc d"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.n.Data = json.RawMessage(tt.data)
			if diff := cmp.Diff(tt.want, notify.Alert(tt.n, "https://site.example")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestAlertLinks: an app opens what an alert leads to.
func TestAlertLinks(t *testing.T) {
	t.Parallel()
	for _, to := range []string{
		"//evil.example", `/\evil.example`, `\\evil.example`, "javascript:alert(1)", "https://", "https:///x", "http://user@evil.example/",
		"data:text/html,x", "evil.example/x", "/a b", "/a\nb", "/\u00fc", "ftp://x.example/", "https://evil.example/x", "http://site.example/", "https://site.example:444/", "https://x.example/" + strings.Repeat("a", 2000),
	} {
		data, err := json.Marshal(map[string]string{"url": to})
		if err != nil {
			t.Fatal(err)
		}
		if got := notify.Alert(site.Notification{Type: 1, TopicID: 5, Slug: "s", Data: data}, "https://site.example").PostURL; got != "/t/s/5" {
			t.Errorf("%q leads to %q", to, got)
		}
	}
}

func TestAlertIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"x", "\u00fc", "\U0001f600"} {
		data, err := json.Marshal(map[string]string{"excerpt": strings.Repeat(c, 401), "topic_title": strings.Repeat(c, 300)})
		if err != nil {
			t.Fatal(err)
		}
		a := notify.Alert(site.Notification{Type: 1, Data: data}, "")
		if n := utf8.RuneCountInString(a.Excerpt); n != 400 || !strings.HasSuffix(a.Excerpt, c+"\u2026") {
			t.Errorf("an excerpt of %d characters: %q", n, a.Excerpt)
		}
		if n := utf8.RuneCountInString(a.TopicTitle); n != 255 {
			t.Errorf("a title of %d characters", n)
		}
	}
	whole := strings.Repeat("x", 400)
	data, err := json.Marshal(map[string]string{"excerpt": whole})
	if err != nil {
		t.Fatal(err)
	}
	if a := notify.Alert(site.Notification{Type: 1, Data: data}, ""); a.Excerpt != whole {
		t.Errorf("one that fits became %q", a.Excerpt)
	}
}
