package client

import (
	"context"
	"net/url"
	"os/exec"
	"runtime"

	"userkeys"
)

// OpenBrowser opens address in the person's browser by what the system has for that. An
// error says that there is none: print the address in any case, before.
func OpenBrowser(ctx context.Context, address string) error {
	// A program that opens anything would take a file or an option for an address.
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
