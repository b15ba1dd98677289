package sitedata

import (
	"fmt"

	"userkeys"
	"userkeys/internal/cli"
	"userkeys/site"
)

// carrierTable is a [[carrier]] of the configuration file.
type carrierTable struct {
	Kind   string   `toml:"kind"`
	Routes []string `toml:"routes"`
	Ask    bool     `toml:"ask"`
}

// carriers returns where keys may stand in the header Authorization on a site with the pinned settings s.
func (file configFile) carriers(path string, text []byte, s site.Settings) ([]site.Carrier, error) {
	var carriers []site.Carrier
	for i, t := range file.carrierTables {
		c := site.Carrier{Kind: site.CarrierKind(t.Kind), Ask: t.Ask}
		for _, r := range t.Routes {
			route, err := userkeys.ParseRoute(r)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %s", path, lineOf(text, "carrier", i, r), cli.Explain(err))
			}
			c.Routes = append(c.Routes, route)
		}
		carriers = append(carriers, c)
	}
	if err := site.CheckCarriers(carriers, s.UserAPIKeyPrefix); err != nil {
		return nil, fmt.Errorf("%s:%d: %s", path, lineOf(text, "carrier", 0, "[[carrier]]"), cli.Explain(err))
	}
	return carriers, nil
}
