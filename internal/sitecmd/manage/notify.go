package manage

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"userkeys/internal/cli"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/notify"
	"userkeys/site"
)

func newNotifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "notify USER...", Short: "Tell users something: in their list, and pushed to their apps",
		Long: `Tell users something: in their list of notifications, and pushed to those of their
apps that take pushes. All of them are told, or none. A running site sends it by
itself.

With an idempotency key the command may be repeated, after a crash or by two
machines: within a week the same key tells nobody twice.`,
		Example: `  userkeys notify alice --title 'Your build is green' --link /builds/42 --from ci
  userkeys notify alice bob --title Maintenance --excerpt 'Tonight at ten' --idempotency-key maintenance-7
  userkeys notify alice --type replied --title Hello --link /t/hello/42/3 --from carol
  userkeys notify alice --type mentioned --details '{"topic_title":"Hello","display_username":"carol"}'`,
		Args: cobra.MinimumNArgs(1), RunE: sitedata.With(notifyUsers),
	}
	sitedata.AddFlags(cmd.Flags())
	f := cmd.Flags()
	f.String("title", "", "one line of at most 255 characters")
	f.String("excerpt", "", "plain text; what is above 400 characters is cut off")
	f.String("link", "", "where it leads: a path of the site; /t/SLUG/TOPIC/POST sets topic, slug and post for "+
		"apps that open only topics")
	f.Int64("topic", 0, "the number of the topic that it is about")
	f.Int64("post", 0, "the number of the post in its topic")
	f.String("slug", "", "the topic's name in addresses, such as hello")
	f.String("from", "", "whom it is from (default the site's title)")
	f.String("type", "",
		"a type by Discourse's name, such as mentioned, or by number (default custom, if there is a title)")
	f.String("details", "", "a JSON object that apps read by type: the data of the wire")
	f.Bool("push", false, "push it to apps whatever its type, or with --push=false to none; without it the type decides")
	f.String("idempotency-key", "", "a name of this call: repeated, it tells nobody again")
	cli.AddJSONFlag(cmd)
	return cmd
}

// announcement is what the flags say, to users.
func announcement(f *pflag.FlagSet, users []string) (site.Announcement, error) {
	a := site.Announcement{Usernames: users, Caller: sitedata.Actor}
	var kind, data string
	var post int64
	for name, to := range map[string]*string{
		"title": &a.Message.Title, "excerpt": &a.Message.Excerpt, "link": &a.Message.Link, "from": &a.Message.From,
		"type": &kind, "details": &data, "slug": &a.Notification.Slug, "idempotency-key": &a.IdempotencyKey,
	} {
		var err error
		if *to, err = f.GetString(name); err != nil {
			return a, err
		}
	}
	for name, to := range map[string]*int64{"topic": &a.Notification.TopicID, "post": &post} {
		var err error
		if *to, err = f.GetInt64(name); err != nil {
			return a, err
		}
		if f.Changed(name) && *to <= 0 {
			return a, fmt.Errorf("--%s must be a number above 0", name)
		}
	}
	if post > math.MaxInt32 {
		return a, errors.New("--post is too large")
	}
	a.Notification.PostNumber = int(post)
	if f.Changed("push") {
		push, err := f.GetBool("push")
		if err != nil {
			return a, err
		}
		a.Push = &push
	}
	if f.Changed("idempotency-key") && a.IdempotencyKey == "" {
		return a, errors.New("--idempotency-key is empty; leave it out for none")
	}
	if kind == "" && a.Message.Title == "" {
		return a, errors.New("say what: --title, or --type with --details")
	}
	a.Notification.Data = json.RawMessage(data)
	if kind == "" {
		return a, nil
	}
	var err error
	a.Notification.Type, err = site.ParseNotificationType(kind)
	return a, err
}

// notified is what the command prints as JSON.
type notified struct {
	IDs      []int64 `json:"ids"`
	Repeated bool    `json:"repeated"`
	Queued   int     `json:"queued"`
}

func notifyUsers(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	a, err := announcement(cmd.Flags(), args)
	if err != nil {
		return err
	}
	told, err := notify.New(notify.Config{Store: d.Store, Settings: d.Authority.Settings}).Add(cmd.Context(), a)
	if err != nil {
		return err
	}
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		return enc.Encode(notified{told.IDs, told.Repeated, told.Queued})
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), toldText(told, d.Authority.Settings().PushNotificationTimeWindowMins))
	return err
}

// toldText says what became of it on a site that pushes nothing for so many minutes after a user's visit.
func toldText(told site.Announced, window int) string {
	if told.Repeated {
		return fmt.Sprintf("users told before: %d; nobody was told again\n", len(told.IDs))
	}
	text := fmt.Sprintf("users told: %d; pushes that wait to be sent: %d\n", len(told.IDs), told.Queued)
	if told.Queued > 0 && window > 0 {
		text += fmt.Sprintf("the site holds back pushes for %d minutes after a user's visit\n", window)
	}
	return text
}
