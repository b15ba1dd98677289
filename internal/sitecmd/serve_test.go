package sitecmd

import (
	"testing"
)

func TestMinUploadRateFlag(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int{"": 64, "64": 64, "0": -1, "1": 1, "-1": 0, "2000000": 0} {
		f := newServeCommand().Flags()
		if value != "" {
			if err := f.Set("min-upload-rate", value); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := minUploadRate(f); got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %d, %v", value, got, err)
		}
	}
}
