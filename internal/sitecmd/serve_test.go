package sitecmd

import (
	"testing"

	"github.com/spf13/pflag"

	"userkeys/internal/sitecmd/sitedata"
)

func TestMinUploadRateFlag(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int{"": 64, "64": 64, "0": -1, "1": 1, "-1": 0, "2000000": 0} {
		var o sitedata.ServeOptions
		f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		o.AddFlags(f)
		if value != "" {
			if err := f.Set("min-upload-rate", value); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := minUploadRate(o.MinUploadRate); got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %d, %v", value, got, err)
		}
	}
}
