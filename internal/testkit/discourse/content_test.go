package discourse_test

import (
	"fmt"
	"strings"
	"testing"

	"userkeys/internal/testkit/discourse"
)

func TestPublicAddresses(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		a := app{t: t, s: s}
		a.get("/about.json").must(t, 200, `"title":"Stand-in"`)
		a.get("/latest.json").must(t, 200, `"topics":[]`)
		a.get("/session/current.json").must(t, 404)
		a.get("/notifications.json").must(t, 403, `"error_type":"not_logged_in"`)
		a.get("/notifications").must(t, 404)
		a.get("/t/1.json").must(t, 404, "not_found")
	})
}

func TestPosts(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		a := app{t: t, s: s, key: s.Mint("alice", "write")}
		raw := "A text that is long enough for a post."
		a.do("POST", "/posts.json", map[string]any{"title": "A title that is long enough", "raw": "short"}).must(t, 422, `"action":"create_post"`, "Body is too short")
		a.do("POST", "/posts.json", map[string]any{"title": "short", "raw": raw}).must(t, 422, "Title is too short")
		a.do("POST", "/posts.json", map[string]any{"topic_id": 999, "raw": raw}).must(t, 422)
		m := a.do("POST", "/posts.json", map[string]any{"title": "A title that is long enough", "raw": raw}).must(t, 200).value(t)
		if m["topic_slug"] != "a-title-that-is-long-enough" || m["post_number"] != 1.0 || m["id"] == nil {
			t.Errorf("the first post: %v", m)
		}
		reply := a.do("POST", "/posts.json", map[string]any{"topic_id": m["topic_id"], "raw": raw}).must(t, 200).value(t)
		if reply["post_number"] != 2.0 || reply["topic_id"] != m["topic_id"] {
			t.Errorf("the reply: %v", reply)
		}
		for _, path := range []string{"/t/%.0f.json", "/t/-/%.0f.json"} {
			a.get(fmt.Sprintf(path, m["topic_id"])).must(t, 200, `"post_number":2`, raw)
		}
		a.get("/latest.json").must(t, 200, `"posts_count":2`)
	})
}

// notes adds a plain notification, a private message and a read like to alice.
func notes(s *discourse.Site) (first, private, read int) {
	first = s.Notify("alice", discourse.Notification{TopicID: 5, PostNumber: 2, Title: "About <this>", From: "bob", Excerpt: "see"})
	private = s.Notify("alice", discourse.Notification{Type: 6})
	read = s.Notify("alice", discourse.Notification{Type: 5, Read: true})
	s.Notify("bob", discourse.Notification{})
	return first, private, read
}

func ids(m map[string]any) string {
	var out []string
	for _, n := range m["notifications"].([]any) {
		out = append(out, fmt.Sprint(n.(map[string]any)["id"]))
	}
	return strings.Join(out, " ")
}

func TestNotifications(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		first, private, read := notes(s)
		a := app{t: t, s: s, key: s.Mint("alice", "read", "notifications")}
		tests := []struct {
			query string
			want  []int
		}{
			{"", []int{read, private, first}},
			{"?limit=1&offset=1", []int{private}},
			{"?filter=read", []int{read}},
			{"?filter=unread&username=alice", []int{private, first}},
			{"?filter_by_types=liked,mentioned", []int{read, first}},
			{"?recent=true&silent=true", []int{private, first, read}},
			{"?recent=true&silent=true&limit=1", []int{private}},
		}
		for _, tt := range tests {
			m := a.get("/notifications.json"+tt.query).must(t, 200).value(t)
			if got, want := ids(m), strings.Trim(fmt.Sprint(tt.want), "[]"); got != want {
				t.Errorf("%q lists %s, want %s", tt.query, got, want)
			}
			if m["seen_notification_id"] != 0.0 || strings.Contains(tt.query, "recent") == (m["total_rows_notifications"] != nil) {
				t.Errorf("%q: %v", tt.query, m)
			}
		}
		a.get("/notifications.json?filter_by_types=x").must(t, 400, "invalid_parameters")
		a.get("/notifications.json?username=bob").must(t, 403)
		seen := fmt.Sprintf(`"seen_notification_id":%d`, read)
		a.get("/notifications.json?recent=true").must(t, 200, seen, `"fancy_title":"About \u0026lt;this\u0026gt;"`, `"slug":"about-this"`)
		a.get("/session/current.json").must(t, 200, seen, `"unread_notifications":1`, `"unread_high_priority_notifications":1`)
		a.do("PUT", "/notifications/read", map[string]int{"id": first}).must(t, 200, `{"success":"OK"}`)
		a.get("/session/current.json").must(t, 200, `"unread_notifications":0`, `"unread_high_priority_notifications":1`)
		a.do("PUT", "/notifications/mark-read?dismiss_types=x", nil).must(t, 400)
		a.do("PUT", "/notifications/mark-read?dismiss_types=liked", nil).must(t, 200)
		a.get("/session/current.json").must(t, 200, `"unread_high_priority_notifications":1`)
		a.do("PUT", "/notifications/mark-read", nil).must(t, 200)
		a.get("/session/current.json").must(t, 200, `"unread_high_priority_notifications":0`)
	})
}

// TestTotals: the oldest era has none.
func TestTotals(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		notes(s)
		a := app{t: t, s: s, key: s.Mint("alice", "read")}
		if s.Era == discourse.Old {
			a.get("/notifications/totals.json").must(t, 404)
			return
		}
		a.get("/notifications/totals.json").must(t, 200, `"unread_notifications":1`, `"unread_personal_messages":1`, `"topic_tracking":{"new":0,"unread":0}`)
		app{t: t, s: s, key: s.Mint("admin", "read")}.get("/notifications/totals.json").must(t, 200, `"group_inboxes":[]`)
		app{t: t, s: s}.get("/notifications/totals.json").must(t, 403)
	})
}

func TestCORS(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		ask := func(origin string) app {
			return app{t: t, s: s, headers: []string{"Origin", origin, "Access-Control-Request-Method", "POST"}}
		}
		if r := ask("https://b.example").get("/about.json"); r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("origins are allowed by default")
		}
		s.Set("enable_cors", "true")
		s.Set("cors_origin", "https://a.example")
		s.Set("cors_origins", "https://b.example|https://c.example")
		for origin, want := range map[string]string{"https://b.example": "https://b.example", "https://x.example": "https://a.example"} {
			r := ask(origin).do("OPTIONS", "/anything", nil).must(t, 200)
			if got := r.Header.Get("Access-Control-Allow-Origin"); got != want || r.body != "" {
				t.Errorf("%s: %q, want %q", origin, got, want)
			}
			if got := r.Header.Get("Access-Control-Allow-Headers"); !strings.Contains(got, "User-Api-Key, User-Api-Client-Id") || strings.Contains(got, ", Api-Key") {
				t.Errorf("headers %q", got)
			}
			if r.Header.Get("Vary") != "" || r.Header.Get("Access-Control-Expose-Headers") != "" {
				t.Error("Vary or Expose-Headers")
			}
		}
		r := ask("https://b.example").do("POST", "/message-bus/x/poll?dlp=t", nil).must(t, 200)
		if got := r.Header.Get("Access-Control-Allow-Headers"); strings.Contains(got, "User-Api-Key") {
			t.Errorf("the bus allows %q", got)
		}
	})
}
