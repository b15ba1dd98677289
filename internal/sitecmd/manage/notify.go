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
		Args: cobra.MinimumNArgs(1), RunE: c.options.With(c.run),
	}
	c.options.AddFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&c.message.Title, "title", "", "one line of at most 255 characters")
	f.StringVar(&c.message.Excerpt, "excerpt", "", "plain text; what is above 400 characters is cut off")
	f.StringVar(&c.message.Link, "link", "",
		"where it leads: a path of the site; /t/SLUG/TOPIC/POST sets topic, slug and post for "+
			"apps that open only topics")
	f.Int64Var(&c.topic, "topic", 0, "the number of the topic that it is about")
	f.Int64Var(&c.post, "post", 0, "the number of the post in its topic")
	f.StringVar(&c.slug, "slug", "", "the topic's name in addresses, such as hello")
	f.StringVar(&c.message.From, "from", "", "whom it is from (default the site's title)")
	f.StringVar(&c.kind, "type", "",
		"a type by Discourse's name, such as mentioned, or by number (default custom, if there is a title)")
	f.StringVar(&c.data, "details", "", "a JSON object that apps read by type: the data of the wire")
	f.BoolVar(&c.push, "push", false,
		"push it to apps whatever its type, or with --push=false to none; without it the type decides")
	f.StringVar(&c.idempotent, "idempotency-key", "", "a name of this call: repeated, it tells nobody again")
	cli.AddJSONFlag(cmd)
	return cmd
}

// announcement is what the flags say, to users.
func (c *notifying) announcement(f *pflag.FlagSet, users []string) (site.Announcement, error) {
	a := site.Announcement{Usernames: users, Caller: sitedata.Actor, Message: c.message, IdempotencyKey: c.idempotent}
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
