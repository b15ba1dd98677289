package live_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/gateway"
	"userkeys/internal/testkit/fakesite"
	"userkeys/internal/testkit/nettest"
	"userkeys/notify"
	"userkeys/server"
	"userkeys/server/live"
	"userkeys/site"
	"userkeys/store"
)

// liveSite is a site with a bus, for tests that listen to it.
type liveSite struct {
	*fakesite.Site
	pipes *nettest.PipeListener // what it is served over; nil: real connections
}

func busSite(t *testing.T, options ...fakesite.Option) *liveSite {
	t.Helper()
	return &liveSite{Site: fakesite.NewWithBus(t, options...)}
}

const busAddress = "/message-bus/0123456789abcdef0123456789abcdef/poll"

// message is one as an app reads it.
type message struct {
	GlobalID  int64          `json:"global_id"`
	MessageID int64          `json:"message_id"`
	Channel   string         `json:"channel"`
	Data      map[string]any `json:"data"`
}

// polled polls with dlp=t, so that it answers at once, as alice with key-1 unless c says otherwise.
func (f *liveSite) polled(c fakesite.Call) []message {
	f.T.Helper()
	c.Method, c.Path = "POST", busAddress+"?dlp=t"
	if c.As == "" && c.Key == "" {
		c.Key = "key-1"
	}
	if c.Header == nil {
		c.Header = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	}
	a := f.Do(c)
	a.Must(f.T, http.StatusOK)
	if got := a.Header.Get("Content-Type"); got != "application/json; charset=utf-8" {
		f.T.Errorf("Content-Type is %q", got)
	}
	return fakesite.Decode[[]message](f.T, a)
}

// position is where the channel of a user's alerts stands.
func (f *liveSite) position(userID int64) int64 {
	f.T.Helper()
	state, err := f.Config.Users.(*store.Store).InboxState(f.T.Context(), userID)
	if err != nil {
		f.T.Fatal(err)
	}
	return state.Position
}

// short is messages without their data: channel and number.
func short(all []message) []string {
	var out []string
	for _, m := range all {
		if m.Channel == "/__status" {
			for _, ch := range slices.Sorted(maps.Keys(m.Data)) {
				out = append(out, fmt.Sprintf("%s stands at %.0f", ch, m.Data[ch]))
			}
			continue
		}
		out = append(out, fmt.Sprintf("%s %d", m.Channel, m.MessageID))
	}
	return out
}

