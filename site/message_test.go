package site_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

const ownOrigin = "https://site.example"

func TestMessage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		m    site.Message
		n    site.Notification
		want site.Notification
	}{
		{"nothing", site.Message{}, site.Notification{Type: 2}, site.Notification{Type: 2}},
		{
			"all of it",
			site.Message{Title: `Tom & "Jerry" <b>`, Excerpt: " two\r\nlines\tand a tab\u2028x ", Link: "/t/x/1?page=2#post_3", From: "J\u00f6rg M."},
			site.Notification{},
			site.Notification{
				Type: 14, FancyTitle: "Tom &amp; &#34;Jerry&#34; &lt;b&gt;", TopicID: 1, Slug: "x",
				Data: json.RawMessage(`{"topic_title":"Tom & \"Jerry\" <b>","excerpt":"two  lines and a tab x","url":"/t/x/1?page=2#post_3","display_username":"J` + "\u00f6" + `rg M."}`),
			},
		},
		{
			"what is there stays",
			site.Message{Title: "T", Excerpt: "E", Link: "/l", From: "F"},
			site.Notification{Type: 1, FancyTitle: "fancy", Data: json.RawMessage(`{ "url": null, "topic_title": "old", "n": 1.50 }`)},
			site.Notification{Type: 1, FancyTitle: "fancy", Data: json.RawMessage(`{"url":null,"topic_title":"old","n":1.50,"excerpt":"E","display_username":"F","bookmarkable_url":"/l"}`)},
		},
		{
			"a link of the site's own address, in any case",
			site.Message{Link: "HTTPS://Site.Example:443/t/1"},
			site.Notification{Type: 1},
			site.Notification{Type: 1, TopicID: 1, Data: json.RawMessage(`{"url":"HTTPS://Site.Example:443/t/1"}`)},
		},
		{
			"a title in the data alone",
			site.Message{},
			site.Notification{Type: 1, Data: json.RawMessage(`{"topic_title":"A & B\nC"}`)},
			site.Notification{Type: 1, FancyTitle: "A &amp; B C", Data: json.RawMessage(`{"topic_title":"A & B\nC"}`)},
		},
		{
			"addresses of the site in the data",
			site.Message{},
			site.Notification{Type: 1, Data: json.RawMessage(`{"url":"https://site.example/a","bookmarkable_url":"/b","link":"","image_url":null,"urls":"x y"}`)},
			site.Notification{Type: 1, Data: json.RawMessage(`{"url":"https://site.example/a","bookmarkable_url":"/b","link":"","image_url":null,"urls":"x y"}`)},
		},
		{"no title, no type", site.Message{From: "f"}, site.Notification{}, site.Notification{Data: json.RawMessage(`{"display_username":"f"}`)}},
	} {
		got, err := tt.m.Notification(tt.n, ownOrigin)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", tt.name, err, diff)
		}
	}
}

// TestMessageLinkToATopic: apps such as DiscourseHub open a notification by its topic, its slug and its post,
// and read no link.
func TestMessageLinkToATopic(t *testing.T) {
	t.Parallel()
	type topic struct {
		id   int64
		post int
		slug string
	}
	for link, want := range map[string]topic{
		"/t/hello/42/3": {42, 3, "hello"}, "/t/hello/42": {42, 0, "hello"}, "/t/42": {42, 0, ""}, "/t/42/3": {42, 3, ""}, "/t/2026-news/42/": {42, 0, "2026-news"},
		"/t/%C3%BC/42?page=2#post_3": {42, 0, "\u00fc"}, ownOrigin + "/t/hello/42/3": {42, 3, "hello"},
		"/t/hello": {}, "/t/": {}, "/t/hello/0": {}, "/t/hello/42/3/raw": {}, "/t/hello/9999999999999999999": {}, "/builds/t/hello/42": {}, "/t/a%0Ab/42": {},
	} {
		n, err := site.Message{Title: "T", Link: link}.Notification(site.Notification{}, ownOrigin)
		if got := (topic{n.TopicID, n.PostNumber, n.Slug}); err != nil || got != want {
			t.Errorf("%s: %+v, want %+v, %v", link, got, want, err)
		}
		var data map[string]string
		if err := json.Unmarshal(n.Data, &data); err != nil || (data["bookmarkable_url"] == link) != (want.id == 0) || data["url"] != link {
			t.Errorf("%s: %s, %v", link, n.Data, err)
		}
	}
	n, err := site.Message{Title: "T", Link: "/t/hello/42/3"}.Notification(site.Notification{TopicID: 7, Slug: "own"}, ownOrigin)
	if err != nil || n.TopicID != 7 || n.Slug != "own" || n.PostNumber != 0 {
		t.Errorf("the topic that was named is replaced: %+v, %v", n, err)
	}
}

