package authority_test

import (
	"errors"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/dbtest"
)

// An app that asks for its push secret in a loop is bounded, and no other key with it.
func TestPushSecretsAreBoundedByKey(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	one, other := userkeys.Access{KeyID: 1}, userkeys.Access{KeyID: 2}
	for range 10 {
		if err := d.ChargePushSecret(one); err != nil {
			t.Fatal(err)
		}
	}
	err := d.ChargePushSecret(one)
	if e := userkeys.AsError(err); !errors.Is(err, userkeys.RateLimited) || e.Reason != "limit: 10 per 60 s" || e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
		t.Errorf("the eleventh in a minute: %+v", e)
	}
	if err := d.ChargePushSecret(other); err != nil {
		t.Errorf("another key pays for it: %v", err)
	}
	d.clock.pass(time.Minute + time.Second)
	if err := d.ChargePushSecret(one); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}
