package client

import (
	"context"
	"net/url"
	"os/exec"
	"runtime"

	"userkeys"
)

// OpenBrowser opens address, which must begin with https:// or http://, in the user's browser, by the program that
// the system has for it. Print the address as well, because the browser may open where the user does not see it.
//
// Errors: [userkeys.InvalidParameters] for another address, [userkeys.Unavailable] if no such program is
// installed.
func OpenBrowser(ctx context.Context, address string) error {
	// The program opens files too, and reads options: neither must be taken for an address.
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return userkeys.Errorf(userkeys.InvalidParameters, "only an address with https:// or http:// is opened in a browser")
	}
	programs := [][]string{{"xdg-open"}, {"wslview"}, {"x-www-browser"}, {"www-browser"}}
	switch runtime.GOOS {
	case "darwin":
		programs = [][]string{{"open"}}
	case "windows":
		programs = [][]string{{"rundll32", "url.dll,FileProtocolHandler"}}
	}
	for _, p := range programs {
		path, err := exec.LookPath(p[0])
		if err != nil {
			continue
		}
		return exec.CommandContext(ctx, path, append(p[1:], address)...).Run()
	}
	return userkeys.Errorf(userkeys.Unavailable, "there is no program here that opens a browser")
}