func TestPollPositions(t *testing.T) {
	t.Parallel()
	f := busSite(t)
	var ids []int64
	for range 3 {
		f.Tell("alice", site.Notification{Type: 1})
		ids = append(ids, f.position(fakesite.Alice.ID))
	}
	f.Tell("bob", site.Notification{Type: 1})
	state, err := f.Config.Users.(*store.Store).InboxState(t.Context(), fakesite.Alice.ID)
	if err != nil {
		t.Fatal(err)
	}
	v := state.Version
	counts, alerts := "/notification/1", "/notification-alert/1"
	n := func(at int64) string { return fmt.Sprintf("%s %d", counts, at) }
	a := func(at int64) string { return fmt.Sprintf("%s %d", alerts, at) }
	for _, tt := range []struct {
		name string
		body string
		want []string
	}{
		{"-1 asks where a channel stands", fmt.Sprintf("%s=-1&%s=-1", counts, alerts), []string{fmt.Sprintf("%s stands at %d", alerts, ids[2]), fmt.Sprintf("%s stands at %d", counts, v)}},
		{"0 asks for everything, of counts the newest only", fmt.Sprintf("%s=0&%s=0&__seq=1", counts, alerts), []string{a(ids[0]), a(ids[1]), a(ids[2]), n(v)}},
		{"what is above a position", fmt.Sprintf("%s=%d", alerts, ids[0]), []string{a(ids[1]), a(ids[2])}},
		{"nothing is above the newest", fmt.Sprintf("%s=%d&%s=%d", alerts, ids[2], counts, v), nil},
		{"-2 asks for the last", fmt.Sprintf("%s=-2&%s=-2", counts, alerts), []string{a(ids[2]), n(v)}},
		{"-3 asks for the last two", fmt.Sprintf("%s=-3", alerts), []string{a(ids[1]), a(ids[2])}},
		{"-100 asks for more than there are", fmt.Sprintf("%s=-100", alerts), []string{a(ids[0]), a(ids[1]), a(ids[2])}},
		{"the smallest number that there is", alerts + "=-9223372036854775808", []string{a(ids[0]), a(ids[1]), a(ids[2])}},
		{"a position ahead of the bus is put right", fmt.Sprintf("%s=%d&%s=%d", counts, v+1, alerts, ids[2]+100), []string{fmt.Sprintf("%s stands at %d", alerts, ids[2]), fmt.Sprintf("%s stands at %d", counts, v)}},
		{"another user's channels say nothing, not even where they stand", "/notification/2=-1&/notification-alert/2=-1&/notification/2x=0&/notification/=-1&/notification/01=-2", nil},
		{"channels that there are not stand at 0", "/latest=-1&/new=500&/private-messages/topic=0", []string{"/latest stands at 0", "/new stands at 0"}},
		{"fields that are no channels say nothing", "x=y&authenticity_token=z&__seq=2", nil},
		{"no channel", "", nil},
	} {
		if diff := cmp.Diff(tt.want, short(f.polled(fakesite.Call{Body: tt.body}))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	json := f.polled(fakesite.Call{Body: fmt.Sprintf(`{"%s":%d,"__seq":3}`, alerts, ids[1]), Header: map[string]string{"Content-Type": "application/json"}})
	if diff := cmp.Diff([]string{a(ids[2])}, short(json)); diff != "" {
		t.Errorf("as JSON (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{a(ids[2])}, short(f.polled(fakesite.Call{As: "alice", Body: fmt.Sprintf("%s=%d", alerts, ids[1])}))); diff != "" {
		t.Errorf("with a session (-want +got):\n%s", diff)
	}
	if got := short(f.polled(fakesite.Call{Key: "key-5", Body: alerts + "=0"})); got != nil {
		t.Errorf("bob hears of alice: %v", got)
	}
}

// TestPollData is what the messages say (W7.7).
func TestPollData(t *testing.T) {
	t.Parallel()
	f := busSite(t)
	first := f.Tell("alice", site.Notification{
		Type: 6, TopicID: 42, PostNumber: 2, Slug: "hello", FancyTitle: "Hello &amp; bye",
		Data: json.RawMessage(`{"display_username":"bob","excerpt":"<b>\r\n|\r\nwhat"}`),
	})
	second := f.Tell("alice", site.Notification{Type: 1, Data: json.RawMessage(`{"topic_title":"T","url":"/somewhere"}`)})
	f.Put("/notifications/read", "", "key-1", fmt.Sprintf(`{"id":%d}`, first)).Must(t, http.StatusOK)
	got := f.polled(fakesite.Call{Body: "/notification/1=0&/notification-alert/1=0"})
	if len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	for i, want := range []string{
		`{"excerpt":"<b> | what","notification_type":6,"post_number":2,"post_url":"/t/hello/42/2","topic_id":42,"topic_title":"Hello & bye","username":"bob"}`,
		`{"notification_type":1,"post_url":"/somewhere","topic_title":"T","username":"userkeys"}`,
		fmt.Sprintf(`{"all_unread_notifications_count":1,"grouped_unread_notifications":{"1":1},"last_notification":{"notification":{"created_at":"2026-11-22T12:00:00.000Z","data":{"display_username":"userkeys","topic_title":"T","url":"/somewhere"},"fancy_title":"T","high_priority":false,"id":%d,"notification_type":1,"post_number":null,"read":false,"slug":null,"topic_id":null,"user_id":1}},"new_personal_messages_notifications_count":0,"read_first_notification":false,"recent":[[%d,false],[%d,true]],"seen_notification_id":0,"unread_high_priority_notifications":0,"unread_notifications":1}`, second, second, first),
	} {
		var data map[string]any
		if err := json.Unmarshal([]byte(want), &data); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(data, got[i].Data); diff != "" {
			t.Errorf("message %d (-want +got):\n%s", i, diff)
		}
	}
	f.Do(fakesite.Call{Path: "/notifications.json?recent=true", Key: "key-1"}).Must(t, http.StatusOK)
	got = f.polled(fakesite.Call{Body: fmt.Sprintf("/notification/1=%d", got[2].MessageID)})
	if len(got) != 1 || got[0].Data["all_unread_notifications_count"] != 0.0 || got[0].Data["seen_notification_id"] != float64(second) || got[0].Data["read_first_notification"] != true {
		t.Errorf("after a look at the list: %+v", got)
	}
}

// TestPollBacklog: who was away for long gets the newest alerts only, and goes on after them.
func TestPollBacklog(t *testing.T) {
	t.Parallel()
	f := busSite(t)
	for range 50 {
		f.Tell("alice", site.Notification{Type: 1})
	}
	last := f.position(fakesite.Alice.ID)
	got := f.polled(fakesite.Call{Body: "/notification-alert/1=0"})
	if len(got) != 30 || got[29].MessageID != last || got[0].MessageID >= got[1].MessageID {
		t.Errorf("%d messages: %v", len(got), short(got))
	}
}

func TestPollRefusals(t *testing.T) {
	t.Parallel()
	f := busSite(t)
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	at := func(key, path, body string) fakesite.Answer {
		return f.Do(fakesite.Call{Method: "POST", Path: path, Key: key, Body: body, Header: form})
	}
	nobody := at("", busAddress, "/notification/1=-1")
	nobody.Must(t, http.StatusForbidden)
	if nobody.Text != "Invalid Access" || nobody.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("nobody gets %q", nobody.Text)
	}
	at("0123", busAddress, "").Must(t, http.StatusForbidden, `"reason":"invalid key"`)
	for body, says := range map[string]string{
		"/a=x": "/a must be a whole number", "/a=1.5": "whole number", "/a=9223372036854775808": "whole number", "__seq=x": "__seq must be",
		"/" + strings.Repeat("x", 200) + "=1": "at most 200", "/a%0Ab=1": "must be text", "/a=1&/a=2": "twice", "%zz=1": "not well-formed",
		strings.Repeat("/a&", 200): "too many fields", "/a=" + strings.Repeat("1", 70<<10): "larger than",
	} {
		a := at("key-1", busAddress, body)
		if a.StatusCode != http.StatusBadRequest && a.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(a.Text, says) {
			t.Errorf("%.40q: %d %s, want %q", body, a.StatusCode, a.Text, says)
		}
	}
	at("key-1", "/message-bus/"+strings.Repeat("x", 101)+"/poll?dlp=t", "").Must(t, http.StatusBadRequest, "at most 100 bytes")
	f.Do(fakesite.Call{Path: busAddress, Key: "key-1"}).Must(t, http.StatusMethodNotAllowed)
	f.Do(fakesite.Call{Method: "POST", Path: "/message-bus/a/b/poll", Key: "key-1"}).Must(t, http.StatusNotFound)
	f.adminKeysHearNothing()
	cross := f.Do(fakesite.Call{Method: "POST", Path: busAddress + "?dlp=t", As: "alice", Header: map[string]string{"Sec-Fetch-Site": "cross-site", "Content-Type": form["Content-Type"]}})
	cross.Must(t, http.StatusForbidden, "BAD CSRF")
	f.Do(fakesite.Call{Path: "/events", As: "alice", Header: map[string]string{"Sec-Fetch-Site": "same-site"}}).Must(t, http.StatusForbidden, "BAD CSRF")
	for _, path := range []string{"/events", busAddress + "?dlp=t"} { // a browser that sends no Sec-Fetch-Site
		for _, origin := range []string{"https://evil.example", "null", "https://site.example.evil.example", "https://sub.site.example"} {
			method := "POST"
			if path == "/events" {
				method = "GET"
			}
			f.Do(fakesite.Call{Method: method, Path: path, As: "alice", Header: map[string]string{"Origin": origin, "Sec-Fetch-Site": "", "Content-Type": form["Content-Type"]}}).Must(t, http.StatusForbidden, "BAD CSRF")
		}
	}
	f.Do(fakesite.Call{Path: "/events"}).Must(t, http.StatusForbidden, `"error_type":"not_logged_in"`)
}

// adminKeysHearNothing: the site's own programs have no inbox of their own to listen to.
func (f *liveSite) adminKeysHearNothing() {
	f.T.Helper()
	f.AddAdminKey("alice")
	for _, c := range []fakesite.Call{{Method: "POST", Path: busAddress}, {Path: "/events"}} {
		c.AdminKey = fakesite.AdminText("alice")
		if a := f.Do(c); a.StatusCode != http.StatusForbidden {
			f.T.Errorf("%s with an admin API key: %d", c.Path, a.StatusCode)
		}
	}
}

// live serves f over a connection, for answers that come in pieces. The deadlines are the site's.
func (f *liveSite) live() *httptest.Server {
	s := httptest.NewUnstartedServer(gateway.Deadlines{Read: 15 * time.Second, Write: 30 * time.Second}.Handler(f.Handler))
	f.serve(s)
	f.T.Cleanup(f.Config.Bus.Close)
	return s
}

// open sends a request whose answer may take its time.
func (f *liveSite) open(s *httptest.Server, ctx context.Context, method, path, key, body string, header ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.URL+path, strings.NewReader(body))
	if err != nil {
		f.T.Fatal(err)
	}
	if strings.HasPrefix(key, "key-") {
		r.Header.Set(userkeys.KeyHeader, fakesite.KeyText(key))
	} else {
		r.AddCookie(&http.Cookie{Name: "session", Value: key})
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return f.client().Do(r)
}

// revoke ends key-1, as its owner does.
func (f *liveSite) revoke() {
	f.T.Helper()
	if err := f.Authority.Revoke(f.T.Context(), 1, site.Caller{User: fakesite.Alice}); err != nil {
		f.T.Fatal(err)
	}
}

// listeners waits until so many listen.
func (f *liveSite) listeners(n int) {
	f.T.Helper()
	for deadline := time.Now().Add(10 * time.Second); f.Config.Bus.Listeners() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.T.Fatalf("%d listen, want %d", f.Config.Bus.Listeners(), n)
		}
	}
}

