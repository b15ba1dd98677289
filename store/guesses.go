package store

import (
	"context"
	"time"

	"userkeys"
)

type guess struct{ count, since int64 }

func scanGuess(r row) (guess, error) {
	var g guess
	err := r.Scan(&g.count, &g.since)
	return g, err
}

// ChargeAttempt adds one to the count of name within its window, and returns the count and when the window began. A
// window that is older than its length begins again; one with length 0 never does. It is one statement, so that
// parallel attempts are all counted, and it is in the database, so that neither a restart nor many names make it
// forget.
func (s *Store) ChargeAttempt(
	ctx context.Context, name string, window time.Duration, at time.Time,
) (int, time.Time, error) {
	if err := checkIndexed(name); err != nil {
		return 0, time.Time{}, err
	}
	if window < 0 {
		return 0, time.Time{}, userkeys.Errorf(userkeys.InvalidParameters, "a window of %v", window)
	}
	since, until := micros(at), int64(0)
	if window > 0 {
		until = micros(at.Add(window))
	}
	var g guess
	err := s.write(ctx, func(c conn) error {
		var err error
		g, err = one(c, scanGuess, `INSERT INTO userkeys_guesses (name, count, since, until) VALUES ($1, 1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET
				count = CASE WHEN `+windowOver+` THEN 1 ELSE userkeys_guesses.count + 1 END,
				since = CASE WHEN `+windowOver+` THEN excluded.since ELSE userkeys_guesses.since END,
				until = CASE WHEN excluded.until = 0 THEN 0 WHEN `+windowOver+` THEN excluded.until
					ELSE userkeys_guesses.since + excluded.until - excluded.since END
			RETURNING count, since`, name, since, until)
		return err
	})
	return int(g.count), fromMicros(g.since), err
}

// windowOver is the condition that the stored window has ended at the time of the new attempt (excluded).
const windowOver = "(excluded.until <> 0 AND " +
	"excluded.since - userkeys_guesses.since >= excluded.until - excluded.since)"

// Guesses returns the count of name and when its window began, without charging. It returns zeros if there is none.
func (s *Store) Guesses(ctx context.Context, name string) (int, time.Time, error) {
	if err := checkIndexed(name); err != nil {
		return 0, time.Time{}, err
	}
	found, err := read(ctx, s, func(c conn) ([]guess, error) {
		return all(c, scanGuess, "SELECT count, since FROM userkeys_guesses WHERE name = $1", name)
	})
	if err != nil || len(found) == 0 {
		return 0, time.Time{}, err
	}
	return int(found[0].count), fromMicros(found[0].since), nil
}

// ForgetGuesses deletes counts.
func (s *Store) ForgetGuesses(ctx context.Context, names ...string) error {
	if err := checkIndexed(names...); err != nil {
		return err
	}
	if len(names) == 0 {
		return nil
	}
	return s.write(ctx, func(c conn) error {
		return inChunks(names, idsPerStatement, func(chunk []string) error {
			args := arguments(chunk)
			_, err := c.exec("DELETE FROM userkeys_guesses WHERE name"+in(1, len(chunk)), args...)
			return err
		})
	})
}
