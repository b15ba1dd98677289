package discourse_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit/discourse"
)

type busMessage struct {
	GlobalID  int             `json:"global_id"`
	MessageID int             `json:"message_id"`
	Channel   string          `json:"channel"`
	Data      json.RawMessage `json:"data"`
}

const busPath = "/message-bus/0123456789abcdef/poll"

// bus polls once, without chunks.
func (a app) bus(path string, form url.Values) ([]busMessage, error) {
	r, err := a.with("Dont-Chunk", "true").send("POST", path, form)
	if err != nil {
		return nil, err
	}
	var out []busMessage
	err = json.Unmarshal([]byte(r.body), &out)
	return out, err
}

func (a app) mustBus(path string, form url.Values) []busMessage {
	a.t.Helper()
	out, err := a.bus(path, form)
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

// waiting lets polls begin: it returns when the site has n requests for path.
func waiting(t *testing.T, s *discourse.Site, n int) {
	t.Helper()
	for s.Count("POST", busPath) < n {
		if t.Context().Err() != nil {
			t.Fatal("no poll came in")
		}
		time.Sleep(time.Millisecond)
	}
}

func channels(t *testing.T, s *discourse.Site) (counts, alert string, a app) {
	t.Helper()
	key := s.Mint("alice", "message_bus")
	reader := app{t: t, s: s, key: s.Mint("alice", "read")}
	me := reader.get("/session/current.json").must(t, 200).value(t)["current_user"].(map[string]any)
	return fmt.Sprintf("/notification/%.0f", me["id"]), fmt.Sprintf("/notification-alert/%.0f", me["id"]), app{t: t, s: s, key: key}
}

func TestBus(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		counts, alert, a := channels(t, s)
		got := a.mustBus(busPath, url.Values{counts: {"-1"}, alert: {"-1"}, "__seq": {"1"}})
		if len(got) != 1 || got[0].Channel != "/__status" || string(got[0].Data) != fmt.Sprintf(`{"%s":0,"%s":0}`, alert, counts) {
			t.Fatalf("status %+v", got)
		}
		if got := a.mustBus(busPath+"?dlp=t", url.Values{counts: {"0"}}); len(got) != 0 {
			t.Errorf("nothing happened: %+v", got)
		}
		type result struct {
			messages []busMessage
			err      error
		}
		done := make(chan result, 1)
		go func() {
			m, err := a.bus(busPath, url.Values{counts: {"0"}, alert: {"0"}, "__seq": {"2"}})
			done <- result{m, err}
		}()
		waiting(t, s, 3)
		s.Notify("bob", discourse.Notification{})
		s.Notify("alice", discourse.Notification{Title: "Hello there", From: "bob"})
		r := <-done
		if r.err != nil || len(r.messages) == 0 || r.messages[0].Channel != alert || !strings.Contains(string(r.messages[0].Data), "Hello there") {
			t.Fatalf("woken with %+v %v", r.messages, r.err)
		}
		got = a.mustBus(busPath, url.Values{counts: {"0"}})
		if len(got) != 1 || got[0].MessageID != 1 || !strings.Contains(string(got[0].Data), `"all_unread_notifications_count":1`) {
			t.Errorf("counts %+v", got)
		}
		if got := a.mustBus(busPath, url.Values{counts: {"99"}}); got[0].Channel != "/__status" {
			t.Errorf("a number from the future: %+v", got)
		}
		s.Notify("alice", discourse.Notification{})
		if got := a.mustBus(busPath, url.Values{counts: {"-2"}}); len(got) != 1 || got[0].MessageID != 2 {
			t.Errorf("the newest alone: %+v", got)
		}
	})
}

// TestBusLongPoll: a poll without news ends after 25 seconds of the site's
// clock, or when the same client polls again.
func TestBusLongPoll(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		counts, _, a := channels(t, s)
		done := make(chan error, 2)
		poll := func(seq string) {
			m, err := a.bus(busPath, url.Values{counts: {"0"}, "__seq": {seq}})
			if err == nil && len(m) > 0 {
				err = fmt.Errorf("messages %v", m)
			}
			done <- err
		}
		go poll("1")
		waiting(t, s, 1)
		go poll("2")
		if err := <-done; err != nil {
			t.Error(err)
		}
		waiting(t, s, 2)
		s.Clock.Pass(24 * time.Second)
		select {
		case err := <-done:
			t.Errorf("the poll ended early: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		s.Clock.Pass(time.Second)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestBusChunks: without Dont-Chunk the answer goes on, in chunks.
func TestBusChunks(t *testing.T) {
	t.Parallel()
	s := newSite(t, discourse.New)
	counts, _, a := channels(t, s)
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+busPath, strings.NewReader(url.Values{counts: {"0"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Api-Key", a.key.Reveal())
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for range 2 {
		s.Notify("alice", discourse.Notification{})
		if chunk, err := lines.ReadString('|'); err != nil || !strings.Contains(chunk, `"unread_notifications"`) {
			t.Fatalf("chunk %q: %v", chunk, err)
		}
	}
	s.Clock.Pass(25 * time.Second)
	if rest, err := lines.ReadString('|'); err == nil || rest != "\r\n" {
		t.Errorf("after its time: %q %v", rest, err)
	}
}

// TestBusSwallowsBadKeys: who has no good key polls on as a stranger, and so
// does who polls too often.
func TestBusSwallowsBadKeys(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		counts, _, a := channels(t, s)
		s.Notify("alice", discourse.Notification{})
		s.Set("max_user_api_reqs_per_minute", "1")
		form := url.Values{counts: {"0"}, "/latest": {"-1"}}
		narrow := app{t: t, s: s, key: s.Mint("alice", "session_info")}
		for name, tt := range map[string]app{"unknown": {t: t, s: s, key: "x"}, "scope": narrow, "stranger": {t: t, s: s}} {
			if got := tt.mustBus(busPath+"?dlp=t", form); len(got) != 1 {
				t.Errorf("%s: %+v", name, got)
			}
		}
		if got := a.mustBus(busPath+"?dlp=t", form); len(got) != 2 {
			t.Errorf("the owner: %+v", got)
		}
		before := len(s.Requests())
		if got := a.mustBus(busPath+"?dlp=t", form); len(got) != 1 {
			t.Errorf("too often: %+v", got)
		}
		if r := s.Requests()[before]; !r.Limited || r.Status != 200 {
			t.Errorf("the request is %+v", r)
		}
		s.Set("login_required", "true")
		narrow.with("Dont-Chunk", "true").do("POST", busPath, form).must(t, 403, "Invalid Access")
	})
}

// TestBusTopics: everybody hears of new topics.
func TestBusTopics(t *testing.T) {
	t.Parallel()
	s := newSite(t, discourse.Middle)
	app{t: t, s: s, key: s.Mint("bob", "write")}.do("POST", "/posts.json",
		url.Values{"title": {"A title that is long enough"}, "raw": {"A text that is long enough."}}).must(t, 200)
	if got := (app{t: t, s: s}).mustBus(busPath+"?dlp=t", url.Values{"/latest": {"0"}}); len(got) != 1 || got[0].Channel != "/latest" {
		t.Errorf("messages %+v", got)
	}
}