// said is a whole answer.
type said struct {
	status int
	text   string
	header http.Header
	err    error
}

// later sends a request and gives the answer when it has come.
func (f *liveSite) later(s *httptest.Server, path, key, body string, header ...string) <-chan said {
	c := make(chan said, 1)
	go func() {
		res, err := f.open(s, f.T.Context(), "POST", path, key, body, header...)
		if err != nil {
			c <- said{err: err}
			return
		}
		defer res.Body.Close()
		var text strings.Builder
		_, err = fmt.Fprint(&text, readAllText(res))
		c <- said{res.StatusCode, text.String(), res.Header, err}
	}()
	return c
}

func readAllText(res *http.Response) string {
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := res.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}

// whole waits for an answer.
func (f *liveSite) whole(c <-chan said) said {
	f.T.Helper()
	select {
	case s := <-c:
		if s.err != nil {
			f.T.Fatal(s.err)
		}
		return s
	case <-time.After(20 * time.Second):
		f.T.Fatal("no answer")
		return said{}
	}
}

// told adds a notification and tells the bus, as a whole site does.
func (f *liveSite) told(who string, id int64) {
	f.T.Helper()
	f.Tell(who, site.Notification{Type: 1})
	f.Config.Bus.Changed(id)
}

// eachWay plays with polls that have a goroutine each, and with those of keys parked, as in a crowd.
func eachWay(t *testing.T, play func(t *testing.T, f *liveSite)) {
	t.Helper()
	t.Parallel()
	for name, above := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := busSite(t, parkingAbove(above))
			play(t, f)
			f.Live.Drain(t.Context())
			if n := f.Live.Parked(); n != 0 {
				t.Errorf("%d are still parked", n)
			}
		})
	}
}

