package authority_test

import (
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/dbtest"
)

// All keys of a user share a limit, so many keys, and the same one granted
// again and again, are no way round it. A request refused by either limit is charged to neither.
func TestRL6RL7KeysOfAUserShareALimit(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	d.set("max_user_api_reqs_per_minute", "3")
	d.set("max_user_api_reqs_per_user_per_minute", "7")
	t.Run("RL6 granted again and again", func(t *testing.T) {
		passed := 0
		for range 5 {
			key, _ := d.grant(d.alice, request(client("again")))
			for range 4 {
				if _, err := d.check(key, "GET", "/x"); err == nil {
					passed++
				}
			}
		}
		if passed != 7 {
			t.Errorf("%d passed, want 7", passed)
		}
	})
	t.Run("RL7 many keys", func(t *testing.T) {
		d.clock.pass(time.Minute)
		first, _ := d.grant(d.alice, request(client("first")))
		for range 3 {
			d.mustCheck(first)
		}
		for range 20 { // refused by the key's own limit, and so free for the user
			_, err := d.check(first, "GET", "/x")
			if e := userkeys.AsError(err); e.LimitCode != "user_api_key_limiter_60_secs" || e.Reason != "limit: 3 per 60 s" {
				t.Fatalf("%+v", e)
			}
		}
		second, _ := d.grant(d.alice, request(client("second")))
		third, _ := d.grant(d.alice, request(client("third")))
		for range 3 {
			d.mustCheck(second)
		}
		d.mustCheck(third)
		for range 20 { // refused by the user's limit, and so free for the key
			_, err := d.check(third, "GET", "/x")
			e := userkeys.AsError(err)
			if e.LimitCode != "user_api_user_limiter_60_secs" || e.Reason != "limit: 7 per 60 s for all keys of this user" || e.RetryAfter <= 0 {
				t.Fatalf("%+v", e)
			}
		}
		d.set("max_user_api_reqs_per_user_per_minute", "100")
		d.mustCheck(third)
		d.mustCheck(third)
		if _, err := d.check(third, "GET", "/x"); userkeys.AsError(err).LimitCode != "user_api_key_limiter_60_secs" {
			t.Errorf("the third key had more than its own left: %v", err)
		}
	})
	t.Run("the day", func(t *testing.T) {
		d.clock.pass(25 * time.Hour)
		d.set("max_user_api_reqs_per_user_per_minute", "0")
		d.set("max_user_api_reqs_per_user_per_day", "4")
		for i := range 2 {
			key, _ := d.grant(d.alice, request(client("day"+string(rune('a'+i)))))
			for range 2 {
				d.mustCheck(key)
			}
			if i == 1 {
				_, err := d.check(key, "GET", "/x")
				// The day is counted in steps, the last of which ends later: what is asked for is a day at most.
				if wait := userkeys.AsError(err).RetryAfter; wait <= 23*time.Hour || wait > 24*time.Hour {
					t.Errorf("the wait is %v, want a day at most", wait)
				}
				if e := userkeys.AsError(err); e.LimitCode != "user_api_user_limiter_1_day" || e.Reason != "limit: 4 per 86400 s for all keys of this user" {
					t.Errorf("%+v", e)
				}
			}
		}
	})
	t.Run("none, and another user", func(t *testing.T) {
		d.set("max_user_api_reqs_per_user_per_day", "0")
		for i := range 10 {
			key, _ := d.grant(d.alice, request(client("free"+string(rune('a'+i)))))
			for range 3 {
				d.mustCheck(key)
			}
		}
	})
}
