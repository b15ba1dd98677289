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

// pushDesk is what the commands do about pushes; outbox.Pushes has it by shape.
type pushDesk interface {
	KeyPushes(ctx context.Context, keyIDs []int64) (map[int64]outbox.KeyState, error)
	ResumeKey(ctx context.Context, keyID int64, by site.Caller) error
	ResumeHost(ctx context.Context, host string, by site.Caller) error
	Deliveries(ctx context.Context, f outbox.Filter) ([]outbox.Delivery, error)
	Hosts(ctx context.Context) ([]outbox.Host, error)
	Replay(ctx context.Context, ids []int64, host string, by site.Caller) (int, error)
	Discard(ctx context.Context, ids []int64, host string, by site.Caller) (int, error)
}

// officePushes are the pushes of the data that a command works on.
func officePushes(d *sitedata.Data) pushDesk { return d.Pushes }

// newDeliveriesCommand makes the command over what pushes gives for the data.
func newDeliveriesCommand(pushes func(*sitedata.Data) pushDesk) *cobra.Command {
	with := func(body func(*cobra.Command, *sitedata.Data, pushDesk, []string) error) func(*cobra.Command,
		[]string) error {
		return sitedata.With(func(cmd *cobra.Command, d *sitedata.Data,
			args []string,
		) error {
			return body(cmd, d, pushes(d), args)
		})
	}
	cmd := &cobra.Command{
		Use: "deliveries", Short: "See what is pushed to apps, and what could not be",
		Long: `See the notifications that wait to be pushed to the servers of apps, and those
that were given up after a day of attempts. A running site notices by itself what
is done here.`,
		Example: `  userkeys deliveries hosts
  userkeys deliveries list --dead --host push.example
  userkeys deliveries resume push.example
  userkeys deliveries replay --all`,
	}
	sitedata.AddFlags(cmd.PersistentFlags())
	list := &cobra.Command{
		Use: "list", Short: "List what waits, newest first", Args: cobra.NoArgs,
		RunE: with(deliveriesList),
	}
	list.Flags().Bool("dead", false, "those that were given up, instead")
	list.Flags().String("host", "", "only to this host, such as https://push.example:443")
	list.Flags().String("user", "", "only for this user")
	list.Flags().Int("limit", 100, "at most so many; 0 for all")
	cli.AddJSONFlag(list)
	hosts := &cobra.Command{
		Use: "hosts", Short: "List hosts with their numbers", Args: cobra.NoArgs,
		RunE: with(deliveriesHosts),
	}
	cli.AddJSONFlag(hosts)
	replay := &cobra.Command{Use: "replay [ID...]", Short: "Try again what was given up", RunE: with(deliveriesReplay)}
	addPickFlags(replay)
	discard := &cobra.Command{Use: "discard [ID...]", Short: "Forget what was given up", RunE: with(deliveriesDiscard)}
	addPickFlags(discard)
	cmd.AddCommand(list, hosts, replay, discard, newResumeCommand(with(deliveriesResume)))
	return cmd
}

func newResumeCommand(body func(*cobra.Command, []string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: "resume HOST", Short: "Try a host again now, and what was switched off for it",
		Args: cobra.MaximumNArgs(1), RunE: body,
		Long: `Try a host again now: close no more before it, switch on again the apps at it
that pushing was switched off for, and queue again what was given up in the last
day. With --key this is done for the one key.`,
	}
	cmd.Flags().Int64("key", 0, "the key with this id only, instead of a host")
	return cmd
}

func addPickFlags(cmd *cobra.Command) {
	cmd.Flags().String("host", "", "all that were given up for this host")
	cmd.Flags().Bool("all", false, "all that were given up")
}

// deliveriesPage is how many deliveries are asked for at a time.
const deliveriesPage = 500

func deliveriesList(cmd *cobra.Command, d *sitedata.Data, p pushDesk, _ []string) error {
	f, most, err := deliveryFilter(cmd, d)
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
		if most > 0 {
			f.Limit = min(deliveriesPage, most+1-len(list)) // one more than is shown tells whether there is more
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
		more = len(found) == f.Limit && (most == 0 || len(list) <= most)
	}
	if most > 0 && len(list) > most {
		list = list[:most]
		fmt.Fprintf(cmd.ErrOrStderr(), "there are more than %d; --limit 0 lists all\n", most)
	}
	return cli.Listing(cmd, list, "ID,USER,TO,QUEUED,ATTEMPTS,NEXT,GIVEN UP,PROBLEM", deliveryCells(time.Now()))
}

