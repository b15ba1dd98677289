package userkeys

// Description is what a site tells apps before they ask, so that they can ask
// rightly the first time. It is our addition to the wire, answered at
// /.well-known/user-api-key.
type Description struct {
	APIVersion    int               `json:"api_version"` // as in the header Auth-Api-Version
	Title         string            `json:"title"`
	Open          bool              `json:"open"` // whether new keys are given at all
	Scopes        []DescribedScope  `json:"scopes"`
	Paddings      []Padding         `json:"paddings"`
	PublicKey     DescribedRSA      `json:"public_key"`
	DeviceFlow    bool              `json:"device_flow"`
	Redirects     DescribedRedirect `json:"redirects"`
	Limits        DescribedLimits   `json:"limits"`
	Lifetime      DescribedLifetime `json:"lifetime"`
	KeyFormat     DescribedKey      `json:"key_format"`
	MaxParameters map[string]int    `json:"max_bytes"` // of the parameters of a request
	Endpoints     map[string]string `json:"endpoints"` // whole addresses
}

// DescribedScope is a scope that an app may ask for.
type DescribedScope struct {
	Name     string   `json:"name"`
	Sentence string   `json:"sentence"` // continues "It wants to"
	Routes   []string `json:"routes"`   // "GET /notifications.json"; empty: it opens none
}

// DescribedRSA bounds the public keys that answers are sealed to.
type DescribedRSA struct {
	Type          string   `json:"type"`
	Formats       []string `json:"formats"`
	MinBits       int      `json:"min_bits"`
	MinBitsDevice int      `json:"min_bits_device_flow"` // whose nonce has at most 256 bytes
	MaxBits       int      `json:"max_bits"`
}

// DescribedRedirect says which sorts of addresses the answer may be sent to. The list
// itself stays the site's: a refusal names the line that is missing.
type DescribedRedirect struct {
	Paste    bool     `json:"paste"`    // without an address the user copies the answer
	Loopback bool     `json:"loopback"` // http://127.0.0.1 and http://[::1], any port
	Schemes  []string `json:"schemes"`  // of the addresses on the site's list
}

// DescribedLimits are how often a key, and all keys of a user together, may be used.
type DescribedLimits struct {
	PerMinute     int `json:"per_minute"`
	PerDay        int `json:"per_day"`
	UserPerMinute int `json:"user_per_minute,omitempty"` // absent: no such limit
	UserPerDay    int `json:"user_per_day,omitempty"`
}

// DescribedLifetime says when keys end. 0 days means never by that rule.
type DescribedLifetime struct {
	MaxSeconds  int `json:"max_expires_in_seconds"` // 0: leave expires_in_seconds out
	UnusedDays  int `json:"unused_days"`
	MaxLifeDays int `json:"max_life_days"`
}

// DescribedKey is how keys look, for apps that check what was pasted and for secret scanners.
type DescribedKey struct {
	Pattern string `json:"pattern"`
	Prefix  string `json:"prefix"`
}
