//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/internal/testkit"
	"userkeys/internal/wiring"
	"userkeys/site"
	"userkeys/store"
)

// crowd is many users of a real server, each with a key, whose apps wait for news on connections of their own.
type crowd struct {
	t     *testing.T
	dir   string
	keys  []userkeys.Key // of the user with the id i+1
	admin string         // an admin API key
	on    *testkit.Process
	polls []*openPoll
}

// pollsPerUser is as many as a key may have.
const pollsPerUser = 5

// newCrowd fills the data folder of a server and starts it.
func newCrowd(t *testing.T, users int) *crowd {
	t.Helper()
	c := &crowd{t: t, dir: t.TempDir()}
	db, err := sitedata.OpenSQLite(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	st, err := wiring.OpenStore(t.Context(), db, store.SQLite)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	for i := range users {
		u, err := st.CreateUser(t.Context(), site.Account{User: site.User{Username: fmt.Sprintf("user%d", i), TrustLevel: 1, Active: true, CreatedAt: now}}, testkit.Command)
		if err != nil {
			t.Fatal(err)
		}
		c.keys = append(c.keys, userkeys.NewKey(""))
		_, err = st.Grant(t.Context(), site.Grant{Caller: testkit.Command, MaxKeys: 1, MaxRecent: 1, RecentSince: now, Key: site.UserAPIKey{
			UserID: u.ID, ClientID: fmt.Sprint(i), ApplicationName: "app", Hash: c.keys[i].Hash(), Scopes: userkeys.Scopes{"notifications"}, CreatedAt: now, LastUsedAt: now,
		}})
		if err != nil || u.ID != int64(i+1) {
			t.Fatal(u.ID, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, testkit.Password+"\n", "user", "add", "--init", "root", "--admin", "--password-stdin", "--data", c.dir)
	c.admin = strings.TrimSpace(testkit.Run(t, "", "admin-keys", "add", "--description", "test", "--user", "root", "--data", c.dir))
	for _, s := range []string{"max_user_api_reqs_per_minute", "max_user_api_reqs_per_user_per_minute"} {
		testkit.Run(t, "", "settings", "set", s, "1000", "--data", c.dir)
	}
	c.on = testkit.Serve(t, "--data", c.dir, "--log-level", "warn")
	return c
}

// gather opens polls, so many at each of their users, and leaves them open: in parts, so that the first part
// tells that the poll waits now. Some come at a time.
func (c *crowd) gather(polls int) {
	c.t.Helper()
	c.polls = make([]*openPoll, polls)
	c.t.Cleanup(func() {
		for _, p := range c.polls {
			if p != nil {
				_ = p.conn.Close()
			}
		}
	})
	var all sync.WaitGroup
	for part := range atATime {
		all.Go(func() {
			for i := part; i < polls; i += atATime {
				c.polls[i] = c.open(i)
				c.hear(i, "[]", time.Now().Add(30*time.Second))
			}
		})
	}
	all.Wait()
}

// openPoll is a connection, with little of its own: there are thousands.
type openPoll struct {
	conn   net.Conn
	text   string // read, and not looked at yet
	parked bool
}

func (c *crowd) open(i int) *openPoll {
	c.t.Helper()
	addr := strings.TrimPrefix(c.on.URL, "http://")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		c.t.Error(err)
		return nil
	}
	user := i / pollsPerUser
	body := fmt.Sprintf("/notification/%d=0&/notification-alert/%d=0&__seq=1", user+1, user+1)
	if _, err := fmt.Fprintf(conn, "POST /message-bus/client%d/poll HTTP/1.1\r\nHost: %s\r\nUser-Api-Key: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		i, addr, c.keys[user].Reveal(), len(body), body); err != nil {
		c.t.Error(err)
	}
	return &openPoll{conn: conn}
}

// hear reads a poll's answer until it has a text.
func (c *crowd) hear(i int, want string, until time.Time) {
	c.t.Helper()
	p := c.polls[i]
	if p == nil {
		return
	}
	_ = p.conn.SetReadDeadline(until)
	var buf [4096]byte
	for {
		if at := strings.Index(p.text, want); at >= 0 {
			p.parked = p.parked || strings.Contains(p.text[:at], "\r\nConnection: close\r\n") // others go on
			p.text = strings.Clone(p.text[at+len(want):])
			return
		}
		n, err := p.conn.Read(buf[:])
		if err != nil {
			c.t.Errorf("poll %d: %v; it said %.400q", i, err, p.text)
			return
		}
		p.text += string(buf[:n])
	}
}

// alerted reads the answer of a poll until there is an alert for its user.
func (c *crowd) alerted(i int, until time.Time) {
	c.t.Helper()
	c.hear(i, fmt.Sprintf(`"/notification-alert/%d"`, i/pollsPerUser+1), until)
}

// tell has the site's program tell users something.
func (c *crowd) tell(users ...int) {
	c.t.Helper()
	names := make([]string, len(users))
	for i, u := range users {
		names[i] = fmt.Sprintf(`"user%d"`, u)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), "POST", c.on.URL+"/admin/notifications.json", strings.NewReader(`{"usernames":[`+strings.Join(names, ",")+`],"notification_type":1}`))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Api-Key", c.admin)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 {
		c.t.Fatalf("%d %s, %v", res.StatusCode, body, err)
	}
}

