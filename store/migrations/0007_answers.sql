-- Sealed answers that their page shows again, to the session that approved.
CREATE TABLE userkeys_shown_answers (
	consent_hash {{bytes}} NOT NULL PRIMARY KEY,
	key_id       {{int}}   NOT NULL REFERENCES userkeys_keys (id) ON DELETE CASCADE,
	session      {{text}}  NOT NULL,
	payload      {{text}}  NOT NULL, -- sealed
	expires_at   {{int}}   NOT NULL
) {{strict}};
CREATE INDEX userkeys_shown_answers_key ON userkeys_shown_answers (key_id);
CREATE INDEX userkeys_shown_answers_expiry ON userkeys_shown_answers (expires_at);

-- Tokens of forms that were sent, so that none makes something twice.
CREATE TABLE userkeys_sent_forms (
	form_hash  {{bytes}} NOT NULL PRIMARY KEY,
	expires_at {{int}}   NOT NULL
) {{strict}};
CREATE INDEX userkeys_sent_forms_expiry ON userkeys_sent_forms (expires_at);
