package appcmd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
	"userkeys/internal/keystore"
	"userkeys/internal/posts"
)

const postLong = `Writes posts now and publishes them later, each of them once.

"post add" keeps a post in posts.json beside the stored keys, and "post run"
publishes the posts that are due. If a post may have reached the site but no
answer came, its state is "unknown". It is not sent again until you have looked
at the site and used "post resolve ID" with --sent or --again.`

// newPostCommand makes `userkeys post`.
func newPostCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "post", Short: "Write posts now, publish them later", Long: postLong,
		Example: `  userkeys post add forum.example --topic 12 -d "See you on Thursday." --at "2026-12-01 09:00"
  userkeys post run`,
	}
	cmd.AddCommand(newPostAddCommand(), newPostListCommand(), newPostRunCommand(), newPostResolveCommand(),
		newPostCancelCommand())
	return cmd
}

// withQueue returns the body of a command that works on the queue beside the person's keys.
func withQueue(body func(cmd *cobra.Command, keys *keystore.Store, q *posts.Queue,
	args []string) error,
) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		keys, err := appkeys.Open(cmd)
		if err != nil {
			return err
		}
		return body(cmd, keys, posts.Open(posts.Config{Keys: keys}), args)
	}
}

// postAdd is one run of `userkeys post add`.
type postAdd struct {
	title, account, data, at, every string
	category, topic                 int
}

func newPostAddCommand() *cobra.Command {
	a := &postAdd{}
	cmd := &cobra.Command{
		Use: "add [SITE]", Short: "Put a post into the queue", Args: cobra.MaximumNArgs(1),
		Long: `Puts a post into the queue: a new topic (--title, and --category if the site
requires one) or a reply (--topic). If there is only one stored key, SITE is not
needed; alice@forum.example chooses between several accounts. --at is the time to
publish: 2026-12-01T09:00:00+01:00, "2026-12-01 09:00" by this machine's clock, or
+2h. --every repeats the post: daily and weekly keep the time of day, and a
duration such as 36h counts hours. Repetitions that were missed are skipped.`,
		Example: `  userkeys post add forum.example --title "Choir on Thursday" --category 4 ` +
			`-d @choir.md --at "2026-12-01 09:00"
  userkeys post add --topic 12 -d "Open until six today." --at +2h
  date | userkeys post add --topic 12 -d @- --every weekly`,
		ValidArgsFunction: appkeys.CompleteSites,
		RunE:              withQueue(a.run),
	}
	f := cmd.Flags()
	f.StringVar(&a.title, "title", "", "title of a new topic")
	f.IntVar(&a.category, "category", 0, "number of the new topic's category")
	f.IntVar(&a.topic, "topic", 0, "number of the topic to reply to")
	f.StringVar(&a.account, "account", "", "the account, if there are several on the site")
	f.StringVarP(&a.data, "data", "d", "", "text of the post; @FILE reads it from a file, @- from standard input")
	f.StringVar(&a.at, "at", "", "when to publish the post (default: at the next run)")
	f.StringVar(&a.every, "every", "", "repeat the post: daily, weekly or a duration")
	cli.AddJSONFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("account", appkeys.CompleteAccounts) // it fails only for a flag that does not exist
	return cmd
}

func (a *postAdd) run(cmd *cobra.Command, keys *keystore.Store, q *posts.Queue, args []string) error {
	account, err := a.findAccount(keys, args)
	if err != nil {
		return err
	}
	draft := posts.Draft{Account: account, Title: a.title, Category: a.category, TopicID: a.topic}
	if draft.At, err = parseMoment(a.at, time.Now(), time.Local); err != nil {
		return err
	}
	if draft.Every, err = posts.ParseEvery(a.every); err != nil {
		return appkeys.ExitError(err)
	}
	body, err := cli.ReadData(a.data, cmd.InOrStdin())
	if err != nil {
		return err
	}
	draft.Raw = cli.WithoutBOM(string(body))
	p, err := q.Add(draft)
	if err != nil {
		return appkeys.ExitError(err)
	}
	if scope := (client.Support{}).MissingScope(account.Scopes, http.MethodPost, "/posts.json"); scope != "" {
		fmt.Fprintf(cmd.ErrOrStderr(),
			"warning: the stored key may only %s; before the post is due: userkeys login %s --scopes %s\n",
			account.Scopes, account.Site, appkeys.WithScope(account.Scopes, scope))
	}
	return tellPost(cmd, p,
		fmt.Sprintf("%s waits until %s, for %s; \"userkeys post run\" publishes it", p.ID, localMoment(p.At),
			userkeys.Printable(p.Owner())))
}

