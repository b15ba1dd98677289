-- Who users are to the providers that sign them in.
CREATE TABLE userkeys_identities (
	issuer       {{text}} NOT NULL,
	subject      {{text}} NOT NULL, -- with the issuer: one person; compared as bytes
	user_id      {{int}}  NOT NULL REFERENCES userkeys_users (id) ON DELETE CASCADE,
	username     {{text}} NOT NULL, -- as the provider spells it
	created_at   {{int}}  NOT NULL,
	signed_in_at {{int}}  NOT NULL, -- 0: never
	PRIMARY KEY (issuer, subject)
) {{strict}};
CREATE INDEX userkeys_identities_user ON userkeys_identities (user_id);

-- What the provider calls the user, through which login they came last, and when they last signed in.
ALTER TABLE userkeys_users ADD COLUMN external_id  {{text}} NOT NULL DEFAULT '';
ALTER TABLE userkeys_users ADD COLUMN login        {{text}} NOT NULL DEFAULT '';
ALTER TABLE userkeys_users ADD COLUMN signed_in_at {{int}}  NOT NULL DEFAULT 0;
