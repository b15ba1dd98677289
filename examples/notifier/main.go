// Notifier shows a desktop notification when something new waits for you on a site.
//
//	notifier https://forum.example    log in, then watch
//	notifier                          watch with the key that is kept
//	notifier --logout                 end the key and forget it
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"userkeys"
	"userkeys/client"
)

var (
	flow   = flag.String("flow", "", "how to log in: loopback (a browser here) or device (a code to type anywhere)")
	logout = flag.Bool("logout", false, "end the key and forget it")
	every  = flag.Duration("every", time.Minute, "time between two looks; sites allow 20 a minute and 2880 a day")
	file   = flag.String("file", os.ExpandEnv("$HOME/.userkeys-notifier.json"), "where the key is kept")
)

func main() {
	flag.Parse()
	if err := run(context.Background(), flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "notifier:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, site string) error {
	c, err := load()
	switch {
	case err != nil:
		return err
	case c.Key == "" && (site == "" || *logout):
		return errors.New("there is no key; log in: notifier https://forum.example")
	case *logout:
		if err := c.Revoke(ctx, nil); !ended(err) {
			return fmt.Errorf("the key stays, for it may still be good: %w", err)
		}
		return save(&client.Credential{ClientID: c.ClientID})
	case site != "" && c.Key != "":
		return fmt.Errorf("there is a key for %s: start without an address, or --logout first", c.Site)
	case site != "":
		if c, err = login(ctx, site, cmp.Or(c.ClientID, client.RandomID())); err != nil {
			return err
		}
		if err := save(c); err != nil {
			return errors.Join(err, c.Revoke(ctx, nil)) // a key that is not stored must not stay valid
		}
	}
	fmt.Println("Watching", c.Site)
	return watch(ctx, c)
}

// ended reports whether the key is of no use any more, by the error of Revoke: it was revoked now, or had ended
// before. A 403 alone does not say so, because firewalls answer it too.
func ended(err error) bool {
	var refused *client.APIError
	return err == nil || errors.As(err, &refused) && refused.Worthless()
}

func login(ctx context.Context, site, clientID string) (*client.Credential, error) {
	if site, err := client.ParseSite(site); err == nil && client.PlainHTTP(site) {
		return nil, errors.New("over plain http others would read the key; use https")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute) // as long as sites wait for an answer
	defer cancel()
	var flows []client.Flow // empty: the first that works on the site
	if *flow != "" {
		flows = append(flows, client.Flow(*flow))
	}
	return client.Login(ctx, client.Options{
		Request: client.Request{
			Site: site, ApplicationName: "Notifier", ClientID: clientID,
			Scopes: userkeys.Scopes{"notifications"},
		},
		Flows: flows,
		OpenBrowser: func(ctx context.Context, address string) error {
			fmt.Println("Approve in your browser:", address)
			_ = client.OpenBrowser(ctx, address) // else the person opens what is printed
			return nil
		},
		ShowCode: func(_ context.Context, d *client.DeviceAuthorization) error {
			_, err := fmt.Printf("Open %s and type %s\n", d.VerificationURI, d.UserCode)
			return err
		},
	})
}

// watch returns when the key has ended. It goes on while the site cannot be reached or answers with errors.
func watch(ctx context.Context, c *client.Credential) error {
	for last := 0; ; {
		total, err := c.Totals(ctx, nil)
		err = c.Diagnose(ctx, nil, err) // Discourse does not say what a 403 means
		n, refused := total.All(), &client.APIError{}
		if errors.As(err, &refused) && refused.KeyIsDead() {
			err = errors.New("the site no longer takes the key: it was revoked or has ended; log in again")
			if now, _ := load(); now != nil && now.Key == c.Key { // and not the key of a login meanwhile
				err = errors.Join(err, save(&client.Credential{ClientID: c.ClientID}))
			}
			return err
		}
		if err == nil && n > last { // no text of the site becomes part of the command
			err = exec.Command(cmp.Or(os.Getenv("NOTIFY_COMMAND"), "notify-send"),
				"Notifier", fmt.Sprintf("%d new on %s", n, c.Site)).Run()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "notifier:", err)
			n = last // so that it is shown later
		}
		last = n
		time.Sleep(max(*every, refused.RetryAfter))
	}
}

// kept is the content of the file: the credential and its key, which JSON of a [client.Credential] leaves out.
type kept struct {
	*client.Credential
	Key userkeys.Key `json:"key"`
}

func load() (*client.Credential, error) {
	k := kept{Credential: &client.Credential{}}
	text, err := os.ReadFile(*file)
	info, _ := os.Stat(*file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return k.Credential, nil
	case err != nil || json.Unmarshal(text, &k) != nil: // whose error may quote the key
		return nil, fmt.Errorf("%s cannot be read, or is no file of this program", *file)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("others can read %s: make it yours (chmod 600), and better take a new key", *file)
	}
	k.Credential.Key = k.Key
	return k.Credential, nil
}

// save replaces the file by a whole new one. The client id is kept without a key, because it names this installation.
func save(c *client.Credential) error {
	at := *file
	if to, err := filepath.EvalSymlinks(at); err == nil { // a rename would replace a symbolic link
		at = to
	}
	text, err := json.Marshal(kept{c, c.Key})
	if err == nil {
		err = os.WriteFile(at+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(at+".new", at)
	}
	return err
}
