package site

import (
	"slices"
	"strconv"
	"strings"

	"userkeys"
)

// Settings are the site settings, by Discourse's names (W19) and a few of
// our own. Make them with [DefaultSettings] and [Settings.Set], which validates.
type Settings struct {
	Title           string
	SiteDescription string

	AllowUserAPIKeys            bool
	AllowUserAPIKeyScopes       userkeys.Scopes
	AllowUserAPIKeyClientScopes userkeys.Scopes
	UserAPIKeyAllowedGroups     []string
	UserAPIKeyPrefix            string
	UserAPIKeyConsentPage       string

	AllowUserAPIKeysByHand         bool
	UserAPIKeysByHandAllowedGroups []string

	MaxUserAPIKeysPerUser      int
	MaxUserAPIKeyGrantsPerHour int

	AllowedUserAPIAuthRedirects  []string
	AllowUserAPILoopbackRedirect bool

	MaxUserAPIReqsPerMinute int
	MaxUserAPIReqsPerDay    int

	RevokeUserAPIKeysUnusedDays  int
	RevokeUserAPIKeysMaxlifeDays int
	MaxUserAPIKeyExpiryDays      int

	AllowedUserAPIPushURLs         []string
	AllowedInternalHosts           []string
	DiscoursePushSecret            bool
	PushAPISecretKey               string
	PushNotificationTimeWindowMins int
	NotificationRetentionDays      int

	UnusedRegisteredUserAPIKeyClientsDays        int
	UserAPIKeyClientsCreatePerDay                int
	CreateUserAPIKeyClientIPRateLimitOverrideIPs []string
	VerboseUserAPIKeyDeviceAuthLogging           bool

	CORSOrigins             []string
	EnableCORS              bool
	CORSOrigin              []string
	MaxReqsPerIPPerMinute   int
	MaxReqsPerIPPer10Second int
	MaxReqsPerIPMode        string

	AllowUserAPIKeyDeviceAuth      bool
	AllowUserAPIKeyOAEP256         bool
	AllowOneTimePasswordByKey      bool
	UserAPIKeyParameterRoutes      []string
	MaxUserAPIReqsPerUserPerMinute int
	MaxUserAPIReqsPerUserPerDay    int
	MaxAdminAPIReqsPerMinute       int
}

// SettingKind says what values a setting has.
type SettingKind string

// The kinds of settings.
const (
	SettingBool SettingKind = "bool"
	SettingInt  SettingKind = "int"
	SettingList SettingKind = "list" // written a|b
	SettingText SettingKind = "text"
)

// Setting describes one site setting.
type Setting struct {
	Name    string
	Aliases []string // older names, and the 2016 draft's
	Kind    SettingKind
	Default string
	Min     int // of an int
	Max     int
	Secret  bool // left out of lists, pages and logs
	Summary string

	field func(*Settings) any       // a pointer to its field: *bool, *int, *[]string, *Scopes or *string
	check func(value string) string // what is wrong with one element of a list, or with the text; empty if nothing
}

// minTrustLevel is the older setting for who may give keys. A level stands for the groups admins, moderators and
// trust_level_N, as Discourse translates it.
const minTrustLevel = "min_trust_level_for_user_api_key"

// DefaultSettings are the settings of a site that nobody has changed.
func DefaultSettings() Settings {
	var s Settings
	for _, d := range settingTable {
		if err := s.Set(d.Name, d.Default); err != nil {
			panic(err) // a programmer's mistake in the table
		}
	}
	return s
}

// AllSettings describes every setting in the order people read them.
func AllSettings() []Setting { return slices.Clone(settingTable) }

// FindSetting finds a setting by its name or an alias. Spaces and hyphens
// count as underscores, as the draft wrote them.
func FindSetting(name string) (Setting, error) {
	name = canonicalSettingName(name)
	for _, d := range settingTable {
		if d.Name == name || slices.Contains(d.Aliases, name) {
			return d, nil
		}
	}
	var names []string
	for _, d := range settingTable {
		names = append(names, d.Name)
	}
	return Setting{}, userkeys.Errorf(userkeys.NotFound, "there is no setting %s%s", name, meant(name, names))
}

func canonicalSettingName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return '_'
		}
		return r
	}, strings.ToLower(strings.TrimSpace(name)))
}

// Set changes one setting by name or alias; s is unchanged if the value is not
// allowed. Lists are written a|b.
func (s *Settings) Set(name, value string) error {
	d, err := FindSetting(name)
	if err != nil {
		return err
	}
	if isTrustLevelAlias(canonicalSettingName(name)) {
		level, err := strconv.Atoi(value)
		if err != nil || level < 0 || level > 4 {
			return invalid("%s: a trust level is 0 to 4", canonicalSettingName(name))
		}
		value = "admins|moderators|trust_level_" + strconv.Itoa(level)
	}
	return d.set(s, value)
}

func isTrustLevelAlias(name string) bool { return strings.HasPrefix(name, "min_trust_level_for_") }

func (d Setting) set(s *Settings, value string) error {
	bad := func(why string) error { return invalid("%s: %s", d.Name, why) }
	if len(value) > 65536 || !userkeys.IsText(value) {
		return bad("the value is no text, or longer than 65536 bytes")
	}
	switch p := d.field(s).(type) {
	case *bool:
		v, err := strconv.ParseBool(value)
		if err != nil {
			return bad("must be true or false")
		}
		*p = v
	case *int:
		v, err := strconv.Atoi(value)
		if err != nil || v < d.Min || v > d.Max {
			return bad("must be a whole number from " + strconv.Itoa(d.Min) + " to " + strconv.Itoa(d.Max))
		}
		*p = v
	case *string:
		if d.check != nil {
			if why := d.check(value); why != "" {
				return bad(why)
			}
		}
		*p = value
	case *[]string:
		v, err := d.parseList(value)
		if err != nil {
			return err
		}
		*p = v
	case *userkeys.Scopes:
		v, err := d.parseList(value)
		if err != nil {
			return err
		}
		*p = v
	}
	return nil
}

func (d Setting) parseList(value string) ([]string, error) {
	var out []string
	for v := range strings.SplitSeq(value, "|") {
		v = strings.TrimSpace(v)
		if v == "" || slices.Contains(out, v) {
			continue
		}
		if d.check != nil {
			if why := d.check(v); why != "" {
				return nil, invalid("%s: %s: %s", d.Name, v, why)
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// Value is the value of a setting as [Settings.Set] takes it. An alias that
// means a trust level answers with the lowest level among the groups, or "" if there is none.
func (s Settings) Value(name string) (string, error) {
	d, err := FindSetting(name)
	if err != nil {
		return "", err
	}
	switch p := d.field(&s).(type) {
	case *bool:
		return strconv.FormatBool(*p), nil
	case *int:
		return strconv.Itoa(*p), nil
	case *string:
		return *p, nil
	case *userkeys.Scopes:
		return strings.Join(*p, "|"), nil
	case *[]string:
		if isTrustLevelAlias(canonicalSettingName(name)) {
			return lowestTrustLevel(*p), nil
		}
		return strings.Join(*p, "|"), nil
	}
	return "", nil
}

func lowestTrustLevel(groups []string) string {
	lowest := ""
	for _, g := range groups {
		if n, ok := trustLevelGroup(g); ok && (lowest == "" || strconv.Itoa(n) < lowest) {
			lowest = strconv.Itoa(n)
		}
	}
	return lowest
}
