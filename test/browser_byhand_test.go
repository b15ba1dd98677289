package scenario_test

// The page that makes a key by hand, in Chromium.

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"userkeys"
	"userkeys/internal/testkit"
)

// TestChromiumMakesAKeyByHand makes a key with the keyboard alone, with and without scripts, and loads its page again.
func TestChromiumMakesAKeyByHand(t *testing.T) {
	t.Parallel()
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprintf("scripts %v", scripts), func(t *testing.T) {
			t.Parallel()
			b := testkit.Chromium(t)
			b.Expect("the server responded with a status of 4")
			s := pagesOf(t)
			s.Set("allow_user_api_keys_by_hand", "true")
			s.Set("allow_user_api_key_scopes", "read|write|notifications|session_info")
			if !scripts {
				b.NoScripts()
			}
			b.Open(s.URL + "/my/apps")
			signIn(b, "alice", testkit.Password)
			b.At("Your apps")
			b.TabTo(`a[href="/my/apps/new"]`)
			b.Type("\r")
			b.At("Make a key")
			b.Width(320)
			proper(t, b)
			b.TabTo("#name")
			b.Type("Nightly backup")
			b.TabTo(`input[name="allow_session_info"]`)
			b.Type(" ")
			b.TabTo(`.first`)
			b.Type("\r")
			b.At("Your new key")
			proper(t, b)
			b.Width(1000)
			app := s.App("by hand", "read")
			app.Key = userkeys.Key(b.Text("#user-api-key-payload"))
			app.Call("GET", "/session/current.json").Must(t, 200, `"username":"alice"`)
			if line := b.Text("#try"); !strings.HasPrefix(line, "curl -H 'User-Api-Key: "+app.Key.Reveal()+"' "+s.URL+"/") {
				t.Errorf("the line is %q", line)
			}
			if scripts {
				b.TabTo("#copy-api-key-btn")
				b.Type("\r")
				b.Until(`document.getElementById("copied").textContent !== ""`)
			}
			before := len(s.Keys())
			b.Do(chromedp.Reload())
			b.Until(`!document.getElementById("user-api-key-payload")`)
			if n := len(s.Keys()); n != before {
				t.Errorf("a page that was loaded again made %d keys", n-before)
			}
			b.Open(s.URL + "/my/apps")
			if text := b.Text(".key"); !strings.Contains(text, "made by hand") || strings.Contains(text, app.Key.Reveal()) {
				t.Errorf("the list says %q", text)
			}
		})
	}
}
