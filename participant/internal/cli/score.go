package cli

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"tributary/participant/internal/scoring"
)

func (a *app) score() *cobra.Command {
	var file scoring.File
	var model, separator, listen string
	c := &cobra.Command{
		Use:   "score --model MODEL.json (--in ROWS.csv --out SCORES.csv [--explain] | --listen 127.0.0.1:PORT)",
		Short: "Apply an exported model to rows, which stay here",
		Long: "Reads the JSON that `tributary model export` writes. The rows' columns have the contract's names.\n\n" +
			"With --in and --out, CSV is scored into CSV: the rows with a column probability, and with --explain what each column added to the logit.\n" +
			"The file appears when it is complete; if a row can't be scored, none does.\n\n" +
			"With --listen, programs on this machine ask POST /v1/score with {\"row\": {…}} or {\"rows\": [{…}, …]} and maybe \"explain\": true, until SIGTERM or Ctrl-C; GET /healthz tells that it runs.",
		Args: exactly(),
	}
	f := c.Flags()
	f.StringVar(&model, "model", "", "the exported model")
	f.StringVar(&file.In, "in", "", "CSV file of rows, gzipped or not")
	f.StringVar(&file.Out, "out", "", "CSV file of scores to write; replaced if it exists")
	f.BoolVar(&file.Explain, "explain", false, "add what each column contributed")
	f.StringVar(&separator, "separator", ",", "what separates the cells of both files")
	f.StringSliceVar(&file.Missing, "missing", nil, "cells that stand for a missing value, beside the empty one")
	f.StringSliceVar(&file.Keep, "keep", nil, "columns to copy beside the scores; all by default")
	f.StringVar(&listen, "listen", "", "loopback address to serve on")
	c.RunE = func(c *cobra.Command, _ []string) error {
		usage := func(field, message string) error {
			return &failure{Exit: exitUsage, Code: "usage", Field: field, Message: message, Hint: "see " + c.CommandPath() + " --help"}
		}
		var size int
		file.Separator, size = utf8.DecodeRuneInString(separator)
		switch {
		case model == "":
			return usage("model", "--model is missing")
		case listen != "" && (file.In != "" || file.Out != "" || file.Explain):
			return usage("listen", "--listen excludes --in, --out and --explain")
		case listen == "" && (file.In == "" || file.Out == ""):
			return usage("in", "give --in and --out, or --listen")
		case size == 0 || size != len(separator) || file.Separator == '"' || file.Separator == '\r' || file.Separator == '\n' || file.Separator == utf8.RuneError:
			return usage("separator", fmt.Sprintf("%q can't separate cells", separator))
		}
		if !c.Flags().Changed("keep") {
			file.Keep = nil
		} else if file.Keep == nil {
			file.Keep = []string{}
		}
		if listen != "" {
			return a.serveScores(c.Context(), model, listen)
		}
		return a.scoreFile(c.Context(), model, file)
	}
	return c
}

func (a *app) scoreFile(ctx context.Context, model string, file scoring.File) error {
	m, _, err := scoring.Load(model)
	if err != nil {
		return err
	}
	rows, err := file.Score(ctx, m)
	if err != nil {
		return err
	}
	return a.print(map[string]any{"file": file.Out, "rows": rows}, fmt.Sprintf("Scored %d rows into %s.\n", rows, file.Out))
}

func (a *app) serveScores(ctx context.Context, model, address string) error {
	m, document, err := scoring.Load(model)
	if err != nil {
		return err
	}
	l, err := scoring.Listen(address)
	if err != nil {
		return err
	}
	url := "http://" + l.Addr().String()
	if err := a.print(map[string]any{"url": url}, fmt.Sprintf("Scores on %s/v1/score until stopped.\n", url)); err != nil {
		l.Close()
		return err
	}
	return scoring.Serve(ctx, l, m, document, a.err)
}