// tellPost prints what was done with a post: a sentence, or with --json the post.
func tellPost(cmd *cobra.Command, p posts.Post, sentence string) error {
	if cli.JSON(cmd) {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(p)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), sentence)
	return err
}

func (a *postAdd) findAccount(keys *keystore.Store, args []string) (keystore.Account, error) {
	all, err := keys.Accounts()
	if err != nil {
		return keystore.Account{}, err
	}
	found, err := all.One(strings.Join(args, ""), a.account)
	return found, appkeys.ExitError(err)
}

// localLayout is a time as people type it.
const localLayout = "2006-01-02 15:04"

// parseMoment reads when to publish a post; empty is the zero time. A time in the past
// is refused: it is more likely a mistake, and what is published cannot be taken back.
func parseMoment(s string, now time.Time, loc *time.Location) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if after, ok := strings.CutPrefix(s, "+"); ok {
		if d, err := time.ParseDuration(after); err == nil && d >= 0 && !strings.HasPrefix(after, "+") {
			return now.Add(d), nil
		}
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		at, err = time.ParseInLocation(localLayout, s, loc)
		if clock, _ := time.ParseInLocation(localLayout, s, time.UTC); err == nil &&
			at.Format(localLayout) != clock.Format(localLayout) {
			return time.Time{}, cli.Exitf(cli.ExitUsage, "%q does not exist: clocks are set forward then", s)
		}
	}
	switch {
	case err != nil:
		return time.Time{},
			cli.Exitf(cli.ExitUsage, "%q is no time; give 2026-12-01T09:00:00Z, \"2026-12-01 09:00\" or +2h", s)
	case at.Before(now):
		return time.Time{},
			cli.Exitf(cli.ExitUsage, "%s is past; without --at it goes out at the next run", localMoment(at))
	}
	return at, nil
}

// localMoment is a time as the person's clock shows it.
func localMoment(t time.Time) string { return t.Local().Format(localLayout + ":05 -07:00") }

func newPostListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the queue", Args: cobra.NoArgs,
		Long: `Lists the queue in the order of the times: the posts that wait, the last 200 that
were sent, and those that need you. An "unknown" post may have reached the site; a
"failed" one was refused.`,
		Example: `  userkeys post list
  userkeys post list --json`,
		RunE: withQueue(func(cmd *cobra.Command, _ *keystore.Store, q *posts.Queue, _ []string) error {
			queued, err := q.Posts()
			if err != nil {
				return err
			}
			return cli.Listing(cmd, queued, "ID,STATE,AT,EVERY,FOR,POST,NOTE", func(p posts.Post) []string {
				what := p.Title
				if p.TopicID != 0 {
					what = fmt.Sprintf("reply to %d", p.TopicID)
				}
				return []string{
					p.ID, string(p.State), localMoment(p.At), cmp.Or(string(p.Every), "-"), p.Owner(), what,
					cmp.Or(p.LastError, p.Address, "-"),
				}
			})
		}),
	}
	cli.AddJSONFlag(cmd)
	return cmd
}

func newPostRunCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use: "run", Short: "Publish the posts that are due, until Ctrl-C", Args: cobra.NoArgs,
		Long: `Publishes each post at its time, one after the other, and prints a line for each.
The command runs until Ctrl-C, and then still waits for the answer to a post that
it is sending. With --once it publishes the posts that are due now, and exits.

Exit codes:
  0  done; posts that could not be sent yet still wait
  1  with --once: a post is unknown or failed, or there is no key for one
  2  the command line was not understood`,
		Example: `  userkeys post run
  userkeys post run --once`,
		RunE: withQueue(func(cmd *cobra.Command, _ *keystore.Store, q *posts.Queue, _ []string) error {
			return postRun(cmd, q, once)
		}),
	}
	cmd.Flags().BoolVar(&once, "once", false, "publish the posts that are due now, and exit")
	cli.AddJSONFlag(cmd)
	return cmd
}

