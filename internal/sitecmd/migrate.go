package sitecmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"userkeys/internal/sitecmd/sitedata"
	"userkeys/store"
)

func newMigrateCommand() *cobra.Command {
	o := &sitedata.Options{}
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring the database to this version's schema", Args: cobra.NoArgs,
		Long: `Bring the database to this version's schema. serve also does this when it
starts; this is for doing it at a time of your choosing. The commands that manage
a site never change a schema: they refuse another version's.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := o.Resolve(cmd.Flags()); err != nil {
				return err
			}
			db, dialect, err := o.OpenDatabase(cmd.Context())
			if err != nil {
				return err
			}
			defer db.Close()
			st, err := store.Open(cmd.Context(), db, dialect)
			if err != nil {
				return err
			}
			n, err := st.Migrate(cmd.Context())
			if err != nil {
				return err
			}
			have, _, err := st.SchemaVersion(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "schema version %d, %d migrations applied\n", have, n)
			return nil
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}
