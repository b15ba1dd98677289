-- What changes whenever a user's inbox does; its row is also the lock that puts
-- the changes to one inbox in an order.
CREATE TABLE userkeys_inboxes (
	user_id     {{int}} NOT NULL PRIMARY KEY REFERENCES userkeys_users (id) ON DELETE CASCADE,
	version     {{int}} NOT NULL,
	quiet_until {{int}} NOT NULL -- do not disturb; 0: not set
) {{strict}};
INSERT INTO userkeys_inboxes (user_id, version, quiet_until) SELECT DISTINCT user_id, 1, 0 FROM userkeys_notifications;

-- Kept exactly, so that no list has to be counted. fresh: not read, and newer than the user's marker.
CREATE TABLE userkeys_notification_counts (
	user_id           {{int}} NOT NULL REFERENCES userkeys_users (id) ON DELETE CASCADE,
	notification_type {{int}} NOT NULL,
	high_priority     {{int}} NOT NULL,
	total             {{int}} NOT NULL,
	unread            {{int}} NOT NULL,
	fresh             {{int}} NOT NULL,
	PRIMARY KEY (user_id, notification_type, high_priority)
) {{strict}};
INSERT INTO userkeys_notification_counts (user_id, notification_type, high_priority, total, unread, fresh)
	SELECT n.user_id, n.notification_type, n.high_priority, COUNT(*), COUNT(CASE WHEN n.is_read = 0 THEN 1 END),
		COUNT(CASE WHEN n.is_read = 0 AND n.id > u.seen_notification_id THEN 1 END)
	FROM userkeys_notifications n JOIN userkeys_users u ON u.id = n.user_id
	GROUP BY n.user_id, n.notification_type, n.high_priority;

-- Every list is the end of some of these, so that its page costs what the page holds; those of 0002 are
-- for all of a user's, and for what is not read.
CREATE INDEX userkeys_notifications_read ON userkeys_notifications (user_id, id) WHERE is_read = 1;
CREATE INDEX userkeys_notifications_type ON userkeys_notifications (user_id, notification_type, is_read, high_priority, id);
CREATE INDEX userkeys_notifications_age ON userkeys_notifications (created_at);

-- What a repeated call is answered with, by the hash of its idempotency key.
CREATE TABLE userkeys_announcements (
	key_hash   {{bytes}} NOT NULL PRIMARY KEY,
	body_hash  {{bytes}} NOT NULL,
	ids        {{text}}  NOT NULL, -- of the notifications: a,b
	created_at {{int}}   NOT NULL
) {{strict}};
CREATE INDEX userkeys_announcements_age ON userkeys_announcements (created_at);

-- The outbox: what is to be pushed, or could not be. What was delivered is gone.
CREATE TABLE userkeys_deliveries (
	id              {{id}},
	user_id         {{int}}  NOT NULL REFERENCES userkeys_users (id) ON DELETE CASCADE,
	notification_id {{int}}  NOT NULL, -- 0: a test
	key_id          {{int}}  NOT NULL, -- 0: all of the user's keys with this address; else this one only
	push_url        {{text}} NOT NULL,
	host            {{text}} NOT NULL, -- scheme://host:port of it
	created_at      {{int}}  NOT NULL,
	queued_at       {{int}}  NOT NULL, -- since when it may be tried; a replay begins anew
	next_at         {{int}}  NOT NULL, -- when it is due, or until when somebody who sends it has it
	claim           {{int}}  NOT NULL, -- how often it was taken: whoever took it last has the say
	attempt         {{int}}  NOT NULL, -- how often it was tried and failed
	dead_at         {{int}}  NOT NULL, -- 0: it is still tried
	problem         {{text}} NOT NULL  -- of the last attempt
) {{strict}};
CREATE INDEX userkeys_deliveries_due ON userkeys_deliveries (push_url, next_at) WHERE dead_at = 0;
CREATE INDEX userkeys_deliveries_fresh ON userkeys_deliveries (push_url, next_at) WHERE dead_at = 0 AND attempt = 0;
CREATE INDEX userkeys_deliveries_host ON userkeys_deliveries (host, id);
CREATE INDEX userkeys_deliveries_dead ON userkeys_deliveries (dead_at, host) WHERE dead_at <> 0;
CREATE INDEX userkeys_deliveries_age ON userkeys_deliveries (queued_at) WHERE dead_at = 0;
CREATE INDEX userkeys_deliveries_user ON userkeys_deliveries (user_id, push_url);

CREATE INDEX userkeys_keys_push ON userkeys_keys (user_id) WHERE push_url <> '';

-- How pushing to a key goes.
CREATE TABLE userkeys_key_pushes (
	key_id        {{int}}  NOT NULL PRIMARY KEY REFERENCES userkeys_keys (id) ON DELETE CASCADE,
	delivered_at  {{int}}  NOT NULL, -- last
	failed_at     {{int}}  NOT NULL, -- last
	failing_since {{int}}  NOT NULL, -- 0: the last attempt went well
	problem       {{text}} NOT NULL, -- of the last failure
	off_at        {{int}}  NOT NULL  -- 0: on
) {{strict}};
CREATE INDEX userkeys_key_pushes_off ON userkeys_key_pushes (key_id) WHERE off_at <> 0;

-- How pushing to an address goes, for all nodes.
CREATE TABLE userkeys_push_receivers (
	push_url     {{text}} NOT NULL PRIMARY KEY,
	host         {{text}} NOT NULL,
	failures     {{int}}  NOT NULL, -- in a row
	closed_until {{int}}  NOT NULL, -- nothing is sent before
	delivered_at {{int}}  NOT NULL, -- last
	failed_at    {{int}}  NOT NULL, -- last
	problem      {{text}} NOT NULL, -- of the last failure
	delivered    {{int}}  NOT NULL, -- so many, ever
	failed       {{int}}  NOT NULL
) {{strict}};
CREATE INDEX userkeys_push_receivers_host ON userkeys_push_receivers (host);

-- Hosts, which may have many addresses: whether anybody can be reached there.
CREATE TABLE userkeys_push_hosts (
	host         {{text}} NOT NULL PRIMARY KEY,
	failures     {{int}}  NOT NULL, -- to reach anybody, in a row
	closed_until {{int}}  NOT NULL  -- nothing is sent to any address before
) {{strict}};

-- What one node does for all: due_at is when the job may be claimed again.
CREATE TABLE userkeys_jobs (
	name   {{text}} NOT NULL PRIMARY KEY,
	due_at {{int}}  NOT NULL
) {{strict}};

-- What a site's nodes must agree on, such as the machine secret (only a hash of it).
CREATE TABLE userkeys_marks (
	name  {{text}}  NOT NULL PRIMARY KEY,
	value {{bytes}} NOT NULL
) {{strict}};
