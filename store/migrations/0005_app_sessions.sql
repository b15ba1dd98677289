-- The key that a session which an app began ends with; 0: the app had none.
ALTER TABLE userkeys_sessions ADD COLUMN key_id           {{int}}  NOT NULL DEFAULT 0;
ALTER TABLE userkeys_sessions ADD COLUMN application_name {{text}} NOT NULL DEFAULT '';
ALTER TABLE userkeys_sessions ADD COLUMN began_at         {{int}}  NOT NULL DEFAULT 0;
CREATE INDEX userkeys_sessions_key ON userkeys_sessions (key_id) WHERE key_id <> 0;

-- The key that a one-time password was given with; 0: none.
ALTER TABLE userkeys_one_time_passwords ADD COLUMN key_id {{int}} NOT NULL DEFAULT 0;
-- 1: used, and the session that it begins is not there yet.
ALTER TABLE userkeys_one_time_passwords ADD COLUMN used   {{int}} NOT NULL DEFAULT 0;

-- Nobody knows which key those that are there belong to.
DELETE FROM userkeys_sessions WHERE via_app = 1;
DELETE FROM userkeys_one_time_passwords;
