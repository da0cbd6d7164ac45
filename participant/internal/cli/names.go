package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"tributary/participant/internal/scoring"
)

// maxNamed bounds --top.
const maxNamed = 10_000

func (a *app) names() *cobra.Command {
	var file scoring.File
	var model, data, separator string
	var top int
	c := &cobra.Command{
		Use:   "names --model MODEL.json (--data ID | --in ROWS.csv)",
		Short: "Show which of your own values a model's hash buckets stand for; nothing is sent",
		Long: "A model that learnt from an open category (buckets: N in the contract) or a cross knows numbers, such as city#17. This reads your rows and lists the buckets with the\n" +
			"largest coefficients, each with the most frequent of your values in it: those of others may be different ones.",
		Args: exactly(),
	}
	f := c.Flags()
	f.StringVar(&model, "model", "", "the exported model")
	f.StringVar(&data, "data", "", "the id of a source in the config")
	f.StringVar(&file.Rows.File, "in", "", "file of rows with the contract's names: CSV, gzipped or not, or Parquet")
	f.StringVar(&separator, "separator", ",", "what separates the cells of --in")
	f.StringSliceVar(&file.Rows.Missing, "missing", nil, "cells of --in that stand for a missing value, beside the empty one")
	f.IntVar(&top, "top", 20, "how many buckets")
	c.RunE = func(c *cobra.Command, _ []string) error {
		usage := func(field, message string) error {
			return &failure{Exit: exitUsage, Code: "usage", Field: field, Message: message, Hint: "see " + c.CommandPath() + " --help"}
		}
		var size int
		file.Rows.Separator, size = utf8.DecodeRuneInString(separator)
		switch {
		case model == "":
			return usage("model", "--model is missing")
		case (file.Rows.File == "") == (data == ""):
			return usage("in", "give --in or --data")
		case data != "" && (c.Flags().Changed("separator") || c.Flags().Changed("missing")):
			return usage("data", "--data excludes --separator and --missing: the config says them")
		case top < 1 || top > maxNamed:
			return usage("top", fmt.Sprintf("--top %d is not within 1 to %d", top, maxNamed))
		case size == 0 || size != len(separator) || strings.ContainsRune("\"\r\n\uFFFD", file.Rows.Separator):
			return usage("separator", fmt.Sprintf("%q can't separate cells", separator))
		}
		if data != "" {
			bound, err := a.bound(data)
			if err != nil {
				return err
			}
			file.Rows = bound
		}
		m, _, err := scoring.Load(model)
		if err != nil {
			return err
		}
		named, err := file.Names(c.Context(), m, top)
		if err != nil {
			return err
		}
		return a.print(map[string]any{"buckets": named}, namesText(named))
	}
	return c
}

func namesText(named []scoring.NamedBucket) string {
	var b strings.Builder
	for _, n := range named {
		fmt.Fprintf(&b, "%-24s", n.Encoded)
		for _, w := range n.Coefficients {
			fmt.Fprintf(&b, " %+.6g", w)
		}
		var values []string
		for _, v := range n.Names {
			values = append(values, fmt.Sprintf("%s (%d rows)", v.Value, v.Rows))
		}
		if len(values) == 0 {
			values = []string{"no row of yours"}
		}
		fmt.Fprintf(&b, "  %s\n", strings.Join(values, ", "))
	}
	return b.String()
}
