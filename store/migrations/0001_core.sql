-- Times are microseconds since 1970 UTC, 0 for never. Flags are 0 or 1. Lists
-- are one text. Hashes are SHA-256.

CREATE TABLE userkeys_users (
	id            {{id}},
	username      {{text}} NOT NULL,
	username_key  {{text}} NOT NULL UNIQUE, -- without case
	name          {{text}} NOT NULL,
	email         {{text}} NOT NULL,
	email_key     {{text}} NOT NULL,        -- without case
	trust_level   {{int}}  NOT NULL,
	admin         {{int}}  NOT NULL,
	moderator     {{int}}  NOT NULL,
	active        {{int}}  NOT NULL,
	group_names   {{text}} NOT NULL,        -- a|b
	password_hash {{text}} NOT NULL,
	suspended_at  {{int}}  NOT NULL,
	created_at    {{int}}  NOT NULL,
	last_seen_at  {{int}}  NOT NULL
) {{strict}};
CREATE UNIQUE INDEX userkeys_users_email ON userkeys_users (email_key) WHERE email_key <> '';

CREATE TABLE userkeys_clients (
	id               {{id}},
	client_id        {{text}} NOT NULL UNIQUE, -- compared as bytes
	application_name {{text}} NOT NULL,
	public_key       {{text}} NOT NULL,
	auth_redirect    {{text}} NOT NULL,        -- empty: came by a grant, not by registration
	scopes           {{text}} NOT NULL,        -- a,b
	created_at       {{int}}  NOT NULL
) {{strict}};

CREATE TABLE userkeys_keys (
	id         {{id}},
	user_id    {{int}}   NOT NULL REFERENCES userkeys_users (id) ON DELETE CASCADE,
	client     {{int}}   NOT NULL REFERENCES userkeys_clients (id),
	hash       {{bytes}} NOT NULL UNIQUE,
	hash_kind  {{int}}   NOT NULL,        -- 1: SHA-256 of the key's text
	application_name {{text}} NOT NULL,   -- as this user was told it
	scopes     {{text}}  NOT NULL,        -- a,b
	push_url   {{text}}  NOT NULL,
	created_at {{int}}   NOT NULL,
	expires_at {{int}}   NOT NULL,
	revoked_at {{int}}   NOT NULL,
	revoked_by {{text}}  NOT NULL,
	UNIQUE (user_id, client)              -- one key of a user for a client, revoked ones included
) {{strict}};
CREATE INDEX userkeys_keys_client ON userkeys_keys (client);

-- Written often and in batches, so narrow and apart from the keys.
CREATE TABLE userkeys_key_uses (
	key_id       {{int}} NOT NULL PRIMARY KEY REFERENCES userkeys_keys (id) ON DELETE CASCADE,
	last_used_at {{int}} NOT NULL,
	day          {{bytes}}
) {{strict}};

CREATE TABLE userkeys_consents (
	id_hash    {{bytes}} NOT NULL PRIMARY KEY,
	user_id    {{int}}   NOT NULL REFERENCES userkeys_users (id) ON DELETE CASCADE,
	session    {{text}}  NOT NULL,
	request    {{text}}  NOT NULL, -- JSON
	created_at {{int}}   NOT NULL,
	expires_at {{int}}   NOT NULL
) {{strict}};
CREATE INDEX userkeys_consents_user ON userkeys_consents (user_id);
CREATE INDEX userkeys_consents_expiry ON userkeys_consents (expires_at);

CREATE TABLE userkeys_settings (
	name  {{text}} NOT NULL PRIMARY KEY,
	value {{text}} NOT NULL
) {{strict}};

CREATE TABLE userkeys_sessions (
	token_hash {{bytes}} NOT NULL PRIMARY KEY,
	user_id    {{int}}   NOT NULL, -- 0: nobody is signed in
	data       {{bytes}} NOT NULL,
	expires_at {{int}}   NOT NULL
) {{strict}};
CREATE INDEX userkeys_sessions_user ON userkeys_sessions (user_id);
CREATE INDEX userkeys_sessions_expiry ON userkeys_sessions (expires_at);

CREATE TABLE userkeys_tokens (
	kind       {{text}}  NOT NULL PRIMARY KEY, -- one of a kind
	token_hash {{bytes}} NOT NULL,
	expires_at {{int}}   NOT NULL
) {{strict}};

CREATE TABLE userkeys_guesses (
	name  {{text}} NOT NULL PRIMARY KEY,
	count {{int}}  NOT NULL,
	since {{int}}  NOT NULL,
	until {{int}}  NOT NULL -- 0: counts for ever
) {{strict}};
CREATE INDEX userkeys_guesses_until ON userkeys_guesses (until);

-- No references: what was done stays written when users and keys are gone.
CREATE TABLE userkeys_audit_events (
	id            {{id}},
	at            {{int}}  NOT NULL,
	actor_user_id {{int}}  NOT NULL,
	actor_kind    {{text}} NOT NULL,
	actor_ip      {{text}} NOT NULL,
	actor_admin   {{int}}  NOT NULL,
	action        {{text}} NOT NULL,
	user_id       {{int}}  NOT NULL,
	key_id        {{int}}  NOT NULL,
	client_id     {{text}} NOT NULL,
	detail        {{text}} NOT NULL
) {{strict}};
CREATE INDEX userkeys_audit_user ON userkeys_audit_events (user_id, action, at);
{{append only audit}}

-- The lease of every cache: raised in the transaction of each change that can
-- take access away. The row's lock makes commit order the order of n.
CREATE TABLE userkeys_epoch (
	one {{int}} NOT NULL PRIMARY KEY CHECK (one = 1),
	n   {{int}} NOT NULL
) {{strict}};
INSERT INTO userkeys_epoch (one, n) VALUES (1, 1);

CREATE TABLE userkeys_changes (
	id       {{id}},
	n        {{int}}   NOT NULL,
	key_hash {{bytes}} NOT NULL, -- empty: everything
	at       {{int}}   NOT NULL
) {{strict}};
CREATE INDEX userkeys_changes_n ON userkeys_changes (n);
