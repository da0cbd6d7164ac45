package cli

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tributary/models/mf"
	"tributary/participant/internal/engine"
	"tributary/participant/internal/source"
	"tributary/protocol/jobspec"
)

// maxTop is the longest list.
const maxTop = 10_000

// recommendOptions are the flags of recommend.
type recommendOptions struct {
	top           int
	users         []string
	includeSeen   bool
	only, without string // files of items
	features      string // a CSV file
	file          string
}

type recommendedView struct {
	User  string  `json:"user"`
	Rank  int     `json:"rank"`
	Item  string  `json:"item"`
	Score float64 `json:"score"`
	Basis string  `json:"basis"` // history, or popularity where a user has none
}

func (a *app) recommend() *cobra.Command {
	o := recommendOptions{}
	c := &cobra.Command{
		Use:   "recommend JOB",
		Short: "Recommend items to this node's users by a finished job's model, as CSV",
		Long: "JOB is the job's digest, 6 or more of its first digits, or its name. Users' factors are solved here, from the rows that the job's contract is bound to now,\n" +
			"and nothing is sent. Columns: user, rank, item, score, basis. A score is near 1 for what a user takes (of bpr it has no unit), or a predicted rating; the basis is popularity\n" +
			"for a user without a history, whose scores are the share of all users who have the item, or what users rate it on average.",
		Args: exactly("JOB"),
		RunE: func(c *cobra.Command, args []string) error { return a.recommendTo(c.Context(), args[0], o) },
	}
	c.Flags().IntVar(&o.top, "top", 10, "items in a list")
	c.Flags().StringArrayVar(&o.users, "user", nil, "a user's key; may be repeated (default: all users with rows)")
	c.Flags().BoolVar(&o.includeSeen, "include-seen", false, "recommend what a user has had already, too")
	c.Flags().StringVar(&o.only, "only", "", "a file of items, one a line: recommend no others")
	c.Flags().StringVar(&o.without, "without", "", "a file of items, one a line: don't recommend these")
	c.Flags().StringVar(&o.features, "item-features", "", "a CSV file with the item's column and features of it: items with too few users to be learnt, and new ones, are recommended by these")
	c.Flags().StringVar(&o.file, "file", "-", "file to write; - is standard output")
	return c
}

func (a *app) recommendTo(ctx context.Context, job string, o recommendOptions) error {
	if o.top < 1 || o.top > maxTop {
		return &failure{Exit: exitUsage, Code: "usage", Field: "top", Message: fmt.Sprintf("--top %d is not within 1 to %d", o.top, maxTop), Hint: "the default is 10"}
	}
	config, s, err := a.open()
	if err != nil {
		return err
	}
	defer s.Close()
	stored, err := find(s, job)
	if err != nil {
		return err
	}
	model, err := engine.ReadFinished(stored)
	if errors.Is(err, engine.ErrNoModel) {
		message, hint := splitHint(err.Error())
		return &failure{Exit: exitRefused, Code: "no-model", Field: "job", Message: message, Hint: hint}
	}
	if err != nil {
		return err
	}
	if model.Resolved.Model.Recommendation == nil {
		return &failure{Exit: exitUsage, Code: "not-a-recommender", Field: "job", Message: fmt.Sprintf("job %s is a %s, which recommends nothing", stored.Name, model.Resolved.Model.Type), Hint: "choose a job of type matrix_factorization"}
	}
	b, ok := config.Binding(model.Contract.ID())
	if !ok {
		return &failure{Exit: exitUsage, Code: "config", Field: "data", Message: "no data are bound to contract " + model.Contract.ID(), Hint: "bind a source to it in " + config.Path}
	}
	secret, err := s.Secret(b.ID)
	if err != nil {
		return err
	}
	rows, err := source.Read(ctx, b.Binding, model.Contract, source.Options{Secret: secret, Dir: s.Dir()})
	if err != nil {
		return err
	}
	views, err := a.recommendations(ctx, model, rows, o)
	if err != nil {
		return err
	}
	return a.writeRecommendations(views, o.file)
}

// recommendations computes the lists of the users that are asked for, in their order.
func (a *app) recommendations(ctx context.Context, model *engine.Finished, rows *source.Rows, o recommendOptions) ([]recommendedView, error) {
	table, err := rows.PairTable(jobspec.Holdout{}, model.Resolved.Model.Recommendation.Item)
	if err != nil {
		return nil, err
	}
	r, err := mf.NewRecommender(model.Program, model.State, table)
	if err != nil {
		return nil, err
	}
	items := map[string]bool{}
	for _, name := range model.Program.Pipeline().Features()[0].Values {
		items[name] = true
	}
	if o.features != "" {
		features, err := readFeatures(o.features, model.Resolved.Model.Recommendation.Item)
		if err != nil {
			return nil, err
		}
		if err := r.UseFeatures(features); err != nil {
			message, hint := splitHint(err.Error())
			return nil, &failure{Exit: exitUsage, Code: "item-features", Field: "item-features", Message: o.features + ": " + message, Hint: hint}
		}
		for _, f := range features {
			items[f.Name] = true
		}
	}
	choice := mf.Choice{Top: o.top, IncludeSeen: o.includeSeen}
	if choice.Allow, err = a.allow(r, o, items); err != nil {
		return nil, err
	}
	users := o.users
	if users == nil {
		users = rows.Users()
	}
	number := make(map[string]int, len(rows.Users()))
	for i, key := range rows.Users() {
		number[key] = i
	}
	out := []recommendedView{}
	for _, key := range users {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		user, ok := number[key]
		if !ok {
			user = -1 // without a history
		}
		list, err := r.For(user, choice)
		if err != nil {
			return nil, err
		}
		for rank, item := range list {
			basis := "history"
			if item.Popular {
				basis = "popularity"
			}
			out = append(out, recommendedView{key, rank + 1, r.Name(item.Item), item.Score, basis})
		}
	}
	return out, nil
}

