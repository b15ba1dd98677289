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

// ParseAuditAction reads the action of an [AuditFilter]; empty is every action. The error names the actions that s may
// stand for: those that it is a part of, or those that differ in two letters at most.
//
// Errors: [userkeys.InvalidParameters] for an action that there is not.
func ParseAuditAction(s string) (string, error) {
	if s == "" || slices.Contains(auditActions, s) {
		return s, nil
	}
	var near []string
	for _, a := range auditActions {
		if word := strings.ToLower(s); strings.Contains(a, word) || differences(a, word) <= 2 {
			near = append(near, strconv.Quote(a))
		}
	}
	text := "there is no action " + strconv.Quote(s)
	if len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return "", userkeys.Errorf(userkeys.InvalidParameters, "%s", text)
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
