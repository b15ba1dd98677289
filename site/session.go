package site

import (
	"cmp"
	"strings"
	"time"

	"userkeys"
)

// UserSession is what users see of a session of theirs.
type UserSession struct {
	ID        string // names the session, never its secret; empty in a session that an older version began
	Address   string // IP address, of the last visit
	UserAgent string // of the last visit, as the browser or program calls itself
	Login     string // the name of the login through which a provider signed the user in; empty: another way
	App       string // the name of the app that began it with a one-time password; empty: the user began it
	BeganAt   time.Time
	SeenAt    time.Time
}

// Token is what a link that works once holds. There is one of each kind at a time.
type Token struct {
	Kind    string
	Hash    []byte
	Expires time.Time
}

// SessionRow is a browser session as it is stored.
type SessionRow struct {
	TokenHash []byte
	UserID    int64 // 0 while nobody is signed in
	Data      []byte
	ExpiresAt time.Time
	About     UserSession // App is stored by what binds the session to an app
}

// PasswordChange is a user's change of their own password.
type PasswordChange struct {
	UserID   int64
	Old, New string // hashes; Old is stored at the time
	// Session is the hash of the token of the one session that stays.
	Session []byte
}

const maxDevice = 40 // bytes

// Programs and systems as a User-Agent names them. The first that fits counts: many browsers name others too.
var (
	agentPrograms = [][2]string{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Vivaldi/", "Vivaldi"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
	}
	agentSystems = [][2]string{
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Android", "Android"},
		{"CrOS", "ChromeOS"},
		{"Windows", "Windows"},
		{"Macintosh", "Mac"},
		{"Linux", "Linux"},
	}
)

// Device says in words what the session was last used with, such as "Firefox on Windows". It repeats what the browser
// says of itself, which proves nothing.
func (s UserSession) Device() string { return cmp.Or(DeviceName(s.UserAgent), "unknown program") }

// DeviceName says in words what sends a User-Agent header, such as "Firefox on Windows"; empty if that names nothing.
func DeviceName(userAgent string) string {
	program, system := firstNamed(userAgent, agentPrograms), firstNamed(userAgent, agentSystems)
	name, _, _ := strings.Cut(userAgent, "/")
	switch {
	case program != "" && system != "":
		return program + " on " + system
	case program != "" || system != "":
		return program + system
	case !userkeys.IsText(name):
		return ""
	}
	return userkeys.Shorten(name, maxDevice)
}

func firstNamed(text string, names [][2]string) string {
	for _, n := range names {
		if strings.Contains(text, n[0]) {
			return n[1]
		}
	}
	return ""
}
