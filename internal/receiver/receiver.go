package receiver

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"userkeys"
	"userkeys/client"
)

// Config configures a [Receiver].
type Config struct {
	Path string // of the push URL; "/" accepts every path

	// Secrets returns the secrets for a client on a site; nil: there are none, and nothing can be verified.
	Secrets func(site, clientID string) ([]userkeys.PushSecret, error)
	// AcceptUnsigned accepts pushes without a signature, as a Discourse sends them. With Secrets a signed push must
	// still verify.
	AcceptUnsigned bool
	SecretKey      string // the secret_key that unsigned pushes must have; empty: any

	Store  *Store // nil: pushes are not stored
	Faults Faults
	Told   func(Event) // is called once for each request, by several goroutines; may be nil

	Now  func() time.Time // nil: the clock
	Roll func() float64   // for [Faults].Rate: from 0 to below 1; nil: random
}

// maxAtWork is how many requests are read and handled at the same time; others wait.
const maxAtWork = 64

// A Receiver is the [http.Handler] of a push URL.
type Receiver struct {
	cfg   Config
	once  *client.ReplayGuard
	work  chan struct{}
	count atomic.Int64 // pushes that are acceptable
}

// New returns a Receiver. Errors: [userkeys.MissingParameter], [userkeys.InvalidParameters] if cfg is not valid.
func New(cfg Config) (*Receiver, error) {
	if cfg.Secrets == nil && !cfg.AcceptUnsigned {
		return nil, userkeys.Errorf(userkeys.MissingParameter, "there is no secret to verify pushes with")
	}
	if cfg.Path == "" || cfg.Path[0] != '/' {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "the path of a push URL begins with a slash")
	}
	if err := cfg.Faults.Check(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Roll == nil {
		cfg.Roll = rand.Float64
	}
	if cfg.Told == nil {
		cfg.Told = func(Event) {}
	}
	guard := client.NewReplayGuard()
	guard.Now = cfg.Now
	return &Receiver{cfg: cfg, once: guard, work: make(chan struct{}, maxAtWork)}, nil
}

// ServeHTTP handles a push and reports it to Told.
func (rc *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, err := rc.receive(r)
	e.At = rc.cfg.Now().UTC()
	e.Status = rc.status(e, err)
	rc.cfg.Told(e)
	if rc.cfg.Faults.Delay > 0 && !sleep(r.Context(), rc.cfg.Faults.Delay) {
		return
	}
	if e.Status == 0 {
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // not even an empty answer
	}
	rc.answer(w, e, err)
}

// receive reads, verifies and stores a push, and returns what happened.
func (rc *Receiver) receive(r *http.Request) (Event, error) {
	if err := rc.rightPlace(r); err != nil {
		return refused(err), err
	}
	select { // before the body is read, because bodies need memory
	case rc.work <- struct{}{}:
		defer func() { <-rc.work }()
	case <-r.Context().Done():
		return refused(r.Context().Err()), r.Context().Err()
	}
	p, err := rc.verify(r)
	if err != nil {
		return refused(err), err
	}
	e := Event{Result: Verified, ID: p.ID, Site: p.Site, Title: p.Title, Notes: notes(p), LeftOut: p.LeftOut}
	if p.ID == "" {
		e.Result = Unsigned
	}
	if rc.cfg.Faults.strikes(rc.count.Add(1), rc.cfg.Roll()) {
		e.Result, e.Status, e.Why = Failed, rc.cfg.Faults.Status, "on purpose"
		return e, nil
	}
	err = rc.once.Once(p, func(p client.Push) error {
		e.Notes = notes(p)
		if rc.cfg.Store == nil {
			return nil
		}
		e.File, err = rc.cfg.Store.Add(p, rc.cfg.Now())
		return err
	})
	switch {
	case errors.Is(err, client.ErrPushSeen):
		e.Result, e.Why, err = Duplicate, "was here before", nil
	case err != nil:
		e.Result, e.Why = Broken, why(err)
	}
	return e, err
}

func (rc *Receiver) rightPlace(r *http.Request) error {
	switch {
	case rc.cfg.Path != "/" && r.URL.Path != rc.cfg.Path:
		return userkeys.Errorf(userkeys.NotFound, "pushes come to %s, not to %s", rc.cfg.Path,
			strconv.QuoteToASCII(r.URL.Path[:min(len(r.URL.Path), 100)]))
	case r.Method != http.MethodPost:
		return userkeys.Errorf(userkeys.MethodNotAllowed, "a push is a POST")
	}
	return nil
}

func (rc *Receiver) verify(r *http.Request) (client.Push, error) {
	signed := false
	for _, name := range []string{userkeys.PushIDHeader, userkeys.PushTimestampHeader, userkeys.PushSignatureHeader} {
		signed = signed || r.Header.Get(name) != ""
	}
	if rc.cfg.AcceptUnsigned && (!signed || rc.cfg.Secrets == nil) {
		return client.ReadUnsignedPush(r, rc.cfg.SecretKey)
	}
	return client.PushVerifier{Secrets: rc.cfg.Secrets, Now: rc.cfg.Now}.Verify(r)
}

func refused(err error) Event {
	e := Event{Result: Refused, Why: why(err)}
	if client.PushStatus(err) == http.StatusServiceUnavailable && !isAboutPlace(err) {
		e.Result = Broken
	}
	return e
}

func isAboutPlace(err error) bool {
	return errors.Is(err, userkeys.NotFound) || errors.Is(err, userkeys.MethodNotAllowed)
}

// why returns the text of an error with its private cause, for whoever runs the receiver.
func why(err error) string {
	e := userkeys.AsError(err)
	text := e.Public
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return userkeys.Printable(text)
}

// status returns the status of the answer; 0 for none.
func (rc *Receiver) status(e Event, err error) int {
	switch {
	case e.Result == Failed:
		return e.Status
	case isAboutPlace(err):
		return userkeys.AsError(err).Code.Status()
	}
	return client.PushStatus(err)
}

func (rc *Receiver) answer(w http.ResponseWriter, e Event, err error) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	text := ""
	switch {
	case e.Result == Failed:
		rc.cfg.Faults.head(h)
		text = "this receiver fails on purpose"
	case err != nil:
		of := userkeys.AsError(err)
		text = of.Public
		if of.RetryAfter > 0 {
			h.Set("Retry-After", strconv.Itoa(of.RetryAfterSeconds()))
		}
		if of.Code == userkeys.MethodNotAllowed {
			h.Set("Allow", http.MethodPost)
		}
	}
	w.WriteHeader(e.Status)
	if text != "" {
		_, _ = w.Write([]byte(text + "\n")) // who left needs no answer
	}
}

// sleep waits for d; it returns false if the other side has closed the connection.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