// ways are the bounds of parking that tests play with: none of their polls is parked, or each one of a key.
var ways = map[string]int{"few": live.DefaultParkAbove, "a crowd": -1}

func parkingAbove(n int) fakesite.Option { return func(c *server.Config) { c.ParkAbove = n } }

const dontChunk = "Dont-Chunk"

func TestLongPolls(t *testing.T) { eachWayTimed(t, theLongPolls) }

func theLongPolls(t *testing.T, f *liveSite) {
	s := f.live()
	f.Tell("alice", site.Notification{Type: 1})
	last := f.position(fakesite.Alice.ID)
	body := fmt.Sprintf("/notification-alert/1=%d", last)

	waits := f.later(s, busAddress, "key-1", body, dontChunk, "true")
	f.listeners(1)
	f.told("bob", fakesite.Bob.ID)
	f.Config.Bus.Changed(fakesite.Alice.ID)
	synctest.Wait() // it was woken for nothing, and goes on
	f.listeners(1)
	f.told("alice", fakesite.Alice.ID)
	got := f.whole(waits)
	if got.status != 200 || !strings.Contains(got.text, `"channel":"/notification-alert/1"`) || got.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%+v", got)
	}
	f.listeners(0)

	// What came while nobody polled is there at once.
	if got := f.whole(f.later(s, busAddress, "key-1", body, dontChunk, "true")); !strings.Contains(got.text, "/notification-alert/1") {
		t.Errorf("%+v", got)
	}

	// A later poll of the client ends the earlier one, of the same key only.
	body = "/notification/1=9999999999999" // ahead: told where it stands
	_ = f.whole(f.later(s, busAddress, "key-1", body, dontChunk, "true"))
	none := "/private=0"
	first := f.later(s, busAddress, "key-1", none+"&__seq=4", dontChunk, "true")
	f.listeners(1)
	other := f.later(s, busAddress, "key-2", none+"&__seq=5", dontChunk, "true")
	f.listeners(2)
	second := f.later(s, busAddress, "key-1", none+"&__seq=5", dontChunk, "true")
	if got := f.whole(first); got.status != 200 || strings.TrimSpace(got.text) != "[]" {
		t.Errorf("the earlier poll: %+v", got)
	}
	if got := f.whole(f.later(s, busAddress, "key-1", none+"&__seq=4", dontChunk, "true")); strings.TrimSpace(got.text) != "[]" {
		t.Errorf("one that was overtaken on the way: %+v", got)
	}
	f.listeners(2)
	f.Config.Bus.Close()
	for _, c := range []<-chan said{other, second} {
		if got := f.whole(c); got.status != 200 || strings.TrimSpace(got.text) != "[]" {
			t.Errorf("when the server stops: %+v", got)
		}
	}
	if got := f.whole(f.later(s, busAddress, "key-1", none)); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("after it stopped: %+v", got)
	}
}

// TestPollLimits: no key, session or user takes the place of all.
func TestPollLimits(t *testing.T) { eachWay(t, thePollLimits) }

func thePollLimits(t *testing.T, f *liveSite) {
	s := f.live()
	var open []<-chan said
	for i := range 6 {
		open = append(open, f.later(s, fmt.Sprintf("/message-bus/c%d/poll", i), "key-1", "/a=0", dontChunk, "true"))
	}
	f.listeners(6)
	for _, path := range []string{"/message-bus/c7/poll"} {
		got := f.whole(f.later(s, path, "key-1", "/a=0"))
		if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "15" || got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("a seventh poll: %+v", got)
		}
	}
	res, err := f.open(s, t.Context(), "GET", "/events", "key-1", "")
	if err != nil || res.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("an event stream beside them: %v, %v", res, err)
	}
	_ = res.Body.Close()
	open = append(open, f.later(s, busAddress, "alice", "/a=0", dontChunk, "true"), f.later(s, busAddress, "key-2", "/a=0", dontChunk, "true"))
	f.listeners(8)
	// A poll in place of one of the six is no seventh.
	open = append(open, f.later(s, "/message-bus/c0/poll", "key-1", "/a=0&__seq=2", dontChunk, "true"))
	_ = f.whole(open[0])
	f.listeners(8)
	f.Config.Bus.Close()
	for _, c := range open[1:] {
		_ = f.whole(c)
	}
}

// TestPollParts: without Dont-Chunk the answer stays open, and has a part for each news.
func TestPollParts(t *testing.T) { eachWay(t, thePollParts) }

