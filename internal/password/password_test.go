package password

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"userkeys"
	"userkeys/site"
)

const secret = "a horse nobody knows"

func newHasher(t *testing.T) *Hasher {
	t.Helper()
	h, err := NewHasher(Cost{Memory: 64, Time: 1, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestNewHasher(t *testing.T) {
	t.Parallel()
	if _, err := NewHasher(Cost{Memory: 1 << 30, Time: 1, Threads: 1}); err == nil {
		t.Error("a cost out of bounds is taken")
	}
	if h, err := NewHasher(Cost{}); err != nil || h.cost != DefaultCost {
		t.Errorf("defaults: %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	u := site.User{Username: "Elisabeth.T", Name: "Elisabeth Tester", Email: "elisabeth@example.org"}
	tests := []struct {
		name, password string
		ok             bool
	}{
		{"ten characters", "k3-Vq9!x_Z", true},
		{"256 bytes", strings.Repeat("ab", 128), true},
		{"spaces and any letter", " \u00fcber alle Berge ", true},
		{"nine characters", "k3-Vq9!x_", false},
		{"nine characters of more bytes", "\u00fc\u00e43-Vq9!x", false},
		{"ten letters and ten marks", "k3-Vq9!x" + strings.Repeat("u\u0308", 2), true},
		{"257 bytes", strings.Repeat("ab", 128) + "c", false},
		{"no text", "\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe", false},
		{"NUL", "long enough\x00", false},
		{"user name", "elisabeth.t", false},
		{"full name", "ELISABETH TESTER", false},
		{"e-mail address", "Elisabeth@Example.org", false},
		{"common", "password123", false},
		{"common in capitals", "PassWord123", false},
		{"common with a space", " 1234567890 ", false},
		{"one letter again and again", "zzzzzzzzzzzz", false},
	}
	for _, test := range tests {
		err := Check(test.password, u)
		if test.ok != (err == nil) || err != nil && !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil && strings.Contains(err.Error(), test.password) {
			t.Errorf("%s: the refusal repeats the password", test.name)
		}
	}
	for line := range strings.Lines(common) {
		if p := strings.TrimSpace(line); utf8.RuneCountInString(p) < minLength || p != fold(p) {
			t.Errorf("common_passwords.txt: %q can never be asked for", p)
		}
	}
}

func TestPHC_Reads_only_what_it_writes(t *testing.T) {
	t.Parallel()
	h := newHasher(t)
	good := h.Hash(secret)
	if !h.Verify(good, secret) || h.Verify(good, secret+" ") || h.Outdated(good) {
		t.Fatalf("%s does not verify", good)
	}
	if other := h.Hash(secret); other == good {
		t.Error("two hashes have one salt")
	}
	fields := strings.Split(good, "$")
	with := func(i int, v string) string {
		f := append([]string(nil), fields...)
		f[i] = v
		return strings.Join(f, "$")
	}
	tests := []struct{ name, text string }{
		{"empty", ""},
		{"other algorithm", with(1, "argon2i")},
		{"other version", with(2, "v=16")},
		{"4 GiB of memory", with(3, "m=4194304,t=1,p=1")},
		{"no memory", with(3, "m=0,t=1,p=1")},
		{"eleven passes", with(3, "m=64,t=11,p=1")},
		{"no pass", with(3, "m=64,t=0,p=1")},
		{"no thread", with(3, "m=64,t=1,p=0")},
		{"leading zero", with(3, "m=064,t=1,p=1")},
		{"more behind", with(3, "m=64,t=1,p=1,x=1")},
		{"short salt", with(4, "AAAA")},
		{"short hash", with(5, "AAAA")},
		{"no hash", with(5, "")},
		{"padding", with(5, fields[5]+"=")},
		{"one field more", good + "$"},
		{"very long", with(5, strings.Repeat("AAAA", 1000))},
		{"plain password", secret},
	}
	for _, test := range tests {
		if _, ok := parsePHC(test.text); ok || h.Verify(test.text, secret) {
			t.Errorf("%s: %q was taken", test.name, test.text)
		}
	}
}

func TestLG7_Who_goes_away_leaves_the_queue(t *testing.T) {
	t.Parallel()
	h := newHasher(t)
	for range AtOnce {
		release, err := h.Acquire(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 * Queued {
		_, err := h.Acquire(ctx, "")
		if !errors.Is(err, userkeys.Unavailable) || !errors.Is(err, context.Canceled) {
			t.Fatalf("%v: the queue kept those who went away", err)
		}
	}
}

func TestLG7_One_network_has_its_share_of_turns(t *testing.T) {
	t.Parallel()
	h := newHasher(t)
	for range networkTurns {
		if !h.ticket("one") {
			t.Fatal("refused within its share")
		}
	}
	if h.ticket("one") || !h.ticket("another") || !h.ticket("") {
		t.Error("one network takes the turns of others")
	}
	h.giveBack("one")
	if !h.ticket("one") {
		t.Error("a turn that was given back is gone")
	}
}
