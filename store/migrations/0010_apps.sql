-- What tells the keys of one app apart, on the page of its user.
ALTER TABLE userkeys_keys ADD COLUMN destination   {{text}} NOT NULL DEFAULT ''; -- where the answer went
ALTER TABLE userkeys_keys ADD COLUMN approved_with {{text}} NOT NULL DEFAULT ''; -- Firefox on Windows
-- Pages of a user's keys, newest first.
CREATE INDEX userkeys_keys_user ON userkeys_keys (user_id, id);

-- When a user looked at their apps.
CREATE TABLE userkeys_app_visits (
	user_id   {{int}} NOT NULL PRIMARY KEY REFERENCES userkeys_users (id) ON DELETE CASCADE,
	last_at   {{int}} NOT NULL,
	before_at {{int}} NOT NULL -- the end of the visit before; 0: there was none
) {{strict}};
