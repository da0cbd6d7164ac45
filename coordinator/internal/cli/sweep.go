package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"tributary/protocol/forecast"
	"tributary/protocol/jobspec"
	"tributary/protocol/pb"
)

// trial is one of a sweep's specs as it is sent.
type trial struct {
	jobspec.Trial
	files
}

// trials are a sweep's specs; their problems are told in the one file.
func (f *files) trials() (out []trial) {
	for _, t := range f.sweep.Trials {
		one := *f
		one.spec, one.sweep = t.Spec, nil
		out = append(out, trial{t, one})
	}
	return out
}

// settings shows what is a trial's own.
func settings(values []jobspec.Setting) string {
	var parts []string
	for _, v := range values {
		parts = append(parts, strings.TrimPrefix(v.Field, "model.")+" "+v.Value)
	}
	return strings.Join(parts, ", ")
}

// each calls the coordinator for one trial after the other: a limit of time for each.
func (a *app) each(ctx context.Context, f files, call func(context.Context, pb.OperatorClient, *trial) error) error {
	for _, t := range f.trials() {
		if err := a.call(ctx, func(ctx context.Context, o pb.OperatorClient) error { return call(ctx, o, &t) }); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) validateSweep(ctx context.Context, f files) error {
	type valid struct {
		jobspec.Trial
		Digest string `json:"digest"`
	}
	list := []valid{}
	err := a.each(ctx, f, func(ctx context.Context, o pb.OperatorClient, t *trial) error {
		reply, err := o.ValidateJob(ctx, &pb.JobRequest{SpecYaml: t.spec, ContractYaml: t.contract})
		if err != nil {
			return err
		}
		list = append(list, valid{t.Trial, hex.EncodeToString(reply.GetDigest())})
		return t.told(reply.GetProblems())
	})
	if err != nil {
		return err
	}
	return a.print(map[string]any{"trials": list, "by": f.sweep.By}, func(w io.Writer) {
		fmt.Fprintf(w, "%s is valid: a sweep of %d trials, each a job of its own\n", f.specName, len(list))
		var rows [][]string
		for _, v := range list {
			rows = append(rows, []string{v.Name, settings(v.Values), v.Digest[:12]})
		}
		table(w, "TRIAL | VALUES | DIGEST", rows)
	})
}

func (a *app) forecastSweep(ctx context.Context, f files) error {
	type told struct {
		jobspec.Trial
		Forecast *forecast.Forecast `json:"forecast"`
	}
	list, all := []told{}, []*forecast.Forecast{}
	err := a.each(ctx, f, func(ctx context.Context, o pb.OperatorClient, t *trial) error {
		reply, err := o.ForecastJob(ctx, &pb.JobRequest{SpecYaml: t.spec, ContractYaml: t.contract})
		if err != nil {
			return err
		}
		if err := t.told(reply.GetProblems()); err != nil {
			return err
		}
		one, err := forecast.Parse(reply.GetForecastJson())
		if err != nil {
			return err
		}
		list, all = append(list, told{t.Trial, one}), append(all, one)
		return nil
	})
	if err != nil {
		return err
	}
	total, err := forecast.Sum(all)
	if err != nil {
		return err
	}
	return a.print(map[string]any{"trials": list, "total": total}, func(w io.Writer) {
		var rows [][]string
		for _, v := range list {
			rows = append(rows, []string{v.Name, settings(v.Values), fmt.Sprint(v.Forecast.Sums), fmt.Sprintf("%.6f", v.Forecast.Total.Nats()), fmt.Sprintf("%.4f", v.Forecast.EpsilonFilter)})
		}
		table(w, "TRIAL | VALUES | ROUNDS | CHARGE | ε", rows)
		fmt.Fprintf(w, "\n%s", total.Text())
	})
}

// submitSweep proposes every trial. The token makes it safe to repeat: each trial has a token of its own that follows from it.
func (a *app) submitSweep(ctx context.Context, f files, token string) error {
	token, err := orRandom(token)
	if err != nil {
		return err
	}
	type submitted struct {
		jobspec.Trial
		Job      string `json:"job"`
		Existing bool   `json:"existing"`
	}
	list := []submitted{}
	err = a.each(ctx, f, func(ctx context.Context, o pb.OperatorClient, t *trial) error {
		reply, err := o.SubmitJob(ctx, &pb.JobRequest{SpecYaml: t.spec, ContractYaml: t.contract, SubmitToken: fmt.Sprintf("%s-%d", token, len(list)+1)})
		if err != nil {
			return err
		}
		if err := t.told(reply.GetProblems()); err != nil {
			return err
		}
		list = append(list, submitted{t.Trial, hex.EncodeToString(reply.GetJob()), reply.GetExisting()})
		return nil
	})
	if err != nil {
		return partly(err, len(list), len(f.sweep.Trials), token)
	}
	return a.print(map[string]any{"trials": list, "token": token, "by": f.sweep.By}, func(w io.Writer) {
		compare := "tributary job compare --by " + f.sweep.By
		if f.sweep.Folds > 0 {
			compare += " --folds"
		}
		var rows [][]string
		for _, s := range list {
			rows = append(rows, []string{s.Job[:12], s.Name, settings(s.Values)})
			compare += " " + s.Job[:12]
		}
		fmt.Fprintf(w, "Submitted %d jobs; their participants are asked to approve each.\n", len(list))
		table(w, "JOB | NAME | VALUES", rows)
		fmt.Fprintf(w, "Once they are over, this ranks them:\n%s\n", compare)
	})
}

// partly says how far a sweep was submitted before an error, and how to go on.
func partly(err error, done, all int, token string) error {
	if done == 0 {
		return err
	}
	f := *explain(err)
	f.Message = fmt.Sprintf("%d of %d trials were submitted, then: %s", done, all, f.Message)
	f.Hint = strings.TrimSpace(f.Hint + " `--token " + token + "` submits the rest, and none twice.")
	return &f
}