func postRun(cmd *cobra.Command, q *posts.Queue, once bool) error {
	bad := 0
	report := func(r posts.Report) {
		if r.Result == posts.Unknown || r.Result == posts.Failed || r.NoKey {
			bad++
		}
		_ = tellPost(cmd, r.Post, userkeys.Printable(reportLine(r))) // a reader that left does not stop the posts
	}
	if !once {
		fmt.Fprintln(cmd.ErrOrStderr(), "publishing what is due; Ctrl-C ends it")
		return q.Run(cmd.Context(), report)
	}
	if err := q.RunOnce(cmd.Context(), report); err != nil {
		return err
	}
	if bad > 0 {
		return cli.Exitf(cli.ExitFailure, "not published: %d; see userkeys post list", bad)
	}
	queued, err := q.Posts()
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(queued, func(p posts.Post) bool { return p.State == posts.Unknown }); i >= 0 {
		return cli.Exitf(cli.ExitFailure, "nobody knows yet what became of %s; see userkeys post list", queued[i].ID)
	}
	return nil
}

func reportLine(r posts.Report) string {
	p := r.Post
	s := fmt.Sprintf("%s  %s  ", p.ID, r.Result)
	switch r.Result {
	case posts.Sent:
		s += cmp.Or(p.Address, "the site has it; a moderator must let it through")
		if p.State == posts.Waiting {
			s += "; again " + localMoment(p.At)
		}
	case posts.Waiting:
		s += p.LastError
		if !p.RetryAt.IsZero() {
			s += "; waits until " + localMoment(p.RetryAt)
		}
	case posts.Unknown:
		s += fmt.Sprintf("%s; is it on %s? userkeys post resolve %s --sent, or --again", p.LastError, p.Site, p.ID)
	default:
		s += fmt.Sprintf("%s; when that is mended: userkeys post resolve %s --again", p.LastError, p.ID)
	}
	return s
}

func newPostResolveCommand() *cobra.Command {
	var sent, again bool
	cmd := &cobra.Command{
		Use: "resolve ID", Short: "Say what became of a post that is unknown or failed", Args: cobra.ExactArgs(1),
		Long: `Says what became of a post that is unknown or failed: --sent if the site has it, or
--again to send it again. Look at the site first.`,
		Example: `  userkeys post resolve k3fd --sent
  userkeys post resolve k3fd --again`,
		RunE: withQueue(func(cmd *cobra.Command, _ *keystore.Store, q *posts.Queue, args []string) error {
			if sent == again {
				return cli.Exitf(cli.ExitUsage, "give --sent or --again")
			}
			as := posts.ItWasSent
			if again {
				as = posts.SendAgain
			}
			p, err := q.Resolve(args[0], as)
			if err != nil {
				return err
			}
			if p.State == posts.Waiting {
				return tellPost(cmd, p, fmt.Sprintf("%s waits until %s", p.ID, localMoment(p.At)))
			}
			return tellPost(cmd, p, p.ID+" is done")
		}),
	}
	cmd.Flags().BoolVar(&sent, "sent", false, "the site has the post")
	cmd.Flags().BoolVar(&again, "again", false, "send the post again")
	cli.AddJSONFlag(cmd)
	return cmd
}

func newPostCancelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "cancel ID", Short: "Take a post out of the queue", Args: cobra.ExactArgs(1),
		Long:    `Takes a post, also a repeated one, out of the queue. What was sent stays on the site.`,
		Example: `  userkeys post cancel k3fd`,
		RunE: withQueue(func(cmd *cobra.Command, _ *keystore.Store, q *posts.Queue, args []string) error {
			p, err := q.Cancel(args[0])
			if err != nil {
				return err
			}
			return tellPost(cmd, p, p.ID+" is cancelled")
		}),
	}
	cli.AddJSONFlag(cmd)
	return cmd
}
