package keystore

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSystemSession uses the kernel's keyring. Some containers forbid that; then nothing is remembered.
func TestSystemSession(t *testing.T) {
	t.Parallel()
	name := "test of " + t.TempDir()
	var s SystemSession
	if _, ok := s.Get(name); ok || s.Forget(name) {
		t.Error("what nobody set is remembered")
	}
	s.Set(name, "correct horse")
	if _, err := unix.AddKey(keyType, description(name), []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING); err != nil {
		if _, ok := s.Get(name); ok {
			t.Errorf("the kernel keeps no keys (%v), and one is remembered", err)
		}
		t.Logf("the kernel keeps no keys here: %v", err)
		return
	}
	if got, ok := s.Get(name); !ok || got != "correct horse" {
		t.Errorf("remembered: %q, %v", got, ok)
	}
	s.Set(name, "battery staple")
	if got, _ := s.Get(name); got != "battery staple" {
		t.Errorf("set again: %q", got)
	}
	if !s.Forget(name) {
		t.Error("it is not forgotten")
	}
	if got, ok := s.Get(name); ok {
		t.Errorf("forgotten, and still %q", got)
	}
	program := exec.CommandContext(t.Context(), os.Args[0], "-test.run=TestAnotherProgramSets")
	program.Env = append(os.Environ(), nameVariable+"="+name)
	if out, err := program.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got, ok := s.Get(name); !ok || got != "of another program" {
		t.Errorf("what another program of the session set: %q, %v", got, ok)
	}
	s.Forget(name)
}

const nameVariable = "USERKEYS_TEST_NAME"

// TestAnotherProgramSets is the other program of TestSystemSession.
func TestAnotherProgramSets(t *testing.T) {
	if name := os.Getenv(nameVariable); name != "" {
		SystemSession{}.Set(name, "of another program")
	}
}
