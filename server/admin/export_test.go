package admin

// What tests of the package from outside need to know.
var (
	IdempotencyKey      = idempotencyKey
	PermissionSentences = permissionSentences
)
