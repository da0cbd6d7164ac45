// Package config reads the participant's YAML file. Of it the policy alone leaves the machine: the node signs it and the ledger keeps it.
//
// Reading is strict: unknown keys, repeated keys and values of another type are problems, and all of them are told at once with
// line, column and remedy. Paths are relative to the file's own folder.
package config

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tributary/participant/internal/source"
	"tributary/protocol/jobspec"
)

// Config is the file, checked, with its defaults filled in and its paths made absolute.
type Config struct {
	Path        string // of the file
	Name        string // of this participant, as in its invitation
	Coordinator string // host:port; empty: the invitation's
	DataDir     string // keys and state; kept 0700
	Policy      Policy
	Data        []Binding // empty at a committee seat without data
}

// Policy is what the operator lets the node take part in. A job outside it is refused; inside it, Automatic says whether the
// node approves by itself.
type Policy struct {
	Contracts     []string // "name@revision"; a job under another contract is refused
	Privacy       []string // kinds of jobs: exact, private; default [exact]
	Modes         []string // default [sealed]
	MinCohort     int      // organisations; default 3
	MinCountFloor int64    // rows; an exact job may fold rare categories at this count or above; default 0, no floor
	NoQuantiles   bool     // exact jobs that count training rows in fine bins, in groups of 20 or more, are refused; default: they aren't
	Automatic     bool     // default: every job waits for `approve`
}

// Text is the policy in canonical form, which the node signs and the ledger keeps.
func (p *Policy) Text() string {
	approve := "manual"
	if p.Automatic {
		approve = "automatic"
	}
	quantiles := ""
	if p.NoQuantiles {
		quantiles = "quantiles: refuse\n"
	}
	contracts := "[" + strings.Join(p.Contracts, ", ") + "]"
	rest := fmt.Sprintf("\nprivacy: [%s]\nmodes: [%s]\nmin_cohort: %d\nmin_count_floor: %d\napprove: %s\n", strings.Join(p.Privacy, ", "), strings.Join(p.Modes, ", "), p.MinCohort, p.MinCountFloor, approve)
	if len(contracts)+len(rest)+len(quantiles) > maxPolicyText {
		contracts = fmt.Sprintf("%d, whose list has SHA-256 %x", len(p.Contracts), sha256.Sum256([]byte(contracts)))
	}
	return "contracts: " + contracts + rest + quantiles
}

// maxPolicyText is what a wire.Policy holds, less what stands before the list.
const maxPolicyText = 4000

// Binding says where one contract's rows come from.
type Binding struct {
	source.Binding
	ContractFile string // this participant's own copy
}

// Problems is the error of a file that breaks the format.
type Problems struct {
	Path string
	List []jobspec.Problem
}

func (p *Problems) Error() string {
	text := fmt.Sprintf("read config %s: %d problems", p.Path, len(p.List))
	if len(p.List) == 1 {
		text = fmt.Sprintf("read config %s: 1 problem", p.Path)
	}
	for _, problem := range p.List {
		text += "\n" + problem.String()
	}
	return text
}

const maxFileBytes = 1 << 20

// Load reads the file at path. The error is *Problems, or the file couldn't be read.
func Load(path string) (*Config, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	info, err := os.Stat(absolute)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("read config: %s has %d bytes, at most %d", absolute, info.Size(), maxFileBytes)
	}
	data, err := os.ReadFile(absolute)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	c, problems := Parse(data, filepath.Dir(absolute))
	if len(problems) > 0 {
		return nil, &Problems{Path: absolute, List: problems}
	}
	c.Path = absolute
	return c, nil
}

// Binding finds the data bound to a contract.
func (c *Config) Binding(contract string) (*Binding, bool) {
	for i := range c.Data {
		if c.Data[i].Contract == contract {
			return &c.Data[i], true
		}
	}
	return nil, false
}

// SameFile lists the ids of all bindings that read the same file as the one with this id, itself among them: one physical source has one
// privacy account, under whichever of its ids. It is empty if there is no such binding.
func (c *Config) SameFile(id string) []string {
	var own *Binding
	for i := range c.Data {
		if c.Data[i].ID == id {
			own = &c.Data[i]
		}
	}
	if own == nil {
		return nil
	}
	var out []string
	for i := range c.Data {
		if c.Data[i].ID == id || sameFile(c.Data[i].File, own.File) {
			out = append(out, c.Data[i].ID)
		}
	}
	return out
}

// OneRecord tells whether all sources that read the same file as the one with this id mean the same by a record: each a row of the
// file, or each a customer by the same key. Otherwise an account that counts records would count two kinds of them.
func (c *Config) OneRecord(id string) bool {
	same := c.SameFile(id)
	kinds := map[string]bool{}
	for i := range c.Data {
		if b := &c.Data[i]; slices.Contains(same, b.ID) {
			kind := "row"
			if b.Customers != nil {
				kind = "customer by " + b.Customers.Key
			}
			kinds[kind] = true
		}
	}
	return len(kinds) <= 1
}

func sameFile(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	first, err1 := os.Stat(a)
	second, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(first, second)
}
