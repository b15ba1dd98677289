package site

const maxDays = 36500

// settingTable is every setting in the order people read them.
var settingTable = []Setting{
	{
		Name: "title", Kind: SettingText, Default: "userkeys", Summary: "name of the site, shown on its pages",
		field: func(s *Settings) any { return &s.Title }, check: checkTitle,
	},
	{
		Name: "site_description", Kind: SettingText, Summary: "what the site is, in a sentence",
		field: func(s *Settings) any { return &s.SiteDescription },
	},

	{
		Name: "allow_user_api_keys", Kind: SettingBool, Default: "true",
		Summary: "give new keys; existing keys go on without",
		field:   func(s *Settings) any { return &s.AllowUserAPIKeys },
	},
	{
		Name: "allow_user_api_key_scopes", Kind: SettingList,
		Default: "read|notifications|session_info|message_bus|push", Summary: "scopes that an app may have",
		field: func(s *Settings) any { return &s.AllowUserAPIKeyScopes }, check: checkScopeName,
	},
	{
		Name: "user_api_key_allowed_groups", Aliases: []string{minTrustLevel, "min_trust_level_for_api_keys"},
		Kind: SettingList, Default: "admins|moderators|trust_level_0",
		Summary: "who may give an app a key; staff always may",
		field:   func(s *Settings) any { return &s.UserAPIKeyAllowedGroups }, check: checkGroup,
	},
	{
		Name: "allow_user_api_keys_by_hand", Kind: SettingBool, Default: "false",
		Summary: "users may make keys by themselves, for programs that cannot ask",
		field:   func(s *Settings) any { return &s.AllowUserAPIKeysByHand },
	},
	{
		Name: "user_api_keys_by_hand_allowed_groups", Aliases: []string{"min_trust_level_for_user_api_keys_by_hand"},
		Kind: SettingList, Default: "admins|moderators|trust_level_0",
		Summary: "who may make keys by hand, of those who may give an app a key; staff always may",
		field:   func(s *Settings) any { return &s.UserAPIKeysByHandAllowedGroups }, check: checkGroup,
	},
	{
		Name: "user_api_key_prefix", Kind: SettingText,
		Summary: "up to three letters before every new key, for secret scanners",
		field:   func(s *Settings) any { return &s.UserAPIKeyPrefix }, check: checkKeyPrefix,
	},
	{
		Name: "user_api_key_consent_page", Kind: SettingText,
		Summary: "the website's own page for what apps ask for, such as /allow; empty for the page of this site",
		field:   func(s *Settings) any { return &s.UserAPIKeyConsentPage }, check: checkConsentPage,
	},
	{
		Name: "max_user_api_keys_per_user", Kind: SettingInt, Default: "100", Min: 1, Max: 10000,
		Summary: "live keys that a user may have at once",
		field:   func(s *Settings) any { return &s.MaxUserAPIKeysPerUser },
	},
	{
		Name: "max_user_api_key_grants_per_hour", Kind: SettingInt, Default: "60", Min: 1, Max: 10000,
		Summary: "keys that a user may give in an hour",
		field:   func(s *Settings) any { return &s.MaxUserAPIKeyGrantsPerHour },
	},

	{
		Name: "allowed_user_api_auth_redirects", Kind: SettingList,
		Default: "https://api.discourse.org/api/auth_redirect|discourse://auth_redirect",
		Summary: "where the answer may be sent: exact, or with * as the left-most label or at the end",
		field:   func(s *Settings) any { return &s.AllowedUserAPIAuthRedirects }, check: checkRedirectRule,
	},
	{
		Name: "allow_user_api_key_loopback_redirects", Kind: SettingBool, Default: "true",
		Summary: "also send it to programs on the user's own machine: http://127.0.0.1 and http://[::1], any port",
		field:   func(s *Settings) any { return &s.AllowUserAPILoopbackRedirect },
	},

	{
		Name: "max_user_api_reqs_per_minute", Kind: SettingInt, Default: "20", Max: 10000,
		Summary: "requests of a key in any 60 seconds",
		field:   func(s *Settings) any { return &s.MaxUserAPIReqsPerMinute },
	},
	{
		Name: "max_user_api_reqs_per_day", Kind: SettingInt, Default: "2880", Max: 10000000,
		Summary: "requests of a key in any 24 hours", field: func(s *Settings) any { return &s.MaxUserAPIReqsPerDay },
	},

	{
		Name: "max_user_api_reqs_per_user_per_minute", Kind: SettingInt, Default: "120", Max: 65535,
		Summary: "requests of all keys of a user together in any 60 seconds; 0 for no such limit",
		field:   func(s *Settings) any { return &s.MaxUserAPIReqsPerUserPerMinute },
	},
	{
		Name: "max_user_api_reqs_per_user_per_day", Kind: SettingInt, Default: "14400", Max: 10000000,
		Summary: "requests of all keys of a user together in any 24 hours; 0 for no such limit",
		field:   func(s *Settings) any { return &s.MaxUserAPIReqsPerUserPerDay },
	},
	{
		Name: "user_api_key_parameter_routes", Kind: SettingList,
		Summary: "feeds and calendars where a key may stand in the address (user_api_key=...), such as GET /latest.rss or " +
			"GET /t/{slug}/{id}.rss",
		field: func(s *Settings) any { return &s.UserAPIKeyParameterRoutes }, check: checkParameterRoute,
	},

	{
		Name: "revoke_user_api_keys_unused_days", Aliases: []string{"expire_user_api_keys_days"}, Kind: SettingInt,
		Default: "180", Max: maxDays, Summary: "revoke keys that were not used for so many days; 0 for never",
		field: func(s *Settings) any { return &s.RevokeUserAPIKeysUnusedDays },
	},
	{
		Name: "revoke_user_api_keys_maxlife_days", Kind: SettingInt, Default: "0", Max: maxDays,
		Summary: "revoke keys of that age in days; 0 for never",
		field:   func(s *Settings) any { return &s.RevokeUserAPIKeysMaxlifeDays },
	},
	{
		Name: "max_user_api_key_expiry_days", Kind: SettingInt, Default: "365", Max: maxDays,
		Summary: "longest lifetime in days that an app may ask for; 0 to refuse any",
		field:   func(s *Settings) any { return &s.MaxUserAPIKeyExpiryDays },
	},

	{
		Name: "allowed_user_api_push_urls", Kind: SettingList,
		Summary: "where notifications may be pushed, exact addresses",
		field:   func(s *Settings) any { return &s.AllowedUserAPIPushURLs }, check: checkPushURL,
	},
	{
		Name: "allowed_internal_hosts", Kind: SettingList,
		Summary: "host:port of push addresses that may lie in this server's own network, such as hub:8080",
		field:   func(s *Settings) any { return &s.AllowedInternalHosts }, check: checkHostPort,
	},
	{
		Name: "discourse_push_secret", Kind: SettingBool, Default: "false",
		Summary: "also send push_api_secret_key in every push, as Discourse does; every receiver learns it",
		field:   func(s *Settings) any { return &s.DiscoursePushSecret },
	},
	{
		Name: "push_api_secret_key", Kind: SettingText, Secret: true,
		Summary: "secret that older push receivers look for, see discourse_push_secret",
		field:   func(s *Settings) any { return &s.PushAPISecretKey },
	},
	{
		Name: "notification_retention_days", Kind: SettingInt, Default: "365", Max: maxDays,
		Summary: "forget notifications of that age in days; 0 for never",
		field:   func(s *Settings) any { return &s.NotificationRetentionDays },
	},
	{
		Name: "push_notification_time_window_mins", Kind: SettingInt, Default: "10", Max: 1440,
		Summary: "do not push to users seen within so many minutes",
		field:   func(s *Settings) any { return &s.PushNotificationTimeWindowMins },
	},

	{
		Name: "allow_user_api_key_device_auth", Kind: SettingBool, Default: "true",
		Summary: "apps on machines without a browser may ask with a code to type",
		field:   func(s *Settings) any { return &s.AllowUserAPIKeyDeviceAuth },
	},
	{
		Name: "allow_user_api_key_oaep_256", Kind: SettingBool, Default: "true",
		Summary: "answers may be sealed with OAEP and SHA-256 (padding=oaep-256)",
		field:   func(s *Settings) any { return &s.AllowUserAPIKeyOAEP256 },
	},
	{
		Name: "allow_user_api_key_otp_by_key", Kind: SettingBool, Default: "false",
		Summary: "a key with the scope write may make one-time passwords, which sign its owner in",
		field:   func(s *Settings) any { return &s.AllowOneTimePasswordByKey },
	},

	{
		Name: "allow_user_api_key_client_scopes", Kind: SettingList, Summary: "scopes that a registered client may have",
		field: func(s *Settings) any { return &s.AllowUserAPIKeyClientScopes }, check: checkScopeName,
	},
	{
		Name: "unused_registered_user_api_key_clients_days", Kind: SettingInt, Default: "30", Max: maxDays,
		Summary: "forget registered clients that were not used for so many days; 0 for never",
		field:   func(s *Settings) any { return &s.UnusedRegisteredUserAPIKeyClientsDays },
	},
	{
		Name: "user_api_key_clients_create_per_day", Kind: SettingInt, Default: "1", Max: 10000,
		Summary: "clients that one address may register in a day",
		field:   func(s *Settings) any { return &s.UserAPIKeyClientsCreatePerDay },
	},
	{
		Name: "create_user_api_key_client_ip_rate_limit_override_ips", Kind: SettingList,
		Summary: "addresses without that limit",
		field:   func(s *Settings) any { return &s.CreateUserAPIKeyClientIPRateLimitOverrideIPs }, check: checkIP,
	},
	{
		Name: "verbose_user_api_key_device_auth_logging", Kind: SettingBool, Default: "false",
		Summary: "log each step of the device flow",
		field:   func(s *Settings) any { return &s.VerboseUserAPIKeyDeviceAuthLogging },
	},

	{
		Name: "max_admin_api_reqs_per_minute", Kind: SettingInt, Default: "60", Max: 60000,
		Summary: "requests of an admin API key in any 60 seconds",
		field:   func(s *Settings) any { return &s.MaxAdminAPIReqsPerMinute },
	},

	{
		Name: "cors_origins", Kind: SettingList, Summary: "origins whose pages may call the API from a browser",
		field: func(s *Settings) any { return &s.CORSOrigins }, check: checkOrigin,
	},
	{
		Name: "enable_cors", Kind: SettingBool, Default: "false", Summary: "use cors_origin as well",
		field: func(s *Settings) any { return &s.EnableCORS },
	},
	{
		Name: "cors_origin", Kind: SettingList, Summary: "more origins, see enable_cors",
		field: func(s *Settings) any { return &s.CORSOrigin }, check: checkOrigin,
	},
	{
		Name: "max_reqs_per_ip_per_minute", Kind: SettingInt, Default: "200", Min: 1, Max: 1000000,
		Summary: "requests of one address in any 60 seconds",
		field:   func(s *Settings) any { return &s.MaxReqsPerIPPerMinute },
	},
	{
		Name: "max_reqs_per_ip_per_10_seconds", Kind: SettingInt, Default: "50", Min: 1, Max: 1000000,
		Summary: "requests of one address in any 10 seconds",
		field:   func(s *Settings) any { return &s.MaxReqsPerIPPer10Second },
	},
	{
		Name: "max_reqs_per_ip_mode", Kind: SettingText, Default: "block",
		Summary: "what happens above them: block, warn, warn+block or none",
		field:   func(s *Settings) any { return &s.MaxReqsPerIPMode }, check: checkIPMode,
	},
}