// allow makes the filter of the lists of items. items are those that can be recommended: what else a list names is told.
func (a *app) allow(r *mf.Recommender, o recommendOptions, items map[string]bool) (func(int32) bool, error) {
	read := func(flag, file string) (map[string]bool, error) {
		if file == "" {
			return nil, nil
		}
		list, err := readItems(file)
		if err != nil {
			return nil, err
		}
		unknown := 0
		for name := range list {
			if !items[name] {
				unknown++
			}
		}
		if unknown == len(list) {
			return nil, &failure{Exit: exitUsage, Code: "items", Field: flag, Message: fmt.Sprintf("%s: none of its %d lines is an item of the job", file, len(list)), Hint: "write one item a line, named as in the contract, or describe new ones with --item-features"}
		}
		if unknown > 0 {
			fmt.Fprintf(a.err, "note: %s: %d of %d items are none of the job's, and are passed over\n", file, unknown, len(list))
		}
		return list, nil
	}
	only, err := read("only", o.only)
	if err != nil {
		return nil, err
	}
	without, err := read("without", o.without)
	if err != nil || only == nil && without == nil {
		return nil, err
	}
	return func(item int32) bool {
		name := r.Name(item)
		return (only == nil || only[name]) && !without[name]
	}, nil
}

// readItems reads a file of items, one a line.
func readItems(file string) (map[string]bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read items: %w", err)
	}
	defer f.Close()
	out := map[string]bool{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if item := strings.TrimSpace(lines.Text()); item != "" {
			out[item] = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read items: %s: %w", file, err)
	}
	return out, nil
}

// readFeatures reads items and their features: a column of numbers as it is (an empty cell is the column's mean), any other as one
// column of 0 and 1 for each of its values.
func readFeatures(file, item string) ([]mf.ItemFeatures, error) {
	wrong := func(hint, format string, args ...any) error {
		return &failure{Exit: exitUsage, Code: "item-features", Field: "item-features", Message: file + ": " + fmt.Sprintf(format, args...), Hint: hint}
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read item features: %w", err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, wrong("save it as UTF-8 with commas between the cells", "this is not CSV: %v", err)
	}
	if len(records) < 2 {
		return nil, wrong("its first row names the columns", "there are no items")
	}
	key := slices.Index(records[0], item)
	if key < 0 {
		return nil, wrong("name the items' column as the contract does", "row 1: there is no column %q", item)
	}
	out := make([]mf.ItemFeatures, len(records)-1)
	for i, row := range records[1:] {
		out[i].Name = strings.TrimSpace(row[key])
	}
	for c := range records[0] {
		if c != key {
			addFeature(out, records[1:], c)
		}
	}
	return out, nil
}

// addFeature adds one column of a file to all items.
func addFeature(out []mf.ItemFeatures, rows [][]string, column int) {
	values, sum, known, numeric := make([]float64, len(rows)), 0.0, 0, true
	words := map[string]bool{}
	for i, row := range rows {
		cell := strings.TrimSpace(row[column])
		words[cell] = true
		v, err := strconv.ParseFloat(cell, 64)
		if numeric = numeric && (err == nil || cell == ""); cell != "" {
			values[i], sum, known = v, sum+v, known+1
		}
	}
	if numeric && known > 0 {
		for i, row := range rows {
			if strings.TrimSpace(row[column]) == "" {
				values[i] = sum / float64(known)
			}
			out[i].Features = append(out[i].Features, values[i])
		}
		return
	}
	list := []string{}
	for w := range words {
		list = append(list, w)
	}
	slices.Sort(list)
	for i, row := range rows {
		for _, w := range list {
			v := 0.0
			if strings.TrimSpace(row[column]) == w {
				v = 1
			}
			out[i].Features = append(out[i].Features, v)
		}
	}
}

// writeRecommendations writes CSV, or JSON. A file is for this user alone: it tells of persons.
func (a *app) writeRecommendations(views []recommendedView, file string) error {
	if file == "-" && a.output == "json" {
		return a.print(map[string]any{"recommendations": views}, "")
	}
	var to io.Writer = a.out
	if file != "-" {
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("write recommendations: %w", err)
		}
		defer f.Close()
		to = f
	}
	w := csv.NewWriter(to)
	w.Write([]string{"user", "rank", "item", "score", "basis"})
	for _, v := range views {
		w.Write([]string{v.User, strconv.Itoa(v.Rank), v.Item, strconv.FormatFloat(v.Score, 'g', 6, 64), v.Basis})
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("write recommendations: %w", err)
	}
	if file == "-" {
		return nil
	}
	return a.print(map[string]any{"file": file, "recommendations": len(views)}, fmt.Sprintf("Wrote %s, %d recommendations.\n", file, len(views)))
}
