package manage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/internal/cli"
	"userkeys/internal/rows"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/outbox"
	"userkeys/site"
)

// pushes is what the commands do about pushes.
type pushes interface {
	KeyPushes(ctx context.Context, keyIDs []int64) (map[int64]outbox.KeyState, error)
	ResumeKey(ctx context.Context, keyID int64, by site.Caller) error
	ResumeHost(ctx context.Context, host string, by site.Caller) error
	Deliveries(ctx context.Context, f outbox.Filter) ([]outbox.Delivery, error)
	Hosts(ctx context.Context) ([]outbox.Host, error)
	Replay(ctx context.Context, ids []int64, host string, by site.Caller) (int, error)
	Discard(ctx context.Context, ids []int64, host string, by site.Caller) (int, error)
}

// deliveries are the commands `userkeys deliveries`.
type deliveries struct {
	options sitedata.Options
	pushes  func(*sitedata.Data) pushes

	dead, all  bool
	host, user string
	limit      int
	key        int64
}

func newDeliveriesCommand() *cobra.Command {
	c := &deliveries{pushes: func(d *sitedata.Data) pushes { return d.Pushes }}
	return c.command()
}

func (c *deliveries) command() *cobra.Command {
	cmd := &cobra.Command{
		Use: "deliveries", Short: "Show what is pushed to apps, and what could not be delivered",
		Long: `Show the notifications that wait to be pushed to the servers of apps, and those
that were given up after a day of attempts. What these commands change takes
effect on a running site.`,
		Example: `  userkeys deliveries hosts
  userkeys deliveries list --dead --host push.example
  userkeys deliveries resume push.example
  userkeys deliveries replay --all`,
	}
	c.options.AddFlags(cmd.PersistentFlags())
	list := &cobra.Command{
		Use: "list", Short: "List the deliveries that wait, newest first", Args: cobra.NoArgs,
		RunE: c.options.With(c.list),
	}
	f := list.Flags()
	f.BoolVar(&c.dead, "dead", false, "list the deliveries that were given up instead")
	f.StringVar(&c.host, "host", "", "only deliveries to this host, such as https://push.example:443")
	f.StringVar(&c.user, "user", "", "only deliveries for this user")
	f.IntVar(&c.limit, "limit", 100, "list at most this many; 0 for all")
	cli.AddJSONFlag(list)
	hosts := &cobra.Command{
		Use: "hosts", Short: "List the hosts that are pushed to, with their counts", Args: cobra.NoArgs,
		RunE: c.options.With(c.hosts),
	}
	cli.AddJSONFlag(hosts)
	replay := &cobra.Command{
		Use: "replay [ID...]", Short: "Send deliveries again that were given up", RunE: c.options.With(c.replay),
	}
	discard := &cobra.Command{
		Use: "discard [ID...]", Short: "Delete deliveries that were given up", RunE: c.options.With(c.discard),
	}
	for _, cmd := range []*cobra.Command{replay, discard} {
		cmd.Flags().StringVar(&c.host, "host", "", "all deliveries to this host that were given up")
		cmd.Flags().BoolVar(&c.all, "all", false, "all deliveries that were given up")
	}
	resume := &cobra.Command{
		Use: "resume HOST", Short: "Send to a host again now",
		Args: cobra.MaximumNArgs(1), RunE: c.options.With(c.resume),
		Long: `Send to a host again now: end the pause that failures have caused, switch pushing
on again for the keys at this host, and queue again what was given up in the last
day. With --key this is done for one key instead.`,
	}
	resume.Flags().Int64Var(&c.key, "key", 0, "id of a key to resume instead of a host")
	cmd.AddCommand(list, hosts, replay, discard, resume)
	return cmd
}

// deliveriesPage is how many deliveries are asked for at a time.
const deliveriesPage = 500

