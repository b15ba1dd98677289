package admin

// What tests of the package from outside need to know.
var (
	HostName            = hostName
	IdempotencyKey      = idempotencyKey
	PermissionSentences = permissionSentences
)
