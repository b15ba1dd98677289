-- A number does not tell which change it names once the database has come back
-- as an older copy and went on from there. So each change carries a random token.
ALTER TABLE userkeys_epoch   ADD COLUMN token {{int}} NOT NULL DEFAULT 0;
ALTER TABLE userkeys_changes ADD COLUMN token {{int}} NOT NULL DEFAULT 0;
UPDATE userkeys_epoch SET token = {{random}};
-- The newest change is always there, so that whoever has reached it can compare.
INSERT INTO userkeys_changes (n, key_hash, at, token) SELECT n, CAST('' AS {{bytes}}), 0, token FROM userkeys_epoch;
