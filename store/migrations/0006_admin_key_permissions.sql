-- Empty, as for the keys that are there: everything.
ALTER TABLE userkeys_admin_keys ADD COLUMN permissions {{text}} NOT NULL DEFAULT ''; -- a,b
ALTER TABLE userkeys_admin_keys ADD COLUMN expires_at  {{int}}  NOT NULL DEFAULT 0;