// deliveryFilter reads the flags of the list, and how many it may have; 0: all.
func deliveryFilter(cmd *cobra.Command, d *sitedata.Data) (f outbox.Filter, most int, err error) {
	flags := cmd.Flags()
	if f.Dead, err = flags.GetBool("dead"); err != nil {
		return f, 0, err
	}
	if f.Host, err = hostFlag(cmd); err != nil {
		return f, 0, err
	}
	user, err := flags.GetString("user")
	if err == nil && user != "" {
		var account site.Account
		account, err = d.Store.Account(cmd.Context(), user)
		f.UserID = account.ID
	}
	if err != nil {
		return f, 0, err
	}
	most, err = flags.GetInt("limit")
	if err == nil && most < 0 {
		err = errors.New("--limit must be a whole number, 0 for all")
	}
	return f, most, err
}

// knownHost refuses a host that nothing was ever pushed to: it is mistyped.
func knownHost(ctx context.Context, p pushDesk, host string) error {
	hosts, err := p.Hosts(ctx)
	if err != nil {
		return err
	}
	return outbox.UnknownHost(host, hosts)
}

// hostFlag reads --host; empty if it was not given.
func hostFlag(cmd *cobra.Command) (string, error) {
	text, err := cmd.Flags().GetString("host")
	if err != nil || !cmd.Flags().Changed("host") {
		return "", err
	}
	host, err := site.ParsePushHost(text) // an empty variable must not mean every host
	if err != nil {
		return "", fmt.Errorf("--host: %q: %s", text, cli.Explain(err))
	}
	return host, nil
}

// nameOf is a user's name; names remembers those found.
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

func deliveriesHosts(cmd *cobra.Command, _ *sitedata.Data, p pushDesk, _ []string) error {
	hosts, err := p.Hosts(cmd.Context())
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

// pickDeliveries is which given-up deliveries a command line means: some, all of a host, or all.
func pickDeliveries(cmd *cobra.Command, args []string) (ids []int64, host string, err error) {
	for _, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id <= 0 {
			return nil, "", fmt.Errorf("%q is no id of a delivery; see userkeys deliveries list --dead", arg)
		}
		ids = append(ids, id)
	}
	all, err := cmd.Flags().GetBool("all")
	if err != nil {
		return nil, "", err
	}
	if host, err = hostFlag(cmd); err != nil {
		return nil, "", err
	}
	said := 0
	for _, one := range []bool{len(ids) > 0, host != "", all} {
		if one {
			said++
		}
	}
	if said != 1 {
		return nil, "", errors.New("name deliveries by id, or say --host or --all; only one of them")
	}
	return ids, host, nil
}

func deliveriesReplay(cmd *cobra.Command, _ *sitedata.Data, p pushDesk, args []string) error {
	return changeDeliveries(cmd, p, args, p.Replay, "queued again")
}

func deliveriesDiscard(cmd *cobra.Command, _ *sitedata.Data, p pushDesk, args []string) error {
	return changeDeliveries(cmd, p, args, p.Discard, "discarded")
}

// changeDeliveries has change do its work, by 1000 ids at a time, and tells how many it was done to.
func changeDeliveries(cmd *cobra.Command, p pushDesk, args []string,
	change func(context.Context, []int64, string, site.Caller) (int, error), what string,
) error {
	ids, host, err := pickDeliveries(cmd, args)
	if err == nil && host != "" {
		err = knownHost(cmd.Context(), p, host)
	}
	if err != nil {
		return err
	}
	parts := [][]int64{nil}
	if len(ids) > 0 {
		parts = slices.Collect(slices.Chunk(ids, 1000))
	}
	n := 0
	for _, part := range parts {
		changed, err := change(cmd.Context(), part, host, sitedata.Actor)
		if err != nil {
			return err
		}
		n += changed
	}
	if len(ids) > 0 && n == 0 {
		return userkeys.Errorf(userkeys.NotFound,
			"none of these deliveries is there, and given up; see userkeys deliveries list --dead")
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d %s\n", n, what)
	return err
}

func deliveriesResume(cmd *cobra.Command, _ *sitedata.Data, p pushDesk, args []string) error {
	key, err := cmd.Flags().GetInt64("key")
	if err != nil {
		return err
	}
	byKey := cmd.Flags().Changed("key")
	if byKey == (len(args) == 1) || byKey && key <= 0 {
		return errors.New("name a host, see userkeys deliveries hosts, or a key by --key ID; only one of them")
	}
	if byKey {
		if err := p.ResumeKey(cmd.Context(), key, sitedata.Actor); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "key %d is pushed to again\n", key)
		return err
	}
	host, err := site.ParsePushHost(args[0])
	if err == nil {
		err = knownHost(cmd.Context(), p, host)
	}
	if err != nil {
		return err
	}
	if err := p.ResumeHost(cmd.Context(), host, sitedata.Actor); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is tried again\n", host)
	return err
}