func thePollParts(t *testing.T, f *liveSite) {
	s := f.live()
	for _, key := range []string{"key-1", "alice"} {
		res, err := f.open(s, t.Context(), "POST", busAddress, key, "/notification-alert/1=-1")
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" || res.Header.Get("X-Content-Type-Options") != "nosniff" || !slices.Equal(res.TransferEncoding, []string{"chunked"}) {
			t.Errorf("%d %v %v", res.StatusCode, res.Header, res.TransferEncoding)
		}
		parts := partsOf(res)
		f.heard(parts, "/__status")
		f.told("alice", fakesite.Alice.ID)
		f.heard(parts, "/notification-alert/1")
		f.told("alice", fakesite.Alice.ID)
		f.heard(parts, "/notification-alert/1")
		_ = res.Body.Close()
		f.listeners(0) // it is noticed that the app has gone
	}
	res, err := f.open(s, t.Context(), "POST", busAddress, "key-1", "/a=0")
	if err != nil {
		t.Fatal(err)
	}
	parts := partsOf(res)
	f.heard(parts, "") // the first part comes at once
	f.Config.Bus.Close()
	if p, more := <-parts; more {
		t.Errorf("after the server stopped: %q", p)
	}
}

// partsOf reads an answer in parts as message-bus-client does.
func partsOf(res *http.Response) <-chan string {
	parts := make(chan string, 10)
	go func() {
		defer close(parts)
		text, buf := "", make([]byte, 4096)
		for {
			n, err := res.Body.Read(buf)
			text += string(buf[:n])
			for {
				part, rest, ok := strings.Cut(text, "\r\n|\r\n")
				if !ok {
					break
				}
				parts <- part
				text = rest
			}
			if err != nil {
				return
			}
		}
	}()
	return parts
}

// heard waits for a part with one message of channel, or an empty one.
func (f *liveSite) heard(parts <-chan string, channel string) {
	f.T.Helper()
	select {
	case p := <-parts:
		var got []message
		if err := json.Unmarshal([]byte(p), &got); err != nil {
			f.T.Fatalf("the part %q: %v", p, err)
		}
		if channel == "" && len(got) > 0 || channel != "" && (len(got) != 1 || got[0].Channel != channel) {
			f.T.Errorf("the part is %q, want %s", p, channel)
		}
	case <-time.After(20 * time.Second):
		f.T.Fatalf("no part for %s", channel)
	}
}

// TestPollsOfDeadKeys is KU16 and T34: a poll ends within a second of its key, with the news that the key is dead
// if the answer has not begun.
func TestPollsOfDeadKeys(t *testing.T) { eachWay(t, thePollsOfDeadKeys) }

func thePollsOfDeadKeys(t *testing.T, f *liveSite) {
	s := f.live()
	once := f.later(s, busAddress, "key-1", "/notification-alert/1=0", dontChunk, "true")
	res, err := f.open(s, t.Context(), "POST", "/message-bus/other/poll", "key-1", "/notification-alert/1=0")
	if err != nil {
		t.Fatal(err)
	}
	parts := partsOf(res)
	f.heard(parts, "")
	others := f.later(s, busAddress, "key-2", "/notification-alert/1=0", dontChunk, "true")
	f.listeners(3)
	f.revoke()
	began := time.Now()
	if got := f.whole(once); got.status != http.StatusForbidden || !strings.Contains(got.text, `"reason":"invalid key"`) {
		t.Errorf("%+v", got)
	}
	for p := range parts {
		t.Errorf("a dead key hears %q", p)
	}
	if took := time.Since(began); took > 2*time.Second { // the bound is 1 s; this is beside other tests
		t.Errorf("the polls went on for %v", took)
	}
	f.listeners(1)
	f.told("alice", fakesite.Alice.ID)
	if got := f.whole(others); got.status != 200 || !strings.Contains(got.text, "/notification-alert/1") {
		t.Errorf("the other key's poll: %+v", got)
	}
}

// TestNothingAfterARevoke is KU16: what is written after a revoke was answered is given to no open poll or stream of the key,
// however soon it is written, and they end at once.
func TestNothingAfterARevoke(t *testing.T) { eachWayTimed(t, nothingAfterARevoke) }

func nothingAfterARevoke(t *testing.T, f *liveSite) {
	s := f.live()
	once := f.later(s, busAddress, "key-1", "/notification-alert/1=0&/notification/1=0", dontChunk, "true")
	parts := f.later(s, "/message-bus/other/poll", "key-1", "/notification-alert/1=0&/notification/1=0")
	events := f.stream(s, "key-1", "0.0")
	f.listeners(3)
	synctest.Wait() // until they wait: for what is refused at the first reading there is the next test
	f.revoke()
	f.told("alice", fakesite.Alice.ID)
	if got := f.whole(once); got.status != http.StatusForbidden || !strings.Contains(got.text, `"reason":"invalid key"`) {
		t.Errorf("a poll: %+v", got)
	}
	if got := f.whole(parts); strings.Contains(got.text, "notification") {
		t.Errorf("a poll in parts: %+v", got)
	}
	for e := range events.events {
		t.Errorf("an event stream: %+v", e)
	}
	f.listeners(0)
}

