package question

import (
	"errors"
	"net/url"
	"testing"

	"userkeys"
)

// TestOnlyReadingNeedsTheBoxes: without boxes a form takes the request as it is, which only=reading must not do.
func TestOnlyReadingNeedsTheBoxes(t *testing.T) {
	t.Parallel()
	catalog, err := userkeys.NewCatalog()
	if err != nil {
		t.Fatal(err)
	}
	if c, err := ParseChoice(url.Values{"only": {"reading"}}, catalog); !errors.Is(err, userkeys.InvalidParameters) {
		t.Errorf("without boxes: %+v, %v", c, err)
	}
	form := url.Values{"only": {"reading"}, "choose": {"1"}, "allow_read": {"1"}, "allow_write": {"1"}}
	if c, err := ParseChoice(form, catalog); err != nil || c.Scopes.String() != "read" {
		t.Errorf("with boxes: %+v, %v", c, err)
	}
	if c, err := ParseChoice(url.Values{"only": {"writing"}, "choose": {"1"}}, catalog); !errors.Is(err, userkeys.InvalidParameters) {
		t.Errorf("another word: %+v, %v", c, err)
	}
}
