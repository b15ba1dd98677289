package apps_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/fakesite"
	"userkeys/outbox"
)

func TestAppsPageTellsHowPushesGo(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithPushed(t)
	page := f.Do(fakesite.Call{Path: "/my/apps", As: "alice"}).Must(t, http.StatusOK).Text
	page += f.Do(fakesite.Call{Path: "/my/apps?show=ended", As: "alice"}).Must(t, http.StatusOK).Text
	for _, tt := range []struct {
		name      string
		id        int
		must, not []string
	}{
		{"an app without an address", 1, nil, []string{"Notifications to", "Send a test"}},
		{"nothing was sent yet", 6, []string{"push.example", "nothing sent yet", "none so far", "Send a test to Untold"}, []string{"Try again"}},
		{"it works", 7, []string{"working", "(2 minutes ago)", "Send a test to Works"}, []string{"arrived since", "could not be reached"}},
		{"it fails", 8, []string{"failing", "have not arrived since", "(3 hours ago)", "the app's server could not be reached, or did not accept them", "(2 days ago)", "Send a test to Fails"}, []string{"Try again"}},
		{"it is switched off", 9, []string{"switched off", "No notifications have been sent since", "(5 hours ago)", "wants no more notifications", "none so far", "Try again to send notifications to Off"}, []string{"Send a test"}},
		{"the site does not allow it any more", 10, []string{"elsewhere.example", "not allowed", "This site does not allow sending to that address now"}, []string{"Send a test", "Try again"}},
		{"the user did not allow it", 11, []string{"not allowed", "you did not let it"}, []string{"Send a test", "Try again"}},
		{"its server asked for a pause", 12, []string{"waiting", "have been waiting since", "(3 hours ago)", "the app's server asked for a pause", "tries again by itself", "Send a test to Busy"}, []string{"failing", "trouble", "Try again"}},
		{"it failed once", 13, []string{"waiting", "(1 minute ago)", "Send a test to Hiccup"}, []string{"failing", "trouble", "Try again"}},
		{"a revoked key has nothing to try", 14, []string{"push.example", "Undo"}, []string{"Send a test", "Try again", "switched off"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := testkit.Inside(t, page, fmt.Sprintf("key-%d", tt.id))
			for _, text := range tt.must {
				if !strings.Contains(got, text) {
					t.Errorf("it lacks %q: %s", text, got)
				}
			}
			for _, text := range tt.not {
				if strings.Contains(got, text) {
					t.Errorf("it has %q: %s", text, got)
				}
			}
		})
	}
}

// TestSS27_SS28_TheAppsPageTellsNothingOfTheInside: whoever may name a push
// address must not learn from this page what answers there, or whether anything does (blind to full SSRF).
func TestSS27_SS28_TheAppsPageTellsNothingOfTheInside(t *testing.T) {
	t.Parallel()
	said := map[string][]string{}
	for _, problem := range []outbox.Problem{
		outbox.ProblemConnection, outbox.ProblemTimeout, outbox.ProblemTLS, outbox.ProblemOverdue, outbox.ProblemOff, "status 200", "status 404", "status 503",
		"dial tcp 10.1.2.3:6379: connect: connection refused", "-ERR wrong number of arguments", outbox.ProblemAddress, outbox.ProblemGone, outbox.ProblemMoved, outbox.ProblemBusy,
	} {
		f := fakesite.NewWithPushed(t)
		f.Pushed(6, outbox.KeyState{FailedAt: fakesite.Now, FailingSince: fakesite.Now.Add(-time.Hour), Problem: problem})
		f.Pushed(7, outbox.KeyState{FailedAt: fakesite.Now, OffAt: fakesite.Now.Add(-time.Hour), Problem: problem})
		a := f.Do(fakesite.Call{Path: "/my/apps", As: "alice"})
		a.Must(t, http.StatusOK)
		if text := testkit.Inside(t, a.Text, "push-6"); !strings.Contains(text, problem.Sentence()) {
			t.Errorf("%s reads %q", problem, text)
		}
		a.MustNot(t, "10.1.2.3", "6379", "refused", "ERR", "status 2", "status 4", "status 5", "status-", "dial", "/hook")
		text := testkit.Inside(t, a.Text, "push-6")
		said[text] = append(said[text], string(problem))
	}
	if len(said) != 4 { // reached or not, and also an address that lies inside, is one of them
		t.Errorf("%d different texts: %v", len(said), said)
	}
	f := fakesite.NewWithPushed(t)
	f.Gone()
	for _, c := range []fakesite.Call{{Path: "/my/apps", As: "alice"}, pushCall("push-test", "alice", "6"), pushCall("push-resume", "alice", "9")} {
		f.Do(c).Must(t, http.StatusServiceUnavailable, "he site cannot answer right now").MustNot(t, "database is closed")
	}
}

