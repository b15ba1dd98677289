package site

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestParseAuditAction(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{ // of the error; empty: none
		"": "", "key granted": "", "sign-in link used": "",
		"bogus":       `there is no action "bogus"`,
		"Key granted": `there is no action "Key granted"; did you mean "key granted"?`,
		"key grantd":  `there is no action "key grantd"; did you mean "key granted"?`,
		"revoked":     `there is no action "revoked"; did you mean "key revoked" or "admin key revoked"?`,
		"purge":       `there is no action "purge"; did you mean "purged"?`,
	} {
		action, err := ParseAuditAction(s)
		if want == "" && (err != nil || action != s) || want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("%q: %q, %v, want %s", s, action, err, want)
		}
	}
}

// TestAuditActionsAreAll holds the list to what the store and the accounts write.
func TestAuditActionsAreAll(t *testing.T) {
	t.Parallel()
	written := 0
	for _, dir := range []string{"../store", "../internal/accounts"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, m := range regexp.MustCompile(`(?:\taction\w+ +=|\bAction:) "(\w.*?)"`).FindAllStringSubmatch(string(text), -1) {
				written++
				if !slices.Contains(auditActions, m[1]) {
					t.Errorf("%s writes %q, which is no action of the list", file, m[1])
				}
			}
		}
	}
	// The action of the machine secret is put together from its name.
	if written != len(auditActions)-1 {
		t.Errorf("%d actions are written, and the list has %d", written, len(auditActions))
	}
}
