package door

import (
	"context"
	"errors"

	"userkeys"
	"userkeys/server/input"
	"userkeys/site"
)

// Accounts finds users for lists of what belongs to them.
type Accounts interface {
	User(ctx context.Context, id int64) (site.User, error)
	// FindUser finds a user by user name or e-mail address.
	FindUser(ctx context.Context, name string) (site.User, error)
}

// UserOfQuery is the id of the user whose things a list is to have, by user_id or user; 0 for everybody's. Without
// accounts there is user_id only.
func UserOfQuery(ctx context.Context, a Accounts, q input.Query) (int64, error) {
	id, err := q.Number("user_id")
	if err != nil || !q.Has("user") {
		return id, err
	}
	if id != 0 || a == nil {
		return 0, userkeys.Errorf(userkeys.InvalidParameters,
			"name the user by user_id, or by user where this site has its own accounts")
	}
	u, err := a.FindUser(ctx, q.Get("user"))
	return u.ID, err
}

// Names finds user names by id, each once.
type Names struct {
	accounts Accounts
	found    map[int64]string
}

// NewNames makes Names; without accounts all names are empty.
func NewNames(a Accounts) Names { return Names{a, map[int64]string{}} }

// Of is the name of a user; empty if the user was deleted.
func (n Names) Of(ctx context.Context, id int64) (string, error) {
	name, ok := n.found[id]
	if ok || n.accounts == nil {
		return name, nil
	}
	u, err := n.accounts.User(ctx, id)
	if err != nil && !errors.Is(err, userkeys.NotFound) {
		return "", err
	}
	n.found[id] = u.Username
	return u.Username, nil
}
