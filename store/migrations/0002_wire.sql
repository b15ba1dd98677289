-- What an app may renew its key with, and the key before the last renewal,
-- which lives a little longer in case the answer was lost.
ALTER TABLE userkeys_keys ADD COLUMN public_key {{text}} NOT NULL DEFAULT '';
ALTER TABLE userkeys_keys ADD COLUMN padding    {{text}} NOT NULL DEFAULT '';
ALTER TABLE userkeys_keys ADD COLUMN lifetime   {{int}}  NOT NULL DEFAULT 0; -- microseconds, as granted; 0: no end of its own
ALTER TABLE userkeys_keys ADD COLUMN renewed_at {{int}}  NOT NULL DEFAULT 0;
ALTER TABLE userkeys_keys ADD COLUMN old_hash   {{bytes}};
ALTER TABLE userkeys_keys ADD COLUMN old_until  {{int}}  NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX userkeys_keys_old_hash ON userkeys_keys (old_hash) WHERE old_hash IS NOT NULL;

-- Of registered clients only: public keys are too long for an index.
ALTER TABLE userkeys_clients ADD COLUMN public_key_hash {{bytes}};
CREATE INDEX userkeys_clients_public_key ON userkeys_clients (public_key_hash) WHERE public_key_hash IS NOT NULL;

ALTER TABLE userkeys_users ADD COLUMN seen_notification_id {{int}} NOT NULL DEFAULT 0;

-- 1: began with a one-time password that an app was given, and ends when its user revokes everything.
ALTER TABLE userkeys_sessions ADD COLUMN via_app {{int}} NOT NULL DEFAULT 0;

CREATE TABLE userkeys_device_grants (
	device_hash    {{bytes}} NOT NULL PRIMARY KEY,
	user_code_hash {{bytes}} NOT NULL UNIQUE,
	request_hash   {{bytes}} NOT NULL UNIQUE, -- of the token in ?request=
	approval_hash  {{bytes}} UNIQUE,          -- of the token of the page that asks; NULL until the code was typed
	request        {{text}}  NOT NULL,        -- JSON
	ip             {{text}}  NOT NULL,        -- who asked
	state          {{text}}  NOT NULL,        -- pending, authorized or denied
	user_id        {{int}}   NOT NULL,        -- who typed the code; 0: nobody yet
	session        {{text}}  NOT NULL,
	payload        {{text}}  NOT NULL,        -- sealed
	created_at     {{int}}   NOT NULL,
	expires_at     {{int}}   NOT NULL
) {{strict}};
CREATE INDEX userkeys_device_grants_expiry ON userkeys_device_grants (expires_at);

CREATE TABLE userkeys_one_time_passwords (
	user_id          {{int}}   NOT NULL PRIMARY KEY REFERENCES userkeys_users (id) ON DELETE CASCADE, -- the newest counts
	hash             {{bytes}} NOT NULL UNIQUE,
	application_name {{text}}  NOT NULL,
	created_at       {{int}}   NOT NULL,
	expires_at       {{int}}   NOT NULL
) {{strict}};
CREATE INDEX userkeys_one_time_passwords_expiry ON userkeys_one_time_passwords (expires_at);

CREATE TABLE userkeys_admin_keys (
	id           {{id}},
	description  {{text}}  NOT NULL,
	hash         {{bytes}} NOT NULL UNIQUE,
	user_id      {{int}} REFERENCES userkeys_users (id) ON DELETE CASCADE, -- acts as this user only; NULL: as anybody
	created_at   {{int}}   NOT NULL,
	last_used_at {{int}}   NOT NULL,
	revoked_at   {{int}}   NOT NULL
) {{strict}};

CREATE TABLE userkeys_notifications (
	id                {{id}},
	user_id           {{int}}  NOT NULL REFERENCES userkeys_users (id) ON DELETE CASCADE,
	notification_type {{int}}  NOT NULL,
	is_read           {{int}}  NOT NULL,
	high_priority     {{int}}  NOT NULL,
	topic_id          {{int}}  NOT NULL, -- 0: none
	post_number       {{int}}  NOT NULL, -- 0: none
	slug              {{text}} NOT NULL,
	fancy_title       {{text}} NOT NULL,
	data              {{text}} NOT NULL, -- a JSON object
	created_at        {{int}}  NOT NULL
) {{strict}};
CREATE INDEX userkeys_notifications_user ON userkeys_notifications (user_id, id);
-- In the order that lists show: what has high priority first, then the newest.
CREATE INDEX userkeys_notifications_unread ON userkeys_notifications (user_id, high_priority, id) WHERE is_read = 0;

CREATE TABLE userkeys_user_statuses (
	user_id     {{int}}  NOT NULL PRIMARY KEY REFERENCES userkeys_users (id) ON DELETE CASCADE,
	emoji       {{text}} NOT NULL,
	description {{text}} NOT NULL,
	set_at      {{int}}  NOT NULL,
	ends_at     {{int}}  NOT NULL
) {{strict}};