// TestDataLeadsToTheSiteOnly: apps open url and its like as the site's own, in pushes and in lists.
func TestDataLeadsToTheSiteOnly(t *testing.T) {
	t.Parallel()
	for data, words := range map[string]string{
		`{"url":"https://evil.example/x"}`:                                 `"url" of data: it leads to another site`,
		`{"link":"https://evil.example/x"}`:                                `"link" of data`,
		`{"bookmarkable_url":"//evil.example/x"}`:                          `"bookmarkable_url" of data: it leads to another site`,
		`{"n":{"url":"x"},"post_url":"javascript:alert(1)"}`:               `"post_url" of data`,
		`{"avatar_url":"https://evil.example/x.png"}`:                      `"avatar_url" of data`,
		`{"URL":"https://evil.example/x"}`:                                 `"URL" of data`,
		`{"url":"https://evil.example/x","url":"/x"}`:                      `"url" of data`,
		`{"url":"/x","url":"https://evil.example/x"}`:                      `"url" of data`,
		`{"u\u0072l":"https://evil.example/x"}`:                            `"url" of data`,
		`{"url":"/\\evil.example/x"}`:                                      `"url" of data`,
		`{"url":"http://site.example/"}`:                                   `another site than https://site.example`,
		`{"url":"https://site.example@evil.example/"}`:                     `"url" of data`,
		`{"url":"/` + strings.Repeat("x", 2000) + `"}`:                     "longer than 2000 bytes",
		`{"url":"https://site.example/` + strings.Repeat("x", 2000) + `"}`: "longer than 2000 bytes",
	} {
		for _, m := range []site.Message{{}, {Title: "T", Link: "/x"}} {
			_, err := m.Notification(site.Notification{Type: 1, Data: json.RawMessage(data)}, ownOrigin)
			mustRefuse(t, err, userkeys.InvalidParameters, words)
		}
	}
}

func TestMessageThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]site.Message{
		"title of 256 characters": {Title: strings.Repeat("\u00fc", 256)}, "title of two lines": {Title: "a\nb"}, "title that is no text": {Title: "\xff"},
		"blank title": {Title: " \u200b"}, "NUL in the title": {Title: "a\x00"},
		"from of 101 characters": {From: strings.Repeat("x", 101)}, "from with a line": {From: "a\rb"}, "blank from": {From: " "},
		"excerpt that is no text": {Excerpt: "a\xff"}, "NUL in the excerpt": {Excerpt: "a\x00b"},
		"link to another host":      {Link: "//evil.example/"},
		"link that climbs":          {Link: "/..//evil.example/"},
		"link that climbs later":    {Link: "/a/%2e%2e//evil.example/"},
		"link with a backslash":     {Link: `/\evil.example/`},
		"link with a backslash 2":   {Link: `\\evil.example`},
		"link with a tab":           {Link: "/\t/evil.example"},
		"link with a space":         {Link: "/a b"},
		"link that is not ASCII":    {Link: "/\u00fc"},
		"link without a slash":      {Link: "t/x/1"},
		"link of a query":           {Link: "?a=b"},
		"link with a script":        {Link: "javascript:alert(1)"},
		"link with data":            {Link: "data:text/html,x"},
		"link to another site":      {Link: "https://evil.example/"},
		"link to another scheme":    {Link: "http://site.example/"},
		"link to another port":      {Link: "https://site.example:444/"},
		"link with a user":          {Link: "https://site.example@evil.example/"},
		"link to a longer name":     {Link: "https://site.example.evil.example/"},
		"link to an app":            {Link: "com.example.app:/x"},
		"link of 2001 bytes":        {Link: "/" + strings.Repeat("x", 2000)},
		"broken percent-encoding":   {Link: "/%zz"},
		"address of 2001 bytes":     {Link: ownOrigin + "/" + strings.Repeat("x", 2000)},
		"address with a line break": {Link: ownOrigin + "/\n"},
	} {
		if got, err := m.Notification(site.Notification{Type: 1}, ownOrigin); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := (site.Message{Link: ownOrigin + "/x"}).Notification(site.Notification{}, ""); !errors.Is(err, userkeys.InvalidParameters) || !strings.Contains(err.Error(), "give a path") {
		t.Errorf("an address where the site's own is not known: %v", err)
	}
	for _, data := range []string{`[]`, `null`, `{`, `"x"`, `{}{}`} {
		if _, err := (site.Message{Title: "t"}).Notification(site.Notification{Data: json.RawMessage(data)}, ""); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("data %s: %v", data, err)
		}
	}
}

