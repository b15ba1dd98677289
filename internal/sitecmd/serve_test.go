package sitecmd

import (
	"net"
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

func TestMaxKeysFlag(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int{"": 2 << 20, "1000": 1000, "999": 0, "-1": 0, "100000000": 100_000_000, "100000001": 0} {
		var o sitedata.ServeOptions
		f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		o.AddFlags(f)
		if value != "" {
			if err := f.Set("max-keys", value); err != nil {
				t.Fatal(err)
			}
		}
		cfg, err := siteConfig(&o, sitedata.Config{}, f, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080})
		if cfg.MaxKeys != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %d, %v", value, cfg.MaxKeys, err)
		}
	}
}
