package posts

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/keystore"
	"userkeys/internal/ownfile"
)

// A Report says what was done with one post just now.
type Report struct {
	Post   Post  // as it stands in the queue after that
	Result State // of this publication; a repeated post that was sent waits again
	NoKey  bool  // it waits because there is no key to send it with
}

const (
	pollEvery = 5 * time.Second // how soon a runner sees what others changed, and a clock that was set
	minPause  = 30 * time.Second
	maxPause  = 30 * time.Minute
)

// Run publishes what is due, one request at a time, until ctx ends, and then returns
// nil. It calls report for each post. The error is [userkeys.Conflict] if another Run or
// RunOnce is at work.
func (q *Queue) Run(ctx context.Context, report func(Report)) error {
	return q.running(report, func(r *runner) error {
		for ctx.Err() == nil {
			p, wait, err := r.due()
			switch {
			case err != nil:
				return err
			case p == nil:
				pause(ctx, wait)
			default:
				if err := r.publish(ctx, *p); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// RunOnce publishes what is due now, each post at most once. It calls report for each
// post. The error is [userkeys.Conflict] if another Run or RunOnce is at work.
func (q *Queue) RunOnce(ctx context.Context, report func(Report)) error {
	return q.running(report, func(r *runner) error {
		r.tried = map[string]bool{}
		for ctx.Err() == nil {
			p, _, err := r.due()
			if err != nil || p == nil {
				return err
			}
			r.tried[p.ID] = true
			if err := r.publish(ctx, *p); err != nil {
				return err
			}
		}
		return nil
	})
}

func (q *Queue) running(report func(Report), do func(*runner) error) error {
	unlock, err := q.lockRunner()
	if err != nil {
		return err
	}
	defer unlock()
	found, err := q.mend()
	if err != nil {
		return err
	}
	for _, p := range found {
		report(Report{Post: p, Result: Unknown})
	}
	return do(&runner{q: q, report: report, rests: map[string]rest{}})
}

// mending calls do after it has looked at what a runner left behind that was killed,
// unless a runner is at work now.
func (q *Queue) mending(do func() error) error {
	unlock, err := q.lockRunner()
	if errors.Is(err, userkeys.Conflict) {
		return do()
	}
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := q.mend(); err != nil {
		return err
	}
	return do()
}

// mend marks posts as unknown that are marked as being sent. The caller holds the
// runner's lock, so nobody is sending them.
func (q *Queue) mend() ([]Post, error) {
	f, err := q.load()
	if err != nil || !slices.ContainsFunc(f.Posts, func(p Post) bool { return p.State == Sending }) {
		return nil, err
	}
	var found []Post
	err = q.update(func(f *queueFile) error {
		for i := range f.Posts {
			if p := &f.Posts[i]; p.State == Sending {
				p.State, p.LastError = Unknown, "the program ended before the site's answer came"
				found = append(found, *p)
			}
		}
		return nil
	})
	return found, err
}

// lockRunner keeps other programs from publishing until the function that it returns is
// called.
func (q *Queue) lockRunner() (func(), error) {
	unlock, err := ownfile.Lock(filepath.Join(filepath.Dir(q.file.Name), "posts-run.lock"), 200*time.Millisecond)
	if errors.Is(err, ownfile.ErrBusy) {
		return nil, userkeys.Errorf(userkeys.Conflict, "another userkeys post run is publishing; one is enough")
	}
	return unlock, err
}

// pause waits, or less if ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// A runner holds the runner's lock.
type runner struct {
	q      *Queue
	report func(Report)
	rests  map[string]rest // by owner
	tried  map[string]bool // nil: everything may be tried again
}

// A rest is how long nothing is tried for an account, because its site cannot be
// reached or asks for a pause, or because there is no key. It is only in memory: a
// person who starts a new run wants a new try.
type rest struct {
	until time.Time
	times int
}

// due returns the first post that can be sent now, or nil and how long to wait for one.
func (r *runner) due() (*Post, time.Duration, error) {
	f, err := r.q.load()
	if err != nil {
		return nil, 0, err
	}
	now, wait := r.q.cfg.Now(), pollEvery
	var first *Post
	for i := range f.Posts {
		p := &f.Posts[i]
		if p.State != Waiting || r.tried[p.ID] {
			continue
		}
		left := p.ready(now).Sub(now)
		if rest := r.rests[p.Owner()].until.Sub(now); rest <= maxRetryWait {
			left = max(left, rest)
		}
		if left > 0 {
			wait = min(wait, left)
		} else if first == nil || earlier(*p, *first) < 0 {
			first = p
		}
	}
	return first, wait, nil
}

// publish sends one post, if it may still be sent.
func (r *runner) publish(ctx context.Context, p Post) error {
	cred, id, err := r.credential(p)
	if err != nil {
		return r.hold(p, err)
	}
	// From here on the disk says that a request may be under way: whatever ends the program, nobody sends again.
	p, err = r.q.change(p.ID, func(p *Post) error {
		if now := r.q.cfg.Now(); p.State != Waiting || p.ready(now).After(now) {
			return errNotDue
		}
		p.State, p.Tries = Sending, p.Tries+1
		return nil
	})
	if errors.Is(err, errNotDue) || errors.Is(err, userkeys.NotFound) {
		return nil // somebody cancelled it just now, or set the clock
	}
	if err != nil {
		return err
	}
	// Not ended with ctx: who ends the program now would rather know what became of the post.
	o := send(context.WithoutCancel(ctx), r.q.cfg.Base, cred, p)
	if err := r.settle(ctx, p, o, cred); err != nil {
		return err
	}
	if o.state == Sent {
		_ = r.q.cfg.Keys.Used(id) // only a listing shows it
	}
	return nil
}

var errNotDue = errors.New("not due any more")

// credential returns the key of the account that the post was written for, and the
// account's id.
func (r *runner) credential(p Post) (*client.Credential, string, error) {
	all, err := r.q.cfg.Keys.Accounts()
	if err != nil {
		return nil, "", err
	}
	i := slices.IndexFunc(all, func(a keystore.Account) bool { return a.Site == p.Site && a.Name == p.Account })
	if i < 0 { // not another account of the site: it would post under another name
		return nil, "", userkeys.Errorf(userkeys.NotFound, "there is no key of %s; get one: userkeys login %s",
			userkeys.Printable(p.Owner()), p.Site)
	}
	cred, err := r.q.cfg.Keys.Credential(all[i])
	return cred, all[i].ID, err
}

// hold leaves a post waiting because there is no key for it.
func (r *runner) hold(p Post, cause error) error {
	r.rest(p)
	p, err := r.q.change(p.ID, func(p *Post) error {
		if p.State != Waiting {
			return errNotDue
		}
		p.LastError = publicLine(cause)
		return nil
	})
	if errors.Is(err, errNotDue) || errors.Is(err, userkeys.NotFound) {
		return nil
	}
	if err == nil {
		r.report(Report{Post: p, Result: Waiting, NoKey: true})
	}
	return err
}

// rest tries nothing for the account of p for a while, each time for longer.
func (r *runner) rest(p Post) {
	was := r.rests[p.Owner()]
	d := min(minPause<<min(was.times, 10), maxPause)
	r.rests[p.Owner()] = rest{until: r.q.cfg.Now().Add(d), times: was.times + 1}
}

// settle stores the outcome of a request.
func (r *runner) settle(ctx context.Context, p Post, o outcome, cred *client.Credential) error {
	secret := cred.Key.Reveal()
	o.why = strings.ReplaceAll(o.why, secret, "[key]") // a site may repeat what it was sent
	o.address = strings.ReplaceAll(o.address, secret, "[key]")
	after, err := r.q.change(p.ID, func(p *Post) error {
		r.q.apply(p, o)
		return nil
	})
	if err != nil { // the file says "sending", so nobody sends it again; the person is told what it does not say
		p.Address, p.LastError = o.address, o.why
		r.report(Report{Post: p, Result: o.state})
		return err
	}
	switch {
	case o.wait > 0:
		r.rests[p.Owner()] = rest{until: after.RetryAt}
	case o.state == Waiting:
		r.rest(p)
	default:
		delete(r.rests, p.Owner())
	}
	// Only now, for what was answered is safe on disk: which of its reasons a 403 has.
	told := cred.Diagnose(ctx, staying(r.q.cfg.Base), o.err)
	if o.state == Failed && help(cred, told) != "" {
		after, err = r.q.change(p.ID, func(p *Post) error {
			p.LastError = line(o.why + help(cred, told))
			return nil
		})
	}
	r.report(Report{Post: after, Result: o.state})
	return err
}

// apply changes a post as the outcome of its request says.
func (q *Queue) apply(p *Post, o outcome) {
	switch o.state {
	case Sent:
		q.done(p)
		p.Address = o.address
	default:
		p.State, p.LastError, p.RetryAt = o.state, line(o.why), time.Time{}
		if o.wait > 0 { // rounded up: a second too early would be refused again
			p.RetryAt = toSeconds(q.cfg.Now().Add(o.wait + time.Second - 1))
		}
	}
}