// TestRevokedWhileReading is KU16: a key is asked about after the reading. One that ends between its check and the reading
// gets nothing of what was written between.
func TestRevokedWhileReading(t *testing.T) {
	t.Parallel()
	for name, above := range ways {
		for what, path := range map[string]string{"a poll that waits": busAddress, "a poll that does not": busAddress + "?dlp=t", "events": "/events"} {
			t.Run(what+", "+name, func(t *testing.T) {
				t.Parallel()
				var f *liveSite
				f = busSite(t, parkingAbove(above), func(c *server.Config) {
					c.Bus = notify.NewBus(notify.BusConfig{Store: revokedStore{c.Users.(*store.Store), func() {
						f.revoke()
						f.Tell("alice", site.Notification{Type: 1})
					}}})
				})
				s := f.live()
				method := "POST"
				if what == "events" {
					method = "GET"
				}
				for _, chunk := range []string{"true", ""} {
					if err := f.Authority.UndoRevoke(t.Context(), 1, site.Caller{User: fakesite.Alice}); err != nil {
						t.Fatal(err)
					}
					res, err := f.open(s, t.Context(), method, path, "key-1", "/notification-alert/1=0&/notification/1=0", dontChunk, chunk)
					if err != nil {
						t.Fatal(err)
					}
					if text := readAllText(res); res.StatusCode != http.StatusForbidden || !strings.Contains(text, `"reason":"invalid key"`) {
						t.Errorf("%d %s", res.StatusCode, text)
					}
					_ = res.Body.Close()
				}
				f.listeners(0)
			})
		}
	}
}

// revokedStore has something happen before each reading of an inbox.
type revokedStore struct {
	*store.Store
	before func()
}

func (s revokedStore) InboxState(ctx context.Context, id int64) (site.Inbox, error) {
	s.before()
	return s.Store.InboxState(ctx, id)
}

// TestPollsOfClientsThatLeft hold no places, also not those of the key that comes back.
func TestPollsOfClientsThatLeft(t *testing.T) { eachWay(t, thePollsOfClientsThatLeft) }

func thePollsOfClientsThatLeft(t *testing.T, f *liveSite) {
	secure := httptest.NewTLSServer(f.Handler)
	t.Cleanup(secure.Close)
	last := int64(0)
	for _, s := range []*httptest.Server{f.live(), secure} {
		poll := func(client string) *http.Response {
			f.T.Helper()
			r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/message-bus/"+client+"/poll", strings.NewReader("/notification-alert/1=-1&__seq=1"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header = http.Header{"User-Api-Key": {fakesite.KeyText("key-1")}, "Content-Type": {"application/x-www-form-urlencoded"}}
			res, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
		conns := make([]net.Conn, maxOpen)
		for i := range conns {
			conns[i] = f.rawPoll(s, fmt.Sprintf("c%d", i), fmt.Sprintf("/notification-alert/1=%d&__seq=7", last))
		}
		f.listeners(maxOpen)
		full := poll("more")
		if _ = full.Body.Close(); full.StatusCode != http.StatusTooManyRequests {
			t.Fatalf("beside polls that wait: %d", full.StatusCode)
		}
		f.listeners(maxOpen) // they stay
		for _, c := range conns[:maxOpen-1] {
			_ = c.Close()
		}
		f.listeners(1)
		for _, client := range []string{"c0", "new"} { // one that comes back counts its polls anew
			res := poll(client)
			if _ = res.Body.Close(); res.StatusCode != http.StatusOK {
				t.Fatalf("%s, after they left: %d", client, res.StatusCode)
			}
			f.listeners(1)
		}
		f.Tell("alice", site.Notification{Type: 1})
		last = f.position(fakesite.Alice.ID)
		f.Config.Bus.Changed(fakesite.Alice.ID)
		if text := read(conns[maxOpen-1]); !strings.HasPrefix(text, "HTTP/1.1 200") {
			t.Errorf("the one that stayed hears %q", text)
		}
		f.listeners(0)
	}
	leavesNothing(t, f)
}

// leavesNothing waits until no poll is parked.
func leavesNothing(t *testing.T, f *liveSite) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); f.Live.Parked() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d are still parked", f.Live.Parked())
		}
	}
}

// TestParkedPollsThatAreTalkedTo: what a client sends after its poll is dropped, until it is too much.
func TestParkedPollsThatAreTalkedTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := busSite(t, parkingAbove(-1))
		f.pipes = nettest.ListenPipe()
		s := f.live()
		conn := f.rawPoll(s, "a", "/notification-alert/1=0")
		f.listeners(1)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
		synctest.Wait() // until it has read that
		f.listeners(1)
		f.told("alice", fakesite.Alice.ID)
		if text := read(conn); !strings.HasPrefix(text, "HTTP/1.1 200") || !strings.Contains(text, "Connection: close\r\n") {
			t.Errorf("it hears %q", text)
		}
		f.listeners(0)
		conn = f.rawPoll(s, "a", "/a=0")
		f.listeners(1)
		_, _ = conn.Write(make([]byte, 64*live.MaxStray+1)) // it may be closed before all is sent
		f.listeners(0)
		leavesNothing(t, f)
	})
}

