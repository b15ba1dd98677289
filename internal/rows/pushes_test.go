package rows

import (
	"encoding/json"
	"testing"
	"time"

	"userkeys/outbox"
)

func TestPushJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 20, 14, 0, 0, 0, time.FixedZone("", 7200))
	for _, tt := range []struct {
		name string
		v    any
		want string
	}{
		{
			"a delivery that waits", NewDelivery(outbox.Delivery{ID: 1, UserID: 2, NotificationID: 3, PushURL: "https://a.example/x", Host: "https://a.example:443", CreatedAt: at, QueuedAt: at, NextAt: at}, "alice"),
			`{"id":1,"user_id":2,"username":"alice","notification_id":3,"key_id":null,"push_url":"https://a.example/x","host":"https://a.example:443","created_at":"2026-05-20T12:00:00Z","queued_at":"2026-05-20T12:00:00Z","next_at":"2026-05-20T12:00:00Z","attempts":0,"dead_at":null,"problem":null}`,
		},
		{
			"a test that was given up, of a user who is gone", NewDelivery(outbox.Delivery{ID: 1, UserID: 2, KeyID: 4, NextAt: at, DeadAt: at, Attempt: 9, Problem: "gone"}, ""),
			`{"id":1,"user_id":2,"username":null,"notification_id":null,"key_id":4,"push_url":"","host":"","created_at":null,"queued_at":null,"next_at":null,"attempts":9,"dead_at":"2026-05-20T12:00:00Z","problem":"gone"}`,
		},
		{
			"a host that works again", NewPushHost(outbox.Host{Host: "h", Delivered: 1, Failed: 2, DeliveredAt: at, FailedAt: at.Add(-time.Hour), Problem: "timeout", ClosedUntil: at.Add(-time.Minute)}, at),
			`{"host":"h","queued":0,"dead":0,"off":0,"delivered":1,"failed":2,"failures":0,"closed_until":null,"delivered_at":"2026-05-20T12:00:00Z","failed_at":"2026-05-20T11:00:00Z","problem":null,"due_at":null}`,
		},
		{
			"a host where one address fails and another works", NewPushHost(outbox.Host{Host: "h", Off: 1, Failures: 5, DeliveredAt: at, FailedAt: at.Add(-time.Hour), Problem: "timeout", ClosedUntil: at.Add(time.Minute)}, at),
			`{"host":"h","queued":0,"dead":0,"off":1,"delivered":0,"failed":0,"failures":5,"closed_until":"2026-05-20T12:01:00Z","delivered_at":"2026-05-20T12:00:00Z","failed_at":"2026-05-20T11:00:00Z","problem":"timeout","due_at":null}`,
		},
		{
			"a key that nothing was pushed to", NewKeyPush(outbox.KeyState{}),
			`{"delivered_at":null,"failed_at":null,"failing_since":null,"problem":null,"off_at":null}`,
		},
	} {
		if got, err := json.Marshal(tt.v); err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v\nwant %s", tt.name, got, err, tt.want)
		}
	}
}
