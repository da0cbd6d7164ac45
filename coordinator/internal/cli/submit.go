package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"tributary/protocol/jobspec"
	"tributary/protocol/pb"
)

// problem is one thing to correct in a job's files.
type problem struct {
	File    string `json:"file"`
	Path    string `json:"path,omitempty"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// files are a job's spec and contract with their names.
type files struct {
	specName, contractName string
	spec, contract         []byte
	sweep                  *jobspec.Sweep // nil: the spec is one job
}

func problemsError(found []problem) error {
	if len(found) == 0 {
		return nil
	}
	noun := "problems"
	if len(found) == 1 {
		noun = "problem"
	}
	return &failure{exit: exitUsage, Code: "invalid-job", Message: fmt.Sprintf("%d %s", len(found), noun), problems: found}
}

// readFiles reads both files. Problems that need no coordinator are told at once.
func readFiles(spec, contract string) (files, error) {
	f := files{specName: spec, contractName: contract}
	var err error
	if f.spec, err = readBounded(spec); err != nil {
		return f, err
	}
	sweep, found := jobspec.ParseSweep(f.spec)
	one := f.spec
	if f.sweep = sweep; sweep != nil {
		one = sweep.Trials[0].Spec
	}
	var parsed *jobspec.Spec
	if len(found) == 0 {
		parsed, found = jobspec.ParseSpec(one)
	}
	var all []problem
	if contract == "" && parsed != nil {
		f.contractName = filepath.Join(filepath.Dir(spec), parsed.Contract.Name+".yaml")
	}
	if f.contractName != "" {
		if f.contract, err = readBounded(f.contractName); err != nil {
			if contract == "" {
				return f, invalid("Put the contract beside the spec, or name it with --contract FILE.", "the spec is for contract %s: %v", parsed.Contract, err)
			}
			return f, err
		}
		_, contractProblems := jobspec.ParseContract(f.contract)
		all = inFile(f.contractName, contractProblems)
	}
	return f, problemsError(append(all, inFile(spec, found)...))
}

func inFile(name string, found []jobspec.Problem) (out []problem) {
	for _, p := range found {
		out = append(out, problem{name, p.Path, p.Line, p.Column, p.Message, p.Hint})
	}
	return out
}

const maxFile = 1 << 20

func readBounded(name string) ([]byte, error) {
	i, err := os.Stat(name)
	if err != nil {
		return nil, invalid("Check the file's name.", "read %s: %v", name, err)
	}
	if i.Size() > maxFile {
		return nil, invalid("", "%s has %d bytes, at most %d", name, i.Size(), maxFile)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, invalid("", "read %s: %v", name, err)
	}
	return data, nil
}

// told turns the coordinator's problems into an error.
func (f *files) told(found []*pb.Problem) error {
	var out []problem
	for _, p := range found {
		name := f.specName
		if p.GetFile() == "contract" {
			name = f.contractName
		}
		out = append(out, problem{name, p.GetPath(), int(p.GetLine()), int(p.GetColumn()), p.GetMessage(), p.GetHint()})
	}
	return problemsError(out)
}

func (a *app) validateCommand() *cobra.Command {
	var contract string
	cmd := &cobra.Command{Use: "validate SPEC", Short: "Check a job spec, or each trial of a sweep, with its contract under the newest charter", Args: takes("SPEC")}
	cmd.Flags().StringVar(&contract, "contract", "", "contract file (default: CONTRACT-NAME.yaml beside the spec)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := readFiles(args[0], contract)
		if err != nil {
			return err
		}
		if f.sweep != nil {
			return a.validateSweep(cmd.Context(), f)
		}
		return a.call(cmd.Context(), func(ctx context.Context, o pb.OperatorClient) error {
			reply, err := o.ValidateJob(ctx, &pb.JobRequest{SpecYaml: f.spec, ContractYaml: f.contract})
			if err != nil {
				return err
			}
			if err := f.told(reply.GetProblems()); err != nil {
				return err
			}
			r, err := jobspec.ParseResolved(reply.GetResolvedJson())
			if err != nil {
				return err
			}
			document := map[string]any{"digest": hex.EncodeToString(reply.GetDigest()), "resolved": raw(string(reply.GetResolvedJson()))}
			cost := ""
			if r.Private != nil {
				if cost, err = costLine(r); err != nil {
					return err
				}
				document["cost"] = cost
			}
			return a.print(document, func(w io.Writer) {
				fmt.Fprintf(w, "%s is valid: %d participants, committee %d of %d, %d coefficients, digest %s\n", f.specName, r.Contributors, r.Committee.Threshold, r.Committee.Of,
					r.Coefficients(), short(reply.GetDigest()))
				if cost != "" {
					fmt.Fprintln(w, cost)
				}
			})
		})
	}
	return cmd
}

func (a *app) submitCommand() *cobra.Command {
	var contract, token string
	var watch bool
	patience := defaultPatience
	cmd := &cobra.Command{Use: "submit SPEC", Short: "Propose a job, or each trial of a sweep, to its participants", Args: takes("SPEC")}
	cmd.Flags().StringVar(&contract, "contract", "", "contract file (default: CONTRACT-NAME.yaml beside the spec)")
	cmd.Flags().StringVar(&token, "token", "", "submit token: the same token is the same job, however often it is sent (default: a random one)")
	cmd.Flags().BoolVar(&watch, "watch", false, "then watch the job")
	cmd.Flags().DurationVar(&patience, "patience", patience, "with --watch: how long the coordinator may be away")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if patience < 0 {
			return usage(cmd, "--patience %s is negative", patience)
		}
		f, err := readFiles(args[0], contract)
		if err != nil {
			return err
		}
		if f.sweep != nil {
			if watch {
				return usage(cmd, "--watch follows one job, and %s is a sweep of %d", f.specName, len(f.sweep.Trials))
			}
			return a.submitSweep(cmd.Context(), f, token)
		}
		job, err := a.submit(cmd.Context(), f, token, watch)
		if err != nil || !watch {
			return err
		}
		return a.watch(cmd.Context(), job, patience)
	}
	return cmd
}

func (a *app) submit(ctx context.Context, f files, token string, watch bool) (job string, err error) {
	if token, err = orRandom(token); err != nil {
		return "", err
	}
	err = a.call(ctx, func(ctx context.Context, o pb.OperatorClient) error {
		reply, err := o.SubmitJob(ctx, &pb.JobRequest{SpecYaml: f.spec, ContractYaml: f.contract, SubmitToken: token})
		if err != nil {
			return err
		}
		if err := f.told(reply.GetProblems()); err != nil {
			return err
		}
		job = hex.EncodeToString(reply.GetJob())
		document := map[string]any{"job": job, "existing": reply.GetExisting(), "token": token}
		a.lines = watch
		return a.print(document, func(w io.Writer) {
			if reply.GetExisting() {
				fmt.Fprintf(w, "Job %s was submitted before with this token.\n", job)
				return
			}
			fmt.Fprintf(w, "Submitted job %s; its participants are asked to approve.\n", job)
		})
	})
	return job, err
}

// orRandom gives a submit token of its own to who has none.
func orRandom(token string) (string, error) {
	if token != "" {
		return token, nil
	}
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	return hex.EncodeToString(b), nil
}

const defaultPatience = 2 * time.Minute