// TestManyAreParked: polls of keys are parked when so many listen, and no others.
func TestManyAreParked(t *testing.T) {
	t.Parallel()
	f := busSite(t, parkingAbove(2))
	s := f.live()
	for i, key := range []string{"key-1", "key-2", "alice", "key-1", "bob", "key-2"} {
		res, err := f.open(s, t.Context(), "POST", fmt.Sprintf("/message-bus/c%d/poll", i), key, "/a=0")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		parked := i >= 2 && strings.HasPrefix(key, "key-")
		if res.Close != parked {
			t.Errorf("poll %d of %s: parked is %v", i, key, res.Close)
		}
	}
	if n := f.Live.Parked(); n != 2 {
		t.Errorf("%d are parked", n)
	}
	f.Live.Drain(t.Context())
	if n := f.Live.Parked(); n != 0 {
		t.Errorf("%d are still parked", n)
	}
}

// TestDrainWhileTheyPark: polls that come while the server stops are answered, parked or not.
func TestDrainWhileTheyPark(t *testing.T) {
	t.Parallel()
	for range 10 {
		f := busSite(t, parkingAbove(3))
		s := f.live()
		var all []<-chan said
		for i := range 15 {
			all = append(all, f.later(s, fmt.Sprintf("/message-bus/c%d/poll", i), []string{"key-1", "key-2", "key-5"}[i%3], "/a=0", dontChunk, "true"))
		}
		for f.Live.Parked() == 0 {
			time.Sleep(100 * time.Microsecond)
		}
		f.Live.Drain(t.Context())
		for _, c := range all {
			if got := f.whole(c); got.status != 200 && got.status != http.StatusServiceUnavailable || got.status == 200 && got.text != "[]\n" {
				t.Errorf("%+v", got)
			}
		}
		leavesNothing(t, f)
	}
}

// TestPanicsOfParkedPolls end the poll, and nothing else.
func TestPanicsOfParkedPolls(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]bool{"before the bus runs": false, "while it runs": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := busSite(t, parkingAbove(-1), func(c *server.Config) {
				c.Bus = notify.NewBus(notify.BusConfig{Store: revokedStore{c.Users.(*store.Store), func() { panic("a test") }}})
			})
			if run {
				ctx, stop := context.WithCancel(t.Context())
				ran := make(chan error, 1)
				go func() { ran <- f.Config.Bus.Run(ctx) }()
				defer func() { stop(); <-ran }()
			}
			got := f.whole(f.later(f.live(), busAddress, "key-1", "/a=0", dontChunk, "true"))
			if got.status != http.StatusInternalServerError || strings.Contains(got.text, "a test") {
				t.Errorf("%+v", got)
			}
			f.listeners(0)
			leavesNothing(t, f)
			if !strings.Contains(f.Log.String(), "panic: a test") {
				t.Errorf("the log has %s", f.Log.String())
			}
		})
	}
}

// maxOpen is how many polls a key may have open.
const maxOpen = 6

// rawPoll begins a poll of key-1 and gives its connection.
func (f *liveSite) rawPoll(s *httptest.Server, client, body string) net.Conn {
	f.T.Helper()
	conn := f.dial(s)
	if s.TLS != nil {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	fmt.Fprintf(conn, "POST /message-bus/%s/poll HTTP/1.1\r\nHost: site.example\r\nDont-Chunk: true\r\nUser-Api-Key: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", client, fakesite.KeyText("key-1"), len(body), body)
	return conn
}

// read is what comes first on a connection.
func read(c net.Conn) string {
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	var text [8192]byte
	n, _ := c.Read(text[:])
	return string(text[:n])
}

// TestParkedPollsEnd: when their time is over, in order.
func TestParkedPollsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := busSite(t, parkingAbove(-1))
		f.pipes = nettest.ListenPipe()
		f.Add(site.UserAPIKey{UserID: fakesite.Mod.ID, Scopes: userkeys.Scopes{"read", "write"}})
		f.polled(fakesite.Call{Key: "key-6"})
		f.Exec("DELETE FROM userkeys_users WHERE id = $1", fakesite.Mod.ID) // by another node: the key is still known here
		s := f.live()
		once := f.later(s, busAddress, "key-1", "/a=0", dontChunk, "true")
		parts := f.later(s, busAddress, "key-2", "/a=0")
		time.Sleep(live.PollTime) // as long as they wait
		if got := f.whole(once); got.status != 200 || got.text != "[]\n" || got.header.Get("X-Request-Id") == "" {
			t.Errorf("%+v", got)
		}
		if got := f.whole(parts); got.status != 200 || got.text != "[]"+live.PartEnd {
			t.Errorf("%+v", got)
		}
		f.listeners(0)
		if got := f.whole(f.later(s, busAddress, "key-6", "/a=0", dontChunk, "true")); got.status != http.StatusForbidden || got.text != "Invalid Access" {
			t.Errorf("%+v", got)
		}
		f.listeners(0)
		for deadline := time.Now().Add(10 * time.Second); strings.Count(f.Log.String(), "status=200") != 3 || strings.Count(f.Log.String(), "status=") != 4 || !strings.Contains(f.Log.String(), "status=403"); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the log has:\n%s", f.Log.String())
			}
		}
	})
}

