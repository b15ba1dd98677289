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

// notifying is one run of `userkeys notify`.
type notifying struct {
	options    sitedata.Options
	message    site.Message
	kind, data string
	topic      int64
	post       int64
	slug       string
	push       bool
	idempotent string
}

func newNotifyCommand() *cobra.Command {
	c := &notifying{}
	cmd := &cobra.Command{
		Use: "notify USER...", Short: "Notify users, in their list and by pushes to their apps",
		Long: `Notify users: the notification is added to their list, and pushed to those of their
apps that receive pushes. Either all of the users are notified or none. A running
site sends the pushes.

With an idempotency key the command can be repeated, after a crash or by two
machines: within a week the same key notifies nobody twice.`,
		Example: `  userkeys notify alice --title 'Your build is green' --link /builds/42 --from ci
  userkeys notify alice bob --title Maintenance --excerpt 'Tonight at ten' --idempotency-key maintenance-7
  userkeys notify alice --type replied --title Hello --link /t/hello/42/3 --from carol
  userkeys notify alice --type mentioned --details '{"topic_title":"Hello","display_username":"carol"}'`,
		Args: cobra.MinimumNArgs(1), RunE: c.options.With(c.run),
	}
	c.options.AddFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&c.message.Title, "title", "", "title, one line of at most 255 characters")
	f.StringVar(&c.message.Excerpt, "excerpt", "", "plain text, cut off after 400 characters")
	f.StringVar(&c.message.Link, "link", "",
		"where the notification leads: a path of the site; /t/SLUG/TOPIC/POST sets topic, slug and post "+
			"for apps that can open only topics")
	f.Int64Var(&c.topic, "topic", 0, "number of the topic that the notification is about")
	f.Int64Var(&c.post, "post", 0, "number of the post in its topic")
	f.StringVar(&c.slug, "slug", "", "name of the topic in addresses, such as hello")
	f.StringVar(&c.message.From, "from", "", "who the notification is from (default: the title of the site)")
	f.StringVar(&c.kind, "type", "",
		"type, as one of Discourse's names such as mentioned, or a number (default: custom, if there is a title)")
	f.StringVar(&c.data, "details", "", "JSON object with the notification's data, which apps read according to its type")
	f.BoolVar(&c.push, "push", false,
		"push the notification whatever its type, or with --push=false do not push it (default: the type decides)")
	f.StringVar(&c.idempotent, "idempotency-key", "", "name of this call; a call with the same name notifies nobody again")
	cli.AddJSONFlag(cmd)
	return cmd
}

// announcement is what the flags say, to users.
func (c *notifying) announcement(f *pflag.FlagSet, users []string) (site.Announcement, error) {
	a := site.Announcement{Usernames: users, Caller: sitedata.Operator, Message: c.message, IdempotencyKey: c.idempotent}
	switch {
	case f.Changed("topic") && c.topic <= 0:
		return a, errors.New("--topic must be a number above 0")
	case f.Changed("post") && c.post <= 0:
		return a, errors.New("--post must be a number above 0")
	case c.post > math.MaxInt32:
		return a, errors.New("--post is too large")
	case f.Changed("idempotency-key") && c.idempotent == "":
		return a, errors.New("--idempotency-key is empty; leave it out for none")
	case c.kind == "" && c.message.Title == "":
		return a, errors.New("say what: --title, or --type with --details")
	}
	a.Notification.TopicID, a.Notification.PostNumber, a.Notification.Slug = c.topic, int(c.post), c.slug
	a.Notification.Data = json.RawMessage(c.data)
	if f.Changed("push") {
		a.Push = &c.push
	}
	if c.kind == "" {
		return a, nil
	}
	var err error
	a.Notification.Type, err = site.ParseNotificationType(c.kind)
	return a, err
}

// notified is what the command prints as JSON.
type notified struct {
	IDs      []int64 `json:"ids"`
	Repeated bool    `json:"repeated"`
	Queued   int     `json:"queued"`
}

func (c *notifying) run(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	a, err := c.announcement(cmd.Flags(), args)
	if err != nil {
		return err
	}
	told, err := notify.Open(notify.Config{Store: d.Store, Settings: d.Authority.Settings}).Add(cmd.Context(), a)
	if err != nil {
		return err
	}
	if cli.JSON(cmd) {
		return cli.WriteJSON(cmd.OutOrStdout(), notified{told.IDs, told.Repeated, told.Queued})
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), toldText(told, d.Authority.Settings().PushNotificationTimeWindowMins))
	return err
}

// toldText describes the result on a site that pushes nothing for window minutes after a user's visit.
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