func (c *deliveries) list(cmd *cobra.Command, d *sitedata.Data, _ []string) error {
	p := c.pushes(d)
	f, err := c.filter(cmd, d)
	if err == nil && f.Host != "" {
		err = knownHost(cmd.Context(), p, f.Host)
	}
	if err != nil {
		return err
	}
	names := map[int64]string{}
	var list []rows.Delivery
	for more := true; more; {
		f.Limit = deliveriesPage
		if c.limit > 0 {
			f.Limit = min(deliveriesPage, c.limit+1-len(list)) // one more than is shown tells whether there is more
		}
		found, err := p.Deliveries(cmd.Context(), f)
		if err != nil {
			return err
		}
		for _, one := range found {
			name, err := nameOf(cmd.Context(), d, one.UserID, names)
			if err != nil {
				return err
			}
			list = append(list, rows.NewDelivery(one, name))
			f.Before = one.ID
		}
		more = len(found) == f.Limit && (c.limit == 0 || len(list) <= c.limit)
	}
	if c.limit > 0 && len(list) > c.limit {
		list = list[:c.limit]
		fmt.Fprintf(cmd.ErrOrStderr(), "there are more than %d; --limit 0 lists all\n", c.limit)
	}
	return cli.Listing(cmd, list, "ID,USER,TO,QUEUED,ATTEMPTS,NEXT,GIVEN UP,PROBLEM", deliveryCells(time.Now()))
}

// filter is what the flags of the list ask for.
func (c *deliveries) filter(cmd *cobra.Command, d *sitedata.Data) (outbox.Filter, error) {
	f := outbox.Filter{Dead: c.dead}
	if c.limit < 0 {
		return f, errors.New("--limit must be a whole number, 0 for all")
	}
	var err error
	if f.Host, err = c.hostFlag(cmd); err != nil || c.user == "" {
		return f, err
	}
	account, err := d.Store.Account(cmd.Context(), c.user)
	f.UserID = account.ID
	return f, err
}

// knownHost refuses a host that nothing was ever pushed to: it is mistyped.
func knownHost(ctx context.Context, p pushes, host string) error {
	hosts, err := p.Hosts(ctx)
	if err != nil {
		return err
	}
	return outbox.UnknownHost(host, hosts)
}

// hostFlag returns the value of --host, or "" if it was not given.
func (c *deliveries) hostFlag(cmd *cobra.Command) (string, error) {
	if !cmd.Flags().Changed("host") {
		return "", nil
	}
	host, err := site.ParsePushHost(c.host) // an empty variable must not mean every host
	if err != nil {
		return "", fmt.Errorf("--host: %q: %s", c.host, cli.Explain(err))
	}
	return host, nil
}

// nameOf returns the name of a user. names caches names.
func nameOf(ctx context.Context, d *sitedata.Data, id int64, names map[int64]string) (string, error) {
	if name, ok := names[id]; ok {
		return name, nil
	}
	u, err := d.Store.User(ctx, id)
	if err != nil && !errors.Is(err, userkeys.NotFound) { // deleted a moment ago
		return "", err
	}
	names[id] = u.Username
	return u.Username, nil
}

// deliveryCells is a delivery in the table, at a moment.
func deliveryCells(now time.Time) func(rows.Delivery) []string {
	return func(d rows.Delivery) []string {
		return []string{
			strconv.FormatInt(d.ID, 10), dash(d.Username), d.PushURL, cli.TimeCell(d.CreatedAt), strconv.Itoa(d.Attempts),
			nextCell(d, now), cli.TimeCell(d.DeadAt), dash(d.Problem),
		}
	}
}

// nextCell says when a delivery is tried next.
func nextCell(d rows.Delivery, now time.Time) string {
	switch {
	case d.NextAt == nil:
		return "-"
	case d.QueuedAt != nil && d.QueuedAt.After(now):
		return "held back until " + cli.Moment(*d.NextAt)
	case !d.NextAt.After(now):
		return "now"
	}
	return cli.Moment(*d.NextAt)
}

