package userkeys_test

import (
	"bytes"
	"context"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/client"
	"userkeys/notify"
	"userkeys/outbox"
	"userkeys/server"
	"userkeys/site"
	"userkeys/store"
)

// TestEmbeddingPushes: what docs/embedding.md says to write for pushes, beside a receiver that verifies.
func TestEmbeddingPushes(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	db, err := sql.Open("sqlite", store.SQLiteDSN(filepath.Join(t.TempDir(), "userkeys.db")))
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	st, err := store.Open(ctx, db, store.SQLite)
	must(t, err)
	_, err = st.Migrate(ctx)
	must(t, err)
	secret, base := bytes.Repeat([]byte{7}, 32), &url.URL{Scheme: "https", Host: "www.example"}
	got := make(chan client.Push, 1)
	var pushSecret userkeys.PushSecret // known before anything is pushed
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		push, err := client.VerifyPush(r, pushSecret)
		if err == nil {
			got <- push
		}
		w.WriteHeader(client.PushStatus(err))
	}))
	t.Cleanup(receiver.Close)

	auth, err := authority.New(ctx, authority.Config{
		Store: st,
		Pinned: map[string]string{
			"allowed_user_api_push_urls": receiver.URL, "push_notification_time_window_mins": "0",
		},
	})
	must(t, err)
	system := site.Caller{As: site.CallerSystem}
	alice, err := st.FindOrCreateUser(ctx, site.User{Username: "alice", TrustLevel: 1}, system)
	must(t, err)
	mySessions := sessions{"secret": alice}
	pushes, err := outbox.Open(outbox.Config{Queue: st, Actions: st, Settings: auth.Settings, Secret: secret, BaseURL: base})
	must(t, err)
	inbox := notify.Open(notify.Config{
		Store: st, Jobs: st, Settings: auth.Settings, Origin: "https://www.example",
		Queued: pushes.Wake,
	})
	pages, err := server.New(server.Config{
		Authority: auth, Identity: mySessions, BaseURL: base,
		Endpoints: true, Users: st, Inbox: inbox, Bus: inbox.Bus, Pushes: pushes,
	})
	must(t, err)
	pages.Mount(http.NewServeMux())
	ended := make(chan error, 3)
	for _, run := range []func(context.Context) error{auth.Run, inbox.Run, pushes.Run} {
		go func() { ended <- run(ctx) }()
	}

	app, err := client.Begin(client.Request{
		Site: base.String(), ApplicationName: "Notifier", ClientID: "installation 1", Scopes: userkeys.Scopes{"push"}, PushURL: receiver.URL,
	})
	must(t, err)
	asked, err := url.Parse(app.URL)
	must(t, err)
	request, err := site.ParseAuthorizationRequest(asked.Query())
	must(t, err)
	granted, err := auth.Grant(ctx, authority.Approval{Request: &request, By: site.Caller{User: alice, Session: site.Session{ID: "one"}}})
	must(t, err)
	pushSecret, err = userkeys.NewPushSecret(secret, granted.Key.ID, granted.Key.CreatedAt)
	must(t, err)
	told, err := inbox.Add(ctx, site.Announcement{Usernames: []string{"alice"}, Message: site.Message{Title: "Your build is green"}, Caller: system})
	must(t, err)
	if told.Queued != 1 {
		t.Fatalf("%d pushes are queued, want 1", told.Queued)
	}
	select {
	case push := <-got:
		if push.Site != base.String() || len(push.Notifications) != 1 || push.Notifications[0].TopicTitle != "Your build is green" {
			t.Errorf("pushed was %+v", push)
		}
	case <-time.After(20 * time.Second):
		t.Error("nothing was pushed")
	}
	stop()
	for range 3 {
		must(t, <-ended)
	}
}

// TestEmbeddingShowsPushes: the lines of docs/embedding.md about pushes are those that are run above.
func TestEmbeddingShowsPushes(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/embedding.md")
	must(t, err)
	example, err := os.ReadFile("embedding_push_test.go")
	must(t, err)
	_, after, ok := strings.Cut(string(page), "To push notifications to apps too")
	_, after, opened := strings.Cut(after, "```go\n")
	snippet, _, closed := strings.Cut(after, "```")
	if !ok || !opened || !closed {
		t.Fatal("docs/embedding.md shows no pushes")
	}
	for line := range strings.Lines(snippet) {
		code, _, _ := strings.Cut(line, " //")
		if code = strings.TrimSpace(code); !strings.HasPrefix(code, "go ") && !strings.Contains(string(example), code) {
			t.Errorf("docs/embedding.md says %q, which is not in embedding_push_test.go", code)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
