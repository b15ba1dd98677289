package site

// SyncedUser is a user of a website that signs its people in here, as the website tells of them without their being
// there. Everything but Suspended counts, as at a sign-in: the user is in no group that is not named. Whom the login
// does not let in, because they are in none of its groups, is suspended, and stays so until Suspended is false.
type SyncedUser struct {
	ExternalID string   `json:"external_id"` // what the website calls the user; never another's
	Username   string   `json:"username"`
	Name       string   `json:"name"`
	Email      string   `json:"email"`
	Groups     []string `json:"groups"`
	Admin      bool     `json:"admin"`
	Moderator  bool     `json:"moderator"`
	// Suspended says whether the user is suspended here; absent leaves it as it is for whom the login lets in.
	Suspended *bool `json:"suspended"`
}

// Sync is a list of users from a website.
type Sync struct {
	Login string       `json:"login"` // through which they sign in; may be empty where the site has one login
	Users []SyncedUser `json:"users"`
	// SparesAdmins refuses to make, change or suspend administrators.
	SparesAdmins bool `json:"-"`
}

// SyncOutcome is what became of one user of a [Sync].
type SyncOutcome struct {
	ExternalID string `json:"external_id"`
	Username   string `json:"username"` // here
	// Outcome is created, changed, unchanged or refused.
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"` // why it was refused
}