// dash is a text for a table; - for what there is not.
func dash(text *string) string {
	if text == nil {
		return "-"
	}
	return *text
}

func (c *deliveries) hosts(cmd *cobra.Command, d *sitedata.Data, _ []string) error {
	hosts, err := c.pushes(d).Hosts(cmd.Context())
	if err != nil {
		return err
	}
	list := make([]rows.PushHost, len(hosts))
	for i, h := range hosts {
		list[i] = rows.NewPushHost(h, time.Now())
	}
	return cli.Listing(cmd, list,
		"HOST,WAITING,GIVEN UP,APPS OFF,DELIVERED,FAILED,LAST SUCCESS,LAST FAILURE,PROBLEM,SOME CLOSED UNTIL", hostCells)
}

func hostCells(h rows.PushHost) []string {
	return []string{
		h.Host, strconv.Itoa(h.Queued), strconv.Itoa(h.Dead), strconv.Itoa(h.Off), strconv.FormatInt(h.Delivered, 10),
		strconv.FormatInt(h.Failed, 10),
		cli.TimeCell(h.DeliveredAt), cli.TimeCell(h.FailedAt), dash(h.Problem), cli.TimeCell(h.ClosedUntil),
	}
}

// pick returns which given-up deliveries a command line selects: some, all of a host, or all.
func (c *deliveries) pick(cmd *cobra.Command, args []string) (ids []int64, host string, err error) {
	if ids, err = parseIDs(args, "a delivery", "userkeys deliveries list --dead"); err != nil {
		return nil, "", err
	}
	if host, err = c.hostFlag(cmd); err != nil {
		return nil, "", err
	}
	said := 0
	for _, one := range []bool{len(ids) > 0, host != "", c.all} {
		if one {
			said++
		}
	}
	if said != 1 {
		return nil, "", errors.New("name deliveries by id, or say --host or --all; only one of them")
	}
	return ids, host, nil
}

func (c *deliveries) replay(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	n, err := c.change(cmd, d, args, c.pushes(d).Replay)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d queued again\n", n)
	return err
}

func (c *deliveries) discard(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	n, err := c.change(cmd, d, args, c.pushes(d).Discard)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d discarded\n", n)
	return err
}

// change applies a change to the deliveries that the command line selects, 1000 ids at a time, and returns to how
// many.
func (c *deliveries) change(cmd *cobra.Command, d *sitedata.Data, args []string,
	with func(context.Context, []int64, string, site.Caller) (int, error),
) (int, error) {
	ids, host, err := c.pick(cmd, args)
	if err == nil && host != "" {
		err = knownHost(cmd.Context(), c.pushes(d), host)
	}
	if err != nil {
		return 0, err
	}
	parts := [][]int64{nil}
	if len(ids) > 0 {
		parts = slices.Collect(slices.Chunk(ids, 1000))
	}
	n := 0
	for _, part := range parts {
		changed, err := with(cmd.Context(), part, host, sitedata.Operator)
		if err != nil {
			return 0, err
		}
		n += changed
	}
	if len(ids) > 0 && n == 0 {
		return 0, userkeys.Errorf(userkeys.NotFound,
			"none of these deliveries is there, and given up; see userkeys deliveries list --dead")
	}
	return n, nil
}

func (c *deliveries) resume(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	byKey := cmd.Flags().Changed("key")
	if byKey == (len(args) == 1) || byKey && c.key <= 0 {
		return errors.New("name a host, see userkeys deliveries hosts, or a key by --key ID; only one of them")
	}
	p := c.pushes(d)
	if byKey {
		if err := p.ResumeKey(cmd.Context(), c.key, sitedata.Operator); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "key %d is pushed to again\n", c.key)
		return err
	}
	host, err := site.ParsePushHost(args[0])
	if err == nil {
		err = knownHost(cmd.Context(), p, host)
	}
	if err != nil {
		return err
	}
	if err := p.ResumeHost(cmd.Context(), host, sitedata.Operator); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is tried again\n", host)
	return err
}
