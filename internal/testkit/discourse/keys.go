package discourse

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"userkeys"
)

// Key is a key as the site holds it, and its text, which Discourse forgets.
type Key struct {
	ID              int
	Key             userkeys.Key // 32 hex digits without a checksum, unlike our own
	User            string
	ClientID        string
	ApplicationName string
	Scopes          []string
	PushURL         string
	CreatedAt       time.Time
	LastUsedAt      time.Time // CreatedAt if it was never used
	RevokedAt       time.Time // zero: not revoked
	ExpiresAt       time.Time // zero: it has no end

	hash []byte
}

// Good tells whether the key can be used at a time.
func (k Key) Good(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// A grant is what a user agreed to.
type grant struct {
	application, clientID, nonce, pushURL, redirect string
	scopes                                          []string
	public                                          userkeys.PublicKey
	padding                                         userkeys.Padding
	lifetime                                        time.Duration // 0: no end
}

// addKey makes a key and removes those that it replaces: the user's for the
// same client. In the oldest era a client id belonged to one key, whoever had it.
func (s *Site) addKey(u *User, g grant, now time.Time) *Key {
	if !blank(g.application) || s.clients[g.clientID] == "" {
		s.clients[g.clientID] = g.application
	}
	s.keys = slices.DeleteFunc(s.keys, func(k *Key) bool {
		return k.ClientID == g.clientID && (k.User == u.Name || s.Era == Old)
	})
	k := &Key{
		ID: s.nextID(), Key: userkeys.Key(randomHex(16)), User: u.Name,
		ClientID: g.clientID, ApplicationName: s.clients[g.clientID],
		Scopes: g.scopes, PushURL: g.pushURL, CreatedAt: now, LastUsedAt: now,
	}
	if g.lifetime > 0 {
		k.ExpiresAt = now.Add(g.lifetime)
	}
	h := k.Key.Hash()
	k.hash = h[:]
	s.keys = append(s.keys, k)
	return k
}

// seal is the answer to a grant. It is made after the key, so an answer that
// does not fit leaves a key behind that nobody can use.
func (s *Site) seal(k *Key, g grant) (string, error) {
	p := userkeys.Payload{Key: k.Key, Nonce: g.nonce, Push: s.pushes(k), API: userkeys.APIVersion, ExpiresAt: k.ExpiresAt}
	sealed, err := p.Seal(g.public, g.padding)
	if err == nil {
		return sealed, nil
	}
	if s.Era != New {
		return "", errCrash
	}
	return "", invalidParameter(err.Error())
}

// pushes: the address must stand in the text of the setting, anywhere.
func (s *Site) pushes(k *Key) bool {
	return (slices.Contains(k.Scopes, "push") || slices.Contains(k.Scopes, "notifications")) &&
		!blank(k.PushURL) && strings.Contains(s.settings["allowed_user_api_push_urls"], k.PushURL)
}

// goodKey finds a key that can be used; nil if it is unknown, revoked or ended.
func (s *Site) goodKey(text string, now time.Time) *Key {
	for _, k := range s.keys {
		if k.Key.Reveal() == text && k.Good(now) && s.ownerOf(k) != nil {
			return k
		}
	}
	return nil
}

func (s *Site) keyWithID(id int) *Key {
	for _, k := range s.keys {
		if k.ID == id {
			return k
		}
	}
	return nil
}

// bindClient moves the key to the client that the header User-Api-Client-Id
// names. Names that are taken hit a unique index and crash.
func (c *call) bindClient(id string) error {
	k := c.key
	if blank(id) || id == k.ClientID {
		return nil
	}
	if c.s.Era == Old {
		c.s.keys = slices.DeleteFunc(c.s.keys, func(other *Key) bool {
			return other != k && other.ClientID == id && other.User == k.User
		})
		if slices.ContainsFunc(c.s.keys, func(other *Key) bool { return other.ClientID == id }) {
			return errCrash
		}
	} else if _, taken := c.s.clients[id]; taken {
		return errCrash
	}
	c.s.clients[id] = k.ApplicationName
	k.ClientID = id
	return nil
}

// revoke revokes the key that the call is made with.
func (c *call) revoke() (answer, error) {
	if c.key == nil {
		return answer{}, errNotFound
	}
	c.key.RevokedAt = c.now
	return success, nil
}

// probe tells apps what the site can; it looks at nothing in the request.
func (c *call) probe() (answer, error) {
	a := page(http.StatusOK, "")
	a.header.Set("Auth-Api-Version", strconv.Itoa(userkeys.APIVersion))
	if c.s.Era == New {
		a.header.Set("Auth-Api-Device-Code", "true")
	}
	return a, nil
}
