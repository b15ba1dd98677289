package door

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"userkeys"
	"userkeys/gateway"
	"userkeys/site"
)

const (
	// sessionLook is how often the session of a request that takes long is read again.
	sessionLook = time.Second
	// takeTime is how long a client may take for a piece of an answer.
	takeTime = 10 * time.Second
)

// Extend gives the client 10 seconds from now on to take what is written next. A handler whose answer waits must
// call it before each write, also before the last one.
func (d *Door) Extend(w http.ResponseWriter) { gateway.Deadlines{Write: takeTime}.Extend(w) }

// StillThere refuses a request whose key or session has ended while it waits.
//
// If what the embedder gave panics, that is an error, for this is also asked outside of the request's handler.
func (d *Door) StillThere(r *http.Request, c site.Caller) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	if access, keyed := userkeys.FromContext(r.Context()); keyed {
		return d.cfg.Authority.Holds(r.Context(), access)
	}
	now, err := d.visitorAgain(r)
	if err == nil && (now.User.ID != c.User.ID || now.Session.ID != c.Session.ID) {
		err = userkeys.Errorf(userkeys.NotLoggedIn, "you are not signed in any more")
	}
	return err
}

// watchSession gives r a context that ends at most a second after c's session. The cause of its end is the refusal,
// as it is for the request of a key. The caller must call stop, which ends the watch.
func (d *Door) watchSession(r *http.Request, c site.Caller) (watched *http.Request, stop func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	watched = r.WithContext(ctx)
	var looking sync.WaitGroup
	looking.Go(func() {
		tick := time.NewTicker(sessionLook)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := d.StillThere(watched, c); err != nil {
					cancel(err)
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return watched, func() { cancel(nil); looking.Wait() }
}

// visitorAgain asks once more who sends r. Our own accounts remember the answer for each request, so they are asked
// about the request as it came, before they saw it. An embedder's identity is asked about r.
func (d *Door) visitorAgain(r *http.Request) (site.Caller, error) {
	came := stateOf(r).came
	if d.accounts == nil || came == nil {
		return d.cfg.Identity.Visitor(r)
	}
	var v site.Caller
	err := error(userkeys.Errorf(userkeys.NotLoggedIn, "you are not signed in any more"))
	look := func(_ http.ResponseWriter, r *http.Request) { v, err = d.cfg.Identity.Visitor(r) }
	d.accounts.Sessions(http.HandlerFunc(look)).ServeHTTP(noAnswer{http.Header{}}, came)
	return v, err
}

// noAnswer is for a look at a session that is not answered.
type noAnswer struct{ header http.Header }

func (n noAnswer) Header() http.Header         { return n.header }
func (n noAnswer) Write(b []byte) (int, error) { return len(b), nil }
func (n noAnswer) WriteHeader(int)             {}
