package people

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/internal/cli"
	"userkeys/internal/rows"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/site"
)

// audit is the command `userkeys audit`.
type audit struct {
	options     sitedata.Options
	user, since string
	filter      site.AuditFilter
}

const auditLong = `Print the audit log: who did what, newest first. Nothing changes it, and lines are deleted
only by the setting that says how long they are kept. The fields with --json are those of
the admin API. The actions are:

  `

func newAuditCommand() *cobra.Command {
	c := &audit{}
	cmd := &cobra.Command{
		Use: "audit", Short: "Print who did what, newest first", Args: cobra.NoArgs,
		Long: auditLong + strings.Join(site.AuditActions(), "\n  "),
		Example: `  userkeys audit --user alice --since 24h
  userkeys audit --action "setting changed" --json`,
		RunE: c.options.With(c.run),
	}
	f := cmd.Flags()
	c.options.AddFlags(f)
	f.StringVar(&c.user, "user", "",
		"only what this user did, or what was done to them; a name, or the id of a deleted user")
	f.Int64Var(&c.filter.KeyID, "key", 0, "only events of the key with this id")
	f.StringVar(&c.filter.Action, "action", "", `only this action, one of those above, such as "key granted"`)
	f.StringVar(&c.since, "since", "", "only events since a time such as 2026-01-31T00:00:00Z, or of the last 24h")
	f.IntVar(&c.filter.Limit, "limit", 100, "at most so many events")
	cli.AddJSONFlag(cmd)
	return cmd
}

func (c *audit) run(cmd *cobra.Command, d *sitedata.Data, _ []string) error {
	f := c.filter
	if f.Limit < 1 || f.KeyID < 0 {
		return errors.New("--limit and --key are numbers above 0")
	}
	var err error
	if f.Action, err = site.ParseAuditAction(f.Action); err != nil {
		return fmt.Errorf("--action: %s; userkeys audit --help lists all", cli.Explain(err))
	}
	if f.Since, err = sinceTime(c.since, time.Now()); err != nil {
		return err
	}
	if f.UserID, err = userID(cmd.Context(), d, c.user); err != nil {
		return err
	}
	var list []rows.Event
	for len(list) < c.filter.Limit {
		f.Limit = min(c.filter.Limit-len(list), 1000)
		events, err := d.Store.AuditEvents(cmd.Context(), f)
		if err != nil {
			return err
		}
		for _, e := range events {
			list = append(list, rows.NewEvent(e))
			f.Before = e.ID
		}
		if len(events) < f.Limit {
			break
		}
	}
	return cli.Listing(cmd, list, "TIME,BY,ACTION,USER,KEY,DETAIL", eventCells)
}

// userID reads --user; 0 is everybody.
func userID(ctx context.Context, d *sitedata.Data, name string) (int64, error) {
	if name == "" {
		return 0, nil
	}
	u, err := d.Identity.FindUser(ctx, name)
	if id, notANumber := strconv.ParseInt(name, 10, 64); errors.Is(err, userkeys.NotFound) && notANumber == nil {
		return id, nil
	}
	return u.ID, err
}

// sinceTime reads a time, or how long ago it was; empty is the zero time.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("--since %s: give a time such as 2026-01-31T00:00:00Z, or a duration such as 24h", text)
	}
	return at, nil
}

func eventCells(e rows.Event) []string {
	by := e.Caller.Kind
	if e.Caller.UserID != 0 {
		by += " " + strconv.FormatInt(e.Caller.UserID, 10)
	}
	if e.Caller.IP != "" {
		by += " at " + e.Caller.IP
	}
	return []string{
		cli.TimeCell(e.At), by, e.Action, idCell(e.UserID), idCell(e.KeyID), cli.OrDash(strings.TrimSpace(e.Detail)),
	}
}

func idCell(id int64) string {
	if id == 0 {
		return "-"
	}
	return strconv.FormatInt(id, 10)
}