func pushCall(what, as, id string) fakesite.Call {
	return fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/" + what, As: as, Form: map[string]string{"id": id}}
}

func TestPushTestAndResume(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		call   fakesite.Call
		status int
		leads  string
		done   []string
	}{
		{"one's own", pushCall("push-test", "alice", "6"), 303, "/my/apps?done=tested", []string{"a test of key 6"}},
		{"switched on again", pushCall("push-resume", "alice", "9"), 303, "/my/apps?done=resumed", []string{"push resumed key 9 (https://push.example:443) by 1 user"}},
		{"an administrator", pushCall("push-resume", "root", "9"), 303, "/my/apps?done=resumed", []string{"push resumed key 9 (https://push.example:443) by 3 user"}},
		{"another user's", pushCall("push-test", "bob", "6"), 404, "", nil},
		{"another user's, resumed", pushCall("push-resume", "bob", "9"), 404, "", nil},
		{"a moderator's rank does not help", pushCall("push-test", "mod", "6"), 404, "", nil},
		{"no such key", pushCall("push-test", "alice", "4711"), 404, "", nil},
		{"RV2 no id", pushCall("push-test", "alice", "06"), 404, "", nil},
		{"an app without an address", pushCall("push-test", "alice", "1"), 409, "", nil},
		{"a revoked key", pushCall("push-test", "alice", "14"), 409, "", nil},
		{"nobody", pushCall("push-test", "", "6"), 403, "", nil},
		{"GR2 from another site", fakesite.With(pushCall("push-test", "alice", "6"), "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), 403, "", nil},
		{"GR3 without the session's token", fakesite.Without(pushCall("push-test", "alice", "6")), 403, "", nil},
		{"GR3 resumed without the session's token", fakesite.Without(pushCall("push-resume", "alice", "9")), 403, "", nil},
		{"KU6 a key, beside a session", func() fakesite.Call { c := pushCall("push-test", "alice", "6"); c.Key = "key-6"; return c }(), 403, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := fakesite.NewWithPushed(t)
			a := f.Do(tt.call).Must(t, tt.status)
			if got := a.Header.Get("Location"); got != tt.leads {
				t.Errorf("it leads to %q, want %q", got, tt.leads)
			}
			done := f.Done()
			if f.Count("userkeys_deliveries WHERE key_id = 6 AND notification_id = 0") == 1 {
				done = append(done, "a test of key 6")
			}
			if diff := cmp.Diff(tt.done, done); diff != "" {
				t.Error(diff)
			}
		})
	}
	f := fakesite.NewWithPushed(t)
	f.Do(fakesite.Call{Path: "/my/apps?done=tested", As: "alice"}).Must(t, http.StatusOK, `role="status">A test is on its way`)
	f.Do(fakesite.Call{Path: "/my/apps?done=resumed", As: "alice"}).Must(t, http.StatusOK, `role="status">Notifications are sent to the app again`)
	f.Do(pushCall("push-test", "alice", "6")).Must(t, http.StatusSeeOther)
	f.Pass(3 * time.Second)
	a := f.Do(pushCall("push-test", "alice", "6")).Must(t, http.StatusSeeOther)
	if a.Header.Get("Location") != "/my/apps?done=soon" {
		t.Errorf("a second test leads to %q", a.Header.Get("Location"))
	}
	f.Do(fakesite.Call{Path: "/my/apps?done=soon", As: "alice"}).Must(t, http.StatusOK, `role="status">A test was sent to the app a moment ago`)
	a = f.Do(fakesite.With(pushCall("push-test", "alice", "6"), "Accept", "application/json")).Must(t, http.StatusTooManyRequests, "a test was just sent")
	if a.Header.Get("Retry-After") != "7" {
		t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
	}
}
