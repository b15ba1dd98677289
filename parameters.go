package userkeys

import (
	"net/url"
	"slices"
	"strings"
)

// maxParameters bounds how many name=value pairs are read at all; a request
// of the protocol has about ten.
const maxParameters = 1000

// protocolParameters are the names that mean something to a site, in the order
// in which their faults are told. The last three are the 2016 draft's and the
// revoke route's.
var protocolParameters = []string{
	"nonce", "scopes", "client_id", "public_key", "application_name", "auth_redirect",
	"push_url", "padding", "expires_in_seconds", "redirect_url", "access_level", "id",
}

func isProtocolParameter(name string) bool { return slices.Contains(protocolParameters, name) }

// ParseParameters reads a raw query or an urlencoded form body strictly.
// net/url drops what it cannot read and keeps the rest; here such a request is
// refused whole, because two programs that drop different things read two
// different requests: what a person consented to must be what was asked.
// Parameters that the protocol does not know may come as they like.
func ParseParameters(query string) (url.Values, error) {
	if strings.Count(query, "&") >= maxParameters {
		return nil, Errorf(InvalidParameters, "more than %d parameters", maxParameters)
	}
	if strings.Contains(query, ";") {
		return nil, Errorf(InvalidParameters, "a ; must be written %%3B: some programs end a parameter there")
	}
	values := make(url.Values)
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, err := parseParameter(pair)
		if err != nil {
			return nil, err
		}
		if isProtocolParameter(name) && values.Has(name) {
			return nil, duplicateParameter(name)
		}
		values[name] = append(values[name], value)
	}
	return values, nil
}

// CheckDuplicates refuses a parameter of the protocol that stands in p more than once.
func CheckDuplicates(p url.Values) error {
	for _, name := range protocolParameters {
		if len(p[name]) > 1 {
			return duplicateParameter(name)
		}
	}
	return nil
}

func duplicateParameter(name string) error {
	return Errorf(InvalidParameters, "duplicate parameter %s", name)
}

func parseParameter(pair string) (name, value string, err error) {
	rawName, rawValue, _ := strings.Cut(pair, "=")
	name, err = url.QueryUnescape(rawName)
	if err != nil {
		return "", "", Errorf(InvalidParameters, "the name of a parameter has broken percent-encoding")
	}
	if !IsText(name) {
		return "", "", Errorf(InvalidParameters, "the name of a parameter is not text: control characters or no UTF-8")
	}
	if base, _, ok := strings.Cut(name, "["); ok && isProtocolParameter(strings.TrimSpace(base)) {
		return "", "", Errorf(InvalidParameters, "%s is one value and no list: write %[1]s=...", strings.TrimSpace(base))
	}
	value, err = url.QueryUnescape(rawValue)
	if err != nil {
		return "", "", Errorf(InvalidParameters, "the percent-encoding of parameter %s is broken", Quoted(name))
	}
	if !IsStorable(value) {
		return "", "", Errorf(InvalidParameters, "parameter %s is not text: no UTF-8, or a NUL", Quoted(name))
	}
	return name, value, nil
}
