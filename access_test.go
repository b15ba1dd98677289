package userkeys_test

import (
	"context"
	"testing"

	"userkeys"
)

func TestAccessInContext(t *testing.T) {
	t.Parallel()
	a, ok := userkeys.FromContext(context.Background())
	if ok || a.Username != "" || a.Scopes.Has("read") || a.Admin {
		t.Errorf("a stranger is %+v", a)
	}
	want := userkeys.Access{KeyID: 1, Username: "sam", Standing: &userkeys.Standing{Scopes: userkeys.Scopes{"read"}}}
	if got, ok := userkeys.FromContext(userkeys.NewContext(context.Background(), want)); !ok || got != want {
		t.Errorf("%+v, %v", got, ok)
	}
}
