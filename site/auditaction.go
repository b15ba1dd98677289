package site

import (
	"slices"
	"strconv"
	"strings"

	"userkeys"
)

// auditActions are all actions in the audit log.
var auditActions = []string{
	"key granted", "key made by hand", "key replaced", "key renewed", "key moved", "key revoked", "revocation undone",
	"consent denied", "device denied", "client registered", "client released", "purged",
	"one-time password made", "one-time password used", "sign-in link made", "sign-in link used",
	"user created", "user updated", "user deleted", "password set", "password changed",
	"identity linked", "identity unlinked",
	"setting changed", "setting reset", "admin key created", "admin key revoked",
	"users notified", "push resumed", "pushes replayed", "pushes discarded", "machine secret replaced",
}

// AuditActions returns all actions of [AuditEvent].
func AuditActions() []string { return slices.Clone(auditActions) }

// ParseAuditAction reads the action of an [AuditFilter]; empty is every action. The error proposes
// actions that s may stand for.
//
// Errors: [userkeys.InvalidParameters] for an action that there is not.
func ParseAuditAction(s string) (string, error) {
	if s == "" || slices.Contains(auditActions, s) {
		return s, nil
	}
	return "", userkeys.Errorf(userkeys.InvalidParameters, "there is no action %q%s", s, meant(s, auditActions))
}

// maxMeant is how many names an error proposes.
const maxMeant = 5

// meant asks whether one of names was meant by s, at the end of an error: one that s is a part of, or one that differs
// from it in two letters at most. It returns nothing if there is none, or too many.
func meant(s string, names []string) string {
	var near []string
	for _, name := range names {
		if word := strings.ToLower(s); strings.Contains(name, word) || differences(name, word) <= 2 {
			near = append(near, strconv.Quote(name))
		}
	}
	if len(near) == 0 || len(near) > maxMeant {
		return ""
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// differences counts the letters that have to be put in, taken out or replaced to make b of a.
func differences(a, b string) int {
	row := make([]int, len(b)+1) // of what is read of a, and each beginning of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0]++
		for j := range len(b) {
			replaced := before
			if a[i] != b[j] {
				replaced++
			}
			before = row[j+1]
			row[j+1] = min(row[j]+1, before+1, replaced)
		}
	}
	return row[len(b)]
}