// TestSlowReaders: a client that takes nothing is let go, and holds up nobody.
func TestSlowReaders(t *testing.T) { eachWayTimed(t, theSlowReaders) }

func theSlowReaders(t *testing.T, f *liveSite) {
	s, more := f.slowPoll()
	quick := f.later(s, busAddress, "key-2", "/notification-alert/2=0", dontChunk, "true") // alice's too, and hears nothing
	f.listeners(2)
	more()
	time.Sleep((10 * time.Second) - time.Second)
	f.listeners(2)
	time.Sleep(2 * time.Second)
	f.listeners(1)
	f.Config.Bus.Close()
	if got := f.whole(quick); got.status != 200 {
		t.Errorf("%+v", got)
	}
}

// TestSlowReadersOfDeadKeys is KU16 and T34: a client that takes nothing is not waited for when its key has ended.
func TestSlowReadersOfDeadKeys(t *testing.T) { eachWayTimed(t, theSlowReadersOfDeadKeys) }

func theSlowReadersOfDeadKeys(t *testing.T, f *liveSite) {
	_, more := f.slowPoll()
	f.listeners(1)
	more()
	synctest.Wait() // until the answer's first byte waits to be taken
	f.listeners(1)
	began := time.Now()
	f.revoke()
	f.listeners(0)
	if took := time.Since(began); took >= (10*time.Second)/2 {
		t.Errorf("it was waited for, %v", took)
	}
}

// slowPoll opens a poll of key-1 in parts whose client takes nothing. more makes news for it.
func (f *liveSite) slowPoll() (s *httptest.Server, more func()) {
	f.T.Helper()
	s = httptest.NewUnstartedServer(f.Handler)
	f.serve(s)
	data, err := json.Marshal(map[string]string{"excerpt": strings.Repeat("x", 400), "more": strings.Repeat("x", 7000)})
	if err != nil {
		f.T.Fatal(err)
	}
	slow := f.dial(s)
	body := "/notification-alert/1=0&/notification/1=0"
	fmt.Fprintf(slow, "POST %s HTTP/1.1\r\nHost: site.example\r\nUser-Api-Key: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", busAddress, fakesite.KeyText("key-1"), len(body), body)
	return s, func() {
		f.Tell("alice", site.Notification{Type: 1, Data: data})
		f.Config.Bus.Changed(fakesite.Alice.ID)
	}
}

// TestQuietAnswersEndWithTheirSession: a poll or a stream to which nothing is told ends within a second of its session.
func TestQuietAnswersEndWithTheirSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := busSite(t)
		f.pipes = nettest.ListenPipe()
		s := f.live()
		once := f.later(s, busAddress, "alice", "/a=0", dontChunk, "true")
		parts := f.later(s, "/message-bus/other/poll", "alice", "/a=0")
		events, bobs := f.stream(s, "alice", ""), f.stream(s, "bob", "")
		synctest.Wait()
		f.listeners(4)
		time.Sleep(3 * time.Second)
		f.listeners(4)
		began := time.Now()
		f.Identity.Forget("alice")
		if got := f.whole(once); got.status != http.StatusForbidden || got.text != "Invalid Access" {
			t.Errorf("a poll: %+v", got)
		}
		if got := f.whole(parts); got.text != "[]"+live.PartEnd {
			t.Errorf("a poll in parts: %+v", got)
		}
		for e := range events.events {
			if e.name != "notification" { // the first, of how it was
				t.Errorf("an event stream: %+v", e)
			}
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("they ended after %v", took)
		}
		f.listeners(1)
		f.told("bob", fakesite.Bob.ID)
		bobs.next("notification-alert")
	})
}

// TestSessionThatPanics: a session is looked at while its poll waits, in no handler. A panic there ends the poll with
// 500, and nothing else.
func TestSessionThatPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := busSite(t)
		f.pipes = nettest.ListenPipe()
		s := f.live()
		waits := f.later(s, busAddress, "alice", "/notification-alert/1=0", dontChunk, "true")
		synctest.Wait()
		f.Identity.PanicWith("the session")
		if got := f.whole(waits); got.status != http.StatusInternalServerError || strings.Contains(got.text, "panic") {
			t.Errorf("%+v", got)
		}
	})
}

// TestSessionsOfPolls: a session that ends while its poll waits gets nothing more.
func TestSessionsOfPolls(t *testing.T) {
	t.Parallel()
	f := busSite(t)
	s := f.live()
	waits := f.later(s, busAddress, "alice", "/notification-alert/1=0", dontChunk, "true")
	f.listeners(1)
	f.Identity.Forget("alice")
	f.told("alice", fakesite.Alice.ID)
	if got := f.whole(waits); got.status != http.StatusForbidden || got.text != "Invalid Access" {
		t.Errorf("%+v", got)
	}
	// Somebody else with the same browser is not the one who polls.
	waits = f.later(s, busAddress, "bob", "/notification-alert/2=0", dontChunk, "true")
	f.listeners(1)
	f.Identity.FailWith(errors.New("the database is gone"))
	f.told("bob", fakesite.Bob.ID)
	if got := f.whole(waits); got.status != http.StatusInternalServerError || strings.Contains(got.text, "database") {
		t.Errorf("%+v", got)
	}
}
