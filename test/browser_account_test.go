package scenario_test

import (
	"testing"

	"userkeys/internal/testkit"
)

// TestChromiumAccountByKeyboard changes a password and ends sessions without a mouse and without scripts.
func TestChromiumAccountByKeyboard(t *testing.T) {
	b := testkit.Chromium(t)
	s := pagesOf(t)
	s.Person("alice")
	s.Person("alice")
	b.NoScripts()
	b.Open(s.URL + "/my/account")
	signIn(b, "alice", testkit.Password)
	b.At("Your account")
	proper(t, b)
	b.Expect("the server responded with a status of 4")
	b.TabTo("#old")
	b.Type("wrong\t" + newPassword + "\t" + newPassword + "\r")
	b.Until(`document.getElementById("password-error")`)
	proper(t, b)
	if focus := testkit.Eval[string](b, `document.activeElement.id`); focus != "old" {
		t.Errorf("the focus is on %q", focus)
	}
	b.Type(testkit.Password + "\t" + newPassword + "\t" + newPassword + "\r")
	b.Until(`document.querySelector("[role=status]")?.textContent.includes("Your password is changed")`)
	if n := testkit.Eval[int](b, `document.querySelectorAll("li.app").length`); n != 1 {
		t.Errorf("%d sessions after the change of the password", n)
	}
	other := s.Visitor()
	other.Login("alice", newPassword).Must(t, 303)
	b.Open(s.URL + "/my/account")
	b.TabTo(`form[action$="/end-session"] button`)
	b.Type("\r")
	b.Until(`document.querySelector("[role=status]")?.textContent.includes("The session has ended")`)
	other.Get("/my/account").Must(t, 302)
}
