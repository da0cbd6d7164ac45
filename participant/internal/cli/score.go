package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"tributary/participant/internal/config"
	"tributary/participant/internal/scoring"
	"tributary/participant/internal/source"
)

func (a *app) score() *cobra.Command {
	var file scoring.File
	var model, data, until, separator string
	var at scoring.Addresses
	c := &cobra.Command{
		Use:   "score --model MODEL.json (--in ROWS.csv | --data ID) --out SCORES.csv|SCORES.parquet [--explain], or score --model MODEL.json (--listen | --grpc) 127.0.0.1:PORT",
		Short: "Apply an exported model to rows, which stay here",
		Long: "Reads the JSON that `tributary model export` writes.\n\n" +
			"With --out, CSV or Parquet is scored into CSV, or into Parquet if its name ends in .parquet (copied columns as strings, scores as doubles): the rows with a column probability, and with --explain what each column added to the logit, and for open categories and crosses the bucket (encoded:NAME) with the most frequent of the file's own values in it (names:NAME); where the label has classes, with columns predicted and probability:CLASS. The columns of --in have the contract's names;\n" +
			"--data takes a source of the config, with its own names, values and filters.\n" +
			"The file appears when it is complete; if a row can't be scored, none does.\n\n" +
			"With --listen, programs on this machine ask POST /v1/score with {\"row\": {…}} or {\"rows\": [{…}, …]} and maybe \"explain\": true, until SIGTERM or Ctrl-C; GET /healthz tells that it runs.\n" +
			"With --grpc, they call tributary.v1.Scoring/Score (protocol/pb/scoring.proto), and grpc.health.v1; both can be given, with two ports. Neither has a log-in: only loopback addresses are listened on.",
		Args: exactly(),
	}
	f := c.Flags()
	f.StringVar(&model, "model", "", "the exported model")
	f.StringVar(&file.Rows.File, "in", "", "file of rows: CSV, gzipped or not, or Parquet")
	f.StringVar(&data, "data", "", "the id of a source in the config, instead of --in")
	f.StringVar(&until, "until", "", "with --data whose customers are made of transactions: the day to which recency is measured, instead of the config's")
	f.StringVar(&file.Out, "out", "", "file of scores to write: Parquet if its name ends in .parquet, else CSV; replaced if it exists")
	f.BoolVar(&file.Explain, "explain", false, "add what each column contributed")
	f.StringVar(&separator, "separator", ",", "what separates the cells of --in and --out where they are CSV")
	f.StringSliceVar(&file.Rows.Missing, "missing", nil, "cells of --in that stand for a missing value, beside the empty one")
	f.StringSliceVar(&file.Keep, "keep", nil, "columns to copy beside the scores, by the file's names or the contract's; all by default")
	f.StringVar(&at.HTTP, "listen", "", "loopback address to serve HTTP on")
	f.StringVar(&at.GRPC, "grpc", "", "loopback address to serve gRPC on")
	c.RunE = func(c *cobra.Command, _ []string) error {
		usage := func(field, message string) error {
			return &failure{Exit: exitUsage, Code: "usage", Field: field, Message: message, Hint: "see " + c.CommandPath() + " --help"}
		}
		serve := at != scoring.Addresses{}
		var size int
		file.Rows.Separator, size = utf8.DecodeRuneInString(separator)
		switch {
		case model == "":
			return usage("model", "--model is missing")
		case serve && (file.Rows.File != "" || data != "" || file.Out != "" || file.Explain):
			return usage("listen", "--listen and --grpc exclude --in, --data, --out and --explain")
		case !serve && ((file.Rows.File == "") == (data == "") || file.Out == ""):
			return usage("in", "give --in or --data, and --out; or --listen or --grpc")
		case data != "" && (c.Flags().Changed("separator") || c.Flags().Changed("missing")):
			return usage("data", "--data excludes --separator and --missing: the config says them")
		case until != "" && (data == "" || serve):
			return usage("until", "--until needs --data")
		case size == 0 || size != len(separator) || file.Rows.Separator == '"' || file.Rows.Separator == '\r' || file.Rows.Separator == '\n' || file.Rows.Separator == utf8.RuneError:
			return usage("separator", fmt.Sprintf("%q can't separate cells", separator))
		}
		if !c.Flags().Changed("keep") {
			file.Keep = nil
		} else if file.Keep == nil {
			file.Keep = []string{}
		}
		if serve {
			return a.serveScores(c.Context(), model, at)
		}
		if data != "" {
			bound, err := a.bound(data)
			if err != nil {
				return err
			}
			file.Rows = bound
		}
		if until != "" {
			if file.Rows.Customers == nil {
				return usage("until", fmt.Sprintf("--until needs a source that makes customers of transactions, which %s doesn't", data))
			}
			at, err := source.ParseTime("", until)
			if err != nil {
				return usage("until", "--until: "+err.Error())
			}
			file.Rows.Customers.Until, file.Rows.Customers.OutcomeDays = at, 0 // what comes after it isn't asked for
		}
		return a.scoreFile(c.Context(), model, file)
	}
	return c
}

// bound is a source of the config.
func (a *app) bound(id string) (source.Binding, error) {
	c, err := config.Load(a.config)
	if err != nil {
		return source.Binding{}, err
	}
	for i := range c.Data {
		if c.Data[i].ID == id {
			return c.Data[i].Binding, nil
		}
	}
	return source.Binding{}, &failure{Exit: exitUsage, Code: "usage", Field: "data", Message: fmt.Sprintf("there is no source %q in %s", id, c.Path), Hint: "give the id of one under data, or --in FILE"}
}

func (a *app) scoreFile(ctx context.Context, model string, file scoring.File) error {
	m, _, err := scoring.Load(model)
	if err != nil {
		return err
	}
	result, err := file.Score(ctx, m)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Scored %d rows into %s.\n", result.Rows, file.Out)
	for _, name := range slices.Sorted(maps.Keys(result.Beyond)) {
		fmt.Fprintf(&b, "  %s: %d values that the model doesn't list, scored as other, or outside its range, scored as the bound\n", name, result.Beyond[name])
	}
	return a.print(map[string]any{"file": file.Out, "rows": result.Rows, "beyond": result.Beyond}, b.String())
}

func (a *app) serveScores(ctx context.Context, model string, at scoring.Addresses) error {
	m, document, err := scoring.Load(model)
	if err != nil {
		return err
	}
	e, err := at.Listen()
	if err != nil {
		return err
	}
	view, text := map[string]any{}, ""
	if e.HTTP != nil {
		url := "http://" + e.HTTP.Addr().String()
		view["url"], text = url, fmt.Sprintf("Scores on %s/v1/score until stopped.\n", url)
	}
	if e.GRPC != nil {
		view["grpc"], text = e.GRPC.Addr().String(), text+fmt.Sprintf("Scores by gRPC on %s until stopped.\n", e.GRPC.Addr())
	}
	if err := a.print(view, text); err != nil {
		e.Close()
		return err
	}
	return e.Serve(ctx, m, document, a.err)
}