// The largest message fits, whatever it is made of.
func TestMessageOfTheLargestSize(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"x", "\"", "&", "\u00fc", "\U0001F600"} {
		n, err := site.Message{
			Title: strings.Repeat(c, 255), Excerpt: strings.Repeat(c, 100_000), From: strings.Repeat(c, 100), Link: "/" + strings.Repeat("x", 1999),
		}.Notification(site.Notification{}, "")
		if err == nil {
			err = n.Check()
		}
		if err != nil {
			t.Errorf("%s: %v", c, err)
			continue
		}
		var data struct{ Excerpt string }
		if err := json.Unmarshal(n.Data, &data); err != nil || utf8.RuneCountInString(data.Excerpt) != 400 || !strings.HasSuffix(data.Excerpt, "\u2026") {
			t.Errorf("%s: the excerpt has %d characters: %v", c, utf8.RuneCountInString(data.Excerpt), err)
		}
	}
	n, err := site.Message{Excerpt: strings.Repeat("x", 400)}.Notification(site.Notification{}, "")
	if err != nil || strings.Contains(string(n.Data), "\u2026") {
		t.Errorf("400 characters are cut: %v", err)
	}
}

// FuzzMessage: whatever it is made of, a message is refused or becomes a
// notification whose data is an object, and whose link a browser opens on this site.
func FuzzMessage(f *testing.F) {
	f.Add("Hello", "there", "/t/x/1", "ada", `{"a":1}`)
	f.Add("<b>", "a\u2028b", "//evil.example", "\u202e", `{}`)
	f.Add("", "", `/\evil`, "", ``)
	f.Fuzz(func(t *testing.T, title, excerpt, link, from, data string) {
		n, err := site.Message{Title: title, Excerpt: excerpt, Link: link, From: from}.Notification(site.Notification{Data: json.RawMessage(data)}, ownOrigin)
		if err != nil {
			if !errors.Is(err, userkeys.InvalidParameters) {
				t.Fatal(err)
			}
			return
		}
		var had, got map[string]any
		if len(n.Data) == 0 {
			blank := strings.TrimFunc(excerpt, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) == ""
			if data+title+link+from != "" || !blank {
				t.Fatalf("of %q, %q, %q, %q and %q nothing is left", title, excerpt, link, from, data)
			}
			return
		}
		if err := json.Unmarshal(n.Data, &got); err != nil {
			t.Fatalf("%s: %v", n.Data, err)
		}
		_ = json.Unmarshal([]byte(data), &had) // nothing may be none
		if had["url"] == nil && link != "" && had != nil && !strings.HasPrefix(link, "/") && !strings.HasPrefix(strings.ToLower(link), ownOrigin) {
			t.Fatalf("the link %q was let in", link)
		}
		if strings.HasPrefix(link, "//") || strings.ContainsAny(link, "\\\n\t ") {
			t.Fatalf("the link %q was let in", link)
		}
		if strings.ContainsAny(n.FancyTitle, "<>\"'") {
			t.Fatalf("the title %q is no plain text", n.FancyTitle)
		}
	})
}
