package manage

import (
	"testing"

	"userkeys/site"
)

func TestToldText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		told   site.Announced
		window int
		want   string
	}{
		{"nothing to push", site.Announced{IDs: []int64{1, 2}}, 10, "users told: 2; pushes that wait to be sent: 0\n"},
		{"whoever was just here waits", site.Announced{IDs: []int64{1}, Queued: 3}, 10, "users told: 1; pushes that wait to be sent: 3\nthe site holds back pushes for 10 minutes after a user's visit\n"},
		{"nobody waits", site.Announced{IDs: []int64{1}, Queued: 3}, 0, "users told: 1; pushes that wait to be sent: 3\n"},
		{"a repetition", site.Announced{IDs: []int64{1}, Repeated: true}, 10, "users told before: 1; nobody was told again\n"},
	} {
		if got := toldText(tt.told, tt.window); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
