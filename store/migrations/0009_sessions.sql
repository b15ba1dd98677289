-- What users see of their sessions. 0005 has began_at.
ALTER TABLE userkeys_sessions ADD COLUMN public_id  {{text}} NOT NULL DEFAULT ''; -- names the session; never its secret
ALTER TABLE userkeys_sessions ADD COLUMN address    {{text}} NOT NULL DEFAULT '';
ALTER TABLE userkeys_sessions ADD COLUMN user_agent {{text}} NOT NULL DEFAULT '';
ALTER TABLE userkeys_sessions ADD COLUMN login      {{text}} NOT NULL DEFAULT ''; -- through which a provider signed the user in
ALTER TABLE userkeys_sessions ADD COLUMN seen_at    {{int}}  NOT NULL DEFAULT 0;
