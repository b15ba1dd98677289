-- A number does not tell which change it names once the database has come back
-- as an older copy and went on from there. So each change carries a random token.
ALTER TABLE userkeys_epoch   ADD COLUMN token {{int}} NOT NULL DEFAULT 0;
ALTER TABLE userkeys_changes ADD COLUMN token {{int}} NOT NULL DEFAULT 0;
UPDATE userkeys_epoch SET token = {{random}};
-- The newest change is always there, so that whoever has reached it can compare.
INSERT INTO userkeys_changes (n, key_hash, at, token) SELECT n, CAST('' AS {{bytes}}), 0, token FROM userkeys_epoch;

-- Where a notification stands on its user's channel: the version that the inbox
-- got with it. 0: it was written before, and stands at its id.
ALTER TABLE userkeys_notifications ADD COLUMN position {{int}} NOT NULL DEFAULT 0;
