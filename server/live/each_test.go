package live_test

import (
	"testing"
	"testing/synctest"

	"userkeys/internal/testkit/nettest"
)

// eachWayTimed is [eachWay] in synctest's time, where a test can wait until nothing goes on any more.
func eachWayTimed(t *testing.T, play func(t *testing.T, f *liveSite)) {
	t.Helper()
	t.Parallel()
	for name, above := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := busSite(t, parkingAbove(above))
				f.pipes = nettest.ListenPipe()
				play(t, f)
				f.Live.Drain(t.Context())
				if n := f.Live.Parked(); n != 0 {
					t.Errorf("%d are still parked", n)
				}
			})
		})
	}
}