// parked is how many of the polls the server has parked.
func (c *crowd) parked() int {
	n := 0
	for _, p := range c.polls {
		if p != nil && p.parked {
			n++
		}
	}
	return n
}

// rest waits until the server has nothing to do, and tells how much it has then in kB.
func (c *crowd) rest() int {
	c.t.Helper()
	for range 100 {
		before := cpuTicks(c.t, c.on.PID())
		time.Sleep(500 * time.Millisecond)
		if cpuTicks(c.t, c.on.PID())-before <= 25 { // half of a core
			break
		}
	}
	return kilobytes(c.t, c.on.PID(), "VmRSS:")
}

// manyPolls is above how many a server parks those that come; so many of its polls may be on the way at a time.
const manyPolls, atATime = 1000, 16

// TestBusCrowd holds a real server with many open polls to its promises: all are parked but the first thousand; 10 000 take less
// than 400 MB, and one user is woken among them within 100 ms (in a long test; else there are some more than a thousand).
func TestBusCrowd(t *testing.T) {
	polls, most := 1500, 150<<10 // kB
	if os.Getenv("USERKEYS_LONG") != "" {
		polls, most = 10_000, 400<<10
	} else if testing.Short() {
		t.Skip("short: opens many connections")
	}
	moreFiles(t, polls+1000)
	c := newCrowd(t, polls/pollsPerUser)
	empty := kilobytes(t, c.on.PID(), "VmRSS:")
	began := time.Now()
	c.gather(polls)
	if n := c.parked(); n < polls-manyPolls || n >= polls-manyPolls+atATime {
		t.Errorf("%d of %d polls are parked, want all but %d", n, polls, manyPolls)
	}
	has := c.rest()
	peak, gathered := kilobytes(t, c.on.PID(), "VmHWM:"), time.Since(began)
	before := cpuTicks(t, c.on.PID())
	time.Sleep(5 * time.Second)
	idle := float64(cpuTicks(t, c.on.PID())-before) / 5

	var took []time.Duration
	woken := map[int]bool{}
	for i := range 20 {
		user := i * (len(c.keys) / 20)
		began := time.Now()
		c.tell(user)
		for poll := user * pollsPerUser; poll < (user+1)*pollsPerUser; poll++ {
			c.alerted(poll, began.Add(20*time.Second))
		}
		took = append(took, time.Since(began))
		woken[user] = true
	}
	slices.Sort(took)
	t.Logf("%d polls were gathered in %v: %.0f MB, at most %.0f MB, of which the empty server had %.0f MB; %.0f %% of a core at rest; 5 polls of a user woken in %v (median), %v (worst of 20)",
		polls, gathered.Round(time.Millisecond), float64(has)/1024, float64(peak)/1024, float64(empty)/1024, idle, took[10].Round(time.Millisecond), took[19].Round(time.Millisecond))

	// All the others were there all the time.
	began = time.Now()
	var others []int
	for u := range c.keys {
		if !woken[u] {
			others = append(others, u)
		}
	}
	for part := range slices.Chunk(others, 1000) {
		c.tell(part...)
	}
	for i := range c.polls {
		if !woken[i/pollsPerUser] {
			c.alerted(i, began.Add(30*time.Second))
		}
	}
	peak = kilobytes(t, c.on.PID(), "VmHWM:")
	t.Logf("all others were woken in %v; at most %.0f MB", time.Since(began).Round(time.Millisecond), float64(peak)/1024)
	if peak > most {
		t.Errorf("%d polls took %d kB, more than %d", polls, peak, most)
	}
	if os.Getenv("USERKEYS_LONG") != "" && took[10] > 100*time.Millisecond {
		t.Errorf("it takes %v until a user is woken", took[10])
	}
	stop := time.Now()
	said := c.on.Stop(t)
	if strings.Contains(said, "level=ERROR") {
		t.Errorf("the server said:\n%.3000s", said)
	}
	t.Logf("stopped in %v", time.Since(stop).Round(time.Millisecond))
}

// moreFiles raises how many files this process, and those that it starts, may have open.
func moreFiles(t *testing.T, n int) {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	if l.Max < uint64(n) {
		t.Skipf("only %d files may be open, not %d: the crowd has no room", l.Max, n)
	}
	if l.Cur < uint64(n) {
		l.Cur = l.Max
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
			t.Fatal(err)
		}
	}
}
