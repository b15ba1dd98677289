package sitedata

import (
	"fmt"

	"userkeys/gateway"
	"userkeys/internal/cli"
)

// identityTable is an [[identity-header]] of the configuration file.
type identityTable struct {
	Name     string `toml:"name"`
	Value    string `toml:"value"`
	Encoding string `toml:"encoding"`
}

// identityHeaders returns the headers in which the website learns who calls in its own words.
func (file configFile) identityHeaders(path string, text []byte) ([]gateway.IdentityHeader, error) {
	var list []gateway.IdentityHeader
	for i, t := range file.identityTables {
		list = append(list, gateway.IdentityHeader(t))
		if err := gateway.CheckIdentityHeaders(list); err != nil {
			return nil, fmt.Errorf("%s:%d: %s", path, lineOf(text, "identity-header", i, "name"), cli.Explain(err))
		}
		if t.Value == "external-id" && len(file.logins) > 1 {
			return nil, fmt.Errorf("%s:%d: %s: two logins may name two people alike; let your website read %s and %s",
				path, lineOf(text, "identity-header", i, "name"), t.Name, gateway.ExternalIDHeader, gateway.LoginHeader)
		}
	}
	return list, nil
}
